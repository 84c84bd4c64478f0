"""`make demo`: `make run` with thirty days of history, and events that go on coming while one looks.

Everything of it lies in a folder of its own, AFT_HOME/demo, with a PostgreSQL of its own, so no event of `make run` is
ever beside one of the demo's, and removing the demo is removing that folder: `make demo-clean`. For the same reason it
takes no DATABASE_URL. Each event, message of a transcript and quarantined event has `"demo": true` besides.
"""

import argparse
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import psycopg

from app.store import keys
from dev.folder import home_folder, lock_folder
from dev.grafana import GrafanaError, LocalGrafana, installed
from dev.history import DAYS, History, bring_up_to_date
from dev.leftover import clear_leftover
from dev.programs import EmbeddedError
from dev.run import VERSION, RunError, Running, greeting, key_for, start, until_stopped, watch
from dev.story import SILENT_HOST, STUCK_HOST, Story
from dev.trickle import Trickle

STOP_SECONDS = 30.0


def main(arguments: list[str]) -> int:
    """Runs until it is told to stop, or removes the demo. The exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dev demo",
        description="make run with thirty days of generated history and a live trickle, in a folder of its own:"
        " AFT_HOME/demo.",
    )
    parser.add_argument("--remove", action="store_true", help="remove the demo's folder, and nothing else")
    options = parser.parse_args(arguments)
    home = home_folder(os.environ) / "demo"
    if options.remove:
        return _remove(home)
    return until_stopped("make demo", lambda pause, started: _demo(os.environ, home, pause, started))


def _demo(environ: Mapping[str, str], home: Path, pause: Callable[[float], None], started: ExitStack) -> NoReturn:
    if environ.get("DATABASE_URL"):
        raise RunError(
            "The demo never goes into the database of DATABASE_URL, but into one of its own: unset DATABASE_URL,"
            " as in 'env -u DATABASE_URL make demo'."
        )
    loaded: list[History] = []

    def load(url: str) -> None:
        began = time.monotonic()
        print(f"make demo: bringing {DAYS} days of history up to date in {home}", flush=True)
        done = bring_up_to_date(url, report=lambda line: print(f"make demo: {line}", flush=True), pause=pause)
        print(
            f"make demo: {done.events:,} events and {done.transcripts:,} transcripts"
            f" in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        loaded.append(done)

    try:
        running = start(environ, home, pause, started, load)
    except psycopg.Error as error:
        raise RunError(
            f"The history could not be stored ({str(error).strip()}): 'make demo-clean' begins anew."
        ) from error
    key = key_for("*", home / "trickle-key", running.settings, running.address, pause=pause, description="make demo")
    grafana = start_grafana(environ, home, running, pause, started)
    print(greeting(running, _what_grafana_shows(grafana) + _what_to_look_at(running, loaded[0].story)), flush=True)
    trickle = Trickle(running.address, key, loaded[0].story)
    trickle.start()
    # Before the collector is: what it has sent is then acknowledged.
    started.callback(trickle.stop)
    # Its own requests would push what was printed off the screen.
    own = f'"key_id":{_id_of(key, running.settings["DATABASE_URL"])},'
    running.collector.show_log(lambda line: own not in line or '"level":"info"' not in line)
    watch(running, pause)


def start_grafana(
    environ: Mapping[str, str], home: Path, running: Running, pause: Callable[[float], None], started: ExitStack
) -> LocalGrafana | None:
    """Starts a Grafana beside it, on the next port, where there is one. Raises RunError."""
    try:
        program = installed(environ)
        if program is None:
            return None
        local = LocalGrafana(
            program, home / "grafana", port=running.address[1] + 1, database_url=running.settings["DATABASE_URL"]
        )
        started.callback(local.stop)
        local.wait(pause)
        local.share_overview()
    except GrafanaError as error:
        raise RunError(str(error)) from None
    return local


def _what_grafana_shows(grafana: LocalGrafana | None) -> str:
    if grafana is None:
        return ""
    return f"""
Grafana, the user admin's password is admin: {grafana.url}/
What it shows to visitors: {grafana.share_overview()}
"""


def _what_to_look_at(running: Running, story: Story) -> str:
    now = datetime.now(UTC)
    stuck, outage = story.stuck(now), story.outage(now)
    return f"""
The demo, as a week: {running.url}/glance?range=7d

Twelve hosts that are made up, thirty days of them and what goes on now. Look for
  {stuck[0]:%A, %d %B, %H:%M} to {stuck[1]:%H:%M} UTC: an agent on {STUCK_HOST} tries again and again what it may not
  {outage[0]:%A, %d %B, %H:%M} to {outage[1]:%H:%M} UTC: a model's outage, with slow and failed calls
  {SILENT_HOST}: silent for two days; desktop-david: a clock that is behind; wsl-greta: an old client
All of it is in a database of its own. To remove it, and nothing else: make demo-clean
"""


def _id_of(key: str, database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        found = keys.find(connection, hashlib.sha256(key.encode()).hexdigest())
    assert found is not None
    return found.id


def _remove(home: Path) -> int:
    """Removes the demo's folder, unless it is in use."""
    server = home / f"postgresql-{VERSION}"
    if not server.exists():
        print(f"There is no demo in {home}.")
        return 0
    try:
        lock = lock_folder(server)
    except EmbeddedError:
        print(f"make demo-clean: The demo in {home} is running: stop it first.", file=sys.stderr)
        return 1
    try:
        clear_leftover(server / "data", STOP_SECONDS)
        shutil.rmtree(home)
    except (EmbeddedError, OSError) as error:
        print(f"make demo-clean: {error}", file=sys.stderr)
        return 1
    finally:
        os.close(lock)
    print(f"Removed {home}.")
    return 0
