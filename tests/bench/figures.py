"""A run's figures: a row a case, ratios beside what is owed and wanted, and both as one reads them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import click

from tests.bench.wrk import Load

BASELINE = Path(__file__).with_name("baseline.json")
HEADS = (
    f"{'requests/s':>10} {'events/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'/p50':>5} {'failed':>6}"
    f" {'coll.':>6} {'pg':>6} {'wrk':>6} {'MB each':>9} {'pg MB':>7} {'WAL B':>8}"
)

# What stored events may cost, of the requests a second.
MOST_LOST = 0.15
# Ratio -> what is owed and what is wanted, and whether more is better.
TARGETS = {
    "events at 100 a batch, against the bulk copy": (0.30, 0.40, True),
    "requests at 10 a batch, against bare": (0.40, 0.55, True),
    "requests at 1 a batch, against bare": (0.55, 0.65, True),
    "p99 against p50, the worst case": (3.0, 2.0, False),
    "memory of a collector process, MB": (80.0, 60.0, False),
    "bytes on disk, against the events' compact JSON": (0.75, 0.5, False),
    "unchanged transcript of 5000 messages, against json.loads": (4.0, 2.0, False),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A case's figures; CPU in seconds of one core a second, memory in MB, WAL in bytes an event or a transcript.

    CPU of both collectors, all of PostgreSQL, and wrk; memory of each collector, and of all of PostgreSQL, None where
    that can't be seen.
    """

    name: str
    requests_per_second: float
    events_per_second: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_collector: float
    cpu_postgresql: float
    cpu_client: float
    memory_mb: list[float]
    memory_postgresql_mb: float | None
    wal_bytes: float
    p99_against_p50: float


@dataclass(slots=True)
class Pass:
    """The cases that count, and what each is compared with right before: a machine is not as fast all the time.

    Events a second of the bulk copy; what bare answered, by the events in a body; the rows by that.
    """

    copied: float = 0.0
    bare: dict[int, Load] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)

    def ratio(self, size: int) -> float | None:
        """Against bare where that was measured with as many events, else against the copy; None without that case."""
        row = self.rows.get(size)
        if row is None:
            return None
        if size in self.bare:
            return row.requests_per_second / self.bare[size].per_second
        return row.events_per_second / self.copied


# Rounds of one case: on a database that began empty, and beside stored events.
Pairs = list[tuple[Row, Row]]


def middle(rows: Sequence[Row]) -> Row:
    """The round of median speed, with the median of p99 against p50."""
    row = sorted(rows, key=lambda row: row.requests_per_second)[len(rows) // 2]
    return replace(row, p99_against_p50=median(row.p99_against_p50 for row in rows))


def ratios(rows: Sequence[Row], passes: Sequence[Pass], disk: float, unchanged: float) -> dict[str, float]:
    """The figures that TARGETS names, as far as their cases were measured; the medians of the passes."""
    values: list[float | None] = []
    for size in (100, 10, 1):
        found = [ratio for each in passes if (ratio := each.ratio(size)) is not None]
        values.append(median(found) if found else None)
    values.append(max(row.p99_against_p50 for row in rows) if rows else None)
    values.append(max(max(row.memory_mb) for row in rows) if rows else None)
    values += [disk, unchanged]
    return {name: round(value, 3) for name, value in zip(TARGETS, values, strict=True) if value is not None}


def print_row(row: Row) -> None:
    """One line of the table."""
    postgresql = "-" if row.memory_postgresql_mb is None else f"{row.memory_postgresql_mb:.0f}"
    figures = (
        f"{row.requests_per_second:10.0f} {row.events_per_second:9.0f} {row.p50_ms:8.1f} {row.p99_ms:8.1f}"
        f" {row.p99_against_p50:5.1f} {row.failed:6d} {row.cpu_collector:6.2f} {row.cpu_postgresql:6.2f}"
        f" {row.cpu_client:6.2f} {' '.join(f'{memory:.0f}' for memory in row.memory_mb):>9}"
        f" {postgresql:>7} {row.wal_bytes:8.0f}"
    )
    click.echo(f"{row.name:46}{figures}")


def print_ratios(found: dict[str, float]) -> None:
    """Each ratio beside what is owed, what is wanted, and what it was at the baseline."""
    before = json.loads(BASELINE.read_text())["ratios"] if BASELINE.exists() else {}
    click.echo(f"\n{'':60}{'now':>8}{'floor':>8}{'goal':>8}{'baseline':>10}")
    for name, value in found.items():
        floor, goal, more = TARGETS[name]
        reached = "goal" if (value >= goal) == more else "floor" if (value >= floor) == more else "MISSED"
        was = f"{before[name]:.3f}" if name in before else "-"
        click.echo(f"{name:60}{value:8.3f}{floor:8.2f}{goal:8.2f}{was:>10}  {reached}")


def remaining(cases: Sequence[Pairs]) -> dict[str, float]:
    """What is left of the speed, by case: the median of its pairs; prints it."""
    found: dict[str, float] = {}
    for pairs in cases:
        case = pairs[0][0].name
        left = [after.requests_per_second / before.requests_per_second for before, after in pairs]
        found[case] = median(left)
        each = ", ".join(f"{ratio:.2f}" for ratio in left)
        missed = "   MISSED" if found[case] < 1 - MOST_LOST else ""
        click.echo(f"{case:46}{found[case]:8.3f} of {each}   floor {1 - MOST_LOST:.2f}{missed}")
    return found
