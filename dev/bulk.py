"""Generated events into the database by COPY: the rows that the collector would store, ten times as fast.

`tests/dev/test_bulk.py` sends the same events through a collector and holds every column equal. What a collector notes
by its clock comes from the event: it was received some hundred milliseconds to a few seconds after it happened.

For generated events only. They have an eventId and a time, are valid, and no two are the same: what would be a repeat
ends the load with an error.

By themselves, roll-ups follow as they do for a collector's events. Noting each event for them is a third of what
PostgreSQL does, so for millions their days can be counted from the events when all are there: see `by_days`.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import groupby, islice
from typing import Any

import msgspec

from app.schemas.event import EVENT, KNOWN, outcome
from app.store import partitions
from app.store.database import BoundedConnection
from app.store.rows import KEYS, NUMBERS, OBJECTS, SERIES, TEXTS, escaped
from app.store.words import Interned, WordTable, interned
from dev.generate import Event

# A transaction's. What this process has in memory of them is some 40 MB.
CHUNK = 10_000
# Rows handed to psycopg at once.
ROWS = 500

_FIELD = {name: field.data_key or name for name, field in EVENT.fields.items()}
_WORDS = [_FIELD[name] for name in SERIES if name != "outcome"]
_OUTCOME = SERIES.index("outcome")
_DECISION = _WORDS.index(_FIELD["decision"])
_NUMBER_FIELDS = [_FIELD[name] for name in NUMBERS]
_TEXT_FIELDS = [_FIELD[name] for name in TEXTS]
_OBJECT_FIELDS = [_FIELD[name] for name in OBJECTS]

COPY_IDENTITIES = "COPY event_identities (identity, stored_at) FROM STDIN"
_COLUMNS = ", ".join(("occurred_at", "received_at", *KEYS, "attributes", *NUMBERS, *TEXTS, *OBJECTS))
COPY_EVENTS = f"COPY {{}} ({_COLUMNS}) FROM STDIN"

_DELAYS = [timedelta(milliseconds=180 + number**2 // 24) for number in range(256)]
_NULL = "\\N"
_encode = msgspec.json.Encoder().encode


class BulkLoader:
    """Loads events through one connection, which is in autocommit mode; remembers the numbers of words.

    `behind` tells by host how far its clock is behind. With `by_days` the caller sees to it that the days are counted.
    """

    def __init__(
        self, connection: BoundedConnection, behind: Mapping[str, timedelta] | None = None, *, by_days: bool = False
    ) -> None:
        self._connection = connection
        self._behind = behind or {}
        # Whose triggers, which note events for the roll-ups, `fill` has switched off.
        self._months = {f"{each.start:%Y-%m}": each.name for each in partitions.existing(connection)} if by_days else {}
        self._series = WordTable("series", "series_key", SERIES)
        self._sessions = WordTable("sessions", "session_key", ("host_id", "session_id"))
        self._working_dirs = WordTable("working_dirs", "working_dir_key", ("working_dir",))

    def load(self, events: Iterable[Event]) -> Iterator[int]:
        """Stores the events, and yields after each commit how many that were. Raises psycopg.Error."""
        stream = iter(events)
        while chunk := list(islice(stream, CHUNK)):
            self._load(chunk)
            yield len(chunk)

    def _load(self, events: list[Event]) -> None:
        folders = [interned((event["workingDir"],)) for event in events]
        received = [_received(event, self._behind.get(event["hostId"])) for event in events]
        numbers = zip(
            self._series.numbers(self._connection, [_series(event) for event in events]),
            self._sessions.numbers(
                self._connection, [interned((event["hostId"], event["sessionId"])) for event in events]
            ),
            self._working_dirs.numbers(self._connection, folders),
            strict=True,
        )
        keys = (b"\t".join(each).decode() for each in numbers)
        with self._connection.transaction():
            self._copy(
                COPY_IDENTITIES, (f"{_identity(event)}\t{at}\n" for event, at in zip(events, received, strict=True))
            )
            for table, rows in self._tables(map(_row, events, received, keys)):
                self._copy(COPY_EVENTS.format(table), rows)

    def _tables(self, rows: Iterator[str]) -> Iterator[tuple[str, Iterator[str]]]:
        """The rows by the table that they go to."""
        if not self._months:
            yield "telemetry_events", rows
            return
        for month, group in groupby(rows, key=_month):
            yield self._months[month], group

    def _copy(self, statement: str, rows: Iterator[str]) -> None:
        with self._connection.cursor().copy(statement) as copy:
            while part := "".join(islice(rows, ROWS)):
                copy.write(part)


def _series(event: Event) -> Interned:
    words = [event.get(name) for name in _WORDS]
    words.insert(_OUTCOME, outcome(words[_DECISION]))
    return interned(tuple(words))


def _received(event: Event, behind: timedelta | None) -> str:
    """When a collector would have received it; the eventId's first digits are as good as chance."""
    received = datetime.fromisoformat(event["timestamp"]) + _DELAYS[int(event["eventId"][:2], 16)]
    return (received + behind if behind else received).isoformat()


def _identity(event: Event) -> str:
    """As schemas/identity.py has it for an event with an eventId, here plain ASCII."""
    content = f'["{event["hostId"]}","{event["eventId"]}"]'
    return blake2b(content.encode("ascii"), digest_size=16, person=b"event id").hexdigest()


def _row(event: Event, received: str, keys: str) -> str:
    values = [event.get(name) for name in _NUMBER_FIELDS]
    numbers = "\t".join([_NULL if value is None else str(value) for value in values])
    texts = "\t".join([_text(event.get(name)) for name in _TEXT_FIELDS])
    objects = "\t".join([_object(event.get(name)) for name in _OBJECT_FIELDS])
    attributes = None
    if not KNOWN.issuperset(event):
        attributes = {name: value for name, value in event.items() if name not in KNOWN}
    return f"{event['timestamp']}\t{received}\t{keys}\t{_object(attributes)}\t{numbers}\t{texts}\t{objects}\n"


def _month(row: str) -> str:
    # A row begins with its time.
    return row[:7]


def _text(value: str | None) -> str:
    return _NULL if value is None else escaped(value)


def _object(value: Any) -> str:
    return _NULL if value is None else escaped(_encode(value).decode())
