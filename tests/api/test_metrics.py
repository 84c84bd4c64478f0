"""GET /metrics: its own port, the sum of all processes, counters that never go back, a bounded number of series."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import __version__
from app.metrics_folder import COUNTERS, FILE_BYTES
from tests.fixtures.client import Client, Response
from tests.fixtures.collector import BATCH, HEALTH, Collector, free_port, wait_for_log
from tests.fixtures.environment import ROOT

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "hostId": "laptop",
        "sessionId": "abc123",
        "eventType": "agent_execution",
        "agentName": "tool-approve",
        "eventId": f"event-{number}",
        **fields,
    }


def scrape(port: int, timeout: float = 10) -> Samples:
    """Every sample by its name and labels, read by Prometheus' own parser."""
    answer = Client(f"http://127.0.0.1:{port}", timeout).get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def events(samples: Samples) -> dict[str, float]:
    return {result: value(samples, "telemetry_events_total", result=result) for result in RESULTS}


RESULTS = ("stored", "duplicate", "rejected")


@pytest.fixture
def port() -> int:
    return free_port()


def variables(port: int, folder: Path | None = None) -> dict[str, str]:
    return {"TELEMETRY_METRICS_PORT": str(port), "TELEMETRY_METRICS_DIR": str(folder or "")}


def test_a_collector_tells_what_became_of_events(
    start_collector: Callable[..., Collector], database_url: str, port: int
) -> None:
    collector = start_collector(database_url, **variables(port))
    assert events(scrape(port)) == {"stored": 0, "duplicate": 0, "rejected": 0}

    collector.send_events(event(1), event(2), event(3, latencyMs="150"))
    collector.send_events(event(1), event(4))
    assert collector.send_events(event(5, hostId=5)).status == 400

    samples = scrape(port)
    assert events(samples) == {"stored": 3, "duplicate": 1, "rejected": 2}
    assert value(samples, "telemetry_requests_total", route=BATCH, status="200") == 2
    assert value(samples, "telemetry_requests_total", route=BATCH, status="400") == 1


def test_a_collector_tells_what_became_of_transcripts(
    start_collector: Callable[..., Collector], database_url: str, port: int
) -> None:
    collector = start_collector(database_url, **variables(port))
    transcript = {"hostId": "laptop", "sessionId": "s", "transcript": [{"role": "user", "content": "Fix this bug"}]}
    for sent in (transcript, transcript, {**transcript, "hostId": 5}):
        collector.send_transcript(sent)
    samples = scrape(port)
    for result in ("stored", "unchanged", "rejected"):
        assert value(samples, "telemetry_transcripts_total", result=result) == 1


def test_a_collector_tells_how_long_its_requests_took_and_how_large_they_were(
    start_collector: Callable[..., Collector], database_url: str, port: int
) -> None:
    collector = start_collector(database_url, **variables(port))
    before = time.monotonic()
    body = b'{"events": [' + b" " * 5000 + b"]}"
    for _ in range(3):
        collector.post(BATCH, body, key=collector.key)
    elapsed = time.monotonic() - before

    samples = scrape(port)
    assert value(samples, "telemetry_request_bytes_total") == 3 * len(body)
    assert value(samples, "telemetry_request_duration_seconds_count", route=BATCH) == 3
    assert 0 < value(samples, "telemetry_request_duration_seconds_sum", route=BATCH) < elapsed
    assert value(samples, "telemetry_request_duration_seconds_bucket", route=BATCH, le="4.0") == 3


def test_a_collector_tells_how_it_is(start_collector: Callable[..., Collector], database_url: str, port: int) -> None:
    collector = start_collector(database_url, **variables(port), TELEMETRY_POOL_SIZE="3")
    collector.send_events(event(1))
    with socket.create_connection(("127.0.0.1", int(collector.url.rsplit(":", 1)[1]))):
        samples = wait_for(port, lambda samples: value(samples, "telemetry_connections") == 1)
    assert value(samples, "telemetry_build_info", version=__version__) == 1
    assert value(samples, "telemetry_database_up") == 1
    assert 0 <= value(samples, "telemetry_rollup_lag_seconds") < 30
    assert 1 <= value(samples, "telemetry_database_pool_size") <= 3
    assert value(samples, "telemetry_database_pool_available") >= 1
    assert value(samples, "telemetry_database_pool_waiting") == 0
    assert value(samples, "telemetry_queue_depth") == 0


