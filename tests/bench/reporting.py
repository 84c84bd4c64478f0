"""How fast one sees the numbers of ten million events, and how much room they take: `python -m tests.bench.reporting`.

Each question of the overview at 24 hours and 7 days, beside the same question asked of the events themselves; /glance
and the summary over HTTP, from a collector of their own; and bytes on disk, indexes and roll-ups included, against the
events' compact JSON. The events are those of dev/cache.py: the first time they are made, for some minutes. The last
line is one JSON object.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from typing import Any

import msgspec
import psycopg
from psycopg.rows import DictRow, dict_row

from app.store import overview, questions
from app.store.database import BoundedConnection
from app.store.readers import as_visitor
from dev.cache import DAYS, EVENTS, cached_events
from dev.fill import SEED
from dev.folder import home_folder
from dev.generate import events
from tests.bench import disk
from tests.bench.disk import Disk
from tests.bench.raw import RAW
from tests.fixtures.collector import Collector, close_all, start

# In ms; the share of the disk is bytes on disk over bytes of compact JSON.
TARGETS = {"glance_cold": 300.0, "glance_warm": 5.0, "summary": 50.0, "question": 100.0, "storage": 0.75}
STORAGE_GOAL = 0.5
WINDOWS = {"24h": overview.DAY, "7d": overview.WEEK}
RUNS = 9
RAW_RUNS = 3
WARM_RUNS = 200
# Numbers are kept for ten seconds; after that the next look asks the database.
STALE_SECONDS = 10.5
COLD_ROUNDS = 3
# Enough for the mean of their bytes within a thousandth.
SAMPLE = 50_000

Answer = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the overview asked it."""

    statement: str
    values: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name, and the hours that it is about, where it is about a window."""
        (name,) = [name for name, statement in questions.QUESTIONS.items() if statement == self.statement]
        if {"since", "until"} <= self.values.keys():
            hours = (self.values["until"] - self.values["since"]) / timedelta(hours=1)
            return f"{name}, {hours:.0f} h" if hours >= 1 else f"{name}, {hours * 60:.0f} min"
        return name

    @property
    def raw(self) -> str | None:
        """The same question for the events themselves; None where that makes no sense."""
        return RAW.get(self.name.partition(",")[0])


class _Recorder(psycopg.Cursor[DictRow]):
    """Notes what it is asked."""

    asked: list[Asked]

    def execute(self, query: Any, params: Any = None, **options: Any) -> "_Recorder":
        """As the original."""
        self.asked.append(Asked(query, params))
        super().execute(query, params, **options)
        return self


def questions_of(connection: psycopg.Connection[Any], window: overview.Window) -> list[Asked]:
    """What the overview of that window asks."""

    class Recorder(_Recorder):
        asked: list[Asked] = []  # noqa: RUF012  # a class for this one list

    connection.cursor_factory = Recorder
    overview.look(connection, window)
    connection.cursor_factory = psycopg.Cursor
    return Recorder.asked


def milliseconds(action: Answer, runs: int) -> float:
    """The median time of `action`."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def measure_questions(url: str) -> list[dict[str, Any]]:
    """A row a question and window: its time as a visitor, that of the same for the events, and the factor."""
    rows = []
    options = "-c TimeZone=UTC -c jit=off"
    with (
        BoundedConnection.connect(url, autocommit=True, options=options) as visitor,
        psycopg.connect(url, autocommit=True, options=options) as owner,
    ):
        for label, window in WINDOWS.items():
            with as_visitor(visitor):
                for asked in questions_of(visitor, window):
                    rows.append({"window": label, **_measured(visitor, owner, asked)})
                    _print_row(rows[-1])
    return rows


