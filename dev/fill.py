"""Millions of generated events in a database, for tests and measurements: `python -m dev.fill --help`.

Each day is a slice with a seed of its own. Two processes take the days in turn, so the events come nearly in the order
of their time, as they do to a collector, and are the same ones however many processes there are.
"""

import argparse
import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

import psycopg
from psycopg import sql

from app.store import archive, identities, partitions, rollups, storage
from app.store.database import BoundedConnection
from app.store.notes import TRIGGER
from dev.bulk import BulkLoader
from dev.collector import CommandError, run_command
from dev.generate import events, work

Report = Callable[[str], None]

SEED = 1
PROCESSES = 2

# Whatever its time zone, a day of the site's that has one of these events.
COUNT_LATER = """
INSERT INTO rollup_backlog
SELECT DISTINCT (hour AT TIME ZONE time_zone)::date
FROM reporting_settings, generate_series(date_trunc('hour', %s), %s, interval '1 hour') AS hour
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Slice:
    """`count` events from `start` to before `end`; the seed makes them others than those of any other slice."""

    start: datetime
    end: datetime
    count: int
    seed: int


def migrate(url: str) -> str:
    """Brings the schema up to date, as an operator does; what was said about it. Raises CommandError."""
    return run_command({**os.environ, "DATABASE_URL": url}, time.sleep, "migrate")


def slices(start: datetime, end: datetime, count: int, seed: int = SEED) -> list[Slice]:
    """`count` events from `start` to before `end`, by days of UTC, each with its share of the work."""
    edges = [start]
    while edges[-1] < end:
        midnight = (edges[-1] + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        edges.append(min(midnight, end))
    total, done, given, found = work(start, end), 0.0, 0, []
    for begin, finish in pairwise(edges):
        done += work(begin, finish)
        upto = count if finish == end else round(count * done / total)
        found.append(Slice(begin, finish, upto - given, seed * 10**12 + int(begin.timestamp())))
        given = upto
    return found


def fill(
    url: str,
    start: datetime,
    end: datetime,
    count: int,
    *,
    seed: int = SEED,
    report: Report = lambda _: None,
    pause: Callable[[float], None] = lambda _: None,
) -> float:
    """Stores `count` full events from `start` to before `end`, and returns how many seconds that took.

    The schema is there, and none of these events, and no collector is at work. The days wait to be counted into the
    roll-ups: see `settle`. `report` gets a line every few seconds; `pause` is called more often, and what it raises
    ends the work. Raises psycopg.Error.
    """
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        make_partitions(connection, start, end)
        note(connection, "DISABLE")
    todo = slices(start, end, count, seed)
    done, told = 0, began
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, initializer=_begin_worker, initargs=(url,)) as pool:
        waiting = {pool.submit(_fill_slice, each) for each in todo}
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                pause(0)
                done += sum(future.result() for future in finished)
                now = time.monotonic()
                if now - told > 2 or done == count:
                    told = now
                    report(f"{done:,} of {count:,} events, {done / (now - began):,.0f} a second")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # A day takes seconds, and whatever went wrong, nobody waits for it any more.
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    with psycopg.connect(url, autocommit=True) as connection:
        note(connection, "ENABLE")
        count_later(connection, start, end)
    return time.monotonic() - began


def make_partitions(connection: psycopg.Connection, start: datetime, end: datetime) -> None:
    """Makes the months from `start` to `end`, which a live site has made ahead."""
    moment = start
    while moment < end:
        partitions.ensure(connection, now=moment)
        moment = partitions.midnight(partitions.months_later(moment, partitions.MONTHS_AHEAD + 1))
    partitions.ensure(connection)


def note(connection: psycopg.Connection, action: Literal["ENABLE", "DISABLE"]) -> None:
    """Whether what is written into a month directly is noted for the roll-ups. What a fill that failed leaves disabled,
    `maintain` enables.
    """
    for each in partitions.existing(connection):
        statement = sql.SQL("ALTER TABLE {} {} TRIGGER {}")
        connection.execute(statement.format(sql.Identifier(each.name), sql.SQL(action), sql.Identifier(TRIGGER)))


def count_later(connection: psycopg.Connection, start: datetime, end: datetime) -> None:
    """Has the days from `start` to `end` counted into the roll-ups by whoever counts next."""
    connection.execute(COUNT_LATER, (start, end))


def settle(url: str, report: Report = lambda _: None) -> float:
    """Counts what waits into the roll-ups, archives identities and vacuums, as a live site has done by then.

    Returns how many seconds the counting took; `report` gets a line a day. Raises psycopg.Error.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        began = time.monotonic()
        rollups.catch_up(connection, report)
        counted = time.monotonic() - began
        # On a live site the tables never had more than a day or two of them. Nobody waits for a transaction here.
        archive.move(connection, datetime.now(UTC), report, pages=16 * archive.PAGES)
        for table in (identities.TABLE, archive.FINGERPRINTS):
            connection.execute(sql.SQL("VACUUM (FULL) {}").format(sql.Identifier(table)))
        connection.execute("VACUUM (ANALYZE)")
    return counted


_loader: BulkLoader


def _begin_worker(url: str) -> None:
    global _loader  # noqa: PLW0603  # a pool's processes have no other place for what they keep
    # Ctrl-C is for the parent, which ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Events refer to each other in no circles, and looking for some takes a third of the time.
    gc.disable()
    _loader = BulkLoader(BoundedConnection.connect(url, autocommit=True), by_days=True)


def _fill_slice(each: Slice) -> int:
    return sum(_loader.load(events(each.seed, each.count, each.start, each.end, full=True)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.fill",
        description="Fills a database with generated events of the second generation, each with every field: 12 hosts,"
        " 14 agents, working hours and weekends. They end now. The database is brought up to date before.",
    )
    parser.add_argument("--url", default=os.environ.get("DATABASE_URL"), help="the database; default: DATABASE_URL")
    parser.add_argument("--events", type=int, default=10_000_000, help="how many; default: 10_000_000")
    parser.add_argument("--days", type=float, default=90, help="over how many days; default: 90")
    parser.add_argument("--seed", type=int, default=SEED, help="another number makes other events")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    options = _parser().parse_args(arguments)
    if not options.url:
        print("Give the database: --url, or DATABASE_URL.", file=sys.stderr)
        return 2

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    end = datetime.now(UTC)
    start = end - timedelta(days=options.days)
    try:
        migrate(options.url)
    except CommandError as error:
        print(f"dev.fill: {error}", file=sys.stderr)
        return 1
    seconds = fill(options.url, start, end, options.events, seed=options.seed, report=report)
    counted = settle(options.url, report)
    with psycopg.connect(options.url, autocommit=True) as connection:
        sizes = storage.measure(connection)
    result = {"events": options.events, "load_seconds": round(seconds, 1), "rollup_seconds": round(counted, 1)}
    result["events_a_second"] = round(options.events / seconds)
    if options.json:
        print(json.dumps({**result, "bytes": dict(sizes.parts)}))
        return 0
    rate = result["events_a_second"]
    print(f"{options.events:,} events in {seconds:.0f} s, {rate:,} a second; their roll-ups in {counted:.0f} s")
    for part, size in sizes.parts.items():
        print(f"  {part:<18} {size / 2**20:9,.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
