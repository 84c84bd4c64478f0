"""The demo's site: it looks like one, tells its story, can be asked for in parts, and every part is valid."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import msgspec
import pytest

from app.schemas.transcript import load_upload
from dev.cast import HOSTS
from dev.generate import Event
from dev.history import bad
from dev.sessions import Session, history, new_session_of, sessions
from dev.story import OUTAGE_PROVIDER, SILENT_HOST, STUCK_HOST, Story
from dev.talk import transcript
from tests.store.batches import load

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)  # a Wednesday
STORY = Story(NOW - timedelta(days=30))
SILENT_FROM = NOW - timedelta(days=2)


def between(start: datetime, end: datetime) -> list[Session]:
    return list(sessions(1, start, end, STORY, SILENT_FROM))


def events_of(start: datetime, end: datetime) -> list[Event]:
    return list(history(iter(between(start, end)), end))


@pytest.fixture(scope="module")
def week() -> list[Event]:
    """The last seven days, with all that happened in them."""
    return events_of(NOW - timedelta(days=7), NOW)


def during(events: list[Event], span: tuple[datetime, datetime]) -> list[Event]:
    return [event for event in events if span[0] <= datetime.fromisoformat(event["timestamp"]) < span[1]]


def test_events_are_valid_in_order_marked_and_none_comes_twice(week: list[Event]) -> None:
    assert len(load(*week[:3000])) == 3000
    times = [event["timestamp"] for event in week]
    assert times == sorted(times)
    assert len({event["eventId"] for event in week}) == len(week)
    assert all(event["demo"] is True for event in week)


def test_a_stretch_in_parts_has_the_same_sessions() -> None:
    start = NOW - timedelta(hours=9)
    middle = start + timedelta(hours=4, minutes=17)
    whole = [session.fields for session in between(start, NOW)]
    assert whole == [session.fields for session in (*between(start, middle), *between(middle, NOW))]


def test_a_working_day_is_busier_than_a_weekend_and_than_a_night(week: list[Event]) -> None:
    days = Counter(event["timestamp"][:10] for event in week)
    hours = Counter(event["timestamp"][11:13] for event in week)
    assert days["2026-11-22"] < days["2026-11-24"] / 2
    assert hours["03"] < hours["10"] / 4


def test_a_session_has_bursts_and_pauses() -> None:
    gaps: list[float] = []
    for session in between(NOW - timedelta(hours=3), NOW):
        times = [time for time, _ in session.events]
        assert times == sorted(times)
        gaps += [(after - before) / 1000 for before, after in pairwise(times)]
    gaps.sort()
    assert gaps[len(gaps) // 2] < 8
    assert gaps[-len(gaps) // 50] > 100


def test_the_model_was_out_of_service_for_an_afternoon(week: list[Event]) -> None:
    span = STORY.outage(NOW)
    assert NOW - timedelta(days=7) < span[0] < NOW - timedelta(days=2)
    assert span[0].weekday() < 5
    bad_ones = [event for event in during(week, span) if event.get("provider") == OUTAGE_PROVIDER]
    usual = during(week, (span[0] - timedelta(days=1), span[1] - timedelta(days=1)))
    assert sum(not event["success"] for event in bad_ones) > 0.35 * len(bad_ones)
    assert sum(not event["success"] for event in usual) < 0.03 * len(usual)

    def slow(events: list[Event]) -> float:
        latencies = sorted(event["latencyMs"] for event in events if event.get("provider") == OUTAGE_PROVIDER)
        return float(latencies[len(latencies) // 2])

    assert slow(bad_ones) > 3 * slow(usual)


def test_an_agent_was_stuck_and_denied_again_and_again(week: list[Event]) -> None:
    span = STORY.stuck(NOW)
    assert span[1] < STORY.outage(NOW)[0]
    stuck = [event for event in during(week, span) if event["hostId"] == STUCK_HOST]
    refused = {"DENIED", "DENY", "BLOCK", "UPHOLD", "DECLINED", "REJECTED", "DRIFT", "DRIFTED"}
    assert len(stuck) > 200
    assert sum(event["decision"] in refused for event in stuck) > 0.5 * len(stuck)


def test_a_host_is_silent_and_clients_were_upgraded(week: list[Event]) -> None:
    last = max(event["timestamp"] for event in week if event["hostId"] == SILENT_HOST)
    # Its last session may have gone on for a while.
    assert datetime.fromisoformat(last) < SILENT_FROM + timedelta(hours=3)
    first_days = events_of(NOW - timedelta(days=30), NOW - timedelta(days=28))
    assert {event["clientVersion"] for event in first_days} == {host.client_version for host in HOSTS}
    versions = Counter(event["clientVersion"] for event in week)
    assert versions.most_common(1)[0][0] == "2.5.0"
    assert len(versions) == 4


def test_the_story_goes_on_with_another_outage_four_weeks_later() -> None:
    first, second = STORY.outage(NOW), STORY.outage(NOW + timedelta(days=28))
    assert timedelta(days=24) < second[0] - first[0] < timedelta(days=32)
    assert STORY.outage(second[0] - timedelta(seconds=1)) == first
    assert STORY.outage(STORY.begun) == first


def test_transcripts_are_valid_grow_turn_by_turn_and_tell_of_the_denials() -> None:
    denied = 0
    for number in range(20):
        session = new_session_of(Random(number), HOSTS[number % 12], int(NOW.timestamp() * 1000), STORY)
        whole = transcript(session, session.end)
        upload = load_upload(msgspec.json.encode(whole), session.fields["hostId"]).check()
        assert upload.session_id == session.fields["sessionId"]
        messages = whole["transcript"]
        assert len(upload.ends) == len(messages) >= 4
        assert {message["role"] for message in messages} == {"user", "assistant", "tool_result"}
        early = transcript(session, session.turns[0][-1].time)["transcript"]
        assert early == messages[: len(early)]
        assert 3 < len(early) <= len(messages)
        results = [block for message in messages for block in message["content"] if isinstance(block, dict)]
        refused = [block for block in results if block.get("is_error")]
        assert len(refused) == sum(call.denied is not None for calls in session.turns for call in calls)
        denied += len(refused)
    assert denied > 10


def test_bad_events_are_bad_each_in_its_own_way() -> None:
    session = new_session_of(Random(1), HOSTS[0], int(NOW.timestamp() * 1000), STORY)
    for number in range(4):
        with pytest.raises(AssertionError):
            load(bad(session.events[0][1], number))
