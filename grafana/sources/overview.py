"""The overview that visitors see too: no variables, nothing private, and in its first rows whether all is well.

A card of 800 x 450 px shows eight rows, and a ninth where no time can be picked. Its role sees aggregates only; links
to more ask for a login.
"""

from grafana.sources.colours import COLOUR_TEXT, DENIED, LINE, NOTICE, outcome_series, tier_series
from grafana.sources.dashboard import Dashboard, Row
from grafana.sources.links import decisions_of_agent
from grafana.sources.overview_tiles import (
    active,
    approval_rate,
    cost_today,
    denial_rate,
    error_rate,
    events,
    latency_p95,
    sessions,
    verdict,
)
from grafana.sources.panel import Column, Panel
from grafana.sources.panels import COUNT, bars, chart, ranking, table

NO_EVENTS = (
    "No events in this time. telemetryctl keys create HOST, on the server, makes the key that a host sends with."
)
NO_DECISIONS = "No decisions in this time. They show here as soon as a host's hooks ask an agent."


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
