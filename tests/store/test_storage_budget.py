"""The budget: an event's bytes on disk, indexes included, are at most 0.75 of its compact JSON; the goal is 0.5."""

import sys
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec
import psycopg
import pytest

from app.store import partitions, rollups, storage
from app.store.database import BoundedConnection
from app.store.events import EventStore
from dev.generate import events
from tests.fixtures.postgres import connect
from tests.store.batches import load, store_events
from tests.store.history import count

EVENTS, BATCH = 100_000, 100
# As dense as the ten million in ninety days of `make bench-reporting`: roll-ups have a row an hour or day, however many
# events share it.
SPAN = timedelta(days=90) * EVENTS / 10_000_000
BUDGET = 0.75


def fill(url: str) -> int:
    """Stores and counts full events by the collector's own code; gives the bytes of their compact JSON."""
    end = datetime.now(UTC)
    start = end - SPAN
    with connect(url) as connection:
        partitions.ensure(connection, now=start)
    size, store = 0, EventStore()
    stream = events(1, EVENTS, start, end, full=True)
    with BoundedConnection.connect(url, autocommit=True) as connection:
        while batch := list(islice(stream, BATCH)):
            size += sum(len(msgspec.json.encode(event)) for event in batch)
            assert store_events(store, connection, load(*batch)).accepted == len(batch)
        rollups.catch_up(connection)
    return size


@pytest.mark.slow
def test_an_event_takes_three_quarters_of_its_json_at_most(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    size = fill(database_url)
    with connect(database_url) as connection:
        connection.execute("VACUUM ANALYZE")
        used = storage.measure(connection)
        version = connection.info.server_version // 10_000
    assert used.events == EVENTS
    assert used.bytes_an_event is not None
    lines = [f"\nPostgreSQL {version}: bytes an event, of {size / EVENTS:.0f} as compact JSON"]
    lines += [f"{part:>20} {used.parts[part] / EVENTS:6.1f}" for part in storage.EVENT_PARTS]
    lines.append(f"{'in all':>20} {used.bytes_an_event:6.1f} = {used.bytes_an_event * EVENTS / size:.3f}")
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")
    assert used.bytes_an_event * EVENTS <= BUDGET * size


def test_the_parts_are_all_of_it(connection: psycopg.Connection, database_url: str) -> None:
    """Given a table of each kind, their sizes and what they are said to be agree."""
    connection.execute("INSERT INTO working_dirs (digest, working_dir) VALUES (gen_random_uuid(), '/home')")
    tables = connection.execute(
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND relname NOT IN ('api_keys', 'refused_transcripts', 'schema_migrations')"
    ).fetchone()
    used = storage.measure(connection)
    assert tables == (used.total,)
    assert sum(used.shares().values()) == pytest.approx(1)
    assert used.parts["words"] > 0


def test_without_events_there_are_no_bytes_an_event(connection: psycopg.Connection) -> None:
    used = storage.measure(connection)
    assert (used.events, used.counted, used.bytes_an_event) == (0, True, None)


def test_many_events_are_estimated_closely(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.execute(
        "INSERT INTO telemetry_events (occurred_at, received_at, session_key, series_key)"
        " SELECT now(), now(), n, 1 FROM generate_series(1, 20000) AS n"
    )
    connection.execute("ANALYZE telemetry_events")
    monkeypatch.setattr(storage, "COUNTED_BYTES", 0)
    used = storage.measure(connection)
    assert not used.counted
    assert used.events == pytest.approx(count(connection, "telemetry_events"), rel=0.05)
