"""How fast events and transcripts are taken in: `make bench`.

One run on a fresh embedded PostgreSQL 16 set up as a small VPS's (fsync and synchronous_commit on), two collector
processes on one socket, 16 connections of wrk, everything on this machine. The figures that count are ratios within the
run: against a bulk copy of the same events (yardstick.py), and against Flask and waitress with a view that does nothing
(answering.py). The last line is one JSON object. `--save` makes it the baseline that later runs are compared with.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import click

from app.store import rollups
from dev.embedded import DATABASE, EmbeddedPostgres
from tests.bench import answering, disk, yardstick
from tests.bench.cases import CASES, COPIED, EVENTS, MAIN, PROCESSES, ROUNDS, SECONDS, WARM_UP_SECONDS, Case, transcript
from tests.bench.figures import BASELINE, HEADS, Pass, Row, middle, print_ratios, print_row, ratios
from tests.bench.kernel import as_on_a_server
from tests.bench.processes import cpu_of, cpu_of_ended, family_memory_mb, memory_mb
from tests.bench.server import SETTINGS, another_database, fill_log
from tests.bench.wrk import Load, NoWrk, send, write_bodies
from tests.fixtures.collector import Collector, close_all, start_sharing
from tests.fixtures.postgres import connect, migrate

# Before each case or pass, and after the copy; at most so long for what is being counted.
REST_SECONDS = 5.0
COUNTED_SECONDS = 60.0


class Bench:
    """The servers of one run, and the number of the next request: none is sent twice by chance."""

    def __init__(
        self,
        folder: Path,
        postgres: EmbeddedPostgres,
        collectors: list[Collector],
        *,
        first: int = 1,
        database: str = DATABASE,
    ) -> None:
        self._folder = folder
        self._postgres = postgres
        self._database = database
        self._collectors = collectors
        self._first = first

    def bodies(self, case: Case) -> Path:
        """The file with what that case sends."""
        path = self._folder / "bodies"
        write_bodies(path, case.bodies())
        return path

    def load(self, url: str, case: Case, path: Path, seconds: float, connections: int = 16) -> Load:
        """Sends for so many seconds, with numbers that were not used before."""
        key = self._collectors[0].key
        load = send(url, path, key, seconds, first=self._first, plan=case.plan, connections=connections)
        self._first += load.requests + 1000
        return load

    def settle(self) -> None:
        """Has every event of the pool come once, so that no case pays for their words."""
        case = next(case for case in CASES if case.size == 100)
        self.load(self._collectors[0].url + case.path, case, self.bodies(case), WARM_UP_SECONDS)
        self.rest()

    def rest(self) -> None:
        """Has what was stored counted, and written out: nobody else is to pay for it."""
        with connect(self._postgres.url(user="postgres", database=self._database)) as connection:
            until = time.monotonic() + COUNTED_SECONDS
            while rollups.freshness(connection).events_waiting and time.monotonic() < until:
                time.sleep(0.1)
            connection.execute("CHECKPOINT")
        self._rest_disk()

    def _rest_disk(self) -> None:
        """What was prepared or removed, the log's files above all, is not to be felt by the next case."""
        os.sync()
        time.sleep(REST_SECONDS)

    def measure(self, case: Case, rounds: int = ROUNDS, seconds: float = SECONDS) -> Row:
        """Warms up, then measures several rounds of so many seconds; their middle."""
        path, url = self.bodies(case), self._collectors[0].url + case.path
        self.load(url, case, path, WARM_UP_SECONDS)
        return middle([self._round(case, url, path, seconds) for _ in range(rounds)])

    def compare(self, cases: Sequence[Case]) -> Pass:
        """A round of each of these, which are among MAIN, right after what it is compared with; bare, after it too."""
        self.rest()
        found = Pass()
        for case in cases:
            if case in COPIED:
                found.copied = yardstick.events_a_second(self._folder, SETTINGS)
                click.echo(f"{'bulk copy':46}{'':10} {found.copied:9.0f}")
                self._rest_disk()
                found.rows[case.size] = self._once(case)
            else:
                before = self._bare(case, f"bare, {case.size} a batch")
                found.rows[case.size] = self._once(case)
                found.bare[case.size] = before + self._bare(case, "  and after it")
        return found

    def _bare(self, case: Case, name: str) -> Load:
        load = answering.measure(self._folder, case)
        slowest = f"{load.p50_ms:8.1f} {load.p99_ms:8.1f} {load.p99_against_p50:5.1f}"
        click.echo(f"{name:46}{load.per_second:10.0f} {'':9} {slowest}")
        return load

    def _once(self, case: Case) -> Row:
        row = self.measure(case, rounds=1)
        print_row(row)
        return row

    def _round(self, case: Case, url: str, path: Path, seconds: float) -> Row:
        pids, server = [collector.process.pid for collector in self._collectors], self._postgres.pid or 0
        before = cpu_of(pids), cpu_of([server]), cpu_of_ended(), self._wal()
        load = self.load(url, case, path, seconds)
        after = cpu_of(pids), cpu_of([server]), cpu_of_ended(), self._wal()
        things = load.requests * (case.size if case.path == EVENTS else 1)
        return Row(
            case.name,
            round(load.per_second, 1),
            round(load.per_second * case.size, 1) if case.path == EVENTS else 0.0,
            round(load.p50_ms, 2),
            round(load.p99_ms, 2),
            load.failed,
            round((after[0] - before[0]) / load.seconds, 2),
            round((after[1] - before[1]) / load.seconds, 2),
            round((after[2] - before[2]) / load.seconds, 2),
            [round(memory_mb(pid), 1) for pid in pids],
            family_memory_mb(server),
            round((after[3] - before[3]) / things, 1),
            load.p99_against_p50,
        )

    def unchanged(self) -> float:
        """How often longer an unchanged transcript of 5000 messages takes than json.loads does, one after another."""
        case = next(case for case in CASES if case.size == 5000 and case.plan == "same")
        path, url = self.bodies(case), self._collectors[0].url + case.path
        self.load(url, case, path, 1.0, connections=1)
        taken = self.load(url, case, path, 3.0, connections=1).p50_ms / 1000
        return taken / _parsing(transcript(5000))

    def _wal(self) -> int:
        with connect(self._postgres.url()) as connection:
            row = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
            assert row is not None
            return int(row[0])


