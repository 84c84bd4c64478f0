"""What the reporting views must say, worked out with plain SQL from the raw events, and what they do say."""

import math
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

AGENT_WORDS = (
    *("agent_name", "event_type", "outcome", "hook_name", "mode"),
    *("execution_type", "model_tier", "model_name", "provider"),
)
ALL_WORDS = (*AGENT_WORDS, "tool_name", "client_version", "host")
SUMS = (
    *("events", "decisions", "approved", "denied", "failed", "errors", "warnings", "latency_count", "latency_sum_ms"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens", "cost"),
)
SHARES = (0.0, 0.5, 0.95, 1.0)

HOUR = "date_trunc('hour', occurred_at, 'UTC')"
DAY = "(occurred_at AT TIME ZONE (SELECT time_zone FROM reporting.site))::date"
FIVE = "date_bin('5 minutes', occurred_at, '2000-01-01Z')"
# Well within what is kept, whose ends move on.
# Well within what is kept, whose ends move on.
HOURS_AGO = "date_trunc('hour', now()) - interval '190 hours'"
RECENT = f"{{0}} >= {HOURS_AGO} AND {{0}} < {HOURS_AGO} + interval '210 hours'"

# View, column of time, the same of an event, words, which events.
VIEWS = (
    ("agent_recent", "time", FIVE, AGENT_WORDS, RECENT),
    ("agent_hours", "time", HOUR, AGENT_WORDS, "true"),
    ("agent_days", "day", DAY, AGENT_WORDS, "true"),
    ("usage_hours", "time", HOUR, ALL_WORDS, "true"),
    ("usage_days", "day", DAY, ALL_WORDS, "true"),
)

TRUE_NUMBERS = """
count(*) AS events,
count(*) FILTER (WHERE outcome <> 'none') AS decisions,
count(*) FILTER (WHERE outcome IN ('approved', 'confirmed', 'continued', 'succeeded')) AS approved,
count(*) FILTER (WHERE outcome = 'denied') AS denied,
count(*) FILTER (WHERE outcome = 'failed' OR success = false) AS failed,
coalesce(sum(error_count), 0) AS errors, coalesce(sum(warning_count), 0) AS warnings,
count(latency_ms) AS latency_count, coalesce(sum(latency_ms), 0) AS latency_sum_ms,
coalesce(sum(prompt_tokens), 0) AS prompt_tokens, coalesce(sum(completion_tokens), 0) AS completion_tokens,
coalesce(sum(total_tokens), 0) AS total_tokens, coalesce(sum(cached_tokens), 0) AS cached_tokens,
coalesce(sum(reasoning_tokens), 0) AS reasoning_tokens, coalesce(sum(cost), 0) AS cost,
max(least(occurred_at, received_at)) AS last_at,
min(extract(epoch FROM received_at - occurred_at))::float8 AS least_delay_s,
array_agg(latency_ms ORDER BY latency_ms) FILTER (WHERE latency_ms IS NOT NULL) AS latencies
"""

Rows = Mapping[tuple[Any, ...], tuple[Any, ...]]


def check_views(connection: psycopg.Connection) -> None:
    """Fails where any view says anything else than the events do."""
    # Python has no dates after the year 9999.
    for view, time, moment, words, which in VIEWS:
        named = sql.SQL(", ").join(
            sql.SQL("{} AS host").format(sql.Identifier("host_id")) if word == "host" else sql.Identifier(word)
            for word in words
        )
        numbered = sql.SQL(", ").join(sql.SQL(str(n + 1)) for n in range(len(words) + 1))
        truth = _rows(
            connection,
            sql.SQL(
                f"SELECT ({moment})::text, {{}}, {TRUE_NUMBERS} FROM reporting.events"
                f" WHERE {which.format('occurred_at')} GROUP BY {{}}"
            ).format(named, numbered),
            len(words) + 1,
        )
        numbers = sql.SQL(", ").join(map(sql.Identifier, (*SUMS, "last_at", "least_delay_s")))
        shares = ", ".join(f"reporting.percentile({share}, latency_buckets, latency_counts)" for share in SHARES)
        found = _rows(
            connection,
            sql.SQL(
                f"SELECT {{}}::text, {{}}, {{}}, ARRAY[{{}}] FROM reporting.{{}} WHERE {which.format('time')}"
            ).format(
                sql.Identifier(time),
                sql.SQL(", ").join(map(sql.Identifier, words)),
                numbers,
                sql.SQL(shares),
                sql.Identifier(view),
            ),
            len(words) + 1,
        )
        assert found.keys() == truth.keys(), f"{view}: {found.keys() ^ truth.keys()}"
        for key, said in found.items():
            _check_row(f"{view} {key}", said, truth[key])
    _check_sessions(connection)
    _check_hosts(connection)


def _check_row(where: str, said: tuple[Any, ...], truth: tuple[Any, ...]) -> None:
    for name, one, other in zip((*SUMS, "last_at", "least_delay_s"), said, truth, strict=False):
        if name in ("latency_sum_ms", "least_delay_s"):
            assert math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6), f"{where}: {name} is {one}, not {other}"
        else:
            assert one == other, f"{where}: {name} is {one}, not {other}"
    latencies = truth[-1]
    for share, percentile in zip(SHARES, said[-1], strict=True):
        if latencies is None:
            assert percentile is None, where
        else:
            # The first whose place, counted from one, is at least that share of all: percentile_disc.
            exact = latencies[max(0, math.ceil(share * len(latencies)) - 1)]
            assert math.isclose(percentile, exact, rel_tol=0.05, abs_tol=1e-300), f"{where}: {percentile}, not {exact}"


