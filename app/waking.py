"""How threads have waitress' loop look at its connections again: after an answer, or once after several."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Wake = Callable[[], None]


class Waking:
    """Puts a thread's wake-up calls off while it has more answers to write.

    After each of them the loop would take Python's lock from the thread that has the others'. Should the thread wait
    for the loop, which it does for a client that has 16 MiB to read still, the loop looks by itself within a second.
    """

    def __init__(self) -> None:
        self._thread = threading.local()

    def later(self, wake: Wake) -> Wake:
        """`wake`, but where this thread is in `once`, at its end."""

        def call() -> None:
            calls: set[Wake] | None = getattr(self._thread, "calls", None)
            if calls is None:
                wake()
            else:
                calls.add(wake)

        return call

    @contextmanager
    def once(self) -> Iterator[None]:
        """Within it this thread wakes nobody; at its end, each whom it would have woken, once."""
        calls: set[Wake] = set()
        self._thread.calls = calls
        try:
            yield
        finally:
            self._thread.calls = None
            for wake in calls:
                wake()
