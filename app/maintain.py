"""What a timer runs each day: partitions made ahead, deleted what is too old, identities archived."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from app.config import Settings
from app.store import archive, identities, partitions, retention, rollups, status
from app.store.locks import Busy
from app.store.retention import Deletion

# As migrate.LOCK, for maintenance.
LOCK = 7_391_652_025

Report = Callable[[str], None]


@dataclass(slots=True)
class Summary:
    """What was done, or in a dry run would be; `failures` are sentences for people, and the command's exit 1."""

    dry_run: bool = False
    running_elsewhere: bool = False
    partitions_made: list[str] = field(default_factory=list)
    events_moved: int = 0
    partitions_dropped: list[str] = field(default_factory=list)
    rows_deleted: dict[str, int] = field(default_factory=dict)
    identities_archived: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        deleted = any(self.rows_deleted.values())
        done = self.partitions_made or self.partitions_dropped or deleted or self.identities_archived
        return not (done or self.failures)


def run(
    connection: psycopg.Connection,
    settings: Settings,
    *,
    dry_run: bool,
    report: Report = lambda _: None,
    now: datetime | None = None,
) -> Summary:
    """Maintains the database, safe beside the collector; `report` gets a line for each step.

    Each step is a transaction of its own, so whatever ends it halfway, the next run goes on from there. Of two at once
    the second does nothing: the first is doing its work. A dry run reads, in one transaction that may not write.

    `connection` is in autocommit mode; `now` is the database's clock if not given. Raises psycopg.Error.
    """
    if dry_run:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return _finish(_foresee(connection, settings, report, now), report)
    with _alone(connection) as alone:
        if not alone:
            report("another maintain is running; it does the work")
            return Summary(running_elsewhere=True)
        return _finish(_maintain(connection, settings, report, now), report)


def _maintain(connection: psycopg.Connection, settings: Settings, report: Report, now: datetime | None) -> Summary:
    now = now or partitions.database_now(connection)
    cutoff = retention.cutoff_of(now, settings.event_retention_days)
    made = partitions.ensure(connection, cutoff, now=now, report=report)
    summary = Summary(partitions_made=made.names, events_moved=made.events_moved, failures=made.failures)
    for partition in retention.expired(partitions.existing(connection), cutoff):
        try:
            retention.drop(connection, partition)
        except Busy as error:
            summary.failures.append(f"{partition.name} was not dropped: {error}.")
        else:
            summary.partitions_dropped.append(partition.name)
            report(f"dropped {partition.name}")
    span = partitions.window(now, cutoff)
    _delete(connection, retention.strays(span, cutoff), summary, report)
    if cutoff is not None and (folded := rollups.fold_sessions(connection, cutoff)):
        summary.rows_deleted["rollup_session_days"] = folded
        report(f"deleted {folded} rows of rollup_session_days, and kept their number")
    # Only now, for it counts on the events that are left.
    horizon = retention.horizon(connection, partitions.existing(connection), span, cutoff)
    _delete(connection, [*retention.references(horizon), *_others(settings, now)], summary, report)
    summary.identities_archived = archive.move(connection, now, report)
    if summary.identities_archived:
        report(f"archived {summary.identities_archived} identities")
    if (summary.identities_archived or summary.rows_deleted.get(identities.ARCHIVE)) and archive.tidy(connection):
        report("made the fingerprints of archived identities anew")
    status.note_maintenance(connection, now, len(summary.failures))
    return summary


def _delete(connection: psycopg.Connection, deletions: list[Deletion], summary: Summary, report: Report) -> None:
    for deletion in deletions:
        deleted = retention.delete(connection, deletion, report)
        summary.rows_deleted[deletion.table] = deleted
        if deleted:
            report(f"deleted {deleted} rows of {deletion.table}")


def _foresee(connection: psycopg.Connection, settings: Settings, report: Report, now: datetime | None) -> Summary:
    """As `_maintain`, in the same order, but it only looks and counts."""
    now = now or partitions.database_now(connection)
    cutoff = retention.cutoff_of(now, settings.event_retention_days)
    summary = Summary(dry_run=True)
    for month in partitions.missing(connection, now, cutoff):
        summary.partitions_made.append(month.name)
        summary.events_moved += month.events
        report(f"would make {month.name}" + (f" with {month.events} events" if month.events else ""))
    there = partitions.existing(connection)
    old = retention.expired(there, cutoff)
    for partition in old:
        summary.partitions_dropped.append(partition.name)
        report(f"would drop {partition.name} with {retention.events_of(connection, partition)} events")
    span = partitions.window(now, cutoff)
    kept = [partition for partition in there if partition not in old]
    horizon = retention.horizon(connection, kept, span, cutoff)
    for deletion in (*retention.strays(span, cutoff), *retention.references(horizon), *_others(settings, now)):
        count = retention.count(connection, deletion)
        summary.rows_deleted[deletion.table] = count
        if count:
            report(f"would delete {count} rows of {deletion.table}")
    if cutoff is not None and (folded := rollups.old_sessions(connection, cutoff)):
        summary.rows_deleted["rollup_session_days"] = folded
        report(f"would delete {folded} rows of rollup_session_days, and keep their number")
    summary.identities_archived = archive.waiting(connection, now, since=horizon)
    if summary.identities_archived:
        report(f"would archive {summary.identities_archived} identities")
    return summary


def _others(settings: Settings, now: datetime) -> list[Deletion]:
    """What does not hang on events."""
    return [
        *retention.transcripts(retention.cutoff_of(now, settings.transcript_retention_days)),
        *retention.quarantine(retention.cutoff_of(now, settings.quarantine_retention_days)),
        *status.old(now),
    ]


def _finish(summary: Summary, report: Report) -> Summary:
    for failure in summary.failures:
        report(failure)
    if summary.idle:
        report("nothing to do")
    return summary


@contextmanager
def _alone(connection: psycopg.Connection) -> Iterator[bool]:
    """Holds the lock of maintenance, unless another session does; without a limit on how long a statement may take."""
    row = connection.execute(
        "SELECT set_config('statement_timeout', '0', false), pg_try_advisory_lock(%s)", (LOCK,)
    ).fetchone()
    assert row is not None
    try:
        yield row[1]
    finally:
        # A connection that broke has lost the lock already.
        if row[1] and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
