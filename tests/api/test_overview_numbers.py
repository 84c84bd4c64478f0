"""What /glance and the summary tell is what plain SQL over the stored events tells, sent by HTTP."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.events import event
from tests.fixtures.collector import Collector
from tests.fixtures.postgres import connect

SUMMARY = "/api/v1/summary"
StartCollector = Callable[..., Collector]

# The contract's own words, over the events as they were sent.
PLAIN = """
SELECT
    count(*) AS events,
    count(DISTINCT (host_id, session_id)) AS sessions,
    count(DISTINCT host_id) AS hosts,
    count(DISTINCT agent_name) AS agents,
    count(*) FILTER (WHERE outcome <> 'none') AS decisions,
    count(*) FILTER (WHERE outcome IN ('approved', 'confirmed', 'continued', 'succeeded')) AS approved,
    count(*) FILTER (WHERE outcome = 'denied') AS denied,
    count(*) FILTER (WHERE outcome = 'failed' OR success = false) AS errors,
    coalesce(sum(total_tokens), 0)::bigint AS "totalTokens",
    coalesce(sum(cost), 0)::float AS cost,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms) AS "latencyP50Ms",
    percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms) AS "latencyP95Ms"
FROM reporting.events
WHERE occurred_at >= date_trunc('hour', now() - %s, 'UTC')
"""
WORDS = ("APPROVED", "DENY", "CONFIRM", "CONTINUE", "SUCCESS", "ERROR", "Block", "whatever", None)


def history(now: datetime) -> list[dict[str, Any]]:
    """Events of the last three weeks: all outcomes, several of each word, some without a latency."""
    return [
        event(
            f"host-{number % 4}",
            sessionId=f"session-{number // 9}",
            agentName=f"agent-{number % 5}",
            eventId=str(number),
            timestamp=(now - timedelta(minutes=number * number // 9)).isoformat(),
            decision=WORDS[number % len(WORDS)],
            success=number % 7 != 0,
            latencyMs=None if number % 11 == 0 else 3 + number * 17 % 900,
            totalTokens=number,
            cost=number / 1000,
            clientVersion=f"2.{number % 4}",
        )
        for number in range(500)
    ]


def fill(collector: Collector, events: list[dict[str, Any]]) -> None:
    """Sends the events, and returns when they are counted."""
    for place in range(0, len(events), 100):
        answer = collector.send_events(*events[place : place + 100])
        assert answer.json()["accepted"] == len(events[place : place + 100])
    collector.wait_until_counted()


def plain(collector: Collector, window: timedelta) -> dict[str, Any]:
    with connect(collector.database_url) as connection:
        cursor = connection.execute(PLAIN, [window])
        row = cursor.fetchone()
        assert row is not None
        assert cursor.description is not None
        return dict(zip((column.name for column in cursor.description), row, strict=True))


@pytest.fixture
def filled(collector: Collector) -> Collector:
    """A collector with a history."""
    now = datetime.now(UTC)
    # What is counted must not change its hour between two questions.
    if now.minute == 59:
        time.sleep(61 - now.second)
    fill(collector, history(datetime.now(UTC)))
    return collector


def test_the_numbers_are_those_of_the_events(filled: Collector) -> None:
    key = filled.create_key("*", "read")
    for text, window in {"24h": timedelta(hours=24), "7d": timedelta(days=7), "90m": timedelta(minutes=90)}.items():
        told = filled.get(f"{SUMMARY}?window={text}", {"X-API-Key": key}).json()
        counted = plain(filled, window)
        for name in ("latencyP50Ms", "latencyP95Ms"):
            assert told[name] == pytest.approx(counted.pop(name), rel=0.05, abs=0.05)
        assert {name: told[name] for name in counted} == pytest.approx(counted)
        assert told["approvalRate"] == pytest.approx(counted["approved"] / counted["decisions"], abs=1e-6)
        assert told["denialRate"] == pytest.approx(counted["denied"] / counted["decisions"], abs=1e-6)
        assert told["errorRate"] == pytest.approx(counted["errors"] / counted["events"], abs=1e-6)
        assert (told["window"], told["knownHosts"], told["silentHosts"]) == (text, 4, 0)


def test_the_page_tells_the_same(filled: Collector) -> None:
    for shown, window in (("24h", timedelta(hours=24)), ("7d", timedelta(days=7))):
        page = filled.get(f"/glance?range={shown}").body.decode()
        counted = plain(filled, window)
        tiles = dict(re.findall(r'class="label">([^<]+)</span><span class="number">([^<]+)', page))
        assert int(tiles["Events"]) == counted["events"]
        assert int(tiles["Sessions"]) == counted["sessions"]
        assert int(tiles["Hosts"]) == counted["hosts"]
        assert int(tiles["Agents"]) == counted["agents"]
        assert float(tiles["Denied"]) == pytest.approx(100 * counted["denied"] / counted["decisions"], abs=0.51)
        assert float(tiles["Errors"]) == pytest.approx(100 * counted["errors"] / counted["events"], abs=0.51)
        assert float(tiles["Latency p95"]) == pytest.approx(counted["latencyP95Ms"], rel=0.06)
        rows = dict(re.findall(r'<th scope="row"><bdi>([^<]+)</bdi></th><td>([^<]+)</td>', page))
        assert {name: int(events) for name, events in rows.items()} == by_agent(filled, window)


def by_agent(collector: Collector, window: timedelta) -> dict[str, int]:
    with connect(collector.database_url) as connection:
        rows = connection.execute(
            "SELECT agent_name, count(*) FROM reporting.events"
            " WHERE occurred_at >= date_trunc('hour', now() - %s, 'UTC') GROUP BY 1",
            [window],
        )
        return dict(rows.fetchall())


def test_today_begins_at_the_sites_own_midnight(database_url: str, start_collector: StartCollector) -> None:
    """In a zone where it is about noon now, so that today has hours on both sides."""
    now = datetime.now(UTC)
    offset = 12 - now.hour if now.hour >= 1 else 11
    zone = f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"
    there = start_collector(database_url, TELEMETRY_TIMEZONE=zone)
    midnight = (now + timedelta(hours=offset)).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
        hours=offset
    )
    moments = {
        1: midnight + timedelta(minutes=3),
        10: now - timedelta(minutes=1),
        100: midnight - timedelta(minutes=3),
        1000: midnight - timedelta(hours=30),
    }
    fill(
        there, [event("laptop", eventId=str(cost), timestamp=at.isoformat(), cost=cost) for cost, at in moments.items()]
    )
    told = there.get(SUMMARY, {"X-API-Key": there.create_key("*", "read")}).json()
    assert told["costToday"] == 11
    assert "$11.00" in there.get("/glance").body.decode()


def test_what_is_hidden_from_visitors_is_not_on_the_page(database_url: str, start_collector: StartCollector) -> None:
    hiding = start_collector(database_url, TELEMETRY_PUBLIC_HOSTS="false", TELEMETRY_PUBLIC_COSTS="false")
    fill(hiding, [event("a-secret-name", timestamp=datetime.now(UTC).isoformat(), cost=12.5, totalTokens=7)])
    page = hiding.get("/glance").body.decode()
    assert "a-secret-name" not in page
    assert "host 1" in page
    assert "12.50" not in page
    # A key is for those who may know.
    told = hiding.get(SUMMARY, {"X-API-Key": hiding.create_key("*", "read")}).json()
    assert (told["cost"], told["totalTokens"]) == (12.5, 7)


def test_the_summary_is_for_keys_that_read(collector: Collector) -> None:
    assert collector.get(SUMMARY).status == 401
    assert collector.get(SUMMARY, {"X-API-Key": collector.key}).status == 403
    read = {"X-API-Key": collector.create_key("*", "read")}
    assert collector.get(SUMMARY, read).json()["window"] == "24h"
    assert collector.send_events(event("laptop"), key=read["X-API-Key"]).status == 403


@pytest.mark.parametrize("window", ["", "24", "1y", "59m", "31d", "-1h", "24h;", "999999d", "\u0662\u0664h"])
def test_a_window_that_is_none_is_refused_in_a_sentence(shared_collector: Collector, window: str) -> None:
    key = shared_collector.create_key("*", "read")
    answer = shared_collector.get(f"{SUMMARY}?window={quote(window)}", {"X-API-Key": key})
    assert answer.status == 400
    assert answer.json()["error"].startswith("window: ")
