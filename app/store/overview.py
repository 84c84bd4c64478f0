"""The overview in numbers: what /glance and the summary tell, as a visitor may see it, in one snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from app.store import questions

HOUR = timedelta(hours=1)
# What a verdict calls recent and usual.
RECENT = timedelta(hours=1)
USUAL = timedelta(days=7)
# Lines of a table.
ROWS = 15


@dataclass(frozen=True, slots=True)
class Window:
    """So long before now, from a full hour on.

    With `step`, which divides the length, there are charts and tables, and numbers for the same time before.
    """

    length: timedelta
    step: timedelta | None = None


DAY = Window(timedelta(hours=24), step=HOUR)
WEEK = Window(timedelta(days=7), step=6 * HOUR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A window in numbers; percentiles are None where there is nothing to take them of."""

    events: int = 0
    decisions: int = 0
    approved: int = 0
    denied: int = 0
    # By outcome; errors are events that failed or have `success: false`.
    failed: int = 0
    errors: int = 0
    agents: int = 0
    sessions: int = 0
    hosts: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    # Tokens and US dollars; None where costs are hidden from visitors.
    tokens: Decimal | None = None
    cost: Decimal | None = None

    @property
    def other(self) -> int:
        """Decisions in words that nobody knows."""
        return self.decisions - self.approved - self.denied - self.failed

    @property
    def approval_rate(self) -> float | None:
        """Approved, confirmed, continued and succeeded over decisions."""
        return share(self.approved, self.decisions)

    @property
    def denial_rate(self) -> float | None:
        """Denied over decisions."""
        return share(self.denied, self.decisions)

    @property
    def error_rate(self) -> float | None:
        """Errors over all events."""
        return share(self.errors, self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of the charts: decisions by outcome, and latency in ms."""

    start: datetime
    approved: int = 0
    denied: int = 0
    failed: int = 0
    other: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent within the window."""

    name: str
    events: int
    decisions: int
    denied: int
    errors: int
    p95_ms: float | None
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host that was heard of within a week."""

    name: str
    last_seen_at: datetime
    silent: bool
    client_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A window's numbers, as they were at `at`."""

    window: Window
    at: datetime
    time_zone: str
    now: Totals
    before: Totals = Totals()
    # The last hour and the week before, for what is unusual.
    recent: Totals
    usual: Totals
    # US dollars; None where costs are hidden from visitors.
    cost_today: Decimal | None
    # Until the same time of day.
    cost_yesterday: Decimal | None
    # Known hosts and those of them that are silent; the lists below may be shorter.
    known_hosts: int
    silent_hosts: int
    last_event_at: datetime | None
    last_denial_at: datetime | None
    # Silent ones first.
    hosts: tuple[Host, ...]
    steps: tuple[Step, ...] = ()
    # Most events first.
    agents: tuple[Agent, ...] = ()


def look(connection: psycopg.Connection[Any], window: Window) -> Overview:
    """The overview of `window`, in a dozen questions; `connection` is in the transaction that they share."""
    site = _row(connection, questions.SITE, {})
    at: datetime = site["now"].astimezone(UTC)
    # A host's clock may be some minutes ahead, so the hour in hand counts whole.
    until, since, recently = _hour(at) + HOUR, _hour(at - window.length), _finest(at - RECENT)
    overview = Overview(
        window=window,
        at=at,
        time_zone=site["time_zone"],
        now=_all(connection, since, until),
        recent=_totals(connection, recently, until, hours=False),
        usual=_totals(connection, _hour(recently) - USUAL, _hour(recently)),
        hosts=tuple(Host(**row) for row in _rows(connection, questions.HOSTS, {"rows": ROWS})),
        **_row(connection, questions.FLEET, {}),
        **_costs(connection, site, at),
    )
    if window.step is None:
        return overview
    agents = _rows(connection, questions.AGENTS, {"since": since, "until": until, "rows": ROWS})
    return replace(
        overview,
        before=_all(connection, since - window.length, _finest(at - window.length)),
        steps=_steps(connection, window.length, window.step, until),
        agents=tuple(Agent(**row) for row in agents),
    )


def share(part: int, whole: int) -> float | None:
    """A part of a whole, from 0 to 1; None of nothing."""
    return part / whole if whole else None


def _totals(connection: psycopg.Connection[Any], since: datetime, until: datetime, *, hours: bool = True) -> Totals:
    """A window's counts, from the roll-up of hours where that will do, else from the finest."""
    window = {"since": since, "until": until, "hour": _hour(until) if hours else since}
    return Totals(**_row(connection, questions.TOTALS, window))


def _all(connection: psycopg.Connection[Any], since: datetime, until: datetime) -> Totals:
    """A window's counts, and what takes questions of their own."""
    window = {"since": since, "until": until, "hour": _hour(until)}
    more = {**_row(connection, questions.LATENCY, window), **_row(connection, questions.ACTIVE, window)}
    return replace(_totals(connection, since, until), **more)


def _costs(connection: psycopg.Connection[Any], site: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    if not site["sees_costs"]:
        return {"cost_today": None, "cost_yesterday": None}
    days = {"today": site["today_began_at"], "yesterday": site["yesterday_began_at"]}
    return _row(connection, questions.COST, {**days, "until": _finest(at - timedelta(hours=24))})


def _steps(
    connection: psycopg.Connection[Any], length: timedelta, step: timedelta, until: datetime
) -> tuple[Step, ...]:
    """Every step of the charts, also where nothing happened."""
    since = until - length
    asked = {"since": since, "until": until, "step": step}
    found = {row["start"]: Step(**row) for row in _rows(connection, questions.STEPS, asked)}
    starts = [since + number * step for number in range(length // step)]
    return tuple(found.get(start) or Step(start=start) for start in starts)


def _rows(connection: psycopg.Connection[Any], statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, values).fetchall()


def _row(connection: psycopg.Connection[Any], statement: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return _rows(connection, statement, values)[0]


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _finest(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 5 * 5, second=0, microsecond=0)
