"""The server around the routes: what every answer has, sockets, proxies, a clean stop."""

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app import __version__
from tests.api.events import event, receipt, stored
from tests.fixtures.client import Client
from tests.fixtures.collector import BATCH, HEALTH, Collector, free_port
from tests.fixtures.environment import ROOT, environment
from tests.fixtures.postgres import connect, wait_until_blocked

StartCollector = Callable[..., Collector]


def raw(url: str, request: bytes) -> bytes:
    """What the server answers to these bytes until it closes the connection."""
    with Client(url).connect() as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := client.recv(65536):
            answer += part
        return answer


def test_health_tells_the_version(shared_collector: Collector) -> None:
    answer = shared_collector.get(HEALTH)
    assert answer.status == 200
    assert answer.json() == {"status": "healthy", "database": "connected", "version": __version__}


def test_every_answer_has_a_request_id(shared_collector: Collector) -> None:
    own = {"X-Request-Id": "proxy-1:a.b"}
    assert shared_collector.get(HEALTH, own).headers["x-request-id"] == "proxy-1:a.b"
    for path in (HEALTH, BATCH, "/nowhere"):
        assert re.fullmatch(r"[0-9a-f]{32}", shared_collector.get(path).headers["x-request-id"])
    harmful = shared_collector.get(HEALTH, {"X-Request-Id": 'x" onload="'})
    assert re.fullmatch(r"[0-9a-f]{32}", harmful.headers["x-request-id"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", BATCH, 405), ("PUT", BATCH, 405), ("POST", HEALTH, 405), ("GET", "/%ff", 404)],
)
def test_other_addresses_and_methods_are_refused_in_json(
    shared_collector: Collector, method: str, path: str, status: int
) -> None:
    answer = shared_collector.request(method, path)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert set(answer.json()) == {"error", "details"}
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"NONSENSE\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_malformed_http_is_refused_in_json_too(shared_collector: Collector, request_bytes: bytes) -> None:
    head, _, body = raw(shared_collector.url, request_bytes).partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] 4\d\d ", head)
    assert b"X-Request-Id: " in head
    assert body.startswith(b'{"error": ')


def test_the_log_tells_who_and_how_much_but_no_body_and_no_key(collector: Collector) -> None:
    key = collector.create_key("laptop")
    collector.send_events(event("laptop", decisionReason="a private reason"), event("other"), key=key)
    collector.send_events(event("laptop"), key="wrong key")
    text = collector.log_text()
    for secret in (key, "wrong key", "a private reason"):
        assert secret not in text
    accepted, refused = [line for line in collector.log_lines() if line.get("path") == BATCH]
    assert accepted["request_id"]
    assert (accepted["status"], accepted["host"], accepted["key_id"]) == (200, "laptop", 1)
    assert (accepted["accepted"], accepted["duplicates"], accepted["rejected"]) == (1, 0, 1)
    assert accepted["bytes"] > 100
    assert accepted["milliseconds"] > 0
    assert (refused["status"], refused["key_id"], refused["client"]) == (403, None, "127.0.0.1")


