"""The monthly partitions of telemetry_events: made ahead, and filled with what came before they were there.

An event for a month without a partition goes to the default partition. PostgreSQL refuses to attach a month while the
default partition holds any of its events, so they are moved, and without keeping the collector waiting for long:

1. The month's events are moved into a table of its own, in a transaction that nobody sees yet. The collector goes on
   writing into the default partition; only VACUUM is kept off it.
2. Writers are locked out of telemetry_events, and everybody out of the default partition. What came meanwhile is moved
   too, the table is attached, and all of it is committed at once. This takes as long as one look through the default
   partition.

The lock in step 2 is on the parent table, for without it an insert that had already chosen the default partition would
fail once the month is attached ("violates partition constraint"); one that waits for the parent chooses anew. Each
lock is waited for one second at most and then let go for a while (see locks.py), since the inserts behind it wait too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial

import psycopg
from psycopg import sql

from app.store.locks import QUIET_WAIT_SECONDS, Busy, patiently
from app.store.notes import TRIGGER, note

EVENTS = sql.Identifier("telemetry_events")
DEFAULT = sql.Identifier("telemetry_events_default")
MONTHS_AHEAD = 3
# Ten times PostgreSQL's own: migration 0013.
VACUUM_DELAY_MS = 20
# Where events are kept for ever, a clock that is wrong by decades must not make hundreds of partitions.
MONTHS_BACK = 120

# In SQL, since the bounds come in the session's own time zone. One that is open, or that Python has no datetime for, is
# brought into Python's range.
PARTITIONS = rf"""
SELECT name,
    greatest(coalesce((regexp_match(bound, $$FROM \('([^']+)'\)$$))[1]::timestamptz, '-infinity'), '1000-01-01Z'),
    least(coalesce((regexp_match(bound, $$TO \('([^']+)'\)$$))[1]::timestamptz, 'infinity'), '9000-01-01Z'), noted
FROM (
    SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound, EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = '{TRIGGER}' AND tgenabled <> 'D') AS noted
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'telemetry_events'::regclass
) AS p
WHERE bound LIKE 'FOR VALUES%'
ORDER BY 2
"""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that is there: events from `start` to before `end`, both in UTC."""

    name: str
    start: datetime
    end: datetime
    # Whether what is written into it directly is noted for the roll-ups.
    noted: bool = True

    def holds(self, moment: datetime) -> bool:
        """Whether an event of that moment belongs here."""
        return self.start <= moment < self.end


@dataclass(frozen=True, slots=True)
class Window:
    """The months that get partitions, from `start` to before `end`. What lies outside stays in the default one."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Missing:
    """A month (its first day) without a partition, and how many of its events wait in the default one."""

    month: date
    events: int

    @property
    def name(self) -> str:
        """The name that its partition will have."""
        return f"telemetry_events_{self.month:%Y%m}"


@dataclass(slots=True)
class Made:
    """What `ensure` did: names of new partitions, events moved into them, and a sentence for each month that failed."""

    names: list[str] = field(default_factory=list)
    events_moved: int = 0
    failures: list[str] = field(default_factory=list)


def window(now: datetime, cutoff: datetime | None) -> Window:
    """From the month of `cutoff` (where retention begins; None keeps for ever) to three months after that of `now`."""
    start = midnight(months_later(now, -MONTHS_BACK))
    if cutoff is not None:
        start = max(start, midnight(months_later(cutoff, 0)))
    return Window(start, midnight(months_later(now, MONTHS_AHEAD + 1)))


def existing(connection: psycopg.Connection) -> list[Partition]:
    """The partitions but the default one, oldest first."""
    rows = connection.execute(PARTITIONS).fetchall()
    return [Partition(name, start.astimezone(UTC), end.astimezone(UTC), noted) for name, start, end, noted in rows]


def missing(connection: psycopg.Connection, now: datetime, cutoff: datetime | None) -> list[Missing]:
    """The months that want a partition: this one and those ahead, and earlier ones that have events waiting."""
    span = window(now, cutoff)
    waiting: dict[date, int] = dict(
        connection.execute(
            "SELECT date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date, count(*) FROM telemetry_events_default"
            " WHERE occurred_at >= %s AND occurred_at < %s GROUP BY 1",
            (span.start, span.end),
        ).fetchall()
    )
    ahead = {months_later(now, count) for count in range(MONTHS_AHEAD + 1)}
    there = existing(connection)
    wanted = sorted(month for month in ahead | set(waiting) if not _covered(month, there))
    return [Missing(month, waiting.get(month, 0)) for month in wanted]


def ensure(
    connection: psycopg.Connection,
    cutoff: datetime | None = None,
    *,
    now: datetime | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Made:
    """Makes the partitions that are missing, each month in one transaction; `report` gets a line for each.

    Safe to run twice, from two places at once, and beside the collector. A month whose tables stay locked is left for
    the next time, and stands in `failures`. `connection` is in autocommit mode; `now` is the database's if not given.
    """
    made = Made()
    for month in missing(connection, now or database_now(connection), cutoff):
        if month.events:
            report(f"moving {month.events} events from the default partition to {month.name}")
        try:
            moved = _make(connection, month)
        except Busy as error:
            made.failures.append(f"{month.name} was not made: {error}.")
            continue
        except psycopg.errors.DuplicateTable:
            made.failures.append(f"{month.name} is a table but no partition; rename it, and run maintain again.")
            continue
        if moved is not None:
            made.names.append(month.name)
            made.events_moved += moved
            report(f"made {month.name}" + (f" with {moved} events" if moved else ""))
    for each in existing(connection):
        if not each.noted:
            # An older release made it.
            try:
                patiently(connection, partial(note, connection, each.name))
            except Busy as error:
                made.failures.append(f"{each.name} has no trigger, and slows its events down: {error}.")
    return made


def _make(connection: psycopg.Connection, month: Missing) -> int | None:
    """Makes one month's partition and returns how many events were moved; None if somebody else made it meanwhile."""
    with connection.transaction():
        # What comes between the two steps is seen by the second only with a snapshot a statement.
        connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        # Excludes itself, and so another process that does the same; and VACUUM, which the strong locks would wait for.
        lock = sql.SQL("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE").format(DEFAULT)
        patiently(connection, lambda: connection.execute(lock), QUIET_WAIT_SECONDS)
        if _covered(month.month, existing(connection)):
            return None
        _create(connection, month)
        return _move(connection, month) + patiently(connection, lambda: _attach(connection, month))


def _create(connection: psycopg.Connection, month: Missing) -> None:
    # The check spares `_attach` a look through the table while everybody waits.
    connection.execute(
        sql.SQL(
            "CREATE TABLE {} (LIKE {} INCLUDING ALL, CONSTRAINT in_month CHECK ("
            "occurred_at IS NOT NULL AND occurred_at >= {} AND occurred_at < {}))"
            f" WITH (autovacuum_vacuum_cost_delay = {VACUUM_DELAY_MS})"
        ).format(sql.Identifier(month.name), EVENTS, *_bounds(month))
    )


def _move(connection: psycopg.Connection, month: Missing) -> int:
    columns = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'telemetry_events'::regclass AND attnum > 0"
        " AND NOT attisdropped ORDER BY attnum"
    ).fetchall()
    return connection.execute(
        sql.SQL(
            "WITH moved AS (DELETE FROM {default} WHERE occurred_at >= {start} AND occurred_at < {end} RETURNING *)"
            " INSERT INTO {month} ({columns}) SELECT {columns} FROM moved"
        ).format(
            default=DEFAULT,
            month=sql.Identifier(month.name),
            columns=sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns),
            **dict(zip(("start", "end"), _bounds(month), strict=True)),
        )
    ).rowcount


def _attach(connection: psycopg.Connection, month: Missing) -> int:
    connection.execute(sql.SQL("LOCK TABLE ONLY {} IN SHARE ROW EXCLUSIVE MODE").format(EVENTS))
    connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(DEFAULT))
    moved = _move(connection, month)
    name = sql.Identifier(month.name)
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(EVENTS, name, *_bounds(month))
    )
    connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT in_month").format(name))
    # Last, since what was moved has been noted.
    note(connection, month.name)
    return moved


def _bounds(month: Missing) -> tuple[sql.Literal, sql.Literal]:
    return sql.Literal(midnight(month.month)), sql.Literal(midnight(months_later(month.month, 1)))


def _covered(month: date, partitions: list[Partition]) -> bool:
    start, end = midnight(month), midnight(months_later(month, 1))
    return any(partition.start < end and partition.end > start for partition in partitions)


def months_later(moment: date, count: int) -> date:
    """The first day of the month that is `count` after that of `moment`, which is a date or a datetime in UTC."""
    months = moment.year * 12 + moment.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def midnight(day: date) -> datetime:
    """The beginning of `day` in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def database_now(connection: psycopg.Connection) -> datetime:
    """The database's clock, in UTC: it stamps what it stores, so it also says how old that is."""
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment.astimezone(UTC)
