"""Hosts at work: posts at a steady rate from outside, over HTTPS, and what became of each."""

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.deploy.inside import Database
from tests.deploy.outside import Site

POSTS_A_SECOND = 50
EVENTS_A_POST = 2
# The rate is kept while no post takes longer than WORKERS / POSTS_A_SECOND seconds.
WORKERS = 100
# A bound, should what runs meanwhile never end.
MOST_SECONDS = 400.0


@dataclass(frozen=True)
class Post:
    """One post: the eventIds in it, and how it was answered."""

    event_ids: Sequence[str]
    answer: str
    seconds: float


class Load:
    """While the block runs, and for `least_seconds` at the least, posts batches as 50 hosts a second would.

    Each post has a connection of its own, and is sent once: a client that would try again is not needed.
    """

    def __init__(self, site: Site, key: str, host_id: str, least_seconds: float = 0.0) -> None:
        self.site = site
        self.host_id = host_id
        self.posts: list[Post] = []
        self._key = key
        self._least_seconds = least_seconds
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self._started = 0.0
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            time.sleep(max(0.0, self._started + self._least_seconds - time.monotonic()))
        self._ended.set()
        for worker in self._workers:
            worker.join()

    def _work(self) -> None:
        while True:
            number = next(self._numbers)
            due = self._started + number / POSTS_A_SECOND
            if self._ended.wait(max(0.0, due - time.monotonic())) or due > self._started + MOST_SECONDS:
                return
            self.posts.append(self._post(number))

    def _post(self, number: int) -> Post:
        event_ids = [f"{number}-{place}" for place in range(EVENTS_A_POST)]
        event = {"hostId": self.host_id, "sessionId": "load", "eventType": "hook_decision", "agentName": "load"}
        batch = {"events": [{**event, "decision": "APPROVED", "eventId": event_id} for event_id in event_ids]}
        began = time.monotonic()
        try:
            answer = self.site.post("/api/v1/telemetry/batch", batch, key=self._key)
            said = f"{answer.status} {answer.body.decode(errors='replace').strip()}"
        except OSError as error:
            said = repr(error)
        return Post(event_ids, said, time.monotonic() - began)

    def check(self, database: Database) -> str:
        """Fails unless every post was answered with 200 and each of its events is stored once; says how many."""
        receipt = f'200 {{"accepted":{EVENTS_A_POST},"duplicates":0,"rejected":[]}}'
        failed = [post.answer for post in self.posts if post.answer.replace(": ", ":").replace(", ", ",") != receipt]
        assert failed == [], f"{len(failed)} of {len(self.posts)} posts failed: {failed[:5]}"
        sent = {event_id for post in self.posts for event_id in post.event_ids}
        stored = database.events(self.host_id)
        assert sorted(sent - stored.keys()) == []
        assert sorted(stored.keys() - sent) == []
        assert [event_id for event_id, often in stored.items() if often != 1] == []
        slowest = max(post.seconds for post in self.posts)
        return f"{len(self.posts)} posts with {len(sent)} events: none failed; the slowest took {slowest:.2f} s"
