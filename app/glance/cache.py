"""Numbers that are kept for some seconds: however many look, the database is asked once."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.store.database import DatabaseUnavailable
from app.store.overview import Overview, Window

# How old numbers may be, seconds.
FRESH_SECONDS = 10.0
# How long the database is left alone after it failed, seconds.
AWAY_SECONDS = 5.0
# Whoever has a key may ask for any window.
ENTRIES = 32


@dataclass(frozen=True, slots=True)
class Known:
    """The last numbers that were had, None for none; and why there are no fresh ones, "" where these are."""

    overview: Overview | None
    failure: str = ""


class Overviews:
    """The latest numbers by window, for those who may see everything and for visitors apart."""

    def __init__(self, look: Callable[[Window, bool], Overview]) -> None:
        """`look` gives a window's numbers, all of them or as a visitor sees them; raises DatabaseUnavailable."""
        self._look = look
        self._kept: OrderedDict[tuple[Window, bool], tuple[float, Overview]] = OrderedDict()
        self._failure = ""
        self._away_until = float("-inf")
        self._looking = threading.Lock()

    def get(self, window: Window, *, trusted: bool) -> Known:
        """The numbers of `window`. While one looks, others get the former ones, and wait only where there are none."""
        key = window, trusted
        known = self._without_looking(key)
        if known is not None:
            return known
        former = self._kept.get(key)
        if not self._looking.acquire(blocking=former is None):
            assert former is not None
            return Known(former[1])
        try:
            # Whoever had to wait finds what the other one saw.
            return self._without_looking(key) or self._fetch(key)
        finally:
            self._looking.release()

    def _without_looking(self, key: tuple[Window, bool]) -> Known | None:
        now, kept = time.monotonic(), self._kept.get(key)
        if kept is not None and now - kept[0] < FRESH_SECONDS:
            return Known(kept[1])
        if now < self._away_until:
            return Known(kept[1] if kept else None, self._failure)
        return None

    def _fetch(self, key: tuple[Window, bool]) -> Known:
        try:
            overview = self._look(*key)
        except DatabaseUnavailable as error:
            self._failure, self._away_until = str(error) or "away", time.monotonic() + AWAY_SECONDS
            kept = self._kept.get(key)
            return Known(kept[1] if kept else None, self._failure)
        self._kept[key] = time.monotonic(), overview
        self._kept.move_to_end(key)
        while len(self._kept) > ENTRIES:
            self._kept.popitem(last=False)
        return Known(overview)
