"""The room on the disk that an event takes, with its indexes and roll-ups, against its compact JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec

from app.store import partitions, rollups, storage
from app.store.database import BoundedConnection
from app.store.events import EventStore
from dev.generate import events
from tests.fixtures.postgres import connect
from tests.store.batches import load, store_events

EVENTS, BATCH = 100_000, 100
# As dense as the ten million in ninety days of `make bench-reporting`: roll-ups have a row an hour or day, however many
# events share it.
SPAN = timedelta(days=90) * EVENTS / 10_000_000


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes an event, as compact JSON and on disk by part; a mean of EVENTS full ones."""

    json_bytes: float
    parts: dict[str, float]

    @property
    def against_json(self) -> float:
        """What the disk takes for a byte of JSON."""
        return sum(self.parts.values()) / self.json_bytes

    def lines(self) -> Iterator[str]:
        """A table for people."""
        yield f"bytes an event on disk, of {self.json_bytes:.0f} as compact JSON:"
        for part, size in (*self.parts.items(), ("in all", sum(self.parts.values()))):
            yield f"{part:>20} {size:6.1f} {size / self.json_bytes:6.3f}"


def measure(url: str) -> Disk:
    """Stores and counts full events in a new database, by the collector's own code, and vacuums."""
    size = _fill(url)
    with connect(url) as connection:
        connection.execute("VACUUM ANALYZE")
        used = storage.measure(connection)
    if used.events != EVENTS:
        raise RuntimeError(f"{used.events} events are stored instead of {EVENTS}")
    return Disk(size / EVENTS, {part: used.parts[part] / EVENTS for part in storage.EVENT_PARTS})


def _fill(url: str) -> int:
    """Gives the bytes of the events' compact JSON."""
    end = datetime.now(UTC)
    start = end - SPAN
    with connect(url) as connection:
        partitions.ensure(connection, now=start)
    size, store = 0, EventStore()
    stream = events(1, EVENTS, start, end, full=True)
    with BoundedConnection.connect(url, autocommit=True) as connection:
        while batch := list(islice(stream, BATCH)):
            size += sum(len(msgspec.json.encode(event)) for event in batch)
            store_events(store, connection, load(*batch))
        rollups.catch_up(connection)
    return size
