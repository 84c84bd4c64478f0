"""Batches that wait are stored together, in one commit, and each has its own answer all the same."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.api.events import event, stored
from tests.fixtures.collector import BATCH, Collector
from tests.fixtures.postgres import connect, wait_until_blocked

StartCollector = Callable[..., Collector]
Receipt = tuple[int, dict[str, Any]]

NOBODY = "key-of-nobody"


@pytest.fixture
def collector(start_collector: StartCollector, database_url: str) -> Collector:
    return start_collector(database_url)


@contextmanager
def everyone_waits(collector: Collector) -> Iterator[Callable[..., Future[Receipt]]]:
    """Keeps the thread that takes batches busy; what is sent by the function given waits until the end."""
    key = collector.key
    with ThreadPoolExecutor(32) as pool:

        def send(*events: object, key: str = key) -> Receipt:
            answer = collector.post(BATCH, {"events": events}, key=key)
            return answer.status, answer.json()

        with connect(collector.database_url) as blocker, blocker.transaction():
            blocker.execute("LOCK TABLE event_identities IN EXCLUSIVE MODE")
            pool.submit(send, event("busy"))
            wait_until_blocked(collector.database_url)
            yield lambda *events, **more: pool.submit(send, *events, **more)
            # They are in the collector's queue by then.
            time.sleep(0.5)


def accepted(events: int, duplicates: int = 0) -> Receipt:
    return 200, {"accepted": events, "duplicates": duplicates, "rejected": []}


def commits(collector: Collector) -> int:
    with connect(collector.database_url) as connection:
        row = connection.execute("SELECT count(DISTINCT xmin::text) FROM telemetry_events").fetchone()
        assert row is not None
        return int(row[0])


def test_they_share_a_commit(collector: Collector) -> None:
    with everyone_waits(collector) as send:
        answers = [send(event("laptop", eventId=f"{n}"), event("laptop", eventId=f"{n} too")) for n in range(20)]
    assert [answer.result() for answer in answers] == [accepted(2)] * 20
    assert len(stored(collector, "laptop")) == 40
    # The one that had gone before them, and theirs.
    assert commits(collector) == 2


def test_each_learns_what_became_of_its_own_events(collector: Collector) -> None:
    other = collector.create_key("desktop")
    with everyone_waits(collector) as send:
        good = send(event("laptop", eventId="1"), event("laptop", eventId="2"))
        mixed = send(event("laptop", eventId="3"), {"hostId": "laptop"}, event("laptop", eventId="3"))
        bad = send({"hostId": "laptop"})
        foreign = send(event("laptop", eventId="4"), key=other)
        unknown = send(event("laptop", eventId="5"), key=NOBODY)
        nothing = send()
        own = send(event("desktop", eventId="1"), key=other)
    assert good.result() == accepted(2)
    status, receipt = mixed.result()
    assert (status, receipt["accepted"], receipt["duplicates"]) == (200, 2, 1)
    assert [item["index"] for item in receipt["rejected"]] == [1]
    assert [each.result()[0] for each in (bad, foreign, unknown, nothing)] == [400, 403, 403, 400]
    assert own.result() == accepted(1)
    assert sorted(row["event_id"] for row in stored(collector, "laptop")) == ["1", "2", "3"]


def test_an_event_that_several_bring_is_stored_once_and_counted_once(collector: Collector) -> None:
    moments: list[dict[str, Any]] = [{"eventId": "1"}, {}, {"timestamp": None}]
    for number, fields in enumerate(moments):
        host = f"laptop {number}"
        with everyone_waits(collector) as send:
            answers = [send(event(host, **fields)) for _ in range(10)]
        results = [answer.result()[1] for answer in answers]
        assert sum(receipt["accepted"] for receipt in results) == 10
        assert sum(receipt["duplicates"] for receipt in results) == 9
        assert len(stored(collector, host)) == 1


def test_an_event_that_postgresql_refuses_costs_no_other_request_anything(collector: Collector) -> None:
    with connect(collector.database_url) as connection:
        connection.execute("ALTER TABLE telemetry_events ADD CHECK (latency_ms <> 666)")
    with everyone_waits(collector) as send:
        before = send(event("laptop", eventId="1"))
        refused = send(event("laptop", eventId="2", latencyMs=666), event("laptop", eventId="3"))
        after = send(event("laptop", eventId="4"))
    assert (before.result(), after.result()) == (accepted(1), accepted(1))
    status, receipt = refused.result()
    assert (status, receipt["accepted"], [item["index"] for item in receipt["rejected"]]) == (200, 1, [0])
    assert sorted(row["event_id"] for row in stored(collector, "laptop")) == ["1", "3", "4"]
    with connect(collector.database_url) as connection:
        assert connection.execute("SELECT event::json ->> 'eventId' FROM quarantined_events").fetchall() == [("2",)]


def test_a_client_that_goes_away_takes_no_other_with_it(collector: Collector) -> None:
    with everyone_waits(collector) as send:
        body = b'{"events": [{"hostId": "gone"}]}'
        head = f"POST {BATCH} HTTP/1.1\r\nX-API-Key: {collector.key}\r\nContent-Type: application/json\r\n"
        with collector.connect() as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answers = [send(event("laptop", eventId=f"{n}")) for n in range(5)]
    assert [answer.result() for answer in answers] == [accepted(1)] * 5


def test_the_answers_of_one_connection_come_in_order(collector: Collector) -> None:
    def request(number: int) -> bytes:
        body = f'{{"events": [{{"hostId": "laptop", "eventId": "{number}"}}]}}'.encode()
        head = f"POST {BATCH} HTTP/1.1\r\nX-API-Key: {collector.key}\r\nX-Request-Id: n{number}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    with collector.connect() as client:
        client.sendall(b"".join(map(request, range(20))))
        received = b""
        while received.count(b"X-Request-Id: n") < 20:
            part = client.recv(65536)
            assert part, received
            received += part
    places = [received.index(f"X-Request-Id: n{number}\r\n".encode()) for number in range(20)]
    assert places == sorted(places)


def test_a_hundred_clients_at_once_are_all_answered(collector: Collector) -> None:
    key, failures = collector.key, []

    def client(number: int) -> None:
        for round_ in range(5):
            answer = collector.post(BATCH, {"events": [event("laptop", eventId=f"{number} {round_}")]}, key=key)
            if (answer.status, answer.json()) != accepted(1):
                failures.append(answer)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(stored(collector, "laptop")) == 500


@pytest.mark.parametrize(("events", "status"), [([event("laptop")], 200), ([], 400), ([{}], 400)])
def test_a_batchs_answer_says_the_same_whoever_keeps_the_connection(
    collector: Collector, events: list[object], status: int
) -> None:
    heads = []
    for more in ({}, {"Connection": "keep-alive"}, {"Connection": "close"}):
        answer = collector.post(BATCH, {"events": events}, key=collector.key, headers=more)
        sent_at = parsedate_to_datetime(answer.headers["date"])
        assert abs(datetime.now(UTC) - sent_at) < timedelta(minutes=1)
        assert int(answer.headers["content-length"]) == len(answer.body)
        changing = ("date", "x-request-id", "connection", "content-length")
        heads.append((answer.status, {name: value for name, value in answer.headers.items() if name not in changing}))
    assert heads == [(status, {"content-type": "application/json"})] * 3
