"""The bulk way stores what the collector stores, column by column."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from app.store import partitions
from app.store.database import BoundedConnection
from dev.bulk import CHUNK, BulkLoader
from dev.fill import count_later, fill, make_partitions, note, settle, slices
from dev.generate import Event, events
from tests.fixtures.collector import Collector
from tests.fixtures.postgres import Server, connect

NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(days=2)

# Every table that a batch writes, in an order and in words that do not hang on when a row came: no number that a
# sequence gave, and no time of receipt. json has no equality, and its text must be the same to the letter.
EVENTS = """
SELECT e.tableoid::regclass::text, e.occurred_at, s.digest, n.digest, w.digest, e.latency_ms,
    e.prompt_tokens, e.completion_tokens, e.total_tokens, e.cached_tokens, e.reasoning_tokens, e.error_count,
    e.warning_count, e.success, e.cost, e.event_id, e.decision_reason, e.generation_id, e.tool_input::text,
    e.extra_data::text, e.attributes::text
FROM telemetry_events e JOIN series s USING (series_key) JOIN sessions n USING (session_key)
    LEFT JOIN working_dirs w USING (working_dir_key)
ORDER BY e.event_id
"""
WORDS = {
    "series": "SELECT to_jsonb(t) - 'series_key' FROM series t ORDER BY digest",
    "sessions": "SELECT to_jsonb(t) - 'session_key' FROM sessions t ORDER BY digest",
    "working_dirs": "SELECT to_jsonb(t) - 'working_dir_key' FROM working_dirs t ORDER BY digest",
    "identities": "SELECT identity FROM event_identities UNION ALL SELECT identity FROM archived_identities ORDER BY 1",
    "events": EVENTS,
    # By notes or by days, the same is counted.
    "roll-ups": """
        SELECT "time", host, agent_name, tool_name, outcome, client_version, sum(events), sum(denied), sum(failed),
            sum(errors), sum(latency_count), sum(total_tokens), sum(cost)
        FROM reporting.usage_hours GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    """,
    "sessions by day": "SELECT day, host, sessions FROM reporting.session_counts_by_day ORDER BY 1, 2",
    "reporting.events": """
        SELECT (to_jsonb(t) - 'received_at')::text FROM reporting.events t ORDER BY event_id
    """,
}


def awkward(event: Event) -> Event:
    """With what COPY must escape, what the schema does not know, and without most of what it knows."""
    reason = 'tab\there, line\r\nthere, back\\slash \\N, "quoted", ünï, 木, \u2028'
    kept = ("eventId", "hostId", "sessionId", "agentName", "eventType", "timestamp", "workingDir")
    return {
        **{name: event[name] for name in kept},
        "decision": "Maybe",
        "decisionReason": reason,
        "toolInput": {"text": reason, "empty": {}, "list": [1, 2.5, None, True]},
        "demo": True,
        "note": reason,
    }


def stored(url: str) -> dict[str, list[Any]]:
    """All that a batch leaves behind."""
    with connect(url) as connection:
        return {name: connection.execute(query.encode()).fetchall() for name, query in WORDS.items()}


@pytest.mark.parametrize("by_days", [False, True], ids=["into the table", "into its months"])
@pytest.mark.parametrize("full", [False, True], ids=["as they are", "full"])
def test_the_bulk_way_stores_what_the_collector_stores(
    collector: Collector, postgres: Server, full: bool, by_days: bool
) -> None:
    generated = list(events(7, 600, START, NOW, full=full))
    generated += [awkward(event) for event in events(8, 20, START, NOW)]
    for place in range(0, len(generated), 100):
        batch = generated[place : place + 100]
        assert collector.send_events(*batch).json()["accepted"] == len(batch)
    url = postgres.create_database()
    with BoundedConnection.connect(url, autocommit=True) as connection:
        make_partitions(connection, START, NOW)
        if by_days:
            note(connection, "DISABLE")
        assert list(BulkLoader(connection, by_days=by_days).load(generated)) == [620]
        if by_days:
            count_later(connection, START, NOW)
        noted = connection.execute("SELECT sum(events) FROM rollup_queue").fetchone()
    assert noted == (None if by_days else 620,)
    for each in (url, collector.database_url):
        settle(each)
    bulk, real = stored(url), stored(collector.database_url)
    for name in WORDS:
        assert len(real[name]) > 0
        assert bulk[name] == real[name], name
    postgres.drop_database(url)


def test_an_event_that_the_bulk_way_stored_is_a_repeat_for_the_collector(collector: Collector) -> None:
    generated = list(events(9, 100, START, NOW))
    with BoundedConnection.connect(collector.database_url, autocommit=True) as connection:
        list(BulkLoader(connection).load(generated))
    assert collector.send_events(*generated).json() == {"accepted": 100, "duplicates": 100, "rejected": []}


def test_an_event_is_received_soon_after_it_happened(database_url: str) -> None:
    with BoundedConnection.connect(database_url, autocommit=True) as connection:
        list(BulkLoader(connection).load(events(9, 500, START, NOW)))
        late = connection.execute(
            "SELECT min(received_at - occurred_at), max(received_at - occurred_at) FROM telemetry_events"
        ).fetchone()
    assert late is not None
    assert timedelta(0) < late[0] < late[1] < timedelta(seconds=5)


def test_a_repeat_ends_the_load_and_leaves_what_was_committed(database_url: str) -> None:
    generated = list(events(9, CHUNK, START, NOW))
    with BoundedConnection.connect(database_url, autocommit=True) as connection:
        loads = BulkLoader(connection).load([*generated, *generated[:1]])
        assert next(loads) == CHUNK
        with pytest.raises(psycopg.errors.UniqueViolation):
            next(loads)
        assert connection.execute("SELECT count(*) FROM telemetry_events").fetchone() == (CHUNK,)


def test_slices_are_days_that_share_the_work() -> None:
    start = datetime(2026, 10, 1, 22, tzinfo=UTC)  # a Thursday
    found = slices(start, start + timedelta(days=7), 7000)
    assert sum(each.count for each in found) == 7000
    assert found[0].start == start
    assert found[-1].end == start + timedelta(days=7)
    assert all(one.end == other.start and one.end.hour == 0 for one, other in pairwise(found))
    friday, saturday = found[1].count, found[2].count
    assert saturday < friday / 3
    assert len({each.seed for each in found}) == len(found) == 8


def test_a_filled_database_has_the_same_events_each_time_in_their_months(postgres: Server, database_url: str) -> None:
    start, end = datetime(2026, 1, 30, tzinfo=UTC), datetime(2026, 2, 3, 12, tzinfo=UTC)
    lines: list[str] = []
    fill(database_url, start, end, 3000, report=lines.append)
    again = postgres.create_database()
    fill(again, start, end, 3000)
    assert lines[-1].startswith("3,000 of 3,000 events, ")
    with connect(database_url) as connection:
        assert all(month.noted for month in partitions.existing(connection))
    first = stored(database_url)
    assert first == stored(again)
    assert {row[0] for row in first["events"]} == {"telemetry_events_202601", "telemetry_events_202602"}
    postgres.drop_database(again)
    # Nothing is counted yet, and all of it will be.
    with connect(database_url) as connection:
        days = connection.execute("SELECT day::text FROM rollup_backlog ORDER BY 1").fetchall()
    assert days == [("2026-01-30",), ("2026-01-31",), ("2026-02-01",), ("2026-02-02",), ("2026-02-03",)]


def test_filling_again_is_refused(database_url: str) -> None:
    fill(database_url, START, NOW, 100)
    with pytest.raises(psycopg.errors.UniqueViolation):
        fill(database_url, START, NOW, 100)
