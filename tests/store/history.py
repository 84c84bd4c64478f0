"""Events as they would have been stored at any moment, and what must hold for every event that is kept."""

from datetime import UTC, datetime

import psycopg

from app.store.migrate import migrate
from tests.fixtures.postgres import connect

STORE = """
WITH word AS (
    INSERT INTO series AS w (last_used_on, digest, host_id, agent_name, event_type, outcome)
    VALUES (%(day)s, md5(%(host)s)::uuid, %(host)s, 'tool-approve', 'agent_execution', 'none')
    ON CONFLICT (digest) DO UPDATE SET last_used_on = excluded.last_used_on RETURNING series_key
), session AS (
    INSERT INTO sessions AS w (last_used_on, digest, host_id, session_id)
    VALUES (%(day)s, md5(%(host)s)::uuid, %(host)s, 'abc123')
    ON CONFLICT (digest) DO UPDATE SET last_used_on = excluded.last_used_on RETURNING session_key
), folder AS (
    INSERT INTO working_dirs AS w (last_used_on, digest, working_dir)
    VALUES (%(day)s, md5(%(host)s)::uuid, '/home/' || %(host)s)
    ON CONFLICT (digest) DO UPDATE SET last_used_on = excluded.last_used_on RETURNING working_dir_key
), identity AS (
    INSERT INTO event_identities (identity, stored_at) VALUES (md5(%(event)s)::uuid, %(received)s)
)
INSERT INTO telemetry_events (occurred_at, received_at, event_id, series_key, session_key, working_dir_key)
SELECT %(occurred)s, %(received)s, %(event)s, series_key, session_key, working_dir_key FROM word, session, folder
"""

BEREFT = """
SELECT event_id FROM telemetry_events e
WHERE NOT EXISTS (SELECT FROM event_identities i WHERE i.identity = md5(e.event_id)::uuid)
    AND NOT EXISTS (SELECT FROM archived_identities i WHERE i.identity = md5(e.event_id)::uuid)
    OR NOT EXISTS (SELECT FROM series s WHERE s.series_key = e.series_key)
    OR NOT EXISTS (SELECT FROM sessions s WHERE s.session_key = e.session_key)
    OR NOT EXISTS (SELECT FROM working_dirs w WHERE w.working_dir_key = e.working_dir_key)
"""


def utc(text: str) -> datetime:
    """The moment that an ISO 8601 text without an offset means."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def before_any_partition(url: str) -> str:
    """The URL of an empty database, which then has the schema, and the default partition only."""
    with connect(url) as connection:
        migrate(connection)
    return url


def store(
    connection: psycopg.Connection, event: str, occurred: datetime, received: datetime, host: str = "laptop"
) -> None:
    """Stores one event as the collector does at `received`; its host's words are stamped then."""
    values = {"event": event, "occurred": occurred, "received": received, "host": host, "day": received.date()}
    connection.execute(STORE, values)


def events(connection: psycopg.Connection) -> dict[str, str]:
    """The table that holds each event."""
    return dict(connection.execute("SELECT event_id, tableoid::regclass::text FROM telemetry_events").fetchall())


def bereft(connection: psycopg.Connection) -> list[str]:
    """Events that have lost their identity or a word; there must never be one."""
    return [event for (event,) in connection.execute(BEREFT)]


def identities(connection: psycopg.Connection) -> int:
    """How many identities are known, whether they were archived or not."""
    return count(connection, "event_identities") + count(connection, "archived_identities")


def count(connection: psycopg.Connection, table: str) -> int:
    """How many rows the table has."""
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])
