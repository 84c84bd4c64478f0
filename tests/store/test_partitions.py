"""Monthly partitions: made ahead and filled from the default one, beside a collector that does not notice."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import psycopg
import pytest

from app.store import locks, partitions
from app.store.database import BoundedConnection
from app.store.events import EventStore
from app.store.partitions import Partition
from tests.fixtures.postgres import connect
from tests.store.batches import load, store_events
from tests.store.history import before_any_partition, count, events, store, utc

T = TypeVar("T")

NOW = utc("2025-12-15T12:00")
MONTHS_AHEAD = [f"telemetry_events_{month}" for month in (202512, 202601, 202602, 202603)]


@pytest.fixture
def database_url(empty_database_url: str) -> str:
    """A database that has not made partitions for the time in which the tests run."""
    return before_any_partition(empty_database_url)


@pytest.fixture
def any_database_url(any_empty_database_url: str) -> str:
    """The same on every version."""
    return before_any_partition(any_empty_database_url)


def test_this_month_and_three_ahead_are_made_with_bounds_in_utc(any_database_url: str) -> None:
    with connect(any_database_url) as connection:
        connection.execute("SET TimeZone = 'America/New_York'")
        made = partitions.ensure(connection, now=NOW)
        there = {partition.name: partition for partition in partitions.existing(connection)}
    assert made.names == MONTHS_AHEAD
    assert made.events_moved == 0
    assert there["telemetry_events_202512"] == Partition(
        "telemetry_events_202512", utc("2025-12-01T00:00"), utc("2026-01-01T00:00")
    )


def test_a_second_time_there_is_nothing_to_make(connection: psycopg.Connection) -> None:
    partitions.ensure(connection, now=NOW)
    assert partitions.ensure(connection, now=NOW).names == []


def test_a_new_partition_has_every_index_of_the_table_and_no_check_of_its_own(connection: psycopg.Connection) -> None:
    partitions.ensure(connection, now=NOW)
    indexes = "SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass"
    of_parent, of_month = (
        connection.execute(indexes, [table]).fetchone() for table in ("telemetry_events", MONTHS_AHEAD[0])
    )
    unattached = connection.execute(
        "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = %s::regclass"
        " AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)",
        [MONTHS_AHEAD[0]],
    ).fetchall()
    checks = connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'", [MONTHS_AHEAD[0]]
    ).fetchall()
    assert of_parent == of_month
    assert unattached == []
    assert checks == []


def test_waiting_events_are_moved_into_the_months_they_belong_to(any_database_url: str) -> None:
    cutoff = NOW - timedelta(days=400)
    with connect(any_database_url) as connection:
        for event, occurred in {
            "first moment of the oldest month": "2024-11-01T00:00:00",
            "a year ago": "2024-12-15T12:00:00",
            "last microsecond of a month": "2025-11-30T23:59:59.999999",
            "first microsecond of the next": "2025-12-01T00:00:00",
            "three months ahead": "2026-03-31T23:59:59",
        }.items():
            store(connection, event, utc(occurred), NOW)
        made = partitions.ensure(connection, cutoff, now=NOW)
        earlier = [f"telemetry_events_{month}" for month in (202411, 202412, 202511)]
        assert made.names == [*earlier, *MONTHS_AHEAD]
        assert made.events_moved == 5
        assert made.failures == []
        assert events(connection) == {
            "first moment of the oldest month": "telemetry_events_202411",
            "a year ago": "telemetry_events_202412",
            "last microsecond of a month": "telemetry_events_202511",
            "first microsecond of the next": "telemetry_events_202512",
            "three months ahead": "telemetry_events_202603",
        }


@pytest.mark.parametrize("cutoff", [NOW - timedelta(days=400), None], ids=["400 days", "for ever"])
def test_events_of_far_away_months_stay_in_the_default_partition(
    connection: psycopg.Connection, cutoff: datetime | None
) -> None:
    for occurred in ("0001-01-01T00:00", "1970-01-01T00:00", "2026-04-01T00:00", "9999-12-31T23:59"):
        store(connection, occurred, utc(occurred), NOW)
    assert partitions.ensure(connection, cutoff, now=NOW).names == MONTHS_AHEAD
    assert set(events(connection).values()) == {"telemetry_events_default"}


def test_a_moved_event_keeps_every_value(connection: psycopg.Connection, database_url: str) -> None:
    connection.execute("ALTER TABLE telemetry_events ADD COLUMN gone integer")
    connection.execute("ALTER TABLE telemetry_events DROP COLUMN gone")
    connection.execute("ALTER TABLE telemetry_events ADD COLUMN late text DEFAULT 'added by a later release'")
    store(connection, "x", utc("2025-10-10T10:00"), NOW)
    connection.execute("UPDATE telemetry_events SET latency_ms = 1.5, cost = 0.000000001, tool_input = '{\"a\": 1.0}'")
    before = connection.execute("SELECT to_jsonb(e) FROM telemetry_events e").fetchall()
    partitions.ensure(connection, NOW - timedelta(days=400), now=NOW)
    assert events(connection) == {"x": "telemetry_events_202510"}
    assert connection.execute("SELECT to_jsonb(e) FROM telemetry_events e").fetchall() == before


def test_a_foreign_table_with_a_months_name_costs_only_that_month(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE telemetry_events_202601 ()")
    made = partitions.ensure(connection, now=NOW)
    assert made.names == [name for name in MONTHS_AHEAD if name != "telemetry_events_202601"]
    assert made.failures == ["telemetry_events_202601 is a table but no partition; rename it, and run maintain again."]


def test_a_partition_made_by_hand_is_respected(connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE TABLE year_2026 PARTITION OF telemetry_events FOR VALUES FROM ('2026-01-01Z') TO ('2027-01-01Z')"
    )
    connection.execute(
        "CREATE TABLE the_past PARTITION OF telemetry_events FOR VALUES FROM (MINVALUE) TO ('2020-01-01Z')"
    )
    assert partitions.ensure(connection, now=NOW).names == ["telemetry_events_202512"]


def test_a_table_that_stays_locked_is_given_up_and_left_as_it_was(
    connection: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ATTEMPTS", 1)
    store(connection, "x", utc("2025-12-24T00:00"), NOW)
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT FROM telemetry_events")
        made = partitions.ensure(connection, now=NOW)
    assert made.names == []
    assert len(made.failures) == 4
    assert made.failures[0].startswith("telemetry_events_202512 was not made: somebody kept a lock on the table")
    assert events(connection) == {"x": "telemetry_events_default"}
    assert partitions.ensure(connection, now=NOW).names == MONTHS_AHEAD


def test_a_reader_that_goes_away_in_time_only_delays(connection: psycopg.Connection, database_url: str) -> None:
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT FROM telemetry_events")
        timer = threading.Timer(1.5, reader.rollback)
        timer.start()
        assert partitions.ensure(connection, now=NOW).names == MONTHS_AHEAD
        timer.join()


def test_two_at_once_make_each_partition_once(connection: psycopg.Connection, database_url: str) -> None:
    cutoff = NOW - timedelta(days=400)
    for month in range(1, 12):
        store(connection, str(month), utc(f"2025-{month:02}-15T00:00"), NOW)
    results = in_threads(4, lambda _: ensure_anew(database_url, cutoff, NOW))
    names = [name for result in results for name in result.names]
    earlier = [f"telemetry_events_2025{month:02}" for month in range(1, 12)]
    assert sorted(names) == [*earlier, *MONTHS_AHEAD]
    assert sum(result.events_moved for result in results) == 11
    assert [result.failures for result in results] == [[]] * 4


def test_the_collector_loses_nothing_and_fails_nothing_meanwhile(any_database_url: str) -> None:
    """Given events of fifteen months in the default partition, and more coming in all the time."""
    now = datetime.now(UTC)
    moments = [partitions.midnight(partitions.months_later(now, back)) + timedelta(days=3) for back in range(-11, 4)]
    done = threading.Event()

    def insert(worker: int) -> int:
        sent, event_store = 0, EventStore()
        with BoundedConnection.connect(any_database_url, autocommit=True) as connection:
            while not done.is_set():
                batch = [
                    {"eventId": f"{worker} {sent + place}", "timestamp": moment.isoformat()}
                    for place, moment in enumerate(moments)
                ]
                stored = store_events(event_store, connection, load(*batch))
                assert (stored.accepted, stored.duplicates, stored.refused) == (len(batch), 0, {})
                sent += len(batch)
        return sent

    def maintain(_: int) -> int:
        try:
            time.sleep(0.5)
            return ensure_anew(any_database_url, now - timedelta(days=400)).events_moved
        finally:
            time.sleep(0.2)
            done.set()

    moved, *sent = in_threads(5, lambda worker: insert(worker) if worker else maintain(worker))
    with connect(any_database_url) as connection:
        placed = events(connection)
    assert moved > 0
    assert len(placed) == sum(sent)
    assert set(placed.values()) == {f"telemetry_events_{moment:%Y%m}" for moment in moments}


def test_inserts_are_kept_waiting_for_a_fraction_of_the_time_in_which_a_request_is_answered(
    connection: psycopg.Connection, database_url: str
) -> None:
    """Given so many waiting events that moving them takes a while, and a connection that inserts all the time."""
    connection.execute(
        "INSERT INTO telemetry_events (occurred_at, received_at, session_key, series_key, decision_reason)"
        " SELECT now() - interval '40 days', now(), n, 1, repeat('x', 100) FROM generate_series(1, 200000) AS n"
    )
    done = threading.Event()

    def insert(_: int) -> float:
        slowest, event_store = 0.0, EventStore()
        with BoundedConnection.connect(database_url, autocommit=True) as inserting:
            while not done.is_set():
                before = time.monotonic()
                store_events(event_store, inserting, load({"eventId": str(before)}))
                slowest = max(slowest, time.monotonic() - before)
        return slowest

    def maintain(_: int) -> float:
        before = time.monotonic()
        assert ensure_anew(database_url, datetime.now(UTC) - timedelta(days=400)).events_moved >= 200_000
        done.set()
        return time.monotonic() - before

    slowest, took = in_threads(2, lambda worker: maintain(worker) if worker else insert(worker))
    assert slowest < 0.5 * took
    assert slowest < 2.0
    assert count(connection, "telemetry_events_default") == 0


def ensure_anew(url: str, cutoff: datetime, now: datetime | None = None) -> partitions.Made:
    """As a process of its own would do it."""
    with connect(url) as connection:
        return partitions.ensure(connection, cutoff, now=now)


def in_threads(number: int, work: Callable[[int], T]) -> list[T]:
    """What `work(0)`, `work(1)`, ... gave at the same time."""
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(work, range(number)))
