"""Exactly once holds across the archive: of what is a day old, and while it is moved there."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import psycopg
import pytest

from app.store import archive, identities
from app.store.database import OPTIONS, BoundedConnection, Database
from app.store.events import EventStore, Stored
from app.store.partitions import database_now
from tests.fixtures.postgres import connect, wait_until_blocked
from tests.store.batches import load, store_events
from tests.store.history import count

DAY = timedelta(days=1)


@pytest.fixture
def archive_all(connection: psycopg.Connection) -> Callable[[], int]:
    """Archives all identities that there are, as if a day had gone by."""
    return lambda: archive.move(connection, database_now(connection) + DAY + timedelta(seconds=1))


def ids(connection: psycopg.Connection) -> list[str]:
    """The eventIds that are stored."""
    return [event_id for (event_id,) in connection.execute("SELECT event_id FROM telemetry_events ORDER BY 1")]


def test_what_is_younger_than_a_day_stays(connection: psycopg.Connection, writer: BoundedConnection) -> None:
    store_events(EventStore(), writer, load({"eventId": "young"}, {"eventId": "old"}, {"eventId": "older"}))
    connection.execute(
        "UPDATE event_identities SET stored_at = stored_at - interval '20 hours'"
        " WHERE identity <> (SELECT min(identity::text)::uuid FROM event_identities)"
    )
    now: datetime = database_now(connection) + timedelta(hours=5)
    assert archive.waiting(connection, now) == 2
    assert archive.move(connection, now) == 2
    assert [count(connection, table) for table in (identities.TABLE, identities.ARCHIVE)] == [1, 2]
    assert archive.move(connection, now) == 0


def test_pages_and_pages_are_moved_and_told(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PROGRESS_SECONDS", 0.0)
    connection.execute(
        "INSERT INTO event_identities SELECT gen_random_uuid(), now() - number % 2 * interval '8 days'"
        " FROM generate_series(1, 2001) AS number"
    )
    lines: list[str] = []
    assert archive.move(connection, database_now(connection), lines.append, pages=3) == 1001
    assert [count(connection, table) for table in (identities.TABLE, identities.ARCHIVE)] == [1000, 1001]
    assert len(lines) > 2
    assert lines[-1] == "archived 1001 identities so far"


@pytest.mark.parametrize("expected", [False, True])
def test_a_repeat_of_what_was_archived_is_one_whether_any_are_expected_or_not(
    connection: psycopg.Connection, writer: BoundedConnection, archive_all: Callable[[], int], expected: bool
) -> None:
    store = EventStore()
    store_events(store, writer, load({"eventId": "a"}, {"eventId": "b"}))
    assert archive_all() == 2
    for _ in range(2):
        store._repeats_until = float("inf") if expected else 0.0
        stored = store_events(store, writer, load({"eventId": "a"}, {"eventId": "new"}, {"eventId": "b"}))
        assert (stored.accepted, stored.refused) == (3, {})
        assert ids(connection) == ["a", "b", "new"]
    assert stored.duplicates == 3
    archive_all()
    assert store_events(store, writer, load({"eventId": "new"}, {"eventId": "a"})).duplicates == 2


@pytest.mark.parametrize("expected", [False, True])
@pytest.mark.parametrize("comes_through", [False, True])
def test_a_repeat_of_what_is_being_archived_waits_for_that(
    connection: psycopg.Connection, writer: BoundedConnection, database_url: str, expected: bool, comes_through: bool
) -> None:
    events, store = load({"eventId": "a"}, {"eventId": "mine"}), EventStore()
    store_events(store, writer, events[:1])
    store._repeats_until = float("inf") if expected else 0.0
    found: list[Stored] = []
    with connect(database_url) as other:
        with other.transaction() as transaction:
            assert archive.move(other, database_now(connection) + DAY + timedelta(seconds=1)) == 1
            waiting = threading.Thread(target=lambda: found.append(store_events(store, writer, events)))
            waiting.start()
            wait_until_blocked(database_url)
            if not comes_through:
                raise psycopg.Rollback(transaction)
        waiting.join(10)
    assert [(one.accepted, one.duplicates, one.refused) for one in found] == [(2, 1, {})]
    assert ids(connection) == ["a", "mine"]


def test_an_event_without_id_and_time_counts_anew_also_after_it_was_archived(
    connection: psycopg.Connection, writer: BoundedConnection, archive_all: Callable[[], int]
) -> None:
    store = EventStore()
    assert store_events(store, writer, load({}, {})).duplicates == 0
    connection.execute("UPDATE event_identities SET stored_at = stored_at - interval '8 days'")
    assert archive_all() == 2
    assert store_events(store, writer, load({}, {})).duplicates == 0
    assert store_events(store, writer, load({}, {})).duplicates == 2
    assert count(connection, "telemetry_events") == 4


def test_an_event_without_id_and_time_that_is_being_archived_counts_anew(
    connection: psycopg.Connection, writer: BoundedConnection, database_url: str
) -> None:
    events, found = load({}), list[Stored]()
    store_events(EventStore(), writer, events)
    connection.execute("UPDATE event_identities SET stored_at = stored_at - interval '2 hours'")
    with connect(database_url) as other:
        with other.transaction():
            assert archive.move(other, database_now(connection) + DAY) == 1
            waiting = threading.Thread(target=lambda: found.append(store_events(EventStore(), writer, events)))
            waiting.start()
            wait_until_blocked(database_url)
        waiting.join(10)
    assert [(one.accepted, one.duplicates) for one in found] == [(1, 0)]


def test_a_connection_sees_what_was_committed_a_statement_ago_whatever_the_role_defaults_to(
    connection: psycopg.Connection, database_url: str
) -> None:
    connection.execute("ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'repeatable read'")
    database = Database(database_url, 1)
    database.open()
    try:
        asked = database.run(lambda own: own.execute("SHOW transaction_isolation").fetchone(), time.monotonic() + 10)
    finally:
        database.close()
        connection.execute("ALTER ROLE CURRENT_USER RESET default_transaction_isolation")
    assert asked == ("read committed",)


def test_many_store_the_same_events_while_they_are_archived(
    connection: psycopg.Connection, database_url: str, archive_all: Callable[[], int]
) -> None:
    """Four writers, each with every event three times in an order of its own, half of them looking for repeats."""
    number, writers, done = 1500, 4, threading.Event()

    def write(seed: int) -> int:
        chance, fresh = random.Random(seed), 0
        todo = [f"{each:05d}" for each in range(number)] * 3
        chance.shuffle(todo)
        store = EventStore()
        with BoundedConnection.connect(database_url, autocommit=True, options=OPTIONS) as own:
            while todo:
                some, todo = todo[:30], todo[30:]
                store._repeats_until = float("inf") if chance.random() < 0.5 else 0.0
                stored = store_events(store, own, load(*({"eventId": each} for each in some)))
                assert stored.refused == {}
                fresh += stored.accepted - stored.duplicates
        return fresh

    def keep_archiving() -> int:
        moved = 0
        while not done.is_set():
            moved += archive_all()
            connection.execute("SELECT make_fingerprints()")
        return moved

    with ThreadPoolExecutor(writers + 1) as pool:
        archiver = pool.submit(keep_archiving)
        try:
            totals = [each.result() for each in [pool.submit(write, seed) for seed in range(writers)]]
        finally:
            done.set()
    assert sum(totals) == number
    assert ids(connection) == [f"{each:05d}" for each in range(number)]
    assert archiver.result() >= number // 2
