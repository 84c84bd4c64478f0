"""Collector: how the telemetry itself is doing."""

from grafana.sources import links
from grafana.sources.dashboard import Dashboard, Row
from grafana.sources.panels import (
    BAD,
    DENIED,
    FAILED,
    LINE,
    NOTICE,
    OTHER,
    Column,
    Json,
    Panel,
    Step,
    bars,
    chart,
    ranking,
    table,
    tile,
)

NO_EVENTS = "No events in this time. telemetryctl doctor, on the server, tells whether the collector is well."
HOUR = 3600
ARRIVALS = {"stored": LINE, "duplicates": OTHER, "rejected": FAILED}
EVENT_TYPES = {
    "agent_execution": LINE,
    "hook_decision": "#9cc5ea",
    "commit": "#2c9a75",
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
            Row(3, ((rate(), 4), (lag(), 4), (waiting(), 4), (quarantined(), 4), (refused(), 4), (size(), 4))),
            Row(
                3,
                (
                    (duplicates(), 4),
                    (disk_free(), 5),
                    (disk_days(), 5),
                    (backup_age(), 5),
                    (maintenance_age(), 5),
                ),
            ),
            Row(8, ((arrivals(), 14), (disk(), 10))),
            Row(8, ((received(), 14), (months(), 10))),
            Row(9, ((quarantine(), 24),)),
            Row(9, ((tables(), 10), (backups(), 7), (refused_transcripts(), 7))),
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


def size() -> Panel:
    """Bytes in the database."""
    return tile("Database", "All tables with their indexes.", "collector/size", unit="bytes")


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


def disk_free() -> Panel:
    """Bytes that are left."""
    return tile(
        "Free on the disk",
        "Of the disk that the database is on, as the collector last saw it; unknown where that is another machine's.",
        "collector/disk_free",
        unit="bytes",
        empty="unknown",
    )


def disk_days() -> Panel:
    """When the disk will be full."""
    return tile(
        "Days until it is full",
        "If the disk fills as in the last 30 days. A number takes three days, and less than ten years to go.",
        "collector/disk_days",
        unit="short",
        decimals=0,
        colour=BAD,
        # Without a number it would have the colour of the fewest days.
        defaults={"mappings": [_for_none("not in sight")]},
        steps=(Step(14, NOTICE), Step(60, "text")),
    )


def backup_age() -> Panel:
    """The newest backup's."""
    return tile(
        "Newest backup",
        "How long ago a backup of the database was taken and read back whole.",
        "collector/backup_age",
        unit="s",
        decimals=0,
        empty="none yet",
        steps=(Step(26 * HOUR, NOTICE), Step(36 * HOUR, BAD)),
    )


def maintenance_age() -> Panel:
    """The last run of maintenance."""
    return tile(
        "Maintenance",
        "How long ago it last ran to its end: it makes the months ahead, and deletes what is older than its setting.",
        "collector/maintenance_age",
        unit="s",
        decimals=0,
        empty="not yet",
        steps=(Step(26 * HOUR, NOTICE), Step(72 * HOUR, BAD)),
    )


def arrivals() -> Panel:
    """What came in, by what became of it."""
    return chart(
        "Arrivals a second",
        "By when they came in, a retry included; a gap is a time in which no collector ran.",
        "collector/arrivals",
        unit="eps",
        empty="No collector has noted anything in this time. telemetryctl doctor, on the server, tells how it is.",
        columns=tuple(
            Column(name, {"color": {"mode": "fixed", "fixedColor": colour}}) for name, colour in ARRIVALS.items()
        ),
    )


def disk() -> Panel:
    """What was free."""
    return chart(
        "Free on the disk, over time",
        "Of the disk that the database is on.",
        "collector/disk",
        unit="bytes",
        empty="Unknown: the collector sees the database's disk only on its own machine.",
        colour=LINE,
    )


def received() -> Panel:
    """Events by type."""
    return bars(
        "Events by type",
        "By the time at which they happened.",
        "collector/received",
        unit="short",
        empty=NO_EVENTS,
        defaults={"color": {"mode": "palette-classic"}},
        columns=tuple(
            Column(name, {"color": {"mode": "fixed", "fixedColor": colour}}) for name, colour in EVENT_TYPES.items()
        ),
    )


def months() -> Panel:
    """Bytes a month."""
    return ranking(
        "Events by month",
        "What each month's events take with their indexes. Retention deletes whole months.",
        "collector/months",
        unit="bytes",
        empty="No month has events yet",
        colour=LINE,
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
            Column("Times", {"unit": "short", "custom.width": 80}),
            Column("Errors", {"custom.minWidth": 260, "custom.inspect": True}),
            Column("Event", {"custom.minWidth": 260, "custom.inspect": True}),
        ),
    )


def tables() -> Panel:
    """Bytes a table."""
    return table(
        "Tables",
        "The largest tables, with their indexes; rows are an estimate.",
        "collector/tables",
        empty="There is no table: telemetryctl migrate makes them.",
        columns=(
            Column("Table", {"custom.minWidth": 200}),
            Column("Rows", {"unit": "short", "custom.width": 100}),
            Column("Size", {"unit": "bytes", "custom.width": 100}),
            Column("Indexes", {"unit": "bytes", "custom.width": 100}),
            Column("A row", {"unit": "bytes", "custom.width": 90}),
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
            Column("Times", {"unit": "short", "custom.width": 80}),
            Column("Last", {"unit": "dateTimeAsSystem", "custom.width": 170}),
        ),
    )


def backups() -> Panel:
    """A backup a row."""
    return table(
        "Backups",
        "Of the database in the last 90 days, the newest first, each read back whole; old ones may be deleted by now.",
        "collector/backups",
        empty="No backup has been taken: telemetry-backup take, as root on the server, takes one.",
        columns=(
            Column("Taken", {"unit": "dateTimeAsSystem", "custom.width": 170}),
            Column("Size", {"unit": "bytes", "custom.width": 100}),
            Column("Off the host", {"custom.minWidth": 100}),
        ),
    )


def _for_none(text: str) -> Json:
    """What stands for no number, in the colour of text."""
    return {
        "type": "special",
        "options": {"match": "null+nan", "result": {"text": text, "color": "text", "index": 0}},
    }
