"""Ctrl-C and its like, noticed while waiting only: nothing is torn apart half done, so everything can be ended."""

import signal
import time
from types import FrameType

# Ctrl-C; kill; the terminal is gone.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STEP_SECONDS = 0.05


class Stopped(Exception):
    """Somebody wants us to end."""


class StopSignals:
    """Remembers that a signal came, from its making on."""

    def __init__(self) -> None:
        self._came = False
        for each in STOP_SIGNALS:
            signal.signal(each, self._remember)

    def pause(self, seconds: float) -> None:
        """Waits that long. Raises Stopped as soon as a signal has come, be it before."""
        end = time.monotonic() + seconds
        while not self._came:
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, STEP_SECONDS))
        raise Stopped

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._came = True
