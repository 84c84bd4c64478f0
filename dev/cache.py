"""Ten million events that stay: a database in a cache folder, filled once and kept up to date, for measurements.

`python -m dev.cache` fills it where need be, prints its URL, and serves it until Ctrl-C. It lies in
AFT_HOME/var/cache, and is made anew when the generator makes other events than those in it. At each start its schema
is brought up to date, and its events go on to the present.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from dev import fill
from dev.bulk import CHUNK
from dev.collector import CommandError
from dev.embedded import DATABASE, ROLE, SUPERUSER, EmbeddedError, EmbeddedPostgres
from dev.folder import home_folder
from dev.generate import events
from dev.stopping import Stopped, StopSignals

EVENTS = 10_000_000
DAYS = 90
# What the disk needs for one event, with indexes, roll-ups, and the write-ahead log on the way.
BYTES_AN_EVENT = 1_300
# While it is filled, it may be lost: the marker is written last.
FILL = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "shared_buffers": "1GB",
    "maintenance_work_mem": "256MB",
}
# As the playbook has it for a VPS with 4 GB, all of which this machine may have in its page cache.
SERVE = {"shared_buffers": "600MB", "work_mem": "16MB", "effective_cache_size": "2GB", "random_page_cost": "1.1"}

Report = Callable[[str], None]


class CacheError(Exception):
    """The events cannot be had; the message names the remedy."""


@contextmanager
def cached_events(
    home: Path,
    *,
    count: int = EVENTS,
    days: int = DAYS,
    report: Report = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[EmbeddedPostgres]:
    """A running server whose database `agent_telemetry` holds `count` full events of the last `days` days, at least.

    `report` gets a line for each step. Raises CacheError, CommandError, EmbeddedError, psycopg.Error.
    """
    folder = home / "var" / "cache" / f"events-{count}-in-{days}-days"
    marker = folder / "recipe.json"
    recipe = _recipe(count, days)
    filled_at = _filled_at(marker, recipe)
    # So many new events beside the old ones that it would be another measurement.
    if filled_at is None or datetime.now(UTC) - filled_at > timedelta(days=days) / 10:
        with EmbeddedPostgres(folder, settings=FILL, pause=pause) as server:
            marker.unlink(missing_ok=True)
            _fill(server, count, days, report, pause)
        filled_at = datetime.now(UTC)
        unfinished = marker.with_suffix(".new")
        unfinished.write_text(json.dumps({**recipe, "filled_at": filled_at.isoformat()}))
        unfinished.replace(marker)
    with EmbeddedPostgres(folder, settings=SERVE, pause=pause) as server:
        try:
            changed = "applied" in fill.migrate(server.url())
        except CommandError as error:
            # Of a schema that was never released, as a developer's is.
            raise CacheError(f"{error} Or remove {folder}, and it is filled anew.") from error
        _bring_up_to_date(server.url(), timedelta(days=days) / count, report, changed=changed)
        yield server


def _recipe(count: int, days: int) -> dict[str, Any]:
    """What tells one content from another: a sample of the generator's events stands for all of them."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    sample = list(events(fill.SEED, 500, start, start + timedelta(days=7), full=True))
    digest = hashlib.sha256(json.dumps(sample).encode()).hexdigest()
    return {"events": count, "days": days, "sample": digest, "form": 1}


def _filled_at(marker: Path, recipe: dict[str, Any]) -> datetime | None:
    try:
        found = json.loads(marker.read_text())
        filled_at = datetime.fromisoformat(found.pop("filled_at"))
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return filled_at if found == recipe else None


def _fill(server: EmbeddedPostgres, count: int, days: int, report: Report, pause: Callable[[float], None]) -> None:
    with psycopg.connect(server.url("postgres", SUPERUSER), autocommit=True) as connection:
        names = sql.Identifier(DATABASE), sql.Identifier(ROLE)
        connection.execute(sql.SQL("DROP DATABASE {}").format(names[0]))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))
    free, wanted = shutil.disk_usage(server.directory).free, count * BYTES_AN_EVENT
    if free < wanted:
        raise CacheError(
            f"{count:,} events take about {wanted / 1e9:.0f} GB, and {server.directory} has {free / 1e9:.0f} GB left:"
            " make room, or name another folder with AFT_HOME."
        )
    report(f"filling {server.directory}")
    fill.migrate(server.url())
    end = datetime.now(UTC)
    seconds = fill.fill(server.url(), end - timedelta(days=days), end, count, report=report, pause=pause)
    report(f"filled it in {seconds:.0f} s, {count / seconds:,.0f} events a second")
    report(f"counted it in {fill.settle(server.url(), report):.0f} s")


def _bring_up_to_date(url: str, interval: timedelta, report: Report, *, changed: bool) -> None:
    """Adds what would have come since, an event each `interval` on average."""
    with psycopg.connect(url, autocommit=True) as connection:
        last = connection.execute("SELECT max(occurred_at) FROM telemetry_events WHERE occurred_at < now()").fetchone()
    assert last is not None
    now = datetime.now(UTC)
    missing = int((now - last[0]) / interval)
    if missing > CHUNK:
        report(f"adding {missing:,} events since {last[0]:%Y-%m-%d %H:%M}")
        fill.fill(url, last[0], now, missing)
    if missing > CHUNK or changed:
        report(f"counted it in {fill.settle(url, report):.0f} s")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.cache",
        description="Serves a database of millions of generated events until Ctrl-C; the first time it fills it."
        " It lies in AFT_HOME/var/cache, one folder a size: to remove it, remove the folder.",
    )
    parser.add_argument("--events", type=int, default=EVENTS, help="how many; default: 10_000_000")
    parser.add_argument("--days", type=int, default=DAYS, help="over how many days; default: 90")
    return parser


def main() -> int:
    """The command; its exit code."""
    options = _parser().parse_args()
    signals = StopSignals()

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        home = home_folder(os.environ)
        with cached_events(home, count=options.events, days=options.days, report=report, pause=signals.pause) as server:
            print(server.url(), flush=True)
            while True:
                signals.pause(3600)
    except Stopped:
        return 0
    except (CacheError, CommandError, EmbeddedError, psycopg.Error) as error:
        print(f"dev.cache: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