def _check_sessions(connection: psycopg.Connection) -> None:
    """By hour, by day, each session's day, and how many different ones in all."""
    for view, time, moment in (("session_counts_by_hour", "time", HOUR), ("session_counts_by_day", "day", DAY)):
        truth = connection.execute(
            f"SELECT ({moment})::text, host_id, count(DISTINCT session_id) FROM reporting.events GROUP BY 1, 2"
        ).fetchall()
        found = connection.execute(f'SELECT "{time}"::text, host, sessions FROM reporting.{view}').fetchall()
        assert sorted(found) == sorted(truth), view
    truth = connection.execute(
        f"SELECT ({DAY})::text, host_id, session_id, min(occurred_at)::text, max(occurred_at)::text, count(*),"
        " count(*) FILTER (WHERE outcome <> 'none'), count(*) FILTER (WHERE outcome = 'denied'),"
        " count(*) FILTER (WHERE outcome = 'failed' OR success = false), coalesce(sum(total_tokens), 0),"
        " coalesce(sum(cost), 0) FROM reporting.events GROUP BY 1, 2, 3"
    ).fetchall()
    found = connection.execute(
        "SELECT day::text, host_id, session_id, first_at::text, last_at::text, events, decisions, denied, failed,"
        " total_tokens, cost FROM reporting.session_days"
    ).fetchall()
    assert sorted(found) == sorted(truth)
    counts = connection.execute(
        "SELECT reporting.active_sessions(since, until), (SELECT count(DISTINCT (host_id, session_id))"
        " FROM reporting.events WHERE occurred_at >= since AND occurred_at < until)"
        " FROM (SELECT date_trunc('hour', now()) AS hour) AS h, LATERAL (VALUES"
        " (hour - interval '7 days', hour), ('0001-01-02Z', '9999-12-31 23:00Z')) AS spans(since, until)"
    ).fetchall()
    assert all(found == truth for found, truth in counts), counts


def _check_hosts(connection: psycopg.Connection) -> None:
    truth = connection.execute(
        "SELECT host_id, min(received_at), max(received_at) FROM reporting.events GROUP BY 1 ORDER BY 1"
    ).fetchall()
    found = connection.execute(
        "SELECT host, first_seen_at, last_seen_at FROM reporting.hosts WHERE last_seen_at IS NOT NULL ORDER BY 1"
    ).fetchall()
    assert found == truth


def _rows(connection: psycopg.Connection, statement: sql.Composed, words: int) -> Rows:
    rows = connection.execute(statement).fetchall()
    by_key = {row[:words]: row[words:] for row in rows}
    assert len(by_key) == len(rows)
    return by_key
