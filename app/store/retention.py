"""What is deleted because it is old, and in which order, so that nothing that is kept refers to what is gone.

Events go by the month: a partition is dropped once its end is older than the cutoff, so an event is kept for the days
of the setting and up to a month more. What never gets a month of its own, since its time is older than the cutoff or
far ahead, is more likely a wrong clock's than that old: it is kept in the default partition for the days of the
setting after its receipt.

Identities and words (series, sessions, working_dirs) go when no event that is kept can refer to them, which `horizon`
works out. It does not rest on a margin alone, because one event can outlive any margin: dated years ahead, it waits in
the default partition until its month is three months away, is moved there, and is kept for the whole retention again.

Transcripts go by their last change, quarantined events by when they last came. Refused transcripts, a count a host,
stay. So do roll-ups and the series that they count by; which sessions were active becomes how many (rollups.py).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from app.store import identities
from app.store.locks import QUIET_WAIT_SECONDS, patiently
from app.store.pages import PROGRESS_SECONDS, pieces
from app.store.partitions import EVENTS, Partition, Window

# As in the index telemetry_events_far_ahead, which holds the events that are dated further ahead than this.
FAR_AHEAD = timedelta(days=30)
# A word is stamped with the day of its use, and the event that uses it may come just after midnight.
SLACK = timedelta(days=2)

FAR_AHEAD_EVENTS = """
SELECT min(received_at) FROM telemetry_events
WHERE occurred_at - received_at > interval '30 days' AND occurred_at >= %(oldest)s
    AND NOT (tableoid = 'telemetry_events_default'::regclass AND occurred_at >= %(end)s AND received_at < %(cutoff)s)
"""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Rows of `table` that are old: those for which `condition` holds. A transaction walks `pages` pages of 8 kB."""

    table: str
    condition: sql.SQL
    values: Mapping[str, Any]
    pages: int


def cutoff_of(now: datetime, days: int) -> datetime | None:
    """Before when things are old; None where `days` is 0, which keeps for ever."""
    return now - timedelta(days=days) if days else None


def expired(partitions: Iterable[Partition], cutoff: datetime | None) -> list[Partition]:
    """The partitions that hold old events only."""
    return [partition for partition in partitions if cutoff is not None and partition.end <= cutoff]


def drop(connection: psycopg.Connection, partition: Partition) -> None:
    """Drops it with its events. Raises Busy; the lock on the parent table is brief, as in partitions.py."""
    name = sql.Identifier(partition.name)
    with connection.transaction():
        # Sends autovacuum away before anybody has to wait.
        quiet = sql.SQL("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE").format(name)
        patiently(connection, lambda: connection.execute(quiet), QUIET_WAIT_SECONDS)

        def work() -> None:
            connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(EVENTS))
            connection.execute(sql.SQL("DROP TABLE {}").format(name))

        patiently(connection, work)


def events_of(connection: psycopg.Connection, partition: Partition) -> int:
    """How many events it holds."""
    return _number(connection, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(partition.name)))


def strays(span: Window, cutoff: datetime | None) -> list[Deletion]:
    """Old events of the default partition; those within `span` get a partition instead."""
    if cutoff is None:
        return []
    condition = sql.SQL("(occurred_at < %(oldest)s OR occurred_at >= %(end)s) AND received_at < %(cutoff)s")
    values = {"oldest": min(span.start, cutoff), "end": span.end, "cutoff": cutoff}
    return [Deletion("telemetry_events_default", condition, values, 128)]


