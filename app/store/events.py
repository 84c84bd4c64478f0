"""Events into the database: identities for exactly once, words stored once, and the events by COPY."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from itertools import repeat

import psycopg
from psycopg import sql

from app.store import identities, partitions, quarantine
from app.store.database import BoundedConnection
from app.store.one_message import execute_and_copy
from app.store.partitions import Partition
from app.store.quarantine import Quarantined
from app.store.rows import COLUMNS, NULL, SERIES, Event
from app.store.words import WordTable

PARENT = "telemetry_events"
# Repeats come together: a host that was cut off sends again what it does not know to have arrived. Nearly always there
# are none, and to look for each before it is written is a fifth of PostgreSQL's work. Where they go
# on, one statement in ten seconds is in vain; where they have ended, nobody else pays for them any longer.
REPEATS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request brings: events to store, and rejected ones for quarantine."""

    events: Sequence[Event]
    rejected: Sequence[Quarantined] = ()


@dataclass(slots=True)
class Stored:
    """What became of a delivery: `accepted` events are in the database, `duplicates` of them were before."""

    accepted: int = 0
    duplicates: int = 0
    # Positions in the given events of those that PostgreSQL itself refused, with its reason.
    refused: dict[int, str] = field(default_factory=dict)


class EventStore:
    """Stores events exactly once, and rejected ones in quarantine; several deliveries share one commit."""

    def __init__(self) -> None:
        self._series = WordTable("series", "series_key", SERIES)
        self._sessions = WordTable("sessions", "session_key", ("host_id", "session_id"))
        self._working_dirs = WordTable("working_dirs", "working_dir_key", ("working_dir",))
        self._months: dict[date, list[Partition]] = {}
        # Until then, by time.monotonic, more repeats are expected.
        self._repeats_until = 0.0

    def forget(self) -> None:
        """Drops remembered words and partitions: the server may be another one now."""
        for table in (self._series, self._sessions, self._working_dirs):
            table.forget()
        self._months = {}

    def store(self, connection: BoundedConnection, deliveries: Sequence[Delivery]) -> list[Stored]:
        """Stores all of them; everything is committed when this returns what became of each.

        Should PostgreSQL refuse a value that the schema let through, each delivery is tried alone, then each event, so
        that the bad one costs none of its neighbours.
        """
        direct = True
        while True:
            try:
                return self._store(connection, deliveries, direct=direct)
            except psycopg.errors.UndefinedTable:
                if not direct:
                    raise
                # A partition was dropped.
                direct, self._months = False, {}
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                if isinstance(error, psycopg.errors.UniqueViolation) and error.diag.table_name == identities.TABLE:
                    # A repeat, or somebody else has just committed one of these events: each is looked for from now on.
                    self._repeats_until = time.monotonic() + REPEATS_SECONDS
                    continue
                reason = str(error).splitlines()[0]
                break
        if len(deliveries) > 1:
            return [self.store(connection, (delivery,))[0] for delivery in deliveries]
        (delivery,) = deliveries
        if len(delivery.events) <= 1 and not delivery.rejected:
            return [Stored(refused={0: reason})]
        (total,) = self.store(connection, (Delivery((), delivery.rejected),))
        for index, event in enumerate(delivery.events):
            (one,) = self.store(connection, (Delivery((event,)),))
            total.accepted += one.accepted
            total.duplicates += one.duplicates
            total.refused.update(dict.fromkeys((index for _ in one.refused), "".join(one.refused.values())))
        return [total]

    def _store(self, connection: BoundedConnection, deliveries: Sequence[Delivery], *, direct: bool) -> list[Stored]:
        events = [event for delivery in deliveries for event in delivery.events]
        # The first of those with one identity; a client's eventId may stand twice in a request, and in several.
        unique = {event.identity: event for event in reversed(events)}
        if len(unique) < len(events):
            events = list(reversed(unique.values()))
        lines = self._lines(connection, events)
        months = self._direct(connection) if direct else []
        rejected = [item for delivery in deliveries for item in delivery.rejected]
        passing = [event.identity for event in events if event.passing]
        fresh: Collection[str] = unique
        if events and not rejected and not passing and time.monotonic() >= self._repeats_until:
            copies = [(_copy(table), content) for table, content in _by_table(months, events, lines)]
            execute_and_copy(connection, identities.claim_all(unique), copies)
        else:
            with connection.transaction():
                identities.expire(connection, passing)
                fresh = identities.claim(connection, unique)
                if len(fresh) < len(events):
                    lines = [line for line, event in zip(lines, events, strict=True) if event.identity in fresh]
                    events = [event for event in events if event.identity in fresh]
                for table, content in _by_table(months, events, lines):
                    with connection.cursor().copy(_copy(table)) as copy:
                        copy.write(content)
                quarantine.add(connection, rejected)
        if len(fresh) == sum(len(delivery.events) for delivery in deliveries):
            return [Stored(accepted=len(delivery.events)) for delivery in deliveries]
        known = unique.keys() - fresh
        return [_stored(delivery, known) for delivery in deliveries]

    def _lines(self, connection: BoundedConnection, events: Sequence[Event]) -> list[bytes]:
        """The events as COPY takes them."""
        series = self._series.numbers(connection, [event.series for event in events])
        sessions = self._sessions.numbers(connection, [event.session for event in events])
        given = [event.working_dir for event in events]
        numbers = iter(self._working_dirs.numbers(connection, [folder for folder in given if folder is not None]))
        folders = [NULL if folder is None else next(numbers) for folder in given]
        columns = zip(series, sessions, folders, repeat(b"now"), [event.line for event in events], strict=False)
        return list(map(b"\t".join, columns))

    def _direct(self, connection: BoundedConnection) -> list[Partition]:
        """The partitions that may be written to directly, looked up once a day: they are made months ahead."""
        # What was forgotten meanwhile stays forgotten.
        remembered, today = self._months, datetime.now(UTC).date()
        found = remembered.get(today)
        if found is None:
            found = [each for each in partitions.existing(connection) if each.noted]
            remembered.clear()
            remembered[today] = found
        return found


@cache
def _copy(table: str) -> bytes:
    return sql.SQL(f"COPY {{}} ({', '.join(COLUMNS)}) FROM STDIN").format(sql.Identifier(table)).as_bytes()


def _by_table(
    months: Sequence[Partition], events: Sequence[Event], lines: Sequence[bytes]
) -> Iterator[tuple[str, bytes]]:
    """The lines of the events by the table that they go to: the month of the first that has a time, and the parent.

    PostgreSQL writes a page of rows at once, but not where it must choose a partition for each.
    The parent comes first, as for whoever changes partitions, so that nobody waits in a circle.
    """
    first = next((event.occurred_at for event in events if event.occurred_at is not None), None)
    month = next((each for each in months if first is not None and each.holds(first)), None)
    direct: list[bytes] = []
    others: list[bytes] = []
    for event, line in zip(events, lines, strict=True):
        at = event.occurred_at
        (direct if month is not None and at is not None and month.start <= at < month.end else others).append(line)
    for table, content in ((PARENT, others), (month.name if month else "", direct)):
        if content:
            yield table, b"\n".join((*content, b""))


def _stored(delivery: Delivery, known: set[str]) -> Stored:
    """What became of it; its events are known from then on."""
    fresh = {event.identity for event in delivery.events}.difference(known)
    known |= fresh
    return Stored(accepted=len(delivery.events), duplicates=len(delivery.events) - len(fresh))
