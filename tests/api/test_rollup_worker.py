"""A served collector counts what it stores, by itself and soon; its settings reach the views."""

import time
from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors

from app.intake import Intake
from tests.fixtures.collector import Collector
from tests.fixtures.postgres import connect
from tests.store.batches import PLAIN as EVENT

# The contract's half minute.
SECONDS = 30.0


def wait_for(connection: psycopg.Connection, events: int) -> None:
    """Returns once the views have so many events; fails when that takes longer than it may."""
    deadline = time.monotonic() + SECONDS
    while connection.execute("SELECT coalesce(sum(events), 0) FROM reporting.agent_days").fetchone() != (events,):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_is_stored_is_counted_within_half_a_minute(collector: Collector) -> None:
    assert collector.send_events(EVENT, {**EVENT, "sessionId": "another"}).status == 200
    with connect(collector.database_url) as connection:
        wait_for(connection, 2)
        assert collector.send_events({**EVENT, "sessionId": "third"}).status == 200
        wait_for(connection, 3)


def test_when_the_collector_that_counts_is_killed_another_goes_on(
    start_collectors: Callable[..., list[Collector]], database_url: str
) -> None:
    first, second = start_collectors(2, database_url)
    with connect(database_url) as connection:
        assert first.send_events(EVENT).status == 200
        wait_for(connection, 1)
        first.process.kill()
        first.wait()
        assert second.send_events({**EVENT, "sessionId": "later"}).status == 200
        wait_for(connection, 2)


def test_settings_reach_the_views(start_collector: Callable[..., Collector], database_url: str) -> None:
    start_collector(database_url, TELEMETRY_TIMEZONE="Asia/Kolkata", TELEMETRY_SILENT_AFTER_MINUTES="45")
    with connect(database_url) as connection:
        deadline = time.monotonic() + SECONDS
        site = "SELECT time_zone, silent_after_minutes FROM reporting.site"
        while connection.execute(site).fetchone() != ("Asia/Kolkata", 45):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_what_came_in_is_noted_for_the_dashboard(
    start_collectors: Callable[..., list[Collector]], database_url: str
) -> None:
    """Given two collectors, one of which rejects an event; both note at their end what they have not noted yet."""
    first, second = start_collectors(2, database_url)
    assert first.send_events({**EVENT, "eventId": "one"}, {**EVENT, "eventId": "another"}).status == 200
    assert second.send_events({**EVENT, "eventId": "one"}, {**EVENT, "agentName": 7}).status == 200
    assert (first.stop(), second.stop()) == (0, 0)
    with connect(database_url) as connection:
        noted = connection.execute(
            "SELECT sum(stored), sum(duplicates), sum(rejected), min(disk_free_bytes) > 0,"
            " bool_and(disk_free_bytes < disk_bytes) FROM reporting.collector_samples"
        ).fetchone()
    assert noted == (2, 1, 1, True, True)


def test_what_could_not_be_noted_is_noted_later(database_url: str) -> None:
    intake = Intake()
    intake.add(5, 3, 1)
    with connect(database_url) as connection:
        connection.execute("ALTER TABLE status_samples RENAME TO away")
        with pytest.raises(errors.UndefinedTable):
            intake.save(connection)
        connection.execute("ALTER TABLE away RENAME TO status_samples")
        intake.add(1, 0, 0)
        intake.save(connection)
        # Within the same minute it waits.
        intake.add(100, 0, 0)
        intake.save(connection)
        noted = "SELECT sum(stored), sum(duplicates), sum(rejected) FROM status_samples"
        assert connection.execute(noted).fetchone() == (6, 3, 1)
        intake.save(connection, at_once=True)
        assert connection.execute(noted).fetchone() == (106, 3, 1)