def test_the_clients_address_comes_from_the_proxy_only_when_the_peer_is_the_proxy(
    database_url: str, start_collector: StartCollector
) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    stranger = start_collector(database_url)
    stranger.get(HEALTH, forwarded)
    assert stranger.log_lines()[-1]["client"] == "127.0.0.1"
    behind = start_collector(database_url, TELEMETRY_TRUSTED_PROXY="127.0.0.1")
    behind.get(HEALTH, forwarded)
    assert behind.log_lines()[-1]["client"] == "203.0.113.7"
    # The proxy appends what it saw; what a client wrote before it is hearsay.
    behind.get(HEALTH, {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"})
    assert behind.log_lines()[-1]["client"] == "203.0.113.7"
    # waitress' own refusal, which does not say how long it is.
    assert behind.post(BATCH, {}, headers={"X-Forwarded-For": '"half'}).status == 400


def test_sigterm_finishes_the_request_in_hand_and_exits_with_0(collector: Collector, host: str) -> None:
    answers: list[Any] = []
    with connect(collector.database_url) as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE event_identities IN EXCLUSIVE MODE")
        sender = threading.Thread(target=lambda: answers.append(collector.send_events(event(host))))
        collector.create_key("x")  # the key that send_events uses exists before
        sender.start()
        wait_until_blocked(collector.database_url)
        collector.process.terminate()
        # New connections find nobody: the socket is closed while the request is still in hand.
        _wait_until(lambda: _refused(collector.url))
        assert collector.process.poll() is None
    sender.join(10)
    assert answers[0].json() == receipt(1)
    assert collector.wait() == 0
    assert len(stored(collector, host)) == 1


def test_a_stop_does_not_wait_for_ever(database_url: str, start_collector: StartCollector, host: str) -> None:
    collector = start_collector(database_url, TELEMETRY_SHUTDOWN_SECONDS="1")
    port = int(collector.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        time.sleep(0.3)
        began = time.monotonic()
        assert collector.stop() == 0
        assert 0.9 < time.monotonic() - began < 5


def test_an_idle_connection_does_not_hold_up_a_stop(collector: Collector) -> None:
    port = int(collector.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)):
        time.sleep(0.3)
        began = time.monotonic()
        assert collector.stop() == 0
        assert time.monotonic() - began < 5


def test_several_processes_share_one_socket_and_a_restart_fails_no_request(
    database_url: str, host: str, start_collectors: Callable[..., list[Collector]]
) -> None:
    first, second = start_collectors(2, database_url)
    for number in range(60):
        assert first.send_events(event(host, toolName=f"t{number}")).json() == receipt(1)
        if number == 20:
            assert first.stop() == 0
    assert any(line.get("path") == BATCH for line in second.log_lines())
    assert len(stored(second, host)) == 60


def test_connections_that_come_together_are_shared(
    database_url: str, start_collectors: Callable[..., list[Collector]]
) -> None:
    collectors = start_collectors(2, database_url)
    request = f"GET {HEALTH} HTTP/1.1\r\n\r\n".encode()
    for _ in range(3):
        before = [collector.log_text().count('"request"') for collector in collectors]
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(collectors[0].connect()) for _ in range(40)]
            for client in clients:
                client.sendall(request)
            assert all(client.recv(65536).startswith(b"HTTP/1.1 200 ") for client in clients)
        after = [collector.log_text().count('"request"') for collector in collectors]
        # The one that happened to run took nearly all of them.
        assert min(late - early for early, late in zip(before, after, strict=True)) >= 8


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL is misread"),
        ({"TELEMETRY_THREAD": "3"}, "TELEMETRY_THREAD is no setting; did you mean TELEMETRY_THREADS?"),
        ({"PORT": "many"}, "PORT must be a whole number"),
        ({"HOST": "192.0.2.1"}, "Cannot listen on 192.0.2.1"),
    ],
)
def test_what_is_wrong_at_the_start_is_told_in_a_sentence(
    database_url: str, variables: dict[str, str], words: str
) -> None:
    assert words in _serve(**{"DATABASE_URL": database_url, "PORT": str(free_port()), **variables})


def test_a_port_in_use_is_told_with_the_remedy(collector: Collector) -> None:
    port = collector.url.rsplit(":", 1)[1]
    message = _serve(DATABASE_URL=collector.database_url, PORT=port)
    assert f"127.0.0.1:{port} (Address already in use); set HOST and PORT" in message


def test_a_schema_that_is_behind_stops_the_start(empty_database_url: str) -> None:
    assert "python -m app migrate" in _serve(DATABASE_URL=empty_database_url, PORT=str(free_port()))


def _serve(**variables: str) -> str:
    """The standard error of a collector that is to fail at its start."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def _refused(url: str) -> bool:
    try:
        Client(url, timeout=1).connect().close()
    except OSError:
        return True
    return False


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "That took too long."
        time.sleep(0.05)
