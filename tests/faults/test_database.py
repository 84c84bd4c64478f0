"""The database away, slow, hanging or killed: clients get a 503 in time, and nothing acknowledged is lost."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from dev.embedded import EmbeddedPostgres
from tests.api.events import event
from tests.fixtures.client import Response
from tests.fixtures.collector import HEALTH, Collector
from tests.fixtures.postgres import connect, migrate

# Clients give up at 5 s.
ANSWER_SECONDS = 4.0

StartCollector = Callable[..., Collector]


@pytest.fixture
def fragile(own_postgres: EmbeddedPostgres, start_collector: StartCollector) -> Collector:
    """A collector on a server that the test may harm."""
    migrate(own_postgres.url())
    collector = start_collector(own_postgres.url())
    assert collector.send_events(event("laptop", eventId="first")).status == 200
    return collector


def timed(request: Callable[[], Response]) -> tuple[Response, float]:
    began = time.monotonic()
    return request(), time.monotonic() - began


def assert_unavailable(answer: Response, seconds: float) -> None:
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert set(answer.json()) == {"error", "details"}
    assert seconds < ANSWER_SECONDS


def send_until_accepted(collector: Collector, **fields: Any) -> Response:
    """As a client does: the same again until it is acknowledged."""
    deadline = time.monotonic() + 20
    while True:
        answer = collector.send_events(event("laptop", **fields))
        if answer.status == 200:
            return answer
        assert answer.status == 503
        assert time.monotonic() < deadline, "The collector did not recover."
        time.sleep(0.1)


def event_ids(url: str) -> list[str]:
    with connect(url) as connection:
        rows = connection.execute("SELECT event_id FROM telemetry_events ORDER BY event_id").fetchall()
    return [row[0] for row in rows]


@pytest.mark.slow
def test_a_stopped_database_means_503_and_a_started_one_means_200(
    fragile: Collector, own_postgres: EmbeddedPostgres
) -> None:
    own_postgres.stop()
    for _ in range(3):
        assert_unavailable(*timed(lambda: fragile.send_events(event("laptop", eventId="second"))))
    health, seconds = timed(lambda: fragile.get(HEALTH))
    assert (health.status, health.json()["status"], health.json()["database"]) == (503, "unhealthy", "disconnected")
    assert seconds < 1

    own_postgres.start()
    assert send_until_accepted(fragile, eventId="second").json()["accepted"] == 1
    time.sleep(0.6)
    assert fragile.get(HEALTH).status == 200
    assert event_ids(own_postgres.url()) == ["first", "second"]


def test_a_restart_of_the_database_costs_no_request(fragile: Collector, own_postgres: EmbeddedPostgres) -> None:
    """Every pooled connection is dead then; the first request finds out, and is answered all the same."""
    clients = [threading.Thread(target=fragile.send_events, args=[event("laptop", toolName=f"{n}")]) for n in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    own_postgres.stop()
    own_postgres.start()
    assert fragile.send_events(event("laptop", eventId="second")).status == 200


@pytest.mark.slow
def test_a_collector_may_start_before_its_database(
    own_postgres: EmbeddedPostgres, start_collector: StartCollector
) -> None:
    migrate(own_postgres.url())
    with connect(own_postgres.url()) as connection:
        connection.execute(
            "INSERT INTO api_keys (key_hash, host_id) VALUES (encode(sha256('key'::bytea), 'hex'), 'laptop')"
        )
    own_postgres.stop()
    collector = start_collector(own_postgres.url())
    answer, seconds = timed(lambda: collector.send_events(event("laptop"), key="key"))
    assert_unavailable(answer, seconds)
    own_postgres.start()
    deadline = time.monotonic() + 20
    while collector.send_events(event("laptop"), key="key").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_a_locked_table_is_no_reason_to_keep_anybody_waiting(
    fragile: Collector, own_postgres: EmbeddedPostgres
) -> None:
    answers: list[tuple[Response, float]] = []
    with connect(own_postgres.url()) as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE telemetry_events IN ACCESS EXCLUSIVE MODE")
        # More than there are threads and connections: those behind must be answered in time as well.
        clients = [
            threading.Thread(
                target=lambda n=n: answers.append(timed(lambda: fragile.send_events(event("laptop", eventId=f"w{n}"))))
            )
            for n in range(30)
        ]
        for client in clients:
            client.start()
        time.sleep(0.5)
        health, seconds = timed(lambda: fragile.get(HEALTH))
        assert health.status == 200
        assert seconds < 1
        for client in clients:
            client.join()
    for answer, taken in answers:
        assert_unavailable(answer, taken - 0.3)  # thirty clients of this process start one after another
    send_until_accepted(fragile, eventId="w1")


@pytest.mark.slow
def test_a_hanging_database_is_left_in_time(fragile: Collector, own_postgres: EmbeddedPostgres) -> None:
    """Stopped in its tracks, as on a frozen disk: the connections are open, and nobody answers."""
    with connect(own_postgres.url("agent_telemetry", "postgres")) as connection:
        own = connection.info.backend_pid
        pids = [
            row[0]
            for row in connection.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        ]
    assert own_postgres.pid is not None
    frozen = [pid for pid in pids if pid != own] + [own_postgres.pid]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert_unavailable(*timed(lambda: fragile.send_events(event("laptop", eventId="second"))))
        assert_unavailable(*timed(lambda: fragile.send_events(event("laptop", eventId="second"))))
        health, seconds = timed(lambda: fragile.get(HEALTH))
        assert health.status == 503
        assert seconds < 1
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    send_until_accepted(fragile, eventId="second")
    assert event_ids(own_postgres.url()) == ["first", "second"]


def test_a_killed_database_has_what_was_acknowledged(fragile: Collector, own_postgres: EmbeddedPostgres) -> None:
    acknowledged = [f"e{n}" for n in range(50)]
    for event_id in acknowledged:
        assert fragile.send_events(event("laptop", eventId=event_id)).status == 200
    assert own_postgres.pid is not None
    os.kill(own_postgres.pid, signal.SIGKILL)
    own_postgres.stop()
    own_postgres.start()
    assert set(event_ids(own_postgres.url())) == {*acknowledged, "first"}
    # And a client that never got its answer may send everything again.
    for event_id in acknowledged:
        answer = send_until_accepted(fragile, eventId=event_id).json()
        assert answer == {"accepted": 1, "duplicates": 1, "rejected": []}


@pytest.mark.slow
def test_a_collector_killed_under_load_loses_and_doubles_nothing(
    database_url: str, start_collectors: Callable[..., list[Collector]]
) -> None:
    """Killed between commit and answer, again and again: the clients send the same until it is acknowledged."""
    collectors = start_collectors(3, database_url)
    key = collectors[0].key
    failed = []

    def client(number: int) -> None:
        for n in range(150):
            batch = [event("laptop", eventId=f"{number}-{n}"), event("laptop", toolName=f"{number}-{n}")]
            for _ in range(100):
                try:
                    if collectors[0].send_events(*batch, key=key).status == 200:
                        break
                except OSError:
                    time.sleep(0.01)
            else:
                failed.append(n)

    clients = [threading.Thread(target=client, args=[number]) for number in range(4)]
    for thread in clients:
        thread.start()
    for victim in collectors[:2]:
        time.sleep(0.4)
        victim.process.kill()
        victim.process.wait()
    for thread in clients:
        thread.join()
    assert failed == []
    with connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*), count(DISTINCT event_id), count(DISTINCT s.tool_name)"
            " FROM telemetry_events JOIN series s USING (series_key)"
        ).fetchone()
    assert row == (1200, 600, 601)


def test_a_standby_or_missing_rights_are_unavailable_and_no_bug(collector: Collector) -> None:
    assert collector.send_events(event("laptop")).status == 200
    with psycopg.connect(collector.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE telemetry_events RENAME TO elsewhere")
        answer, seconds = timed(lambda: collector.send_events(event("laptop", eventId="2")))
        assert_unavailable(answer, seconds)
        connection.execute("ALTER TABLE elsewhere RENAME TO telemetry_events")
    assert send_until_accepted(collector, eventId="2").json()["accepted"] == 1
