"""One session: its numbers, what happened in it, and its transcript, message by message."""

from grafana.sources import links
from grafana.sources.colours import DENIED, FAILED, GREEN, LINE, OTHER, OUTCOMES, VIOLET, outcome_numbers, words
from grafana.sources.dashboard import Dashboard, Row, Variable
from grafana.sources.panel import Column, Panel, Step
from grafana.sources.panels import COUNT, DOLLARS, WRAPPED, table, tile, timeline

NOTHING = "No event of this session is kept. Write its host and its id above, or choose one in Sessions."
ROLES = {"user": LINE, "assistant": GREEN, "tool": OTHER, "tool_result": OTHER, "system": VIOLET}


def session() -> Dashboard:
    """Session."""
    return Dashboard(
        uid="agent-session",
        title="Session",
        description="What happened in one session, and what was said in it.",
        datasource="telemetry-private",
        links=links.DASHBOARDS,
        refresh="",
        variables=(
            Variable("host", "Host", "The session's host."),
            Variable("session", "Session", "The session's id."),
        ),
        rows=(
            Row(2, ((length(), 4), (events(), 4), (denials(), 4), (errors(), 4), (tokens(), 4), (cost(), 4))),
            Row(10, ((what_happened(), 24),)),
            Row(10, ((list_of_events(), 24),)),
            Row(20, ((transcript(), 24),)),
        ),
    )


def length() -> Panel:
    """From the first event to the last."""
    return tile(
        "Length", "From the session's first event to its last.", "session/length", unit="dtdurations", decimals=0
    )


def events() -> Panel:
    """How many."""
    return tile("Events", "All events of the session.", "session/events", unit="short")


def denials() -> Panel:
    """How many."""
    return tile(
        "Denials",
        "Decisions of the session that were denied.",
        "session/denials",
        unit="short",
        steps=(Step(1, DENIED),),
    )


def errors() -> Panel:
    """How many."""
    return tile(
        "Errors",
        "Events of the session that failed, or whose agent had internal errors.",
        "session/errors",
        unit="short",
        steps=(Step(1, FAILED),),
    )


def tokens() -> Panel:
    """All tokens."""
    return tile("Tokens", "All tokens of the session.", "session/tokens", unit="short")


def cost() -> Panel:
    """US dollars."""
    return tile("Cost", "What the models cost in this session.", "session/cost", unit=DOLLARS, decimals=3)


def what_happened() -> Panel:
    """A line an agent, a bar an event."""
    return timeline(
        "Timeline",
        "When each agent was asked, and with which outcome. Short ones are drawn wider than they were.",
        "session/timeline",
        empty="No event of this session in this time. Choose a longer time above.",
        mappings=outcome_numbers(),
    )


def list_of_events() -> Panel:
    """One a row, the oldest first."""
    return table(
        "Events",
        "All events of the session, the oldest first, at most 1 000, whatever time is chosen above.",
        "session/list",
        empty=NOTHING,
        columns=(
            Column("Time", {"unit": "time:MM-DD HH:mm:ss", "custom.width": 120}),
            Column("Outcome", {"custom.width": 90, **words(OUTCOMES)}),
            Column("Type", {"custom.width": 125}),
            Column("Agent", {"custom.width": 135}),
            Column("Hook", {"custom.width": 100}),
            Column("Tool", {"custom.width": 85}),
            Column("Reason", {"custom.minWidth": 260, "custom.cellOptions": WRAPPED}),
            Column("Input", {"custom.width": 140, "custom.inspect": True}),
            Column("Latency", {"unit": "ms", "custom.width": 80}),
            Column("Model", {"custom.width": 190}),
            Column("Tokens", {"unit": COUNT, "custom.width": 80}),
            Column("Cost", {"unit": DOLLARS, "decimals": 4, "custom.width": 80}),
        ),
    )


def transcript() -> Panel:
    """One message a row."""
    return table(
        "Transcript",
        "What was said in the session, message by message, at most 2 000 of them.",
        "session/transcript",
        empty="This session has no transcript yet: clients send it to /api/v1/transcript when the session ends.",
        columns=(
            Column("No.", {"unit": COUNT, "custom.width": 60}),
            Column("Role", {"custom.width": 100, **words(ROLES)}),
            Column("Message", {"custom.cellOptions": WRAPPED}),
        ),
    )
