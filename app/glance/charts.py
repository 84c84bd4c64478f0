"""The charts' geometry: paths in a plane of 100 units' height, which the page stretches to the room that there is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from app.glance import words
from app.store.overview import DAY, Step, Window

# Width of a step and of the gap after it.
STEP = 10
GAP = 2
HEIGHT = 100
# What is there at all is at least so high, or at least this share of its bar: one denial among a thousand approvals
# must be seen, and a few at night must not look like half of them.
LEAST = 1.6
LEAST_SHARE = 0.2
# A scale ends at one of these times a power of ten, and so does its half.
ROUND = (1, 1.2, 1.6, 2, 2.4, 3, 4, 6, 8, 10)

# No zone is off by less.
QUARTER = timedelta(minutes=15)
# Percent of the width.
LAST_TICK = 93.0

OUTCOMES = ("approved", "denied", "failed", "other")


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the time axis, at a percentage of the width."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Paths by name, the axes' marks, and what the chart shows in words."""

    width: int
    paths: dict[str, str]
    top: str
    middle: str
    ticks: tuple[Tick, ...]
    described: str


def decisions(steps: Sequence[Step], zone: tzinfo, window: Window) -> Chart:
    """Stacked bars: what was approved at the bottom, then denied, failed, and what is neither."""
    numbers = [[getattr(step, outcome) for outcome in OUTCOMES] for step in steps]
    most = max((sum(row) for row in numbers), default=0)
    top = round_up(most, least=4)
    paths: dict[str, list[str]] = {outcome: [] for outcome in OUTCOMES}
    for place, row in enumerate(numbers):
        foot = float(HEIGHT)
        for outcome, height in zip(OUTCOMES, _heights(row, top), strict=True):
            if height:
                paths[outcome].append(
                    f"M{place * STEP + 1} {_short(foot)}v{_short(-height)}h{STEP - GAP}V{_short(foot)}z"
                )
                foot -= height
    totals = {outcome: sum(row[place] for row in numbers) for place, outcome in enumerate(OUTCOMES)}
    busiest = max(range(len(numbers)), key=lambda place: sum(numbers[place]), default=0)
    described = "; ".join(f"{words.whole(number)} {outcome}" for outcome, number in totals.items() if number)
    if most:
        described += f"; most from {_moment(steps[busiest].start, zone, window)} on, {words.whole(most)}"
    return Chart(
        width=len(steps) * STEP,
        paths={outcome: "".join(path) for outcome, path in paths.items() if path},
        top=words.count_scale(top),
        middle=words.count_scale(top / 2),
        ticks=ticks(steps, zone, window),
        described=described or "none",
    )


def latencies(steps: Sequence[Step], zone: tzinfo, window: Window) -> Chart:
    """Two lines, the 95th percentile above the median, and the room between them; broken where nothing was measured."""
    known = [step.p95_ms for step in steps if step.p95_ms is not None]
    top = round_up(max(known, default=0.0), least=1)
    p50 = _line([step.p50_ms for step in steps], top)
    p95 = _line([step.p95_ms for step in steps], top)
    described = "nothing was measured"
    if known:
        slowest = max(range(len(steps)), key=lambda place: steps[place].p95_ms or 0.0)
        highest = words.latency(steps[slowest].p95_ms).text
        described = (
            f"95th percentile between {words.latency(min(known)).text} and {highest},"
            f" slowest from {_moment(steps[slowest].start, zone, window)} on"
        )
    return Chart(
        width=len(steps) * STEP,
        paths={"between": _between(steps, top), "p50": p50, "p95": p95},
        top=words.latency_scale(top),
        middle=words.latency_scale(top / 2),
        ticks=ticks(steps, zone, window),
        described=described,
    )


def ticks(steps: Sequence[Step], zone: tzinfo, window: Window) -> tuple[Tick, ...]:
    """Marks of the time axis: every six hours of a day, every midnight of a longer time, by that zone's clock."""
    if not steps:
        return ()
    first, every = steps[0].start, 24 if window.length > DAY.length else 6
    marks = []
    for quarter in range(window.length // QUARTER):
        local = (first + quarter * QUARTER).astimezone(zone)
        at = 100 * quarter * QUARTER / window.length
        # What begins further on the right would end outside.
        if local.minute == 0 and local.hour % every == 0 and at <= LAST_TICK:
            marks.append(Tick(round(at, 2), local.strftime("%a" if every == 24 else "%H:%M")))
    return tuple(marks)


def round_up(number: float, least: float) -> float:
    """The end of a scale that has room for `number`."""
    number = max(number, least)
    power = 10.0 ** math.floor(math.log10(number))
    return next(factor * power for factor in ROUND if factor * power >= number * 0.9999)


def _heights(row: Sequence[int], top: float) -> list[float]:
    """Heights of the parts of a bar. What lifts a small part is taken from the largest, so the bar keeps its height."""
    whole = max(sum(row) / top * HEIGHT, LEAST if any(row) else 0.0)
    least = min(LEAST, whole * LEAST_SHARE)
    heights = [max(number / top * HEIGHT, least) if number else 0.0 for number in row]
    largest = row.index(max(row))
    heights[largest] = whole - sum(heights) + heights[largest]
    return heights


def _line(values: Sequence[float | None], top: float) -> str:
    path, pen = [], False
    for place, value in enumerate(values):
        if value is None:
            pen = False
            continue
        # A point without neighbours is drawn, too: a line of no length has round ends.
        path.append(f"{'L' if pen else 'M'}{_middle(place)} {_short(_height(value, top))}{'' if pen else 'h.01'}")
        pen = True
    return "".join(path)


def _between(steps: Sequence[Step], top: float) -> str:
    path = []
    for run in _runs(steps):
        there = [f"{_middle(place)} {_short(_height(steps[place].p95_ms or 0.0, top))}" for place in run]
        back = [f"{_middle(place)} {_short(_height(steps[place].p50_ms or 0.0, top))}" for place in reversed(run)]
        path.append(f"M{'L'.join(there + back)}z")
    return "".join(path)


def _runs(steps: Sequence[Step]) -> list[list[int]]:
    """Places of steps that follow each other and have both percentiles."""
    runs: list[list[int]] = [[]]
    for place, step in enumerate(steps):
        if step.p50_ms is None or step.p95_ms is None:
            runs.append([])
        else:
            runs[-1].append(place)
    return [run for run in runs if len(run) > 1]


def _middle(place: int) -> int:
    return place * STEP + STEP // 2


def _height(value: float, top: float) -> float:
    return HEIGHT - min(value / top, 1.0) * HEIGHT


def _moment(start: datetime, zone: tzinfo, window: Window) -> str:
    return start.astimezone(zone).strftime("%H:%M" if window.length <= DAY.length else "%A %H:%M")


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
