"""The overview's tiles: whether all is well, and the numbers that matter with their change."""

from typing import Any

from app.glance import verdict as rule
from grafana.sources.colours import BAD, BAD_GROUND, GOOD_GROUND, NOTICE, NOTICE_GROUND, OTHER_GROUND
from grafana.sources.links import denied_decisions, failed_decisions
from grafana.sources.panel import Panel, Step
from grafana.sources.panels import DOLLARS, sentence, tile

SINCE = "Beside it stands the change against the same span before."


def verdict() -> Panel:
    """What /glance says, in its words."""
    good = {"type": "value", "options": {"All is well": {"color": GOOD_GROUND, "index": 0}}}
    high = {"type": "regex", "options": {"pattern": ".* are high", "result": {"color": BAD_GROUND, "index": 1}}}
    nothing = {"type": "value", "options": {"Nothing here yet": {"color": OTHER_GROUND, "index": 2}}}
    return sentence(
        "Right now",
        f"The last hour against the week before: errors of {rule.ERRORS_HIGH:.0%} and denials of "
        f"{rule.DENIALS_HIGH:.0%} are high at {rule.UNUSUAL:g} times as many as usual, and so are errors of "
        f"{rule.ERRORS_ALWAYS_HIGH:.0%}. "
        "Hosts are silent after 15 minutes, unless the site is set otherwise.",
        "overview/verdict",
        values={
            "enough": rule.ENOUGH,
            "enough_bad": rule.ENOUGH_BAD,
            "errors_high": rule.ERRORS_HIGH,
            "errors_always_high": rule.ERRORS_ALWAYS_HIGH,
            "denials_high": rule.DENIALS_HIGH,
            "unusual": rule.UNUSUAL,
        },
        value_size=22,
        colour=NOTICE_GROUND,
        defaults={"mappings": [good, high, nothing]},
        options={"colorMode": "background_solid"},
    )


def denial_rate() -> Panel:
    """Denied over decisions."""
    return _changing(
        "Denial rate",
        "Denied decisions of all decisions. A click leads to them, with their reasons.",
        "sum(denied)::double precision / nullif(sum(decisions), 0)",
        unit="percentunit",
        decimals=1,
        steps=(Step(0.15, NOTICE), Step(0.3, BAD)),
        links=(denied_decisions(),),
    )


def error_rate() -> Panel:
    """Failed over events."""
    return _changing(
        "Error rate",
        "Events that failed, or whose agent had internal errors, of all events.",
        "sum(failed)::double precision / nullif(sum(events), 0)",
        unit="percentunit",
        decimals=1,
        steps=(Step(0.02, NOTICE), Step(0.05, BAD)),
        links=(failed_decisions(),),
    )


def approval_rate() -> Panel:
    """Approved, confirmed, continued and succeeded over decisions."""
    return tile(
        "Approval rate",
        "Approved, confirmed, continued and succeeded decisions of all decisions.",
        "overview/approval_rate",
        unit="percentunit",
        decimals=1,
    )


def latency_p95() -> Panel:
    """What 95 of 100 events stay within."""
    return tile(
        "p95 latency",
        f"95 of 100 decisions took no longer; at most 5 % from the exact number. {SINCE}",
        "overview/latency_p95",
        unit="ms",
        steps=(Step(10_000, NOTICE), Step(30_000, BAD)),
        change=True,
    )


def cost_today() -> Panel:
    """US dollars since midnight."""
    return tile(
        "Cost today",
        "What the models cost since midnight in the site's time zone, in US dollars, whatever span is shown.",
        "overview/cost_today",
        unit=DOLLARS,
        decimals=2,
        empty="hidden",
    )


def events() -> Panel:
    """How many events."""
    return _changing(
        "Events",
        "All events of the span. Over more than 15 days, whole days count, under that whole hours.",
        "coalesce(sum(events), 0)::double precision",
        unit="short",
    )


def sessions() -> Panel:
    """How many sessions had an event."""
    return tile(
        "Sessions",
        "Different sessions that had an event in the span.",
        "overview/sessions",
        unit="short",
    )


def active() -> Panel:
    """Hosts that are not silent, and agents."""
    return sentence(
        "Active",
        "Hosts that are not silent now, and agents that were asked anything in the span.",
        "overview/hosts_and_agents",
        value_size=14,
    )


def _changing(title: str, description: str, value: str, **more: Any) -> Panel:
    """A tile with the aggregate `value` of the span, and its change against the span before."""
    values = {"title": title, "value": value}
    return tile(title, f"{description} {SINCE}", "overview/change", values=values, change=True, **more)
