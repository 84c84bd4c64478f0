"""Overviews for the tests of the page: an empty site, one with a single event, a busy one, and a hostile one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.store.overview import DAY, ROWS, Agent, Host, Overview, Step, Totals, Window

# Some minutes into an hour, and another day in Auckland.
AT = datetime(2026, 11, 24, 15, 42, 7, tzinfo=UTC)
UNTIL = datetime(2026, 11, 24, 16, tzinfo=UTC)


def empty(window: Window = DAY) -> Overview:
    """Nothing was ever stored."""
    assert window.step is not None
    starts = [UNTIL - window.length + number * window.step for number in range(window.length // window.step)]
    return Overview(
        window=window,
        at=AT,
        time_zone="Europe/Berlin",
        now=Totals(),
        recent=Totals(),
        usual=Totals(),
        cost_today=Decimal(0),
        cost_yesterday=Decimal(0),
        known_hosts=0,
        silent_hosts=0,
        last_event_at=None,
        last_denial_at=None,
        hosts=(),
        steps=tuple(Step(start=start) for start in starts),
    )


def single(window: Window = DAY) -> Overview:
    """One approval, a moment ago."""
    nothing = empty(window)
    totals = Totals(
        events=1, decisions=1, approved=1, agents=1, sessions=1, hosts=1, p50_ms=150, p95_ms=150, cost=Decimal(0)
    )
    return replace(
        nothing,
        now=totals,
        recent=totals,
        known_hosts=1,
        last_event_at=AT,
        steps=(*nothing.steps[:-1], replace(nothing.steps[-1], approved=1, p50_ms=150, p95_ms=150)),
        agents=(Agent(name="tool-approve", events=1, decisions=1, denied=0, errors=0, p95_ms=150, last_seen_at=AT),),
        hosts=(Host(name="laptop", last_seen_at=AT, silent=False, client_version=None),),
    )


def busy(window: Window = DAY, agent: str = "agent", host: str = "host", rows: int = ROWS) -> Overview:
    """Many of everything, and names of that kind."""
    nothing = empty(window)
    steps = tuple(
        replace(
            step,
            approved=900 + 97 * (number % 7),
            denied=31 * (number % 3),
            failed=number % 5,
            other=number % 2,
            p50_ms=310.0 + number,
            p95_ms=None if number == 3 else 1900.0 + 40 * (number % 11),
        )
        for number, step in enumerate(nothing.steps)
    )
    totals = Totals(
        events=24_310,
        decisions=22_816,
        approved=21_900,
        denied=790,
        failed=60,
        errors=120,
        agents=rows + 3,
        sessions=812,
        hosts=rows + 4,
        p50_ms=333.3,
        p95_ms=2140.0,
        tokens=Decimal(123_456_789),
        cost=Decimal("98.7654321"),
    )
    return replace(
        nothing,
        now=totals,
        before=replace(totals, events=20_000, denied=600, errors=140, agents=rows, hosts=rows + 4, p95_ms=2500.0),
        recent=Totals(events=1000, decisions=900, approved=870, denied=30, errors=5),
        usual=Totals(events=168_000, decisions=151_000, approved=146_000, denied=5000, errors=900),
        cost_today=Decimal("61.2"),
        cost_yesterday=Decimal("55.1"),
        known_hosts=rows + 4,
        last_event_at=AT - timedelta(seconds=3),
        last_denial_at=AT - timedelta(minutes=12),
        steps=steps,
        agents=tuple(
            Agent(
                name=f"{agent}{number}",
                events=9000 // (number + 1),
                decisions=9000 // (number + 1),
                denied=number * 7,
                errors=number % 4,
                p95_ms=4.2 * 3**number if number < 12 else None,
                last_seen_at=AT - timedelta(minutes=number * number),
            )
            for number in range(rows)
        ),
        hosts=tuple(
            Host(
                name=f"{host}{number}",
                last_seen_at=AT - timedelta(seconds=20 * number),
                silent=False,
                client_version=f"2.{number}.0",
            )
            for number in range(rows)
        ),
    )


def with_silent(overview: Overview, number: int) -> Overview:
    """The first hosts have been silent since three hours ago."""
    silent = tuple(
        replace(host, silent=True, last_seen_at=AT - timedelta(hours=3 + place))
        for place, host in enumerate(overview.hosts[:number])
    )
    return replace(overview, silent_hosts=number, hosts=silent + overview.hosts[number:])
