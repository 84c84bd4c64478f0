"""Many clients, several processes, repeats at random: what is acknowledged is stored, and stored once."""

import random
import threading
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.events import event, stored
from tests.fixtures.collector import BATCH, Collector
from tests.fixtures.postgres import connect

EVENTS = 10_000
BATCH_SIZE = 50
CLIENTS = 8


def count(collector: Collector) -> int:
    with connect(collector.database_url) as connection:
        row = connection.execute("SELECT count(*) FROM telemetry_events").fetchone()
        assert row is not None
        return int(row[0])


def test_ten_thousand_events_sent_twice_by_eight_clients_over_two_processes(
    database_url: str, start_collectors: Callable[..., list[Collector]]
) -> None:
    first, second = start_collectors(2, database_url)
    # Half of them know their event by an id, half by its content only.
    events = [
        event("laptop", toolName=f"t{n % 7}", latencyMs=n, **({"eventId": f"e{n}"} if n % 2 else {}))
        for n in range(EVENTS)
    ]
    batches = [events[start : start + BATCH_SIZE] for start in range(0, EVENTS, BATCH_SIZE)]
    todo = batches + batches
    random.Random(7).shuffle(todo)
    totals = {"accepted": 0, "duplicates": 0, "rejected": 0}
    failures: list[str] = []
    lock = threading.Lock()
    key = first.key

    def client() -> None:
        while True:
            with lock:
                if not todo:
                    return
                batch = todo.pop()
            answer = first.post(BATCH, {"events": batch}, key=key)
            with lock:
                if answer.status != 200:
                    failures.append(f"{answer.status} {answer.body!r}")
                    continue
                receipt = answer.json()
                totals["accepted"] += receipt["accepted"]
                totals["duplicates"] += receipt["duplicates"]
                totals["rejected"] += len(receipt["rejected"])

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert totals == {"accepted": 2 * EVENTS, "duplicates": EVENTS, "rejected": 0}
    assert count(first) == EVENTS
    assert sorted(row["latency_ms"] for row in stored(first, "laptop")) == list(range(EVENTS))
    for collector in (first, second):
        assert any(line.get("path") == BATCH for line in collector.log_lines()), "one process did all the work"


# A client's history: batches of a few possible events, some equal, some with an id, some bad.
some_events = st.sampled_from(
    [
        {"toolName": "Bash"},
        {"toolName": "Edit"},
        {"eventId": "1"},
        {"eventId": "1", "timestamp": None},
        {"eventId": "2", "timestamp": "2025-06-01T00:00:00Z"},
        {"latencyMs": "bad"},
    ]
)
histories = st.lists(st.lists(some_events, min_size=1, max_size=6), min_size=1, max_size=5)


class Model:
    """What the contract says of identity, in a few plain lines: counts by what makes an event the same."""

    def __init__(self) -> None:
        self.stored: set[Any] = set()

    def send(self, batch: list[dict[str, Any]]) -> tuple[int, int, int]:
        """accepted, duplicates, rejected."""
        accepted = duplicates = rejected = 0
        seen: dict[str, int] = {}
        for fields in batch:
            if fields.get("latencyMs") == "bad":
                rejected += 1
                continue
            content = repr(sorted(fields.items()))
            if "eventId" in fields:
                identity: Any = fields["eventId"]
            else:
                identity = (content, seen.get(content, 0))
                seen[content] = seen.get(content, 0) + 1
            accepted += 1
            duplicates += identity in self.stored
            self.stored.add(identity)
        return accepted, duplicates, rejected


def test_receipts_add_up_for_any_history(shared_collector: Collector) -> None:
    hosts = iter(range(10**6))

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(histories)
    def check(history: list[list[dict[str, Any]]]) -> None:
        host, model = f"model-{next(hosts)}", Model()
        for batch in history:
            expected = model.send(batch)
            answer = shared_collector.send_events(*(event(host, **fields) for fields in batch))
            receipt = answer.json() if answer.status == 200 else answer.json()["details"]
            assert answer.status == (200 if expected[0] else 400)
            assert (receipt["accepted"], receipt["duplicates"], len(receipt["rejected"])) == expected
            assert len(stored(shared_collector, host)) == len(model.stored)

    check()
