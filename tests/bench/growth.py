"""How much slower with millions of stored events and everybody looking: `python -m tests.bench.growth`.

The cases of `make bench` that count, on a database with so many events of the last 90 days while every panel of every
dashboard is asked every 30 s, taking turns with a database that began empty, for a machine is not as fast all the time;
how much of the disk an event takes, and the memory of the collectors while they take in batches of ten for some
minutes. The last line is one JSON object.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from dev import fill
from dev.embedded import EmbeddedPostgres
from tests.bench.cases import CASES, MAIN, PROCESSES
from tests.bench.figures import HEADS, Pairs, print_row, remaining
from tests.bench.ingest import Bench
from tests.bench.kernel import as_on_a_server
from tests.bench.processes import memory_mb
from tests.bench.reporting import measure_storage
from tests.bench.server import SETTINGS, another_database, fill_log
from tests.bench.viewers import REFRESH_SECONDS, Viewers
from tests.bench.wrk import NoWrk
from tests.fixtures.collector import Collector, close_all, start_sharing
from tests.fixtures.postgres import migrate

DAYS = timedelta(days=90)
# An even number, so that each database is the first as often as the other.
PAIRS = 4
SOAK_SECONDS = 30.0


def compare(empty: Bench, full: Bench, viewers: Viewers) -> list[Pairs]:
    """Pairs of rounds of each case that counts: on the database that was empty, and on the full one while all look.

    They take turns in being the first, and each begins at rest: what one stored is counted a while later, and the other
    is not to pay for it. A round is as long as dashboards take to ask everything once.
    """
    for bench in (empty, full):
        bench.settle()
    found = []
    for case in MAIN:
        pairs: Pairs = []
        for number in range(PAIRS):
            rows = {}
            for bench in (full, empty) if number % 2 else (empty, full):
                with viewers.looking() if bench is full else nullcontext():
                    rows[bench] = bench.measure(case, rounds=1, seconds=REFRESH_SECONDS)
                name = f"{case.name}, beside what is stored" if bench is full else case.name
                print_row(replace(rows[bench], name=name))
                bench.rest()
            pairs.append((rows[empty], rows[full]))
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
                    full = Bench(folder, postgres, collectors, first=2**24 * seed)
                    with another_database(postgres, f"empty_{seed}") as empty_url, _collectors(empty_url) as others:
                        empty = Bench(folder, postgres, others, database=f"empty_{seed}")
                        viewers = Viewers(url)
                        cases = compare(empty, full, viewers)
                    click.echo(f"\n{viewers.words()} What is left of the speed:")
                    left = remaining(cases)
                    click.echo("\n".join(disk.lines()))
                    memory = soak(full, collectors, minutes)
                results[str(stored)] = {
                    "left": left,
                    "questions": {"due": viewers.due, "answered": viewers.answered, "given up": viewers.given_up},
                    "disk": asdict(disk),
                    "memory_mb": memory,
                    "cases": [[list(map(asdict, pair)) for pair in pairs] for pairs in cases],
                }
    click.echo(json.dumps(results))


def _fill(url: str, events: int, seed: int) -> None:
    end = datetime.now(UTC)
    fill.fill(url, end - DAYS, end, events, seed=seed, report=lambda line: click.echo(line, err=True))
    fill.settle(url, lambda line: click.echo(line, err=True))


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
