"""How much slower with millions of stored events and everybody looking: `python -m tests.bench.growth`.

The cases of `make bench` that count, on a database with so many events of the last 90 days while every panel of every
dashboard is asked every 30 s, as an open Grafana does, and right before on an empty one, three times in turn, for a
machine is not as fast all the time; how much of the disk an event takes, and the memory of the collectors while they
take in batches of ten for some minutes. The last line is one JSON object.
"""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise
from pathlib import Path
from statistics import median
from typing import Any

import click
import psycopg

from dev import fill
from dev.embedded import EmbeddedPostgres
from grafana.sources import DASHBOARDS
from tests.bench.cases import CASES, MAIN, PROCESSES, ROUNDS
from tests.bench.dashboards import ROLES
from tests.bench.figures import HEADS, Row, print_row
from tests.bench.ingest import Bench
from tests.bench.kernel import as_on_a_server
from tests.bench.processes import memory_mb
from tests.bench.reporting import measure_storage
from tests.bench.server import SETTINGS, another_database, fill_log
from tests.bench.wrk import NoWrk
from tests.dashboards.macros import expand
from tests.fixtures.collector import Collector, close_all, start_sharing
from tests.fixtures.postgres import migrate

DAYS = timedelta(days=90)
REFRESH_SECONDS = 30.0
SPAN = timedelta(hours=24)
SOAK_SECONDS = 30.0
# What may be lost, of the events a second.
MOST_LOST = 0.15


class Onlookers:
    """Whoever has all dashboards open: asks one panel's question after another, each of them every REFRESH_SECONDS."""

    def __init__(self, url: str) -> None:
        self._url = url
        panels = [panel for make in DASHBOARDS for panel in make().json()["panels"]]
        self._every = REFRESH_SECONDS / len(panels)
        self._panels = cycle(panels)
        self.answered = 0

    @contextmanager
    def looking(self) -> Iterator[None]:
        """They look meanwhile, and go on next time where they stop now, so that each panel has its turn."""
        stopped = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(self._look, stopped)
            try:
                yield
            finally:
                stopped.set()
                looking.result()

    def _look(self, stopped: threading.Event) -> None:
        due = time.monotonic()
        while not stopped.wait(max(0.0, due - time.monotonic())):
            panel, now = next(self._panels), datetime.now(UTC)
            with psycopg.connect(self._url, user=ROLES[panel["datasource"]["uid"]], autocommit=True) as reader:
                reader.execute(expand(panel["targets"][0]["rawSql"], now - SPAN, now).encode()).fetchall()
            self.answered += 1
            due += self._every


def compare(empty: Bench, full: Bench, onlookers: Onlookers) -> list[list[tuple[Row, Row]]]:
    """Rounds of each case that counts: on the empty database, and right after on the full one while everybody looks.

    Each ends at rest, for what one stored is counted a while later, at the other's expense.
    """
    for bench in (empty, full):
        bench.settle()
    found = []
    for case in MAIN:
        pairs = []
        for _ in range(ROUNDS):
            before = empty.measure(case, rounds=1)
            print_row(before)
            empty.rest()
            with onlookers.looking():
                after = full.measure(case, rounds=1)
            full.rest()
            print_row(replace(after, name="  beside what is stored"))
            pairs.append((before, after))
        found.append(pairs)
    return found


def soak(bench: Bench, collectors: list[Collector], minutes: float) -> list[float]:
    """The memory of the larger collector in MB, before and each SOAK_SECONDS under load."""
    case = next(case for case in CASES if case.size == 10)
    path, url = bench.bodies(case), collectors[0].url + case.path
    found: list[float] = []
    for _ in range(round(minutes * 60 / SOAK_SECONDS)):
        bench.load(url, case, path, SOAK_SECONDS)
        found.append(round(max(memory_mb(collector.process.pid) for collector in collectors), 1))
        click.echo(f"memory after {len(found) * SOAK_SECONDS:.0f} s: {found[-1]} MB")
    return found


@click.command(help=__doc__)
@click.option(
    "--stored",
    "sizes",
    multiple=True,
    type=int,
    default=(10_000_000, 30_000_000),
    show_default=True,
    help="Events stored before a measurement; may be given several times.",
)
@click.option("--minutes", default=5.0, show_default=True, help="How long the collectors' memory is watched.")
def main(sizes: tuple[int, ...], minutes: float) -> None:
    """Measures, prints the tables and the JSON."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with as_on_a_server(), EmbeddedPostgres(folder / "16", settings=SETTINGS) as postgres:
            url = postgres.url()
            migrate(url)
            fill_log(postgres)
            for seed, (before, stored) in enumerate(pairwise((0, *sorted(sizes))), 1):
                _fill(url, stored - before, seed)
                disk = measure_storage(url)
                click.echo(f"\n{f'empty, then beside {stored:,} events':46}{HEADS}")
                with _collectors(url) as collectors:
                    bench = Bench(folder, postgres, collectors, first=2**24 * seed)
                    with another_database(postgres, f"empty_{seed}") as empty_url, _collectors(empty_url) as others:
                        empty = Bench(folder, postgres, others, database=f"empty_{seed}")
                        onlookers = Onlookers(url)
                        cases = compare(empty, bench, onlookers)
                    click.echo(f"\n{onlookers.answered} questions were answered meanwhile. What is left of the speed:")
                    left = remaining(cases)
                    click.echo("\n".join(disk.lines()))
                    memory = soak(bench, collectors, minutes)
                results[str(stored)] = {
                    "left": left,
                    "disk": asdict(disk),
                    "memory_mb": memory,
                    "cases": [[list(map(asdict, pair)) for pair in pairs] for pairs in cases],
                }
    click.echo(json.dumps(results))


def _fill(url: str, events: int, seed: int) -> None:
    end = datetime.now(UTC)
    fill.fill(url, end - DAYS, end, events, seed=seed, report=lambda line: click.echo(line, err=True))
    fill.settle(url, lambda line: click.echo(line, err=True))


def remaining(cases: list[list[tuple[Row, Row]]]) -> dict[str, float]:
    """What is left of the speed, by case: the median of its rounds; prints it."""
    found: dict[str, float] = {}
    for pairs in cases:
        ratios = [after.requests_per_second / before.requests_per_second for before, after in pairs]
        found[pairs[0][0].name] = value = round(median(ratios), 3)
        rounds = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        reached = "" if value >= 1 - MOST_LOST else "   MISSED"
        click.echo(f"{pairs[0][0].name:46}{value:8.3f} of {rounds}   floor {1 - MOST_LOST:.2f}{reached}")
    return found


@contextmanager
def _collectors(url: str) -> Iterator[list[Collector]]:
    collectors = start_sharing(PROCESSES, url)
    try:
        yield collectors
    finally:
        close_all(collectors)


if __name__ == "__main__":
    try:
        main()
    except NoWrk as missing:
        raise SystemExit(str(missing)) from missing
