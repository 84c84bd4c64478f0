"""The dashboard Collector's second half: what it takes to keep what came in."""

from grafana.sources.colours import BAD, LINE, NOTICE
from grafana.sources.panel import Column, Json, Panel, Step
from grafana.sources.panels import COUNT, chart, ranking, table, tile

HOUR = 3600


def size() -> Panel:
    """Bytes in the database."""
    return tile("Database", "All tables with their indexes.", "collector/size", unit="bytes")


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


def tables() -> Panel:
    """Bytes a table."""
    return table(
        "Tables",
        "The largest tables, with their indexes; rows are an estimate.",
        "collector/tables",
        empty="There is no table: telemetryctl migrate makes them.",
        columns=(
            Column("Table", {"custom.minWidth": 200}),
            Column("Rows", {"unit": COUNT, "custom.width": 100}),
            Column("Size", {"unit": "bytes", "custom.width": 100}),
            Column("Indexes", {"unit": "bytes", "custom.width": 100}),
            Column("A row", {"unit": "bytes", "custom.width": 90}),
        ),
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


def maintenance_failures() -> Panel:
    """What its last run could not do."""
    return tile(
        "Maintenance failures",
        "What its last run could not do. telemetryctl maintain, on the server, says what, and tries again.",
        "collector/maintenance_failures",
        unit="short",
        empty="not yet",
        steps=(Step(1, BAD),),
    )


def _for_none(text: str) -> Json:
    """What stands for no number, in the colour of text."""
    return {
        "type": "special",
        "options": {"match": "null+nan", "result": {"text": text, "color": "text", "index": 0}},
    }
