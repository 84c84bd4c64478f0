"""The verdict: one sentence, by the rules that the README tells."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.glance.verdict import Level, judge
from app.store.overview import WEEK, Totals
from tests.unit.overviews import AT, busy, empty, single, with_silent

USUAL = Totals(events=10_000, decisions=10_000, denied=300, errors=100)


def test_nothing_was_ever_stored() -> None:
    verdict = judge(empty())
    assert (verdict.level, verdict.headline) == (Level.EMPTY, "Nothing here yet")


def test_all_is_well() -> None:
    verdict = judge(busy())
    assert (verdict.level, verdict.headline) == (Level.GOOD, "All is well")
    assert verdict.detail.replace("\u202f", " ") == "22 816 decisions in 24 hours, last denial 12 min ago."
    assert judge(single()).detail == "1 decision in 24 hours, never a denial."


def test_nothing_came_in_the_window() -> None:
    long_ago = replace(with_silent(single(WEEK), 1), now=Totals(), last_event_at=AT - timedelta(days=3))
    verdict = judge(long_ago)
    assert (verdict.level, verdict.headline) == (Level.NOTICE, "No events in 7 days")
    assert verdict.detail.replace("\u202f", " ") == "The last one came 3 d ago."


@pytest.mark.parametrize(
    ("events", "errors", "usual", "high"),
    [
        (100, 5, 0, True),
        (100, 4, 0, False),  # below 5 %
        (19, 19, 0, False),  # too few events to tell
        (20, 4, 0, False),  # too few errors
        (20, 5, 0, True),
        (100, 8, 400, True),  # twice of 4 %
        (100, 7, 400, False),
        (100, 24, 3000, False),  # no more than usual
        (100, 25, 9000, True),  # too many, usual or not
    ],
)
def test_errors_are_high(events: int, errors: int, usual: int, high: bool) -> None:
    verdict = judge(replace(busy(), recent=Totals(events=events, errors=errors), usual=replace(USUAL, errors=usual)))
    assert (verdict.headline == "Errors are high") == high
    assert verdict.level == (Level.BAD if high else Level.GOOD)


@pytest.mark.parametrize(
    ("decisions", "denied", "usual", "high"),
    [
        (100, 10, 300, True),
        (100, 9, 300, False),
        (19, 19, 0, False),
        (20, 4, 0, False),
        (100, 40, 2000, True),  # twice of 20 %
        (100, 39, 2000, False),
        (100, 90, 9000, False),  # always so
    ],
)
def test_denials_are_high(decisions: int, denied: int, usual: int, high: bool) -> None:
    recent = Totals(events=decisions, decisions=decisions, denied=denied)
    verdict = judge(replace(busy(), recent=recent, usual=replace(USUAL, denied=usual)))
    assert (verdict.headline == "Denials are high") == high


def test_what_is_unusual_is_told_beside_what_is_usual() -> None:
    recent = Totals(events=100, decisions=100, denied=18)
    detail = judge(replace(busy(), recent=recent, usual=USUAL)).detail.replace("\u202f", " ")
    assert detail == "18 % of the last hour's decisions, usually 3.0 %."


@pytest.mark.parametrize(
    ("silent", "headline", "detail"),
    [
        (1, "A host is silent", "Nothing from host0 for 3 h."),
        (2, "2 of 19 hosts are silent", "Nothing from host0 and host1."),
        (5, "5 of 19 hosts are silent", "host0, host1 and 3 more."),
    ],
)
def test_hosts_are_silent(silent: int, headline: str, detail: str) -> None:
    verdict = judge(with_silent(busy(), silent))
    assert (verdict.level, verdict.headline) == (Level.NOTICE, headline)
    assert verdict.detail.replace("\u202f", " ") == detail


def test_more_are_silent_than_the_table_shows() -> None:
    everything = replace(with_silent(busy(), 15), silent_hosts=19)
    assert judge(everything).headline == "All hosts are silent"
    assert judge(replace(everything, silent_hosts=17)).detail.endswith("and 15 more.")


def test_the_worst_comes_first() -> None:
    bad = replace(with_silent(busy(), 2), recent=Totals(events=100, decisions=100, denied=50, errors=50), usual=USUAL)
    assert judge(bad).headline == "Errors are high"
    assert judge(replace(bad, recent=replace(bad.recent, errors=0))).headline == "Denials are high"
