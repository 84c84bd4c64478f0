"""The worker counts at once where that takes no time, and where it does after a while, with what came meanwhile."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from app import rollup_worker
from app.intake import Intake
from app.rollup_worker import RollupWorker
from app.store import rollups
from app.store.database import BoundedConnection
from app.store.events import EventStore
from app.store.site import Site
from tests.store.batches import load, store_events


@pytest.fixture
def connection(database_url: str) -> Iterator[BoundedConnection]:
    with BoundedConnection.connect(database_url, autocommit=True) as connection:
        yield connection


def store_one(connection: BoundedConnection) -> None:
    store_events(EventStore(), connection, load({"timestamp": datetime.now(UTC).isoformat()}))


def seconds_until_counted(connection: BoundedConnection) -> float:
    began = time.monotonic()
    while rollups.freshness(connection).events_waiting:
        assert time.monotonic() < began + 20
        time.sleep(0.02)
    return time.monotonic() - began


def test_events_wait_for_many_times_as_long_as_the_last_round_took_but_not_for_ever(
    connection: BoundedConnection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup_worker, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(rollup_worker, "LONGEST_WAIT_SECONDS", 4.0)
    monkeypatch.setattr(rollup_worker, "PATIENCE", 1)
    worker = RollupWorker(database_url, Site(), Intake())
    worker.start()
    try:
        for _ in range(3):
            store_one(connection)
            # A round of some milliseconds is worth no waiting.
            assert seconds_until_counted(connection) < 3
        monkeypatch.setattr(rollup_worker, "PATIENCE", 10**9)
        store_one(connection)
        seconds_until_counted(connection)
        store_one(connection)
        assert 3 < seconds_until_counted(connection) < 15
        store_one(connection)
        # As if the server's clock had been set back.
        connection.execute("UPDATE rollup_queue SET queued_at = queued_at + interval '1 hour'")
        assert seconds_until_counted(connection) < 15
    finally:
        worker.stop()
