"""How fast Grafana's panels get their numbers from ten million events: `python -m tests.bench.dashboards`.

Every panel's SQL as Grafana sends it, as the role that it uses, at 24 hours and 90 days, beside the same question asked
of the events themselves. The events are those of dev/cache.py: the first time they are made, for some minutes. The last
line is one JSON object.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from dev.cache import DAYS, EVENTS, cached_events
from dev.folder import home_folder
from grafana.sources import DASHBOARDS
from grafana.sources.panel import Json
from tests.dashboards.macros import expand

# In ms: one panel, a text looked for in the reasons, and all of the overview over 90 days.
TARGETS = {"panel": 200.0, "text": 2000.0, "overview": 1000.0}
SPANS = {"24h": timedelta(hours=24), "90d": timedelta(days=90)}
ROLES = {"telemetry-public": "grafana_public", "telemetry-private": "grafana_private"}
RUNS = 5
RAW_SCHEMA = "raw_for_the_benchmark"
# What the events themselves cannot tell, or what no roll-up is asked for.
NOT_IN_EVENTS = (
    "reporting.backups",
    "reporting.collector_samples",
    "reporting.disk",
    "reporting.freshness",
    "reporting.maintenance_runs",
    "reporting.quarantine",
    "reporting.refused_transcripts",
    "reporting.table_sizes",
)
FROM_EVENTS = ("reporting.events", "reporting.transcript_messages")
# No wait for ever for a question that nobody would ask.
RAW_SECONDS = 60


def measure(connection: psycopg.Connection[Any], statement: str, runs: int) -> float:
    """The median time in ms from sending the question to having all rows."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        connection.execute(statement.encode()).fetchall()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def raw_question(sql: str) -> str | None:
    """The same question for the events themselves; None where they cannot answer it, or are asked already."""
    if any(each in sql for each in (*NOT_IN_EVENTS, *FROM_EVENTS)):
        return None
    return sql.replace("reporting.", f"{RAW_SCHEMA}.")


def measure_panels(url: str) -> list[dict[str, Any]]:
    """A row a panel and span."""
    now = datetime.now(UTC)
    rows = []
    with psycopg.connect(url, autocommit=True, options=f"-c statement_timeout={RAW_SECONDS}s -c jit=off") as owner:
        session = _longest_session(owner)
        for dashboard in (make().json() for make in DASHBOARDS):
            chosen = session if dashboard["uid"] == "agent-session" else {}
            for panel in dashboard["panels"]:
                role = ROLES[panel["datasource"]["uid"]]
                with psycopg.connect(url, user=role, autocommit=True) as reader:
                    for label, length in SPANS.items():
                        expanded = partial(expand, since=now - length, until=now, variables=chosen)
                        row = _measured(reader, owner, panel, expanded)
                        rows.append({"dashboard": dashboard["uid"], "span": label, **row})
                        _print(rows[-1])
        rows += _texts(url, now)
    return rows


def _measured(
    reader: psycopg.Connection[Any],
    owner: psycopg.Connection[Any],
    panel: Json,
    expanded: Callable[[str], str],
) -> dict[str, Any]:
    sql = panel["targets"][0]["rawSql"]
    took = measure(reader, expanded(sql), RUNS)
    row: dict[str, Any] = {"panel": panel["title"], "ms": round(took, 2), "raw_ms": None, "factor": None}
    raw = raw_question(sql)
    if raw is not None:
        try:
            slow = measure(owner, expanded(raw), 1)
        except psycopg.errors.QueryCanceled:
            slow = RAW_SECONDS * 1000
        row |= {"raw_ms": round(slow, 1), "factor": round(slow / took, 1)}
    return row


def _texts(url: str, now: datetime) -> list[dict[str, Any]]:
    """A text in the reasons that many decisions have, and one that none has."""
    decisions = next(made for made in (make().json() for make in DASHBOARDS) if made["uid"] == "agent-decisions")
    sql = next(panel for panel in decisions["panels"] if panel["type"] == "table")["targets"][0]["rawSql"]
    rows = []
    with psycopg.connect(url, user="grafana_private", autocommit=True) as reader:
        for label, length in SPANS.items():
            for text in ("the", "no reason has this"):
                statement = expand(sql, now - length, now, {"text": [text], "outcome": ["denied"]})
                took = measure(reader, statement, 1)
                rows.append(
                    {"dashboard": "agent-decisions", "span": label, "panel": f"reason with {text!r}", "text": True}
                )
                rows[-1] |= {"ms": round(took, 2), "raw_ms": None, "factor": None}
                _print(rows[-1])
    return rows


def _longest_session(owner: psycopg.Connection[Any]) -> dict[str, list[str]]:
    row = owner.execute(
        "SELECT host_id, session_id FROM reporting.session_days GROUP BY 1, 2 ORDER BY sum(events) DESC LIMIT 1"
    ).fetchone()
    return {"host": [row[0]], "session": [row[1]]} if row else {"host": [""], "session": [""]}


def _print(row: Mapping[str, Any]) -> None:
    raw = "" if row["raw_ms"] is None else f"{row['raw_ms']:10.1f} {row['factor']:8.1f}"
    print(f"{row['dashboard']:<16} {row['span']:<4} {row['panel']:<32} {row['ms']:9.2f} {raw}", flush=True)


def main() -> int:
    """Measures, prints the table and the JSON. The exit code: 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dashboards", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="how many; default: 10_000_000")
    parser.add_argument("--days", type=int, default=DAYS, help="over how many days; default: 90")
    options = parser.parse_args()

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    drop = f"DROP SCHEMA IF EXISTS {RAW_SCHEMA} CASCADE"
    views = (Path(__file__).parent / "raw_views.sql").read_text("utf-8").replace("{schema}", RAW_SCHEMA)
    with cached_events(home_folder(os.environ), count=options.events, days=options.days, report=report) as server:
        with psycopg.connect(server.url(), autocommit=True) as owner:
            owner.execute(drop)
            owner.execute(views.encode())
        try:
            print("dashboard        span panel                                   ms     raw ms   factor")
            rows = measure_panels(server.url())
        finally:
            with psycopg.connect(server.url(), autocommit=True) as owner:
                owner.execute(drop)
    overview = [row["ms"] for row in rows if row["dashboard"] == "agent-overview" and row["span"] == "90d"]
    took = {
        "panel": max(row["ms"] for row in rows if not row.get("text")),
        "text": max(row["ms"] for row in rows if row.get("text")),
        "overview": sum(overview),
    }
    print()
    for name, target in TARGETS.items():
        print(f"{name:<9} {took[name]:9.2f} ms   target {target:g}{'' if took[name] <= target else '   MISSED'}")
    missed = [name for name, target in TARGETS.items() if took[name] > target]
    rounded = {name: round(value, 2) for name, value in took.items()}
    print(json.dumps({"events": options.events, **rounded, "targets": TARGETS, "missed": missed, "panels": rows}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
