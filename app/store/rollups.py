"""Roll-ups: notes of stored events are counted, and whole days anew. How, the migrations 0002, 0005, 0007 and 0009 say.

Whoever counts holds one lock, so roll-ups have one writer at a time; see `counting`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from app.store import partitions

# As migrate.LOCK.
LOCK = 7_391_652_026
# Events that one transaction counts: some tens of megabytes to sort and hash, and a second or two.
MOST_EVENTS = 200_000
# So many notes in the queue, of 75 events at most, are worth a VACUUM after them: autovacuum looks once a minute only.
MANY_BATCHES = 200

WORK_MEM = "32MB"

# A day of another time zone than UTC may have events of the day before and after.
DAYS_TO_COUNT = """
SELECT DISTINCT day + near FROM days_with_events() AS day, generate_series(-1, 1) AS near
WHERE near = 0 OR (SELECT time_zone FROM reporting_settings) <> 'UTC'
"""

TAKE_DAY = """
DELETE FROM rollup_backlog WHERE day = (SELECT max(day) FROM rollup_backlog)
RETURNING day::text, coalesce(day - 1 >= %s::date AND day + 2 <= %s::date, false)
"""

# Whole days before a moment, in the time zone of the settings.
OLD_SESSION_DAYS = """
FROM rollup_session_days WHERE start < (%s AT TIME ZONE (SELECT time_zone FROM reporting_settings))::date
"""
FOLD_DAY = """
WITH gone AS (DELETE FROM rollup_session_days WHERE start = %s RETURNING start, host_key)
INSERT INTO rollup_session_counts AS c (start, host_key, sessions)
SELECT start, host_key, count(*) FROM gone GROUP BY start, host_key
ON CONFLICT (start, host_key) DO UPDATE SET sessions = c.sessions + excluded.sessions
"""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far roll-ups are behind: events that wait, seconds since the oldest was stored, days to be counted anew."""

    events_waiting: int
    batches_waiting: int
    lag_seconds: float
    days_to_rebuild: int


def freshness(connection: psycopg.Connection) -> Freshness:
    """The roll-ups' state, in a statement that takes a millisecond."""
    row = connection.execute(
        "SELECT events_waiting, batches_waiting, lag_seconds, days_to_rebuild FROM reporting.freshness"
    ).fetchone()
    assert row is not None
    return Freshness(*row)


@contextmanager
def counting(connection: psycopg.Connection, *, wait: bool = False) -> Iterator[bool]:
    """Holds the lock of roll-ups; gives False where another session does, unless it is to `wait` for it.

    A lock of the session, not of a transaction: it is held before the transaction takes its snapshot.
    """
    lock = "SELECT pg_advisory_lock(%s) IS NOT NULL" if wait else "SELECT pg_try_advisory_lock(%s)"
    row = connection.execute(lock, (LOCK,)).fetchone()
    assert row is not None
    try:
        yield row[0]
    finally:
        # A connection that broke has lost the lock already.
        if row[0] and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


def count_notes(connection: psycopg.Connection, most: int = MOST_EVENTS) -> int:
    """Counts about `most` of the events that wait, and returns how many; all or none of them. Hold the lock."""
    with connection.transaction():
        _prepare(connection)
        row = connection.execute("SELECT count_notes(%s)", (most,)).fetchone()
    assert row is not None
    return int(row[0])


def count_day(connection: psycopg.Connection) -> str | None:
    """Counts the newest day of the backlog anew from its events, and returns its date; None where there is none.

    Hold the lock.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _prepare(connection)
        months = partitions.existing(connection)
        # All events of a day are kept where it lies within the months that are there, whatever its time zone.
        span = (months[0].start.date(), months[-1].end.date()) if months else (None, None)
        row = connection.execute(TAKE_DAY, span).fetchone()
        if row is not None:
            connection.execute("SELECT count_day(%s, %s)", row)
    # As text, since Python has no date after the year 9999 or before 1.
    return None if row is None else str(row[0])


def vacuum_queue(connection: psycopg.Connection) -> None:
    """Frees the room of notes that were counted, so that the queue stays as small as what waits."""
    # Without TRUNCATE, for which VACUUM would wait seconds for whoever stores events.
    connection.execute("VACUUM (TRUNCATE false) rollup_queue")


def ask_for_all_days(connection: psycopg.Connection) -> int:
    """Puts every day that still has events into the backlog, and returns how many days it has then."""
    connection.execute(f"INSERT INTO rollup_backlog {DAYS_TO_COUNT} ON CONFLICT DO NOTHING")
    return freshness(connection).days_to_rebuild


def days_to_count(connection: psycopg.Connection) -> int:
    """How many days `ask_for_all_days` would ask for."""
    row = connection.execute(f"SELECT count(*) FROM ({DAYS_TO_COUNT}) AS days").fetchone()
    assert row is not None
    return int(row[0])


def catch_up(connection: psycopg.Connection, report: Report = lambda _: None) -> int:
    """Counts all that waits now, and returns how many days were counted anew; takes as long as it takes.

    Lets the worker in between two transactions. It ends however much is stored meanwhile.
    """
    days = 0
    while True:
        with counting(connection, wait=True):
            if count_notes(connection) >= MOST_EVENTS:
                continue
            day = count_day(connection)
        if day is None:
            return days
        days += 1
        report(f"counted {day} anew, {freshness(connection).days_to_rebuild} days to go")


def old_sessions(connection: psycopg.Connection, cutoff: datetime) -> int:
    """How many rows of sessions' days `fold_sessions` would fold."""
    row = connection.execute(f"SELECT count(*) {OLD_SESSION_DAYS}", (cutoff,)).fetchone()
    assert row is not None
    return int(row[0])


def fold_sessions(connection: psycopg.Connection, cutoff: datetime) -> int:
    """Keeps of sessions' days before `cutoff` only how many they were, by host; returns how many rows are gone.

    Their events are gone, and the sessions' names will be. A day is a transaction of its own.
    """
    folded = old_sessions(connection, cutoff)
    days = connection.execute(f"SELECT DISTINCT start::text {OLD_SESSION_DAYS} ORDER BY 1", (cutoff,)).fetchall()
    for (day,) in days:
        with counting(connection, wait=True):
            connection.execute(FOLD_DAY, (day,))
    connection.execute("DELETE FROM rollup_session_hours WHERE start < %s", (cutoff,))
    return folded


def _prepare(connection: psycopg.Connection) -> None:
    """For this transaction: it may take its time, and some memory; JIT costs more than it gives here."""
    connection.execute(f"SET LOCAL statement_timeout = 0; SET LOCAL jit = off; SET LOCAL work_mem = '{WORK_MEM}'")