def _parsing(text: str) -> float:
    times = []
    for _ in range(20):
        began = time.perf_counter()
        json.loads(text)
        times.append(time.perf_counter() - began)
    return median(times)


@click.command(help=__doc__)
@click.option("--cases", "pattern", default="", help="Only the cases whose names contain this text.")
@click.option("--save", is_flag=True, help=f"Writes the results to {BASELINE.name}.")
def main(pattern: str, save: bool) -> None:
    """Measures, prints the tables and the JSON."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with as_on_a_server(), EmbeddedPostgres(folder / "16", settings=SETTINGS) as postgres:
            migrate(postgres.url())
            fill_log(postgres)
            collectors = start_sharing(PROCESSES, postgres.url())
            try:
                bench = Bench(folder, postgres, collectors)
                bench.settle()
                asked = [case for case in CASES if pattern in case.name]
                compared = [case for case in MAIN if case in asked]
                click.echo(f"{f'{ROUNDS} rounds, each after what it is compared with':46}{HEADS}")
                passes = [bench.compare(compared) for _ in range(ROUNDS)]
                click.echo(f"\n{f'the median of {ROUNDS} rounds':46}{HEADS}")
                rows = []
                for case in asked:
                    if case in MAIN:
                        rows.append(middle([each.rows[case.size] for each in passes]))
                    else:
                        bench.rest()
                        rows.append(bench.measure(case))
                    print_row(rows[-1])
                unchanged = bench.unchanged()
            finally:
                close_all(collectors)
            with another_database(postgres, "disk") as url:
                taken = disk.measure(url)
    click.echo("\n" + "\n".join(taken.lines()))
    found = ratios(rows, passes, taken.against_json, unchanged)
    print_ratios(found)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    results = {
        "machine": machine,
        "ratios": found,
        "passes": list(map(asdict, passes)),
        "bytes_an_event": taken.parts,
        "cases": [asdict(row) for row in rows],
    }
    if save:
        BASELINE.write_text(json.dumps(results, indent=2) + "\n")
    click.echo(json.dumps(results))


if __name__ == "__main__":
    try:
        main()
    except NoWrk as missing:
        raise SystemExit(str(missing)) from missing