def _measured(visitor: psycopg.Connection[Any], owner: psycopg.Connection[Any], asked: Asked) -> dict[str, Any]:
    def ask(connection: psycopg.Connection[Any], statement: str) -> Answer:
        return lambda: connection.cursor(row_factory=dict_row).execute(statement, asked.values).fetchall()

    took = milliseconds(ask(visitor, asked.statement), RUNS)
    row: dict[str, Any] = {"question": asked.name, "ms": round(took, 2), "raw_ms": None, "factor": None}
    if asked.raw is not None:
        raw = milliseconds(ask(owner, asked.raw), RAW_RUNS)
        row |= {"raw_ms": round(raw, 1), "factor": round(raw / took, 1)}
    return row


def _print_row(row: Mapping[str, Any]) -> None:
    raw = "" if row["raw_ms"] is None else f"{row['raw_ms']:10.1f} {row['factor']:8.1f}"
    print(f"{row['window']:<6} {row['question']:<18} {row['ms']:8.2f} {raw}", flush=True)


def measure_pages(collector: Collector) -> dict[str, float]:
    """/glance and the summary in ms: cold where the numbers must be asked for, warm where they are kept.

    Cold, /glance is the slower one of its ranges, and the summary that of 24 hours, which is what sensors ask for.
    """
    key = {"X-API-Key": collector.create_key("*", "read")}
    pages = [_get(collector, f"/glance?range={each}", {}) for each in WINDOWS]
    summaries = [_get(collector, f"/api/v1/summary?window={each}", key) for each in WINDOWS]
    cold: dict[Answer, list[float]] = {each: [] for each in (*pages, *summaries)}
    for _ in range(COLD_ROUNDS):
        for answer, times in cold.items():
            times.append(milliseconds(answer, 1))
        time.sleep(STALE_SECONDS)
    for answer in cold:
        answer()
    return {
        "glance_cold": max(median(cold[page]) for page in pages),
        "glance_warm": milliseconds(pages[0], WARM_RUNS),
        "summary": median(cold[summaries[0]]),
        "summary_7d": median(cold[summaries[1]]),
        "summary_warm": milliseconds(summaries[0], WARM_RUNS),
    }


def _get(collector: Collector, path: str, headers: Mapping[str, str]) -> Answer:
    def get() -> None:
        answer = collector.get(path, headers)
        assert answer.status == 200, (path, answer.status, answer.body)

    return get


def measure_storage(url: str) -> Disk:
    """The room that the events take which `dev.fill` made."""
    now = datetime.now(UTC)
    sample = islice(events(SEED, 10**9, now - timedelta(days=7), now, full=True), SAMPLE)
    json_bytes = sum(len(msgspec.json.encode(event)) for event in sample) / SAMPLE
    with psycopg.connect(url, autocommit=True) as connection:
        return disk.of_all(connection, json_bytes)


def main() -> int:
    """Measures, prints tables and the JSON. The exit code: 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reporting", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="how many; default: 10_000_000")
    parser.add_argument("--days", type=int, default=DAYS, help="over how many days; default: 90")
    options = parser.parse_args()

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with cached_events(home_folder(os.environ), count=options.events, days=options.days, report=report) as server:
        stored = measure_storage(server.url())
        print("\n".join(stored.lines()) + "\n")
        print("of     question                 ms     raw ms   factor")
        rows = measure_questions(server.url())
        collector = start(server.url())
        try:
            took = measure_pages(collector)
        finally:
            close_all([collector])
    took = {"question": max(row["ms"] for row in rows), **took, "storage": stored.against_json}
    print()
    for name, target in TARGETS.items():
        unit = "of the JSON" if name == "storage" else "ms"
        print(f"{name:<12} {took[name]:8.2f} {unit:<12} target {target:g}{'' if took[name] <= target else '   MISSED'}")
    missed = [name for name, target in TARGETS.items() if took[name] > target]
    rounded = {name: round(value, 3) for name, value in took.items()}
    result = {"events": stored.events, **rounded, "targets": TARGETS, "storage_goal": STORAGE_GOAL}
    print(json.dumps({**result, "missed": missed, "bytes": stored.parts, "questions": rows}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
