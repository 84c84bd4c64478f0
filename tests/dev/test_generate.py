"""The generated events: valid, believable, and the same ones for the same seed."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice

from app.schemas.event import KNOWN
from dev.generate import events
from tests.store.batches import load

START = datetime(2026, 10, 1, tzinfo=UTC)
END = START + timedelta(days=30)


def test_the_same_seed_gives_the_same_events_and_another_gives_others() -> None:
    first, again, other = (list(events(seed, 300, START, END)) for seed in (1, 1, 2))
    assert first == again
    assert not {event["eventId"] for event in first} & {event["eventId"] for event in other}


def test_every_event_is_valid_and_none_comes_twice() -> None:
    generated = list(events(1, 5000, START, END))
    assert len(load(*generated)) == 5000
    assert len({event["eventId"] for event in generated}) == 5000


def test_full_events_have_every_field_of_the_contract() -> None:
    for event in events(1, 2000, START, END, full=True):
        assert event.keys() == KNOWN
        assert 40 <= len(event["decisionReason"]) <= 120


def test_times_rise_from_start_to_before_end() -> None:
    times = [datetime.fromisoformat(event["timestamp"]) for event in events(1, 5000, START, END)]
    assert times == sorted(times)
    assert START <= times[0] < START + timedelta(hours=6)
    assert END - timedelta(hours=6) < times[-1] < END


def test_a_stretch_of_a_fraction_of_a_second_is_no_trouble() -> None:
    moment = START + timedelta(minutes=59, seconds=59.5)
    times = {event["timestamp"][:19] for event in events(1, 100, moment, moment + timedelta(seconds=0.25))}
    assert times == {"2026-10-01T00:59:59"}
    assert list(events(1, 0, START, END)) == []
    assert len(list(islice(events(1, 10**9, START, END), 1000))) == 1000


def test_a_site_looks_like_one() -> None:
    generated = list(events(1, 20_000, START, END))
    sessions = Counter(event["sessionId"] for event in generated)
    hosts = {(event["sessionId"], event["hostId"]) for event in generated}
    hours = Counter(event["timestamp"][11:13] for event in generated)
    assert len({event["hostId"] for event in generated}) == 12
    assert len({event["agentName"] for event in generated}) == 14
    assert len(hosts) == len(sessions)
    assert 25 < len(generated) / len(sessions) < 35
    assert hours["10"] > 5 * hours["03"]
    assert {event["executionType"] for event in generated if "cost" not in event} == {"typescript"}
