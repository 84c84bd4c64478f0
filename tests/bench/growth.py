"""How much slower with millions of stored events and everybody looking: `python -m tests.bench.growth`.

The cases of `make bench` that count, on a database with so many events of the last 90 days while every panel of every
dashboard is asked every 30 s, as an open Grafana does, and right before on an empty one, for a machine is not as fast
all the time; how much of the disk an event takes, and the memory of the collectors while they take in batches of ten
for some minutes. The last line is one JSON object.
"""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import psycopg

from dev import fill
from dev.embedded import EmbeddedPostgres
from grafana.sources import DASHBOARDS
from tests.bench.cases import CASES, MAIN, PROCESSES
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


@contextmanager
def everybody_looks(url: str) -> Iterator[list[int]]:
    """Asks every panel's question each REFRESH_SECONDS; gives a list of how many were answered, by round."""
    stopped, rounds = threading.Event(), [0]

    def look() -> None:
        panels = [panel for make in DASHBOARDS for panel in make().json()["panels"]]
        while True:
            now = datetime.now(UTC)
            for panel in panels:
                with psycopg.connect(url, user=ROLES[panel["datasource"]["uid"]], autocommit=True) as reader:
                    statement = expand(panel["targets"][0]["rawSql"], now - SPAN, now)
                    reader.execute(statement.encode()).fetchall()
                rounds[-1] += 1
                if stopped.is_set():
                    return
            rounds.append(0)
            if stopped.wait(REFRESH_SECONDS):
                return

    looker = threading.Thread(target=look)
    looker.start()
    try:
        yield rounds
    finally:
        stopped.set()
        looker.join()


def compare(empty: Bench, full: Bench, url: str) -> tuple[list[Row], list[Row], int]:
    """Each case that counts, empty and right after full, while everybody looks; how many questions were answered."""
    before, after, answered = [], [], 0
    for bench in (empty, full):
        bench.settle()
    for case in MAIN:
        before.append(empty.measure(case))
        print_row(before[-1])
        with everybody_looks(url) as rounds:
            after.append(full.measure(case))
        print_row(replace(after[-1], name="  beside what is stored"))
        answered += sum(rounds)
    return before, after, answered


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
                        empty, rows, answered = compare(
                            Bench(folder, postgres, others, database=f"empty_{seed}"), bench, url
                        )
                    left = _left(rows, empty, answered)
                    click.echo("\n".join(disk.lines()))
                    memory = soak(bench, collectors, minutes)
                results[str(stored)] = {
                    "left": left,
                    "disk": asdict(disk),
                    "memory_mb": memory,
                    "empty": list(map(asdict, empty)),
                    "cases": list(map(asdict, rows)),
                }
    click.echo(json.dumps(results))


def _fill(url: str, events: int, seed: int) -> None:
    end = datetime.now(UTC)
    fill.fill(url, end - DAYS, end, events, seed=seed, report=lambda line: click.echo(line, err=True))
    fill.settle(url, lambda line: click.echo(line, err=True))


def _left(rows: list[Row], empty: list[Row], answered: int) -> dict[str, float]:
    """What is left of the speed, by case; prints it."""
    ratios = {
        after.name: round(after.requests_per_second / before.requests_per_second, 3)
        for before, after in zip(empty, rows, strict=True)
    }
    click.echo(f"\n{answered} questions were answered meanwhile. What is left of the speed:")
    for case, ratio in ratios.items():
        click.echo(f"{case:46}{ratio:8.3f}   floor {1 - MOST_LOST:.2f}{'' if ratio >= 1 - MOST_LOST else '   MISSED'}")
    return ratios


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
