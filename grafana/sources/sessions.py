"""Sessions: which there were, and the way into each."""

from grafana.sources import links
from grafana.sources.colours import DENIED, DISTINCT, FAILED, numbers
from grafana.sources.dashboard import Dashboard, Row, Variable
from grafana.sources.panel import Column, Panel, Step
from grafana.sources.panels import COUNT, DOLLARS, bars, table

NOTHING = "No such session in this time. Choose a longer time or other filters above."


def sessions() -> Dashboard:
    """Sessions."""
    return Dashboard(
        uid="agent-sessions",
        title="Sessions",
        description="The sessions of all hosts, and the way into each.",
        datasource="telemetry-private",
        links=links.DASHBOARDS,
        variables=(
            Variable("host", "Host", "The session's host.", "variables/hosts"),
            Variable("text", "Session contains", "A part of the session's id; filters the list only."),
        ),
        rows=(
            Row(7, ((active(), 24),)),
            Row(19, ((list_of_sessions(), 24),)),
        ),
    )


def active() -> Panel:
    """Bars by host."""
    return bars(
        "Active sessions by host",
        "Sessions that had an event within the hour, over more than 15 days within the day.",
        "sessions/active",
        unit=COUNT,
        empty=NOTHING,
        defaults={"color": DISTINCT},
    )


def list_of_sessions() -> Panel:
    """One a row."""
    return table(
        "Sessions",
        "The newest 200 that the filters leave. A click on one shows what happened in it, and its transcript.",
        "sessions/list",
        empty=NOTHING,
        columns=(
            Column("Last event", {"unit": "dateTimeAsSystem", "custom.width": 160}),
            Column("Session", {"custom.minWidth": 320, "links": [links.session_of_row().json()]}),
            Column("Host", {"custom.width": 150}),
            Column("Began", {"unit": "dateTimeAsSystem", "custom.width": 160}),
            Column("Length", {"unit": "dtdurations", "decimals": 0, "custom.width": 130}),
            Column("Events", {"unit": COUNT, "custom.width": 80}),
            Column("Denials", {"unit": COUNT, "custom.width": 80, **numbers((Step(1, DENIED),))}),
            Column("Errors", {"unit": COUNT, "custom.width": 80, **numbers((Step(1, FAILED),))}),
            Column("Tokens", {"unit": COUNT, "custom.width": 90}),
            Column("Cost", {"unit": DOLLARS, "decimals": 3, "custom.width": 90}),
            Column("Messages", {"unit": COUNT, "custom.width": 90}),
            Column("from", {"custom.hidden": True}),
            Column("to", {"custom.hidden": True}),
        ),
    )
