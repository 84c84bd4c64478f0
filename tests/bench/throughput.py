"""How many events a second two collectors take in, and where the time goes: `python -m tests.bench.throughput`.

A first measurement, not yet the benchmark with targets: second-generation events, each one new, 16 connections, two
collector processes, an embedded PostgreSQL 16 with fsync and synchronous_commit on, everything on this machine, the
client included. The last line is one JSON object.
"""

import json
import selectors
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from app.deadline import deadline
from app.schemas.batch import load_batch
from app.store.database import Database
from app.store.events import EventStore
from dev.embedded import EmbeddedPostgres
from dev.generate import events
from tests.fixtures.collector import BATCH, close_all, start_sharing
from tests.fixtures.postgres import migrate

CONNECTIONS = 16
SECONDS = 10.0
WARM_UP_SECONDS = 2.0
BATCH_SIZES = (1, 10, 100)


def bodies(seed: int, size: int) -> Iterator[bytes]:
    """Bodies of `size` new events each, without end."""
    now = datetime.now(UTC)
    stream = iter(events(seed, 10**9, now - timedelta(days=1), now))
    while True:
        yield json.dumps({"events": list(islice(stream, size))}).encode()


def request(body: bytes, key: str) -> bytes:
    """One HTTP request, ready to send."""
    head = (
        f"POST {BATCH} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(port: int, requests: list[bytes], seconds: float) -> tuple[list[float], float, int]:
    """Sends from CONNECTIONS connections: seconds of each answer, seconds in all, answers that were no 200."""
    selector = selectors.DefaultSelector()
    began, taken, failed = time.perf_counter(), [], 0
    sent_at: dict[socket.socket, float] = {}
    answers: dict[socket.socket, bytes] = {}
    todo = iter(requests)
    for _ in range(CONNECTIONS):
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ)
        sent_at[client], answers[client] = time.perf_counter(), b""
        client.sendall(next(todo))
    while sent_at:
        for ready, _ in selector.select(10):
            client = ready.fileobj  # type: ignore[assignment]
            answers[client] += client.recv(65536)
            if not complete(answers[client]):
                continue
            now = time.perf_counter()
            taken.append(now - sent_at.pop(client))
            failed += not answers[client].startswith(b"HTTP/1.1 200 ")
            answers[client] = b""
            following = next(todo, None) if now - began < seconds else None
            if following is None:
                selector.unregister(client)
                client.close()
            else:
                sent_at[client] = now
                client.sendall(following)
    return taken, time.perf_counter() - began, failed


def complete(answer: bytes) -> bool:
    """Whether `answer` holds a whole response."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def milliseconds(action: Callable[[bytes], object], samples: list[bytes]) -> float:
    """The median time of `action`."""
    times = []
    for sample in samples:
        began = time.perf_counter()
        action(sample)
        times.append(time.perf_counter() - began)
    return median(times) * 1000


def parts(url: str, size: int) -> dict[str, float]:
    """What checking and storing a batch cost by themselves, in milliseconds, one after another in one thread."""
    database, store = Database(url, 1), EventStore()
    database.open()

    def check(body: bytes) -> Any:
        return load_batch(body, "*", size)

    def save(body: bytes) -> None:
        batch = check(body)
        database.run(lambda connection: store.store(connection, batch.events), deadline())

    warm = list(islice(bodies(5 + size, size), 50))
    milliseconds(save, warm)
    checking = milliseconds(check, list(islice(bodies(6 + size, size), 100)))
    both = milliseconds(save, list(islice(bodies(7 + size, size), 100)))
    database.close()
    return {"check": round(checking, 2), "store": round(both - checking, 2)}


def main() -> None:
    """Measures, prints a table and the JSON."""
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder) / "16") as postgres:
            migrate(postgres.url())
            collectors = start_sharing(2, postgres.url())
            key, port = collectors[0].key, int(collectors[0].url.rsplit(":", 1)[1])
            print("batch  requests/s  events/s  p50 ms  p99 ms  failed  refused/s  check ms  store ms")
            for size in BATCH_SIZES:
                wanted = int(SECONDS * 1.5 * {1: 2000, 10: 1000, 100: 300}[size])
                requests = [request(body, key) for body in islice(bodies(size, size), wanted)]
                cut = len(requests) // 8
                load(port, requests[:cut], WARM_UP_SECONDS)
                taken, seconds, failed = load(port, requests[cut:], SECONDS)
                # The same bodies with an unknown key: what server, framework and key look-up cost without the rest.
                refused, refused_seconds, _ = load(
                    port, [request(each.partition(b"\r\n\r\n")[2], "aft_x") for each in requests], SECONDS / 2
                )
                taken.sort()
                row = {
                    "batch": size,
                    "requests_per_second": round(len(taken) / seconds),
                    "events_per_second": round(len(taken) * size / seconds),
                    "p50_ms": round(taken[len(taken) // 2] * 1000, 1),
                    "p99_ms": round(taken[len(taken) * 99 // 100] * 1000, 1),
                    "failed": failed,
                    "refused_per_second": round(len(refused) / refused_seconds),
                    **{f"{name}_ms": value for name, value in parts(postgres.url(), size).items()},
                }
                results.append(row)
                print("  ".join(str(value).rjust(8) for value in row.values()))
                sys.stdout.flush()
            close_all(collectors)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
