"""What stands beside a database and pg_dump leaves out: its roles with their verifiers, its rights and settings.

pg_dumpall knows them too, but for the whole server: this takes the roles that have to do with the one database.
"""

import json
from pathlib import Path

from telemetry_backup.postgres import Postgres

# Superusers are the server's own, and stay out of it.
INVOLVED = """
WITH db AS (SELECT * FROM pg_database WHERE datname = current_database()),
involved AS (
    SELECT * FROM pg_authid WHERE NOT rolsuper AND rolname NOT LIKE 'pg\\_%' AND oid IN (
        SELECT refobjid FROM pg_shdepend, db
        WHERE refclassid = 'pg_authid'::regclass
          AND (dbid = db.oid OR classid = 'pg_database'::regclass AND objid = db.oid))
),
-- These hold lists of names, which are stored quoted already.
settings AS (
    SELECT setdatabase, setrole, split_part(one, '=', 1) AS name,
        CASE WHEN split_part(one, '=', 1) IN ('search_path', 'temp_tablespaces', 'local_preload_libraries',
                                              'session_preload_libraries')
             THEN substr(one, strpos(one, '=') + 1) ELSE quote_literal(substr(one, strpos(one, '=') + 1)) END AS value
    FROM pg_db_role_setting, unnest(setconfig) AS one
)
"""

# Made where they are missing, and then given what they had.
ROLES = (
    INVOLVED
    + r"""
SELECT format(
    E'SELECT %L WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %L) \\gexec\n'
    'ALTER ROLE %I WITH %s %s %s %s %s %s CONNECTION LIMIT %s VALID UNTIL %L PASSWORD %L;',
    format('CREATE ROLE %I;', rolname), rolname, rolname,
    CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
    CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
    CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
    CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
    CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END,
    rolconnlimit, coalesce(rolvaliduntil, 'infinity'), rolpassword)
FROM involved ORDER BY rolname;
"""
    + INVOLVED
    + r"""
SELECT format('GRANT %I TO %I%s;', granted.rolname, member.rolname,
    CASE WHEN admin_option THEN ' WITH ADMIN OPTION' END)
FROM pg_auth_members m JOIN pg_authid granted ON granted.oid = m.roleid JOIN involved member ON member.oid = m.member
WHERE granted.oid IN (SELECT oid FROM involved) OR granted.rolname LIKE 'pg\_%'
ORDER BY 1;
"""
    + INVOLVED
    + """
SELECT format('ALTER ROLE %I SET %I TO %s;', rolname, name, value)
FROM settings JOIN involved ON involved.oid = setrole WHERE setdatabase = 0 ORDER BY 1;
"""
)

# For whatever name the database gets: :"database" is psql's variable.
SETTINGS = (
    r"""
SELECT 'REVOKE ALL ON DATABASE :"database" FROM PUBLIC;';
"""
    + INVOLVED
    + r"""
SELECT format('GRANT %s ON DATABASE :"database" TO %s%s;', privilege_type,
    CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(rolname) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
FROM db, aclexplode(coalesce(datacl, acldefault('d', datdba))) LEFT JOIN involved ON involved.oid = grantee
WHERE (grantee = 0 OR rolname IS NOT NULL) AND grantee <> datdba ORDER BY 1;
"""
    + INVOLVED
    + r"""
SELECT format('ALTER %s :"database" SET %I TO %s;',
    CASE WHEN setrole = 0 THEN 'DATABASE' ELSE format('ROLE %I IN DATABASE', rolname) END, name, value)
FROM settings JOIN db ON db.oid = setdatabase LEFT JOIN involved ON involved.oid = setrole
WHERE setrole = 0 OR rolname IS NOT NULL ORDER BY 1;
"""
    + r"""
SELECT format('COMMENT ON DATABASE :"database" IS %L;', shobj_description(oid, 'pg_database'))
FROM pg_database WHERE datname = current_database();
"""
)


NAMES = INVOLVED + "SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]') FROM involved;"

MISSING = """
SELECT format('CREATE ROLE %I', name) FROM json_array_elements_text(:'names'::json) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \\gexec
"""


def names(server: Postgres, database: str) -> list[str]:
    """The roles that have to do with the database."""
    found: list[str] = server.objects(database, NAMES)
    return found


def create_missing(server: Postgres, roles: list[str]) -> None:
    """Makes roles that cannot do anything yet, for what is theirs to be restored; the others stay as they are."""
    server.query("postgres", MISSING, names=json.dumps(roles))


def write(server: Postgres, database: str, folder: Path) -> None:
    """Writes roles.sql and settings.sql; verifiers are in them, so the folder must be root's own."""
    (folder / "roles.sql").write_text(server.query(database, ROLES) + "\n", "utf-8")
    (folder / "settings.sql").write_text(server.query(database, SETTINGS) + "\n", "utf-8")
