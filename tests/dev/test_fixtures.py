"""The fixtures that every other test stands on."""

from collections.abc import Callable

import pytest

from dev.embedded import EmbeddedPostgres
from tests.fixtures.collector import HEALTH, Collector
from tests.fixtures.postgres import connect


def test_each_supported_version_gives_a_migrated_database(
    any_database_url: str, request: pytest.FixtureRequest
) -> None:
    with connect(any_database_url) as connection:
        version = connection.info.server_version // 10000
        assert f"PostgreSQL {version}" in request.node.name
        assert connection.execute("SELECT count(*) FROM telemetry_events").fetchall() == [(0,)]
        assert connection.execute("SELECT current_user").fetchall() == [("telemetry",)]


def test_an_empty_database_has_no_schema(empty_database_url: str) -> None:
    with connect(empty_database_url) as connection:
        assert connection.execute("SELECT to_regclass('telemetry_events')").fetchall() == [(None,)]


def test_a_server_of_ones_own_can_be_stopped_and_started(own_postgres: EmbeddedPostgres) -> None:
    own_postgres.stop()
    own_postgres.start()
    with connect(own_postgres.url()) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_collector_answers_and_stops(collector: Collector) -> None:
    assert collector.get(HEALTH).json()["status"] == "healthy"
    assert collector.stop() == 0
    assert collector.log_lines()
    assert collector.error_text() == ""


def test_collectors_share_a_socket(start_collectors: Callable[..., list[Collector]], database_url: str) -> None:
    first, second = start_collectors(2, database_url)
    assert first.url == second.url
    assert first.stop() == 0
    # The other one serves on.
    assert second.get(HEALTH).status == 200
