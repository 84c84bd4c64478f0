"""People who have all dashboards open while something is measured."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle

import psycopg

from grafana.sources import DASHBOARDS
from tests.bench.dashboards import ROLES
from tests.dashboards.macros import expand

REFRESH_SECONDS = 30.0
SPAN = timedelta(hours=24)


class Viewers:
    """Asks one panel's question after another, at an even pace, so that each comes once in REFRESH_SECONDS.

    A Grafana asks those of one dashboard at once; here the load is the same in whatever seconds are measured.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        panels = [panel for make in DASHBOARDS for panel in make().json()["panels"]]
        self._every = REFRESH_SECONDS / len(panels)
        self._panels = cycle(panels)
        # Questions that should have been asked by now, were answered, and took longer than their role may ask.
        self.due = self.answered = self.given_up = 0

    @contextmanager
    def looking(self) -> Iterator[None]:
        """They look meanwhile, and go on next time where they stop now. Raises psycopg.Error at the end."""
        stopped = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(self._look, stopped)
            try:
                yield
            finally:
                stopped.set()
                looking.result()

    def _look(self, stopped: threading.Event) -> None:
        began, asked = time.monotonic(), 0
        while not stopped.wait(max(0.0, began + asked * self._every - time.monotonic())):
            self._ask()
            asked += 1
        self.due += 1 + int((time.monotonic() - began) / self._every)

    def _ask(self) -> None:
        panel, now = next(self._panels), datetime.now(UTC)
        statement = expand(panel["targets"][0]["rawSql"], now - SPAN, now).encode()
        with psycopg.connect(self._url, user=ROLES[panel["datasource"]["uid"]], autocommit=True) as reader:
            try:
                reader.execute(statement).fetchall()
            except psycopg.errors.QueryCanceled:
                self.given_up += 1
            else:
                self.answered += 1

    def words(self) -> str:
        """What became of their questions."""
        return f"{self.answered} of {self.due} questions were answered meanwhile, {self.given_up} given up."
