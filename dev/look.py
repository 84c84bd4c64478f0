"""`make look`: a picture of all that people look at, on the demo's history, at each size and in both themes.

They lie in `pictures/`, which git ignores: /glance always, and each dashboard where Grafana is installed, or
GRAFANA_HOME names an unpacked one. It fails where a panel shows an error, or nothing. It is for the eye of whoever
changes a dashboard.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, NoReturn
from urllib.parse import urlencode

import psycopg
from playwright.sync_api import Page, Playwright, sync_playwright

from dev import chromium
from dev.demo import start_grafana
from dev.folder import home_folder
from dev.grafana import LocalGrafana
from dev.history import bring_up_to_date
from dev.run import RunError, Running, start, until_stopped
from dev.stopping import Stopped

FOLDER = Path(__file__).resolve().parents[1] / "pictures"
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Grafana draws what is in the window only, so its desktop is as high as its dashboards are.
SIZES = {"card": (360, 202), "frame": (816, 450), "phone": (390, 844), "desktop": (1600, 1000), "high": (1600, 2000)}
GLANCE_SIZES = ("card", "frame", "phone", "desktop")
# No panel of these can have anything to show in the demo.
MAY_BE_EMPTY = {"Transcripts refused as too large", "Backups"}
READY = "[data-testid^='data-testid Panel header']"
PANEL = f"section{READY}"
ERROR = "[data-testid='data-testid Panel status error']"
EMPTY = "[data-testid='data-testid Panel data error message']"
SETTLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class View:
    """An address, what its pictures are called, and at which sizes they are taken."""

    name: str
    url: str
    sizes: tuple[str, ...]
    grafana: bool = False


def views(running: Running, grafana: LocalGrafana | None) -> Iterator[View]:
    """All that people look at."""
    yield View("glance", f"{running.url}/glance?", GLANCE_SIZES)
    if grafana is None:
        return
    yield View("shared", f"{grafana.share_overview()}?", ("frame", "phone", "high"), grafana=True)
    for uid in ("agent-decisions", "agent-sessions", "agent-costs", "agent-hosts", "agent-collector"):
        yield View(uid, f"{grafana.url}/d/{uid}?kiosk&", ("phone", "high"), grafana=True)
    with psycopg.connect(running.settings["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT host_id, session_id, (extract(epoch FROM min(first_at)) * 1000)::bigint,"
            " (extract(epoch FROM max(last_at)) * 1000)::bigint"
            " FROM reporting.session_days JOIN reporting.transcripts t USING (host_id, session_id)"
            " GROUP BY 1, 2 ORDER BY max(t.message_count) DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    host, session, since, until = row
    query = urlencode({"var-host": host, "var-session": session, "from": since, "to": until})
    yield View("agent-session", f"{grafana.url}/d/agent-session?kiosk&{query}&", ("phone", "high"), grafana=True)


def look(pause: Callable[[float], None], started: ExitStack) -> NoReturn:
    """Takes the pictures. Raises Stopped when all is well, RunError where anything is not."""
    home = home_folder(os.environ) / "demo"
    running = start(os.environ, home, pause, started, lambda url: _load(url, pause))
    grafana = start_grafana(os.environ, home, running, pause, started)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    faults: list[str] = []
    with sync_playwright() as playwright:
        for view in views(running, grafana):
            for size, theme in product(view.sizes, THEMES):
                faults += _take(playwright, view, size, theme, grafana)
    if grafana is None:
        print(
            "make look: Grafana's dashboards are left out: install it, or set GRAFANA_HOME to the folder of an unpacked"
            " one.",
            file=sys.stderr,
        )
    if faults:
        raise RunError("Not all is well:\n  " + "\n  ".join(faults))
    print(f"The pictures are in {FOLDER}: open each.", flush=True)
    raise Stopped


def _take(
    playwright: Playwright, view: View, size: str, theme: Literal["light", "dark"], grafana: LocalGrafana | None
) -> list[str]:
    """Takes one picture; what is wrong with what it shows."""
    name = f"{view.name}-{size}-{theme}.png"
    width, height = SIZES[size]
    faults: list[str] = []
    with chromium.launch(playwright, width=width, height=height, theme=theme) as context:
        page = context.pages[0]
        if view.grafana and grafana is not None:
            context.request.post(f"{grafana.url}/login", data={"user": "admin", "password": "admin"})
        page.goto(f"{view.url}theme={theme}")
        if view.grafana:
            faults = [f"{name}: {fault}" for fault in _drawn(page)]
        page.screenshot(path=FOLDER / name)
    print(name, flush=True)
    return faults


def _load(url: str, pause: Callable[[float], None]) -> None:
    bring_up_to_date(url, report=lambda line: print(f"make look: {line}", flush=True), pause=pause)


def _drawn(page: Page) -> Iterator[str]:
    """Waits until the panels are drawn; what is wrong with them."""
    page.wait_for_selector(READY, timeout=60_000)
    page.wait_for_load_state("networkidle")
    time.sleep(SETTLE_SECONDS)
    panels = page.locator(PANEL).all()
    if not panels:
        yield "no panel is found"
    for panel in panels:
        title = (panel.get_attribute("data-testid") or "").removeprefix("data-testid Panel header ")
        if panel.locator(ERROR).count():
            yield f"{title} shows an error"
        if title not in MAY_BE_EMPTY:
            for message in panel.locator(EMPTY).all_inner_texts():
                yield f"{title} is empty: {message}"


if __name__ == "__main__":
    sys.exit(until_stopped("make look", look))
