"""What is kept: numbers for some seconds, and the pages made of them. However many look, both are made once."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.glance import page
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


@dataclass(frozen=True, slots=True)
class Made:
    """A page, its entity tag, and what it was made of."""

    body: bytes
    tag: str
    known: Known


class Pages:
    """At most one page for each window and theme."""

    def __init__(self, overviews: Overviews) -> None:
        self._overviews = overviews
        self._made: dict[tuple[str, str], Made] = {}

    def get(self, shown: str, theme: str) -> Made:
        """The page of a window by its name; another name than page.RANGES and page.THEMES have is taken for none."""
        shown, theme = shown if shown in page.RANGES else "24h", theme if theme in page.THEMES else ""
        known = self._overviews.get(page.RANGES[shown], trusted=False)
        made = self._made.get((shown, theme))
        # The very same numbers: to compare them would take longer than to ask which they are.
        if made is None or made.known.overview is not known.overview or made.known.failure != known.failure:
            made = self._make(known, shown, theme)
            self._made[shown, theme] = made
        return made

    def _make(self, known: Known, shown: str, theme: str) -> Made:
        if known.overview is None:
            body = page.render_away(page.RANGES[shown], theme)
        else:
            body = page.render(known.overview, theme, away=bool(known.failure))
        return Made(body, hashlib.sha256(body).hexdigest()[:32], known)