def wait_for(port: int, condition: Callable[[Samples], bool]) -> Samples:
    """What a scrape gives once the condition holds."""
    deadline = time.monotonic() + 10
    while not condition(samples := scrape(port)):
        assert time.monotonic() < deadline, samples
        time.sleep(0.05)
    return samples


def test_a_database_that_is_away_is_told(
    start_collector: Callable[..., Collector], database_url: str, port: int
) -> None:
    away = database_url.replace("?host=", "?host=/nowhere")
    collector = start_collector(away, **variables(port))
    assert collector.get(HEALTH).status == 503
    assert value(scrape(port), "telemetry_database_up") == 0


def test_whichever_process_answers_gives_the_sum_of_all(
    start_collectors: Callable[..., list[Collector]], database_url: str, port: int, tmp_path: Path
) -> None:
    first, second = start_collectors(2, database_url, **variables(port, tmp_path))
    # A process that is stopped accepts nothing, so the other one does.
    with stopped(first):
        for number in range(10):
            assert second.send_events(event(number)).status == 200
    with stopped(second):
        for number in range(5, 30):
            assert first.send_events(event(number)).status == 200
    for resting in (first, second):
        with stopped(resting):
            assert events(patient_scrape(port)) == {"stored": 30, "duplicate": 5, "rejected": 0}


@contextmanager
def stopped(collector: Collector) -> Iterator[None]:
    collector.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        collector.process.send_signal(signal.SIGCONT)


def patient_scrape(port: int) -> Samples:
    """As scrape, where one of those who listen on the port does not answer: the kernel picks one a connection."""
    for _ in range(60):
        try:
            return scrape(port, timeout=0.5)
        except TimeoutError:
            continue
    raise AssertionError("Nobody answers.")


def test_counters_never_go_back(
    start_collector: Callable[..., Collector], database_url: str, port: int, tmp_path: Path
) -> None:
    collector = start_collector(database_url, **variables(port, tmp_path))
    collector.send_events(*(event(number) for number in range(5)))
    other = start_collector(database_url, **variables(port, tmp_path))
    other.send_events(event(5))
    collector.stop()
    assert events(scrape(port))["stored"] == 6

    other.process.kill()
    other.wait()
    again = start_collector(database_url, **variables(port, tmp_path))
    assert events(scrape(port))["stored"] == 6
    again.send_events(event(6), event(7))
    samples = scrape(port)
    assert events(samples)["stored"] == 8
    assert value(samples, "telemetry_request_duration_seconds_count", route=BATCH) == 3


def test_gauges_of_the_dead_are_not_counted(
    start_collector: Callable[..., Collector], database_url: str, port: int, tmp_path: Path
) -> None:
    killed = start_collector(database_url, **variables(port, tmp_path))
    # The first connection is opened in the background, and on a busy machine takes a while.
    connected = wait_for(port, lambda samples: value(samples, "telemetry_database_pool_size") > 0)
    alone = value(connected, "telemetry_database_pool_size")
    alive = start_collector(database_url, **variables(port, tmp_path))
    wait_for(port, lambda samples: value(samples, "telemetry_database_pool_size") == 2 * alone)
    killed.process.kill()
    killed.wait()
    assert value(scrape(port), "telemetry_database_pool_size") == alone
    assert alive.stop() == 0


# Each process ends without a word.
CRASH_LOOP = """
import os, sys
from pathlib import Path
from app.metrics_folder import MetricsFolder
for _ in range(20):
    if os.fork() == 0:
        MetricsFolder(Path(sys.argv[1]))
        os._exit(1)
    os.wait()
"""


def test_restarts_leave_no_files_behind(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CRASH_LOOP, str(tmp_path)], cwd=ROOT, check=True, timeout=60)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0.lock",
        "counter_0.db",
        "gauge_livemax_0.db",
        "gauge_livesum_0.db",
        "histogram_0.db",
    ]


def test_a_damaged_file_costs_its_own_numbers_only(
    start_collector: Callable[..., Collector], database_url: str, port: int, tmp_path: Path
) -> None:
    for kind in COUNTERS:
        # As after a power cut: the length is on the disk, what it counts is not.
        (tmp_path / f"{kind}_0.db").write_bytes((4096).to_bytes(4, "little") + bytes(8188))
        (tmp_path / f"{kind}_7.db").write_bytes(b"rubbish")
    (tmp_path / "7.lock").touch()
    collector = start_collector(database_url, **variables(port, tmp_path))
    assert collector.send_events(event(1)).status == 200
    assert events(scrape(port))["stored"] == 1


