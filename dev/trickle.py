"""What goes on at the demo's site while one looks: a session on each host, sent over HTTP with a key, as clients do."""

import json
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any

from dev.cast import HOSTS, Host
from dev.generate import Event
from dev.history import bad
from dev.sessions import Session, new_session_of
from dev.story import BEHIND, SILENT_HOST, Story
from dev.talk import transcript

TICK_SECONDS = 1.0
# Between a session's end and the next one on that host, at most; and before the first, for somebody waits to see it.
PAUSE_MS = 40_000
FIRST_PAUSE_MS = 6_000
# One event in so many is followed by one that the collector does not take.
BAD_EVERY = 500
MOST_WAITING = 5000


class Trickle:
    """Sends a few events a second, and transcripts as they grow, until it is stopped.

    What is not acknowledged is sent again, as clients do: the same events, so nothing is counted twice.
    """

    def __init__(self, address: tuple[str, int], key: str, story: Story) -> None:
        self._address = address
        self._headers = {"Content-Type": "application/json", "X-API-Key": key}
        self._story = story
        self._random = Random()  # noqa: S311  # no secrets
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trickle", daemon=True)

    def start(self) -> None:
        """Begins, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it within a few seconds."""
        self._ended.set()
        self._thread.join(10)

    def _run(self) -> None:
        hosts = [_LiveHost(host, self._random, self._story) for host in HOSTS if host.name != SILENT_HOST]
        while not self._ended.wait(TICK_SECONDS):
            now = int(time.time() * 1000)
            for host in hosts:
                host.go_on(now)
                while host.waiting and self._sent("/api/v1/telemetry/batch", {"events": host.waiting[:50]}):
                    del host.waiting[:50]
                if host.transcript is not None and self._sent("/api/v1/transcript", host.transcript):
                    host.transcript = None

    def _sent(self, path: str, body: dict[str, Any]) -> bool:
        """Whether the collector has answered, and need not be sent that again."""
        connection = HTTPConnection(*self._address, timeout=5)
        try:
            connection.request("POST", path, json.dumps(body).encode(), self._headers)
            # 400 is the answer to a batch with nothing but an event that it does not take.
            return connection.getresponse().status in (200, 400)
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


class _LiveHost:
    """One host: its session, what it has not sent yet, and its transcript where that has grown."""

    def __init__(self, host: Host, random: Random, story: Story) -> None:
        self._host = host
        self._random = random
        self._story = story
        self._session, self._sent, self._turns_told = self._begin(int(time.time() * 1000), FIRST_PAUSE_MS), 0, 0
        self.waiting: list[Event] = []
        self.transcript: dict[str, Any] | None = None

    def go_on(self, now: int) -> None:
        """Adds what has happened by now, in Unix ms."""
        for due, event in self._session.events[self._sent :]:
            if due > now:
                break
            self._sent += 1
            self.waiting += self._as_sent(due, event)
        del self.waiting[:-MOST_WAITING]
        turn = [calls[-1].time for calls in self._session.turns if calls[-1].time <= now]
        if len(turn) > self._turns_told:
            self._turns_told = len(turn)
            self.transcript = transcript(self._session, now)
        if self._sent == len(self._session.events):
            self._session, self._sent, self._turns_told = self._begin(now, PAUSE_MS), 0, 0

    def _begin(self, now: int, pause: int) -> Session:
        return new_session_of(self._random, self._host, now + int(self._random.random() * pause), self._story)

    def _as_sent(self, due: int, event: Event) -> Iterable[Event]:
        moment = datetime.fromtimestamp(due / 1000, UTC) - BEHIND.get(self._host.name, timedelta(0))
        dated = {**event, "timestamp": moment.isoformat(timespec="milliseconds")}
        if self._random.random() * BAD_EVERY < 1:
            return dated, bad(dated, int(self._random.random() * 4))
        return (dated,)
