"""What waitress leaves to us: when a request arrived, who queues with whom, refusals in JSON."""

import json
import time
from collections.abc import Callable

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from app import deadline
from app.answers import new_request_id
from app.metrics import OTHER, Metrics
from app.routes import glance, summary
from app.routes.health import PATH as HEALTH_PATH

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


class Channel(HTTPChannel):
    """A client's connection. Knows when its request was complete, and says good-bye while we stop."""

    error_task_class = Refusal
    arrived = 0.0

    def service(self) -> None:
        """Answers one request, in a worker thread."""
        deadline.begin(self.arrived)
        dispatcher = self.server.task_dispatcher
        if isinstance(dispatcher, Dispatcher) and dispatcher.stopping:
            self.requests[0].headers["CONNECTION"] = "close"  # type: ignore[index]  # a dict, says waitress
        super().service()


class Errand:
    """Something else than a request for a worker thread to do."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.service = work

    def cancel(self) -> None:
        """Nothing is left behind by not doing it."""


class Dispatcher(ThreadedTaskDispatcher):
    """Worker threads, one more for health checks, and one for those who look.

    Health checks must not wait behind a hundred batches, and no batch behind a question to the database by somebody who
    looks, however many do.
    """

    def __init__(self, threads: int, metrics: Metrics) -> None:
        super().__init__()
        self.metrics = metrics
        self.stopping = False
        self._health = ThreadedTaskDispatcher()
        self._health.set_thread_count(1)
        self._looks = ThreadedTaskDispatcher()
        self._looks.set_thread_count(1)
        self.set_thread_count(threads)

    # What waitress calls a task here is a channel; its published types say otherwise.
    def add_task(self, task: Channel) -> None:  # type: ignore[override]
        """Queues the channel's next request, and notes the time: waiting counts towards the deadline."""
        task.arrived = time.monotonic()
        path = getattr(task.requests[0], "path", "")
        if path == HEALTH_PATH:
            self._health.add_task(task)  # type: ignore[arg-type]
        elif path in LOOKING_PATHS:
            self._looks.add_task(task)  # type: ignore[arg-type]
        else:
            super().add_task(task)  # type: ignore[arg-type]

    def do(self, work: Callable[[], None]) -> None:
        """Has `work` done by a worker thread, after the requests that wait."""
        super().add_task(Errand(work))  # type: ignore[arg-type]

    def do_between_health_checks(self, work: Callable[[], None]) -> None:
        """Has `work` done by the thread that answers health checks."""
        self._health.add_task(Errand(work))  # type: ignore[arg-type]
