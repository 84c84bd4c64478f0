"""Decisions: what was denied, by whom, and why."""

from grafana.sources import links
from grafana.sources.colours import LINE, OUTCOMES, outcome_series, words
from grafana.sources.dashboard import Dashboard, Row, Variable
from grafana.sources.panel import Column, Panel
from grafana.sources.panels import COUNT, WRAPPED, bars, ranking, table

NOTHING = "No such decision in this time. Choose a longer time or other filters above."


def decisions() -> Dashboard:
    """Decisions."""
    return Dashboard(
        uid="agent-decisions",
        title="Decisions",
        description="What was decided, by which agent, about which tool, and why.",
        datasource="telemetry-private",
        links=links.DASHBOARDS,
        variables=(
            Variable("outcome", "Outcome", "How it was decided.", "variables/outcomes", ("denied",)),
            Variable("host", "Host", "The host that asked.", "variables/hosts"),
            Variable("agent", "Agent", "The agent that decided.", "variables/agents"),
            Variable("tool", "Tool", "The tool that was asked for.", "variables/tools"),
            Variable(
                "text",
                "Reason contains",
                "A part of the reason, in capitals or not; looked for in the newest 10 000 of the list.",
            ),
        ),
        rows=(
            Row(7, ((by_outcome(), 12), (by_agent(), 6), (by_tool(), 6))),
            Row(18, ((list_of_decisions(), 24),)),
        ),
    )


def by_outcome() -> Panel:
    """Bars over time."""
    return bars(
        "Decisions by outcome",
        "Those that the filters leave, but for the text: by the hour up to 15 days, else by the day.",
        "decisions/by_outcome",
        unit=COUNT,
        empty=NOTHING,
        columns=outcome_series(),
    )


def by_agent() -> Panel:
    """The agents with the most."""
    return ranking(
        "By agent",
        "Those that the filters leave, but for the text, by the agent that decided.",
        "decisions/by_agent",
        unit=COUNT,
        colour=LINE,
    )


def by_tool() -> Panel:
    """The tools with the most."""
    return ranking(
        "By tool",
        "Those that the filters leave, but for the text, by the tool that was asked for.",
        "decisions/by_tool",
        unit=COUNT,
        colour=LINE,
    )


def list_of_decisions() -> Panel:
    """One a row, with its reason and the way to its session."""
    return table(
        "Decisions",
        "The newest 200 that the filters leave. A click on a session shows what happened in it, and its transcript.",
        "decisions/list",
        empty=NOTHING,
        columns=(
            Column("Time", {"unit": "dateTimeAsSystem", "custom.width": 155}),
            Column("Outcome", {"custom.width": 80, **words(OUTCOMES)}),
            Column("Agent", {"custom.width": 145}),
            Column("Tool", {"custom.width": 85}),
            Column("Reason", {"custom.minWidth": 260, "custom.cellOptions": WRAPPED}),
            Column("Host", {"custom.width": 135}),
            Column("Session", {"custom.width": 320, "links": [links.session_of_row().json()]}),
            Column("Latency", {"unit": "ms", "custom.width": 75}),
            Column("from", {"custom.hidden": True}),
            Column("to", {"custom.hidden": True}),
        ),
    )