def horizon(
    connection: psycopg.Connection, kept: Iterable[Partition], span: Window, cutoff: datetime | None
) -> datetime | None:
    """Every event that is kept was received at this time or later; None where events are kept for ever.

    `kept` are the partitions that stay, and `strays` are deleted. So a kept event was received after the cutoff, or it
    happened at `oldest` or later; then either it is dated at most FAR_AHEAD ahead of its receipt, or the index of those
    that are finds it.
    """
    if cutoff is None:
        return None
    oldest = min([span.start, cutoff, *(partition.start for partition in kept)])
    row = connection.execute(FAR_AHEAD_EVENTS, {"oldest": oldest, "end": span.end, "cutoff": cutoff}).fetchone()
    far_ahead = row[0].astimezone(UTC) if row is not None and row[0] is not None else oldest
    return min(oldest - FAR_AHEAD, far_ahead) - SLACK


def references(before: datetime | None) -> list[Deletion]:
    """Identities and words that no kept event has, by what `horizon` gave.

    An event's identity is stored in its own transaction, and each of its words was stamped on that day or the day
    before. A word that comes into use again while this runs is stamped first, and so is passed over.
    """
    if before is None:
        return []
    used = sql.SQL("last_used_on < %(before)s::date")
    # Roll-ups outlive events, and say what they count with these words.
    uncounted = sql.SQL(
        "last_used_on < %(before)s::date"
        " AND NOT EXISTS (SELECT FROM series_agents a WHERE a.series_key = series.series_key)"
    )
    return [
        Deletion(identities.TABLE, sql.SQL("stored_at < %(before)s"), {"before": before}, 128),
        Deletion(identities.ARCHIVE, sql.SQL("stored_at < %(before)s"), {"before": before}, 128),
        Deletion("series", uncounted, {"before": before.date()}, 128),
        Deletion("sessions", used, {"before": before.date()}, 128),
        Deletion("working_dirs", used, {"before": before.date()}, 128),
    ]


def transcripts(cutoff: datetime | None) -> list[Deletion]:
    """Transcripts that have not changed since `cutoff`."""
    if cutoff is None:
        return []
    # A page can hold dozens of rows whose messages, of megabytes each, lie elsewhere.
    return [Deletion("session_transcripts", sql.SQL("updated_at < %(before)s"), {"before": cutoff}, 4)]


def quarantine(cutoff: datetime | None) -> list[Deletion]:
    """Quarantined events that have not come since `cutoff`."""
    if cutoff is None:
        return []
    return [Deletion("quarantined_events", sql.SQL("last_seen_at < %(before)s"), {"before": cutoff}, 32)]


def count(connection: psycopg.Connection, deletion: Deletion) -> int:
    """How many rows `delete` would delete."""
    table = sql.Identifier(deletion.table)
    statement = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(table, deletion.condition)
    return _number(connection, statement, deletion.values)


def delete(connection: psycopg.Connection, deletion: Deletion, report: Callable[[str], None] = lambda _: None) -> int:
    """Deletes in batches of one transaction each and returns how many rows; `report` hears of progress at times.

    Walks the table from its first page to its last, so that no batch wades through what the ones before it deleted.
    Never waits for a row: one that is locked is in use, and so not old, or is found the next time.
    """
    table = sql.Identifier(deletion.table)
    exists = sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT 1) AS one").format(table, deletion.condition)
    if not _number(connection, exists, deletion.values):
        return 0
    batch = sql.SQL(
        "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table}"
        " WHERE ctid >= %(first)s::tid AND ctid < %(next)s::tid AND ({condition}) FOR UPDATE SKIP LOCKED))"
    ).format(table=table, condition=deletion.condition)
    deleted, reported_at = 0, time.monotonic()
    for piece in pieces(connection, deletion.table, deletion.pages):
        deleted += connection.execute(batch, {**deletion.values, **piece}).rowcount
        if time.monotonic() - reported_at > PROGRESS_SECONDS:
            reported_at = time.monotonic()
            report(f"deleted {deleted} rows of {deletion.table} so far")
    return deleted


def _number(connection: psycopg.Connection, statement: sql.Composed, values: Mapping[str, Any] | None = None) -> int:
    row = connection.execute(statement, values).fetchone()
    assert row is not None
    return int(row[0])
