"""Numbers as people read them: short, never rounded into a lie, and spoken in full."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.glance import charts, words
from tests.unit.overviews import AT


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((0, "0"), (7, "7"), (9999, "9 999"), (10_000, "10.0 k"), (99_949, "99.9 k"), (999_499, "999 k")),
        *((999_500, "1.00 M"), (4_567_890, "4.57 M"), (10**9, "1.00 G"), (10**12, "1.00 T"), (10**16, "many")),
    ],
)
def test_a_count_is_short(number: int, text: str) -> None:
    assert plain(words.count(number).text) == text


@given(st.integers(0, 10**18))
def test_a_count_never_needs_more_than_seven_characters(number: int) -> None:
    assert len(words.count(number).text) <= 7


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        *((None, "\u2013"), (0.0, "0 %"), (1.0, "100 %"), (0.0001, "<0.1 %"), (0.9999, ">99.9 %"), (0.0312, "3.1 %")),
        *((0.5, "50 %"), (0.994, "99.4 %"), (0.0996, "10 %")),
    ],
)
def test_a_rate(rate: float | None, text: str) -> None:
    assert plain(words.percent(rate).text) == text


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_only_nothing_is_0_percent_and_only_everything_100(rate: float) -> None:
    assert words.percent(rate).number not in ("0", "0.0", "100", "100.0")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        *((None, "\u2013"), (0, "0 ms"), (4.25, "4.2 ms"), (150, "150 ms"), (999.6, "1.00 s"), (2410, "2.41 s")),
        *((65_000, "65.0 s"), (120_000, "2 min"), (86_400_000, "24 h")),
    ],
)
def test_a_latency_is_in_the_unit_that_suits_it(milliseconds: float | None, text: str) -> None:
    assert plain(words.latency(milliseconds).text) == text


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        *((None, "\u2013"), ("0", "$0.00"), ("0.001", "<$0.01"), ("18.426", "$18.43"), ("1234.5", "$1 234")),
        *(("45678", "$45.7 k"),),
    ],
)
def test_dollars(cost: str | None, text: str) -> None:
    assert plain(words.dollars(Decimal(cost) if cost else None).text) == text


@pytest.mark.parametrize(
    ("now", "before", "text", "spoken"),
    [
        (112, 100, "▲ 12 %", "12 % more than in the day before"),
        (97, 100, "▼ 3 %", "3 % less than in the day before"),
        (100, 100, "±0", "as in the day before"),
        (1001, 1000, "±0", "as in the day before"),
        (1500, 100, "▲ \u00d715", "times 15 more than in the day before"),
        (0, 100, "▼ 100 %", "100 % less than in the day before"),
        (5, 0, "new", "none in the day before"),
        (0, 0, "\u2013", "nothing to compare with in the day before"),
        (None, 3, "\u2013", "nothing to compare with in the day before"),
    ],
)
def test_a_change(now: float | None, before: float, text: str, spoken: str) -> None:
    change = words.change(now, before)
    assert plain(change) == text
    assert words.spoken_change(change, "day before") == spoken


def test_a_change_of_a_rate_is_in_percentage_points() -> None:
    assert plain(words.points(0.045, 0.031)) == "▲ 1.4 pt"
    assert words.points(None, 0.1) == "\u2013"
    assert words.spoken_change(words.points(0.031, 0.045), "day before").startswith("1.4 percentage points less than")


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        *((timedelta(seconds=59), "now"), (timedelta(seconds=-90), "now"), (timedelta(minutes=3), "3 min ago")),
        *((timedelta(hours=5), "5 h ago"), (timedelta(hours=47), "47 h ago"), (timedelta(days=3), "3 d ago")),
    ],
)
def test_how_long_ago(passed: timedelta, text: str) -> None:
    assert plain(words.ago(AT - passed, AT)) == text


@given(st.floats(0, 1e15))
def test_a_scale_has_room_for_the_highest_and_is_not_mostly_empty(number: float) -> None:
    top = charts.round_up(number, least=4)
    assert top >= number * 0.9999
    assert top <= max(4, number * 2.0001)


@given(st.integers(4, 10**12))
def test_both_marks_of_a_scale_are_true(number: int) -> None:
    top = charts.round_up(number, least=4)
    for mark in (top, top / 2):
        digits, _, unit = words.count_scale(mark).partition(words.NARROW)
        sizes = {"": 1, **dict(words.UNITS)}
        shown = float(digits) * sizes[unit] if unit in sizes else float(digits + unit)
        assert shown == pytest.approx(mark)


@given(st.lists(st.integers(0, 10_000), min_size=4, max_size=4), st.integers(1, 100_000))
def test_bars_keep_their_height_and_hide_nothing(row: list[int], room: int) -> None:
    top = charts.round_up(max(sum(row), room), least=4)
    heights = charts._heights(row, top)
    assert sum(heights) == pytest.approx(max(sum(row) / top * 100, charts.LEAST if any(row) else 0))
    for number, height in zip(row, heights, strict=True):
        assert height > 0 if number else height == 0