def test_the_number_of_series_does_not_depend_on_clients(
    start_collector: Callable[..., Collector], database_url: str, port: int, tmp_path: Path
) -> None:
    collector = start_collector(database_url, **variables(port, tmp_path))
    hostile = [f"/{number}" for number in range(50)]
    hostile += [f"{HEALTH}/{number}" for number in range(50)]
    hostile += ['/"}', "/%00", "/%0a#%20HELP", "/%ff", "//", "/metrics", "/" + "x" * 5000]
    for path in hostile:
        assert collector.get(path).status == 404
    for method in ("PUT", "DELETE", "BREW"):
        assert collector.request(method, f"{BATCH}?{method}").status == 405
    assert b" 400 " in speak(collector, b"GET /x y z HTTP/9.9\r\n\r\n")

    samples = scrape(port)
    routes = {dict(labels).get("route") for _, labels in samples} - {None}
    assert routes == {HEALTH, "other"}
    assert value(samples, "telemetry_requests_total", route="other", status="404") == len(hostile)
    used = [int.from_bytes((tmp_path / f"{kind}_0.db").read_bytes()[:4], "little") for kind in COUNTERS]
    assert max(used) < FILE_BYTES / 2


def speak(collector: Collector, text: bytes) -> bytes:
    """Sends bytes that need be no HTTP, and gives the answer."""
    with socket.create_connection(("127.0.0.1", int(collector.url.rsplit(":", 1)[1])), timeout=10) as connection:
        connection.sendall(text)
        return connection.recv(4096)


def test_refusals_of_the_server_itself_are_counted(
    start_collector: Callable[..., Collector], database_url: str, port: int
) -> None:
    collector = start_collector(database_url, **variables(port))
    assert b"400 Bad Request" in speak(collector, b"rubbish\r\n\r\n")
    assert value(scrape(port), "telemetry_requests_total", route="other", status="400") == 1


def test_the_public_port_has_no_metrics(collector: Collector) -> None:
    assert collector.get("/metrics").status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/metrics/", 404), ("POST", "/metrics", 405), ("GET", "/metrics?x=1", 200)],
)
def test_the_port_has_nothing_but_metrics(metrics_port: int, method: str, path: str, status: int) -> None:
    answer: Response = Client(f"http://127.0.0.1:{metrics_port}").request(method, path)
    assert answer.status == status


@pytest.fixture
def metrics_port(start_collector: Callable[..., Collector], database_url: str, port: int) -> int:
    """The port of a running collector's metrics."""
    start_collector(database_url, **variables(port))
    return port


def test_who_sends_nothing_keeps_nobody_waiting_for_long(metrics_port: int) -> None:
    with socket.create_connection(("127.0.0.1", metrics_port)):
        before = time.monotonic()
        scrape(metrics_port)
        assert time.monotonic() - before < 4


def test_a_taken_port_costs_the_metrics_only(start_collector: Callable[..., Collector], database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        collector = start_collector(database_url, **variables(port))
        assert collector.send_events(event(1)).status == 200
        time.sleep(2.5)
        warnings = [line for line in collector.log_lines() if line["level"] == "warning"]
    assert len(warnings) == 1
    assert "TELEMETRY_METRICS_PORT" in warnings[0]["message"]
    # As soon as it is free, the port is taken.
    wait_for_port(port)
    assert events(scrape(port))["stored"] == 1


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_a_folder_that_is_of_no_use_costs_the_sum_only(
    start_collector: Callable[..., Collector], database_url: str, port: int, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    collector = start_collector(database_url, **variables(port, blocked))
    collector.send_events(event(1))
    assert events(scrape(port))["stored"] == 1
    assert any("TELEMETRY_METRICS_DIR" in line["message"] for line in collector.log_lines())


def test_without_a_folder_the_second_process_shows_no_numbers_but_works(
    start_collector: Callable[..., Collector], database_url: str, port: int
) -> None:
    first = start_collector(database_url, **variables(port))
    second = start_collector(database_url, **variables(port))
    second.send_events(event(1))
    first.send_events(event(2))
    assert events(scrape(port))["stored"] == 1
    wait_for_log(second)
    assert any("TELEMETRY_METRICS_DIR" in line["message"] for line in second.log_lines())
