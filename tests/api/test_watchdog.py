"""What systemd hears of a collector: readiness, signs of life that come from a look at itself, and the stop."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.config import ConfigError, load
from app.watchdog import Watchdog
from tests.api.events import event
from tests.fixtures.collector import Collector
from tests.fixtures.postgres import connect, wait_until_blocked

StartCollector = Callable[..., Collector]
URL = {"DATABASE_URL": "postgresql://telemetry@127.0.0.1/agent_telemetry"}


class Ear:
    """Stands where systemd stands: hears the datagrams."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)

    def next(self, seconds: float) -> str | None:
        """The next word, or None where none comes for so long."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(4096).decode()
        except TimeoutError:
            return None

    def forget(self) -> None:
        """Drops what was said so far."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(4096):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    listening = Ear(tmp_path / "notify")
    yield listening
    listening.close()


def test_a_collector_says_that_it_is_ready_that_it_lives_and_that_it_stops(
    database_url: str, start_collector: StartCollector, ear: Ear
) -> None:
    collector = start_collector(database_url, NOTIFY_SOCKET=ear.address, WATCHDOG_USEC="1000000")
    assert ear.next(5) == "READY=1"
    # More often than asked, so that one sign that comes late costs nothing.
    began = time.monotonic()
    assert [ear.next(5) for _ in range(8)] == ["WATCHDOG=1"] * 8
    assert time.monotonic() - began < 4
    collector.stop()
    while (word := ear.next(5)) == "WATCHDOG=1":
        pass
    assert word == "STOPPING=1"


def test_nobody_waits_for_signs_of_life_where_systemd_asks_for_none(
    database_url: str, start_collector: StartCollector, ear: Ear
) -> None:
    start_collector(database_url, NOTIFY_SOCKET=ear.address)
    assert ear.next(5) == "READY=1"
    assert ear.next(1) is None


def test_a_collector_that_takes_no_batches_is_silent(
    database_url: str, start_collector: StartCollector, ear: Ear, host: str
) -> None:
    collector = start_collector(database_url, NOTIFY_SOCKET=ear.address, WATCHDOG_USEC="400000")
    _ = collector.key
    sender = threading.Thread(target=collector.send_events, args=(event(host),))
    with connect(database_url) as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE event_identities IN EXCLUSIVE MODE")
        ear.forget()
        assert ear.next(1) == "WATCHDOG=1"
        sender.start()
        wait_until_blocked(database_url)
        time.sleep(0.3)
        ear.forget()
        assert ear.next(1) is None
    sender.join(10)
    # It takes up its work, and says so.
    assert ear.next(5) == "WATCHDOG=1"


def test_a_collector_without_its_database_lives(start_collector: StartCollector, ear: Ear) -> None:
    nowhere = "postgresql://telemetry@127.0.0.1:1/agent_telemetry"
    start_collector(nowhere, NOTIFY_SOCKET=ear.address, WATCHDOG_USEC="400000")
    assert [ear.next(5) for _ in range(4)] == ["READY=1", *["WATCHDOG=1"] * 3]


@pytest.mark.parametrize("hanging", [0, 1, 2])
def test_a_look_at_oneself_ends_only_when_every_part_answered(hanging: int) -> None:
    waiting: list[Callable[[], None]] = []
    parts: list[Callable[[Callable[[], None]], None]] = [lambda work: work()] * 3
    parts[hanging] = waiting.append
    looking = threading.Thread(target=Watchdog("", 1, parts).look)
    looking.start()
    looking.join(0.2)
    assert looking.is_alive()
    waiting[0]()
    looking.join(5)
    assert not looking.is_alive()


def test_what_systemd_asks_for_is_read_from_its_variables() -> None:
    assert load(URL).watchdog_seconds == 0
    assert load({**URL, "WATCHDOG_USEC": "30000000"}).watchdog_seconds == 30
    assert load({**URL, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}).watchdog_seconds == 30
    # Meant for the process that started us.
    assert load({**URL, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).watchdog_seconds == 0
    with pytest.raises(ConfigError, match="WATCHDOG_USEC must be a number"):
        load({**URL, "WATCHDOG_USEC": "soon"})
