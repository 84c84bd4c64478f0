"""How long the request in hand may still take: clients give up after 5 s, so each is answered within 4."""

import threading
import time

ANSWER_SECONDS = 4.0
# Left over for what follows the database: the answer's way through the server and the proxy.
RESERVE_SECONDS = 0.5

_current = threading.local()


def begin(arrived: float) -> None:
    """Notes that this thread now works on a request that was complete at `arrived` (time.monotonic seconds)."""
    _current.arrived = arrived


def arrived() -> float:
    """When this thread's request was complete; waiting for a free thread counts. Outside the server: now."""
    moment = getattr(_current, "arrived", None)
    return time.monotonic() if moment is None else float(moment)


def deadline() -> float:
    """When the database must have answered, as time.monotonic seconds."""
    return arrived() + ANSWER_SECONDS - RESERVE_SECONDS
