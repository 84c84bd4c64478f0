"""The pages as they were made last: the same numbers are made a page of once, however many look."""

import hashlib
from dataclasses import dataclass

from app.glance import page
from app.glance.cache import Known, Overviews


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
