"""What doctor wants to know of the database; each function is one statement that only reads."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Waiting:
    """Events in the default partition: how many of each host, most first, and between which times."""

    hosts: dict[str, int]
    oldest: datetime | None
    newest: datetime | None

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(self.hosts.values())


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Rejected events: different ones, how often they came in all, and the newest's key, time and errors."""

    events: int
    times: int
    host_id: str | None
    last_seen_at: datetime | None
    errors: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """A host's transcripts that were refused as too large."""

    host_id: str
    times: int
    last_refused_at: datetime


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says of itself."""

    version: str
    encoding: str
    read_only: bool


def server(connection: psycopg.Connection) -> Server:
    """The server's version and encoding, and whether it is a standby."""
    row = _one(
        connection,
        "SELECT current_setting('server_version'), current_setting('server_encoding'), pg_is_in_recovery()",
    )
    return Server(*row)


def clock(connection: psycopg.Connection) -> float:
    """The server's clock in Unix seconds."""
    return float(_one(connection, "SELECT extract(epoch FROM clock_timestamp())")[0])


def data_directory(connection: psycopg.Connection) -> str | None:
    """Where the server keeps its data; None where the role may not know, which SHOW would log as an error."""
    row = connection.execute("SELECT setting FROM pg_settings WHERE name = 'data_directory'").fetchone()
    return None if row is None else row[0]


def waiting(connection: psycopg.Connection) -> Waiting:
    """What is in the default partition. Times before the year 1 or after 9999, which no client can send, are cut."""
    rows = connection.execute(
        "SELECT coalesce(host_id, '?'), count(*), min(greatest(occurred_at, '0001-01-02Z')),"
        " max(least(occurred_at, '9999-12-30Z'))"
        " FROM telemetry_events_default LEFT JOIN series USING (series_key) GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    return Waiting(
        {host: count for host, count, _, _ in rows},
        min((oldest for _, _, oldest, _ in rows), default=None),
        max((newest for _, _, _, newest in rows), default=None),
    )


def quarantine(connection: psycopg.Connection) -> Quarantine:
    """What is in quarantine."""
    row = _one(
        connection,
        "SELECT events, times, key_host_id, last_seen_at, errors"
        " FROM (SELECT count(*) AS events, coalesce(sum(times), 0)::bigint AS times FROM quarantined_events) AS totals"
        " LEFT JOIN (SELECT key_host_id, last_seen_at, errors FROM quarantined_events"
        " ORDER BY last_seen_at DESC LIMIT 1) AS newest ON true",
    )
    return Quarantine(*row)


def refused(connection: psycopg.Connection) -> list[Refused]:
    """Refused transcripts by host, the newest first."""
    rows = connection.execute(
        "SELECT host_id, times, last_refused_at FROM refused_transcripts ORDER BY last_refused_at DESC"
    ).fetchall()
    return [Refused(*row) for row in rows]


def _one(connection: psycopg.Connection, statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row
