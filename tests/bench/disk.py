"""The room on the disk that an event takes, with its indexes and roll-ups, against its compact JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec
import psycopg

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
    """Bytes an event, as compact JSON and on disk by part: a mean of so many events."""

    events: int
    json_bytes: float
    parts: dict[str, float]

    @property
    def against_json(self) -> float:
        """What the disk takes for a byte of JSON."""
        return round(sum(self.parts.values()) / self.json_bytes, 3)

    def lines(self) -> Iterator[str]:
        """A table for people."""
        yield f"{self.events:,} events, of {self.json_bytes:.0f} bytes as compact JSON. On disk, each:"
        for part, size in (*self.parts.items(), ("together", sum(self.parts.values()))):
            yield f"  {part:<20} {size:7.1f} bytes   {size / self.json_bytes:.3f}"


def of_all(connection: psycopg.Connection, json_bytes: float) -> Disk:
    """What is stored, however much; the events have so many bytes as compact JSON, on average."""
    sizes = storage.measure(connection).parts
    row = connection.execute("SELECT count(*) FROM telemetry_events").fetchone()
    assert row is not None
    return Disk(row[0], round(json_bytes, 1), {part: round(sizes[part] / row[0], 1) for part in storage.EVENT_PARTS})


def measure(url: str) -> Disk:
    """Stores and counts EVENTS full events in a new database, by the collector's own code, and vacuums."""
    size = _fill(url)
    with connect(url) as connection:
        connection.execute("VACUUM ANALYZE")
        found = of_all(connection, size / EVENTS)
    if found.events != EVENTS:
        raise RuntimeError(f"{found.events} events are stored instead of {EVENTS}")
    return found


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
