"""The overview that visitors see too: no variables, nothing private, and in its first rows whether all is well.

A card of 800 x 450 px shows eight rows, and a ninth where no time can be picked. Its role sees aggregates only; links
to more ask for a login.
"""

from grafana.sources.colours import (
    BAD,
    BAD_GROUND,
    COLOUR_TEXT,
    DENIED,
    GOOD_GROUND,
    LINE,
    NOTICE,
    NOTICE_GROUND,
    OTHER_GROUND,
    outcome_series,
    tier_series,
)
from grafana.sources.dashboard import Dashboard, Row
from grafana.sources.links import decisions_of_agent, denied_decisions, failed_decisions
from grafana.sources.panel import Column, Panel, Step
from grafana.sources.panels import COUNT, DOLLARS, bars, chart, ranking, sentence, table, tile

NO_EVENTS = (
    "No events in this time. telemetryctl keys create HOST, on the server, makes the key that a host sends with."
)
NO_DECISIONS = "No decisions in this time. They show here as soon as a host's hooks ask an agent."
SINCE = "Beside it stands the change against the same span before."


def overview() -> Dashboard:
    """Agent Overview."""
    return Dashboard(
        uid="agent-overview",
        title="Agent Overview",
        description="How the coding agents of all hosts are doing: what was decided, how fast, and what it cost.",
        datasource="telemetry-public",
        timepicker={"hidden": True},
        rows=(
            Row(2, ((verdict(), 9), (denial_rate(), 5), (error_rate(), 5), (approval_rate(), 5))),
            Row(2, ((sessions(), 4), (cost_today(), 5), (latency_p95(), 5), (events(), 5), (active(), 5))),
            Row(5, ((decisions(), 14), (hosts(), 10))),
            Row(8, ((agents(), 14), (tools(), 10))),
            Row(8, ((latency(), 24),)),
            Row(7, ((models(), 8), (event_types(), 8), (hooks(), 8))),
        ),
    )


def verdict() -> Panel:
    """What /glance says, in its words."""
    good = {"type": "value", "options": {"All is well": {"color": GOOD_GROUND, "index": 0}}}
    high = {"type": "regex", "options": {"pattern": ".* are high", "result": {"color": BAD_GROUND, "index": 1}}}
    nothing = {"type": "value", "options": {"Nothing here yet": {"color": OTHER_GROUND, "index": 2}}}
    return sentence(
        "Right now",
        "The last hour against the week before: errors of 5 % and denials of 10 % are high at twice as many "
        "as usual, and so are errors of 25 %. Hosts are silent after 15 minutes, unless the site is set otherwise.",
        "overview/verdict",
        value_size=22,
        colour=NOTICE_GROUND,
        defaults={"mappings": [good, high, nothing]},
        options={"colorMode": "background_solid"},
    )


def denial_rate() -> Panel:
    """Denied over decisions."""
    return tile(
        "Denial rate",
        f"Denied decisions of all decisions. A click leads to them, with their reasons. {SINCE}",
        "overview/denial_rate",
        unit="percentunit",
        decimals=1,
        steps=(Step(0.15, NOTICE), Step(0.3, BAD)),
        change=True,
        links=(denied_decisions(),),
    )


def error_rate() -> Panel:
    """Failed over events."""
    return tile(
        "Error rate",
        f"Events that failed, or whose agent had internal errors, of all events. {SINCE}",
        "overview/error_rate",
        unit="percentunit",
        decimals=1,
        steps=(Step(0.02, NOTICE), Step(0.05, BAD)),
        change=True,
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
    return tile(
        "Events",
        f"All events of the span. {SINCE} Over more than 15 days, whole days count, under that whole hours.",
        "overview/events",
        unit="short",
        change=True,
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


def decisions() -> Panel:
    """Bars by outcome."""
    return bars(
        "Decisions by outcome",
        "Confirmed, continued and succeeded count as approved. A bar is five minutes up to 12 hours, an hour up to "
        "15 days, else a day.",
        "overview/decisions",
        unit=COUNT,
        empty=NO_DECISIONS,
        columns=outcome_series(),
    )


def hosts() -> Panel:
    """Every host of the last week."""
    silent = {"type": "regex", "options": {"pattern": "silent .*", "result": {"color": NOTICE, "index": 0}}}
    return table(
        "Hosts",
        "Every host of the last week, silent ones first: when it was heard of, and the version of its client.",
        "overview/hosts",
        empty=NO_EVENTS,
        header=False,
        columns=(
            Column("Host", {"custom.minWidth": 80}),
            Column("Last seen", {"custom.width": 96, "mappings": [silent], "custom.cellOptions": COLOUR_TEXT}),
            Column("Client", {"custom.width": 52}),
        ),
    )


def agents() -> Panel:
    """A row an agent, the busiest first."""
    return table(
        "Agents",
        "What each agent did in the span, the busiest first.",
        "overview/agents",
        empty=NO_EVENTS,
        columns=(
            Column("Agent", {"custom.minWidth": 130, "links": [decisions_of_agent().json()]}),
            Column("Events", {"unit": COUNT, "custom.width": 80}),
            Column("Denials", {"unit": COUNT, "custom.width": 80}),
            Column("Errors", {"unit": COUNT, "custom.width": 70}),
            Column("p95", {"unit": "ms", "custom.width": 80}),
            Column("Last seen", {"unit": "dateTimeFromNow", "custom.width": 145}),
        ),
    )


def tools() -> Panel:
    """Which tools are denied most."""
    return ranking(
        "Tools by denials",
        "Denied decisions by the tool that was asked for, the most denied first.",
        "overview/tools",
        unit=COUNT,
        empty="No denials in this time",
        colour=DENIED,
    )


def latency() -> Panel:
    """p50 and p95 by tier."""
    return chart(
        "Latency by model tier",
        "Half of a tier's events took no longer than p50, 95 of 100 no longer than p95; within 5 % of it.",
        "overview/latency",
        unit="ms",
        empty=NO_EVENTS,
        columns=tier_series(),
    )


def models() -> Panel:
    """Events by model."""
    return ranking(
        "Events by model",
        "Events by the model that decided.",
        "overview/models",
        unit=COUNT,
        colour=LINE,
    )


def event_types() -> Panel:
    """Events by type."""
    return ranking("Events by type", "Events by their type.", "overview/event_types", unit=COUNT, colour=LINE)


def hooks() -> Panel:
    """Events by hook."""
    return ranking(
        "Events by hook",
        "Events by the client's hook that asked.",
        "overview/hooks",
        unit=COUNT,
        colour=LINE,
    )
