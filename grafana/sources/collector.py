"""Collector: how the telemetry itself is doing. Here is what comes in; what it takes to keep it is in upkeep.py."""

from grafana.sources import links, upkeep
from grafana.sources.colours import BAD, DENIED, DISTINCT, FAILED, GREEN, LIGHT_BLUE, LINE, NOTICE, OTHER, series
from grafana.sources.dashboard import Dashboard, Row
from grafana.sources.panel import Column, Panel, Step
from grafana.sources.panels import COUNT, bars, chart, table, tile

NO_EVENTS = "No events in this time. telemetryctl doctor, on the server, tells whether the collector is well."
ARRIVALS = {"stored": LINE, "duplicates": OTHER, "rejected": FAILED}
EVENT_TYPES = {
    "agent_execution": LINE,
    "hook_decision": LIGHT_BLUE,
    "commit": GREEN,
    "escalation": DENIED,
    "error": FAILED,
}


def collector() -> Dashboard:
    """Collector."""
    return Dashboard(
        uid="agent-collector",
        title="Collector",
        description="What comes in, what is refused, and what it takes to keep it.",
        datasource="telemetry-private",
        links=links.DASHBOARDS,
        rows=(
            Row(2, ((rate(), 4), (duplicates(), 4), (lag(), 4), (waiting(), 4), (quarantined(), 4), (refused(), 4))),
            Row(
                2,
                (
                    (upkeep.size(), 4),
                    (upkeep.disk_free(), 4),
                    (upkeep.disk_days(), 4),
                    (upkeep.backup_age(), 4),
                    (upkeep.maintenance_age(), 4),
                    (upkeep.maintenance_failures(), 4),
                ),
            ),
            Row(8, ((arrivals(), 14), (upkeep.disk(), 10))),
            Row(8, ((received(), 14), (upkeep.months(), 10))),
            Row(9, ((quarantine(), 24),)),
            Row(9, ((upkeep.tables(), 10), (upkeep.backups(), 7), (refused_transcripts(), 7))),
        ),
    )


def rate() -> Panel:
    """Events a second."""
    return tile("Events a second", "In the last five whole minutes.", "collector/rate", unit="eps", decimals=1)


def lag() -> Panel:
    """How far the counts are behind."""
    return tile(
        "Lag",
        "How long ago the oldest event was stored that is in no count yet; at most 30 s where all is well.",
        "collector/lag",
        unit="s",
        decimals=0,
        steps=(Step(30, NOTICE), Step(300, BAD)),
    )


def waiting() -> Panel:
    """Stored and not counted."""
    return tile("Events to count", "Stored events that are in no count yet.", "collector/waiting", unit="short")


def quarantined() -> Panel:
    """Rejected events."""
    return tile(
        "In quarantine",
        "How often events of the list below were rejected.",
        "collector/quarantined",
        unit="short",
        steps=(Step(1, NOTICE),),
    )


def refused() -> Panel:
    """Transcripts that were too large."""
    return tile(
        "Transcripts refused",
        "Transcripts that were too large, since the beginning.",
        "collector/refused",
        unit="short",
        steps=(Step(1, NOTICE),),
    )


def duplicates() -> Panel:
    """Events that came twice."""
    return tile(
        "Duplicates",
        "Share of the accepted events that were there already: hosts that send again, for they had no answer.",
        "collector/duplicates",
        unit="percentunit",
        decimals=1,
        steps=(Step(0.1, NOTICE),),
    )


def arrivals() -> Panel:
    """What came in, by what became of it."""
    return chart(
        "Arrivals a second",
        "By when they came in, a retry included; a gap is a time in which no collector ran.",
        "collector/arrivals",
        unit="eps",
        empty="No collector has noted anything in this time. telemetryctl doctor, on the server, tells how it is.",
        columns=series(ARRIVALS),
    )


def received() -> Panel:
    """Events by type."""
    return bars(
        "Events by type",
        "By the time at which they happened.",
        "collector/received",
        unit=COUNT,
        empty=NO_EVENTS,
        defaults={"color": DISTINCT},
        columns=series(EVENT_TYPES),
    )


def quarantine() -> Panel:
    """A rejected event a row."""
    return table(
        "Quarantine",
        "Rejected events that came in this time, the newest first, with what is wrong with each. They are not counted.",
        "collector/quarantine",
        empty="Nothing was rejected in this time: nothing needs to be done.",
        columns=(
            Column("Last seen", {"unit": "dateTimeAsSystem", "custom.width": 160}),
            Column("Host", {"custom.width": 150}),
            Column("Times", {"unit": COUNT, "custom.width": 80}),
            Column("Errors", {"custom.minWidth": 260, "custom.inspect": True}),
            Column("Event", {"custom.minWidth": 260, "custom.inspect": True}),
        ),
    )


def refused_transcripts() -> Panel:
    """A host a row."""
    return table(
        "Transcripts refused as too large",
        "By the host that sent them. The limits are 10 000 messages of 1 MiB and 32 MiB in all.",
        "collector/refused_transcripts",
        empty="No transcript was refused: nothing needs to be done.",
        columns=(
            Column("Host", {"custom.minWidth": 150}),
            Column("Times", {"unit": COUNT, "custom.width": 80}),
            Column("Last", {"unit": "dateTimeAsSystem", "custom.width": 170}),
        ),
    )
