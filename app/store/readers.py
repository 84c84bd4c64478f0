"""The two roles that only look, and what each may see: views of the schema reporting, and nothing else.

The roles are made with the server (by the playbook, or by the embedded PostgreSQL), since making one takes more rights
than the collector has. What they may read belongs to the schema, and so is granted by `migrate`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from app.store.migrate import LOCK

PUBLIC_ROLE = "grafana_public"
PRIVATE_ROLE = "grafana_private"

# What anybody may see who comes by without a login: numbers, and the words that they are counted by.
PUBLIC_VIEWS = (
    "agent_recent",
    "agent_hours",
    "agent_days",
    "usage_hours",
    "usage_days",
    "hosts",
    "session_counts_by_hour",
    "session_counts_by_day",
    "freshness",
    "site",
)
PUBLIC_FUNCTIONS = (
    "active_sessions(timestamptz, timestamptz)",
    "agents_between(timestamptz, timestamptz)",
    "bucket_ms(smallint)",
    "percentile(double precision, smallint[], numeric[])",
    "usage_between(timestamptz, timestamptz)",
)
# What else those may see who log in.
PRIVATE_VIEWS = (
    "events",
    "session_days",
    "transcripts",
    "transcript_messages",
    "quarantine",
    "refused_transcripts",
    "table_sizes",
    "collector_samples",
    "maintenance_runs",
    "backups",
    "disk",
)
PRIVATE_FUNCTIONS = ("message_text(json)",)

GRANTED = {
    PUBLIC_ROLE: (PUBLIC_VIEWS, PUBLIC_FUNCTIONS),
    PRIVATE_ROLE: (PUBLIC_VIEWS + PRIVATE_VIEWS, PUBLIC_FUNCTIONS + PRIVATE_FUNCTIONS),
}


def grant(connection: psycopg.Connection) -> list[str]:
    """Lets each role that is there see its views, and nothing else; gives those roles. Safe to run twice.

    `connection` is in autocommit mode, as the database's owner.
    """
    roles = [role for role in GRANTED if _exists(connection, role)]
    if not roles:
        return []
    with connection.transaction():
        # Two at once would be refused, for they change the same rows of PostgreSQL's own tables.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        # Everybody may make temporary tables, and look into this schema, unless told otherwise.
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(database))
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        for role in roles:
            name = sql.Identifier(role)
            views, functions = GRANTED[role]
            # What an earlier release granted, and this one does not.
            connection.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public, reporting FROM {}").format(name))
            connection.execute(sql.SQL("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public, reporting FROM {}").format(name))
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, name))
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA reporting TO {}").format(name))
            selected = sql.SQL(", ").join(sql.Identifier("reporting", view) for view in views)
            connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(selected, name))
            called = sql.SQL(", ").join(sql.SQL(f"reporting.{function}") for function in functions)
            connection.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(called, name))
    return roles


@contextmanager
def as_visitor(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction that sees what a visitor may see, and writes nothing: for pages that anybody gets.

    As the public role where the connection's role is a member of it; else as the owner, with hidden names and costs
    hidden all the same.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY; SET LOCAL telemetry.reader = 'public'")
        if _exists(connection, PUBLIC_ROLE, member=True):
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(PUBLIC_ROLE)))
        yield


def _exists(connection: psycopg.Connection, role: str, *, member: bool = False) -> bool:
    condition = " AND pg_has_role(oid, 'MEMBER')" if member else ""
    statement = f"SELECT FROM pg_roles WHERE rolname = %s{condition}"
    return connection.execute(statement, (role,)).fetchone() is not None
