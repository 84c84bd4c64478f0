"""What waitress leaves to us: when a request arrived, who queues with whom, batches in groups, refusals in JSON."""

import json
import logging
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import build_http_date

from app import deadline
from app.answers import new_request_id
from app.body import MIB
from app.incoming import PendingAnswer, Request
from app.metrics import OTHER, Metrics
from app.routes import glance, ingest, summary
from app.routes.health import PATH as HEALTH_PATH
from app.waking import Waking

if TYPE_CHECKING:
    from collections import deque

log = logging.getLogger(__name__)

# In one commit, or what one request brings: it bounds how long a group takes, and its memory.
MOST_EVENTS = 500
MOST_BYTES = 2 * MIB
LOOKING_PATHS = (glance.PATH, summary.PATH)


class Refusal(ErrorTask):
    """What waitress itself refuses, such as malformed HTTP, in the shape of every other refusal."""

    def execute(self) -> None:
        """Writes the answer and closes the connection."""
        error = self.request.error  # type: ignore[attr-defined]
        body = json.dumps({"error": f"{error.reason}.", "details": error.body}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [("Content-Type", "application/json"), ("X-Request-Id", new_request_id())]
        self.set_close_on_finish()
        self.content_length = len(body)
        dispatcher = self.channel.server.task_dispatcher
        if isinstance(dispatcher, Dispatcher):
            dispatcher.metrics.answered(OTHER, error.code, time.monotonic() - deadline.arrived(), 0)
        self.write(body)


class Task(WSGITask):
    """A request's way through the application; one that was begun before, with others, is only ended here."""

    request: Request  # type: ignore[assignment]  # waitress says it is an error

    def execute(self) -> None:
        """Runs the application, or what is left of it."""
        pending, self.request.pending = self.request.pending, None
        if pending is None:
            super().execute()
            return
        body = pending.body()
        self.status, self.response_headers = pending.status, pending.headers
        self.content_length = len(body)
        # One write, and so one packet, for both.
        self.channel.write_soon(self._head() + body)
        self.wrote_header = self.complete = True

    def _head(self) -> bytes:
        """The answer's head; waitress' own way, which takes three times as long, where something is to be added."""
        plain = self.version == "1.1" and "CONNECTION" not in self.request.headers
        if not plain or "Content-Length" not in dict(self.response_headers):
            return self.build_response_header()
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.response_headers)]
        return "\r\n".join((*lines, f"Date: {_date(int(self.start_time))}", "", "")).encode("latin-1")


class Channel(HTTPChannel):
    """A client's connection. Knows when its request was complete, and says good-bye while we stop."""

    task_class = Task
    error_task_class = Refusal
    parser_class = Request
    arrived = 0.0
    requests: list[Request]

    def begin(self) -> Iterable[bytes]:
        """Calls the application for the next request, without asking for its answer; gives what it gave."""
        deadline.begin(self.arrived)
        try:
            request = self.requests[0]
            environ = WSGITask(self, request).get_environment()  # type: ignore[arg-type]  # as above
            request.pending = PendingAnswer(self.server.application, environ)
        except Exception:
            # It is tried again on its own, and has waitress' answer if need be.
            log.exception("unexpected error")
            return ()
        return request.pending.result

    def service(self) -> None:
        """Answers one request, in a worker thread; a batch together with the others that wait."""
        dispatcher = self.server.task_dispatcher
        if isinstance(dispatcher, Dispatcher) and is_batch(self):
            dispatcher.together(self)
        else:
            self.answer()

    def answer(self) -> None:
        """Answers one request."""
        deadline.begin(self.arrived)
        dispatcher = self.server.task_dispatcher
        request = self.requests[0]
        if isinstance(dispatcher, Dispatcher) and dispatcher.stopping:
            request.headers["CONNECTION"] = "close"  # type: ignore[index]  # a dict, says waitress
        super().service()
        if request.pending is not None:
            # The client is gone. What became of its events is for the log and the metrics all the same.
            request.pending.body()


@lru_cache(maxsize=1)
def _date(moment: int) -> str:
    return build_http_date(moment)


def is_batch(channel: Channel) -> bool:
    """Whether its next request is one that is stored together with others."""
    request: Any = channel.requests[0]
    return request.error is None and request.path == ingest.PATH and request.command == "POST"


class Errand:
    """Something else than a request for a worker thread to do."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.service = work

    def cancel(self) -> None:
        """Nothing is left behind by not doing it."""


class Dispatcher(ThreadedTaskDispatcher):
    """A thread for batches, one for health checks, one for those who look, and some for everything else.

    Health checks must not wait behind a hundred batches, and no batch behind a question to the database by somebody who
    looks, however many do, nor behind large transcripts.
    """

    def __init__(self, threads: int, metrics: Metrics) -> None:
        super().__init__()
        self.metrics = metrics
        self.stopping = False
        self.waking = Waking()
        self._health = ThreadedTaskDispatcher()
        self._health.set_thread_count(1)
        self._looks = ThreadedTaskDispatcher()
        self._looks.set_thread_count(1)
        # While it waits for a commit the next group gathers, and another process works. A second one was slower: Python
        # runs one at a time, and groups were smaller.
        self._batches = ThreadedTaskDispatcher()
        self._batches.set_thread_count(1)
        self.set_thread_count(threads)

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return sum(len(each.queue) for each in (self, self._health, self._looks, self._batches))

    # What waitress calls a task here is a channel; its published types say otherwise.
    def add_task(self, task: Channel) -> None:  # type: ignore[override]
        """Queues the channel's next request, and notes the time: waiting counts towards the deadline."""
        task.arrived = time.monotonic()
        path = getattr(task.requests[0], "path", "")
        if path == HEALTH_PATH:
            self._health.add_task(task)  # type: ignore[arg-type]
        elif is_batch(task):
            self._batches.add_task(task)  # type: ignore[arg-type]
        elif path in LOOKING_PATHS:
            self._looks.add_task(task)  # type: ignore[arg-type]
        else:
            super().add_task(task)  # type: ignore[arg-type]

    def together(self, first: Channel) -> None:
        """Answers this batch and the others that wait: checks each, stores all in one commit, answers each."""
        group, waiting, events, size = [first], [], 0, 0
        for channel in group:
            result = channel.begin()
            if isinstance(result, ingest.Ingestion) and result.delivery:
                waiting.append(result)
                events += len(result.delivery.events)
                size += result.size
            if events < MOST_EVENTS and size < MOST_BYTES:
                group += self._next_batch()
        ingest.commit(waiting)
        with self.waking.once():
            for channel in group:
                try:
                    channel.answer()
                except Exception:
                    # The others go on.
                    log.exception("unexpected error")

    def _next_batch(self) -> list[Channel]:
        with self._batches.lock:
            queue: deque[Any] = self._batches.queue
            return [queue.popleft()] if queue and isinstance(queue[0], Channel) else []

    def do(self, work: Callable[[], None]) -> None:
        """Has `work` done by a worker thread, after the requests that wait."""
        super().add_task(Errand(work))  # type: ignore[arg-type]

    def do_between_batches(self, work: Callable[[], None]) -> None:
        """Has `work` done by the thread that takes batches."""
        self._batches.add_task(Errand(work))  # type: ignore[arg-type]

    def do_between_health_checks(self, work: Callable[[], None]) -> None:
        """Has `work` done by the thread that answers health checks."""
        self._health.add_task(Errand(work))  # type: ignore[arg-type]
