"""How many rows a database has in each table, and their checksum: what says that a restored one is the same.

A checksum is the sum of the rows' hashes: the order of rows does not matter, nor do partitions, and it takes one pass.
"""

import json
from typing import Any

from telemetry_backup.errors import BackupError
from telemetry_backup.postgres import Postgres, Session

# Tables of extensions are theirs, and partitions are counted with what they are part of.
TABLES = r"""
SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'table', c.relname,
                                           'quoted', format('%I.%I', n.nspname, c.relname))
                         ORDER BY n.nspname, c.relname), '[]')::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
"""

# One line each, as Session.ask wants them.
COUNT = """
SELECT json_build_object('rows', count(*),
    'checksum', coalesce(sum(hashtextextended((whole_row.*)::text, 0)::numeric), 0)::text)::text
FROM {table} AS whole_row;
"""

FACTS = """
SELECT json_build_object('owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding),
                         'bytes', pg_database_size(oid))::text
FROM pg_database WHERE datname = current_database();
"""


def tables(session: Session) -> list[dict[str, Any]]:
    """Each table with `rows` and `checksum`, as the session sees them."""
    found: list[dict[str, Any]] = _json(session, TABLES)
    return [
        {"schema": one["schema"], "table": one["table"], **_json(session, COUNT.format(table=one["quoted"]))}
        for one in found
    ]


def facts(session: Session) -> dict[str, Any]:
    """Owner, encoding and size in bytes of the session's database."""
    found: dict[str, Any] = _json(session, FACTS)
    return found


def of(server: Postgres, database: str) -> list[dict[str, Any]]:
    """The census of a database as it is now."""
    with server.session(database) as session:
        session.tell("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        return tables(session)


def name(table: dict[str, Any]) -> str:
    """How a person calls it."""
    return f"{table['schema']}.{table['table']}"


def compare(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """Raises BackupError, naming the tables, unless both are equal."""
    before, after = ({name(one): one for one in tables} for tables in (expected, found))
    different = sorted(one for one in before.keys() | after.keys() if before.get(one) != after.get(one))
    if different:
        raise BackupError(f"What was restored differs from what was backed up in {', '.join(different)}.")


def _json(session: Session, statement: str) -> Any:
    return json.loads(session.ask(statement))
