"""Roll-ups say what the events say: whatever is sent, in whatever order it is stored, counted and counted anew."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from app.store import migrate, partitions, rollups, site
from app.store.database import BoundedConnection
from app.store.events import EventStore
from app.store.site import Site
from tests.fixtures.postgres import Server, connect
from tests.store import history
from tests.store.batches import load, store_events
from tests.store.truth import check_views

NOW = datetime.now(UTC)
ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Pacific/Apia")

TABLES = (
    "telemetry_events, event_identities, series, sessions, working_dirs, hosts, agent_series, series_agents,"
    " rollup_queue, rollup_backlog, rollup_hours, rollup_days, rollup_agent_recent, rollup_agent_hours,"
    " rollup_agent_days, rollup_session_hours, rollup_session_days, rollup_session_counts"
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def words(*choices: str) -> st.SearchStrategy[str]:
    return st.sampled_from(choices)


tokens = st.integers(0, 10**12) | st.sampled_from([0, 1, 10**12])
moments = (
    st.timedeltas(-timedelta(days=9), timedelta(hours=2)).map(lambda delta: NOW + delta)
    | st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # naive bounds
    | st.sampled_from([datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, tzinfo=UTC)])
)
events = st.builds(
    lambda required, rest: {**required, **rest},
    st.fixed_dictionaries(
        {
            "hostId": words("laptop", "desktop"),
            "sessionId": words("one", "two", "three"),
            "agentName": words("tool-approve", "path-guard"),
            "timestamp": moments.map(datetime.isoformat),
        }
    ),
    optional(
        eventType=words("error", "commit"),
        decision=words("APPROVED", "DENY", "ERROR", "SUCCESS", "?"),
        toolName=words("Bash", "Read"),
        modelTier=words("haiku", "opus"),
        clientVersion=words("1.0", "2.0"),
        latencyMs=st.floats(0, 86_400_000) | st.sampled_from([0, 1, 1e-300, 1.1, 86_400_000]),
        success=st.booleans(),
        errorCount=st.integers(0, 2**31 - 1),
        warningCount=st.integers(0, 2**31 - 1),
        promptTokens=tokens,
        totalTokens=tokens,
        cachedTokens=tokens,
        cost=st.decimals(0, 10**6, places=9).map(float) | st.just(10**6),
        eventId=words("a", "b", "c", "d"),
    ),
)
actions = st.one_of(
    st.tuples(st.just("store"), st.lists(events, min_size=1, max_size=8)),
    st.tuples(st.just("repeat"), st.integers(0, 5)),
    st.tuples(st.just("count"), st.integers(1, 10)),
    st.tuples(st.just("rebuild"), st.none()),
)


@pytest.fixture(scope="module", params=(16, 18), ids=lambda version: f"PostgreSQL {version}")
def history_url(request: pytest.FixtureRequest, servers: Any) -> Iterator[str]:
    server: Server = servers(request.param)
    url = server.create_database()
    yield url
    server.drop_database(url)


def act(connection: psycopg.Connection, store: EventStore, url: str, todo: list[tuple[str, Any]]) -> None:
    """Does all of it, one after another."""
    batches: list[Any] = []
    with BoundedConnection.connect(url, autocommit=True) as writer:
        for action, what in todo:
            if action == "store":
                batches.append(load(*what))
                store_events(store, writer, batches[-1])
            elif action == "repeat" and batches:
                store_events(store, writer, batches[what % len(batches)])
            elif action == "count":
                with rollups.counting(connection, wait=True):
                    rollups.count_notes(connection, what)
            elif action == "rebuild":
                rollups.ask_for_all_days(connection)
                with rollups.counting(connection, wait=True):
                    rollups.count_day(connection)


@settings(
    max_examples=20,
    # Without shrinking: an example takes half a second, and a failure names what differs.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(zone=st.sampled_from(ZONES), todo=st.lists(actions, max_size=8))
@example(zone="UTC", todo=[])
def test_the_views_say_what_plain_sql_over_the_events_says(
    history_url: str, zone: str, todo: list[tuple[str, Any]]
) -> None:
    with connect(history_url) as connection:
        connection.execute(f"TRUNCATE {TABLES}")
        site.save(connection, Site(time_zone=zone))
        act(connection, EventStore(), history_url, todo)
        rollups.catch_up(connection)
        check_views(connection)
        # And again, from the events alone.
        rollups.ask_for_all_days(connection)
        rollups.catch_up(connection)
        check_views(connection)


def flood(url: str, number: int, stop: threading.Event) -> int:
    """Stores batches of the last days until it is told to stop; some are the same in every thread. How many."""
    store, sent = EventStore(), 0
    with BoundedConnection.connect(url, autocommit=True) as connection:
        while not stop.is_set():
            batch = [
                {
                    "sessionId": f"session-{sent % 7}",
                    "hostId": f"host-{number % 2}",
                    "timestamp": (NOW - timedelta(minutes=13 * sent % 7000 + 7 * each)).isoformat(),
                    "decision": ("APPROVE", "DENY")[each % 2],
                    "latencyMs": sent + each,
                    "eventId": f"{sent}-{each}-{number if each % 3 else 'shared'}",
                    "cost": 0.000000001,
                }
                for each in range(10)
            ]
            store_events(store, connection, load(*batch))
            sent += 1
    return sent


def test_days_are_counted_anew_while_events_arrive_and_another_counts(database_url: str) -> None:
    """Given three who store, one who counts and one who rebuilds, all at once, nothing is lost or counted twice."""
    stop = threading.Event()

    def count() -> None:
        with connect(database_url) as connection:
            while not stop.is_set():
                with rollups.counting(connection) as ours:
                    if ours:
                        rollups.count_notes(connection, 50)

    with ThreadPoolExecutor(4) as pool, connect(database_url) as connection:
        running = [pool.submit(flood, database_url, number, stop) for number in range(3)]
        counting = pool.submit(count)
        for _ in range(3):
            rollups.ask_for_all_days(connection)
            assert rollups.catch_up(connection) >= 0
        stop.set()
        assert all(each.result() > 0 for each in running)
        counting.result()
        rollups.catch_up(connection)
        check_views(connection)


def test_a_count_that_fails_is_taken_back_whole_and_done_again(
    database_url: str, connection: psycopg.Connection
) -> None:
    with BoundedConnection.connect(database_url, autocommit=True) as writer:
        store_events(EventStore(), writer, load({"latencyMs": 5}))
    connection.execute("ALTER TABLE rollup_session_days ADD CONSTRAINT never CHECK (events < 0)")
    with pytest.raises(psycopg.errors.CheckViolation), rollups.counting(connection):
        rollups.count_notes(connection)
    assert rollups.freshness(connection).events_waiting == 1
    connection.execute("ALTER TABLE rollup_session_days DROP CONSTRAINT never")
    rollups.catch_up(connection)
    assert rollups.freshness(connection).events_waiting == 0
    check_views(connection)


def make_month_as_older_releases_did(connection: psycopg.Connection) -> None:
    """The partition is without a trigger of its own."""
    connection.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF telemetry_events FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(f"telemetry_events_{NOW:%Y%m}"),
            *(sql.Literal(partitions.midnight(partitions.months_later(NOW, count))) for count in (0, 1)),
        )
    )


def test_a_site_that_has_events_gets_their_roll_ups_with_the_upgrade(
    any_empty_database_url: str, tmp_path: Path
) -> None:
    """Given events of a release that knew no roll-ups, the migration asks for their days, and they are counted."""
    shutil.copy(migrate.FOLDER / "0001_collector.sql", tmp_path)
    with (
        connect(any_empty_database_url) as connection,
        BoundedConnection.connect(any_empty_database_url, autocommit=True) as writer,
    ):
        migrate.migrate(connection, folder=tmp_path)
        make_month_as_older_releases_did(connection)
        for days in (0, 1, 40, 400, 4000):
            moment = NOW - timedelta(days=days)
            history.store(connection, f"{days} days ago", moment, moment, host="desktop")
        connection.execute("UPDATE telemetry_events SET cost = 1, total_tokens = 7")
        migrate.migrate(connection)
        assert [each.noted for each in partitions.existing(connection)] == [True]
        assert rollups.freshness(connection).days_to_rebuild == 5
        store_events(EventStore(), writer, load({"decision": "APPROVE"}))
        assert rollups.catch_up(connection) == 5
        check_views(connection)


def test_one_counts_at_a_time(database_url: str) -> None:
    with connect(database_url) as one, connect(database_url) as other:
        with rollups.counting(one) as ours, rollups.counting(other) as theirs:
            assert (ours, theirs) == (True, False)
        with rollups.counting(other) as theirs:
            assert theirs
