"""Hosts: the fleet, its gaps, clocks and versions."""

from grafana.sources import links
from grafana.sources.colours import BAD, COLOUR_TEXT, DISTINCT, GREEN, LINE, NOTICE, OTHER, words
from grafana.sources.dashboard import Dashboard, Row
from grafana.sources.panel import Column, Panel, Step
from grafana.sources.panels import COUNT, bars, ranking, table, tile

NO_HOST = (
    "No host has sent an event yet. telemetryctl keys create HOST, on the server, makes the key that it sends with."
)


def hosts() -> Dashboard:
    """Hosts."""
    return Dashboard(
        uid="agent-hosts",
        title="Hosts",
        description="The hosts that send events: which are silent, whose clock is off, who runs which version.",
        datasource="telemetry-private",
        links=links.DASHBOARDS,
        rows=(
            Row(2, ((active(), 6), (silent(), 6), (gone(), 6), (clock(), 6))),
            Row(12, ((fleet(), 24),)),
            Row(8, ((over_time(), 16), (versions(), 8))),
        ),
    )


def active() -> Panel:
    """Heard of lately."""
    return tile("Active", "Hosts that were heard of within the setting for silence.", "hosts/active", unit="short")


def silent() -> Panel:
    """Not heard of lately."""
    return tile(
        "Silent",
        "Hosts that were not heard of lately, but within seven days.",
        "hosts/silent",
        unit="short",
        steps=(Step(1, NOTICE),),
    )


def gone() -> Panel:
    """Not heard of for a week."""
    return tile("Gone", "Hosts that were not heard of for seven days.", "hosts/gone", unit="short")


def clock() -> Panel:
    """The clock that is furthest off."""
    return tile(
        "Largest clock difference",
        "How far the clock of any host is off, by the quickest of its events of the last day, from event to receipt.",
        "hosts/clock",
        unit="s",
        steps=(Step(60, NOTICE), Step(600, BAD)),
    )


def fleet() -> Panel:
    """A row a host."""
    states = {"active": GREEN, "silent": NOTICE, "gone": OTHER}
    unknown = {"type": "special", "options": {"match": "null", "result": {"text": "-", "color": "text", "index": 0}}}
    off = [{"value": None, "color": BAD}, {"value": -60, "color": "text"}, {"value": 60, "color": BAD}]
    return table(
        "Fleet",
        "Every host ever heard of, silent ones first. Clock is the least time from an event to its receipt in the last "
        "day: below zero the host's clock is ahead, far above it is behind.",
        "hosts/fleet",
        empty=NO_HOST,
        columns=(
            Column("Host", {"custom.minWidth": 150, "links": [links.decisions_of_host().json()]}),
            Column("State", {"custom.width": 90, **words(states)}),
            Column("Last seen", {"unit": "dateTimeFromNow", "custom.width": 140}),
            Column("Client", {"custom.width": 90}),
            Column("Events", {"unit": COUNT, "custom.width": 90}),
            Column("Denial rate", {"unit": "percentunit", "decimals": 1, "custom.width": 100}),
            Column("Error rate", {"unit": "percentunit", "decimals": 1, "custom.width": 100}),
            Column(
                "Clock",
                {
                    "unit": "s",
                    "decimals": 1,
                    "custom.width": 100,
                    "custom.cellOptions": COLOUR_TEXT,
                    "color": {"mode": "thresholds"},
                    "mappings": [unknown],
                    "thresholds": {"mode": "absolute", "steps": off},
                },
            ),
            Column("First seen", {"unit": "dateTimeAsSystem", "custom.width": 160}),
        ),
    )


def over_time() -> Panel:
    """Events by host; a gap is a host that was away."""
    return bars(
        "Events by host",
        "A host without a bar sent nothing then. By the hour up to 15 days, else by the day.",
        "hosts/over_time",
        unit=COUNT,
        empty=NO_HOST,
        defaults={"color": DISTINCT},
    )


def versions() -> Panel:
    """Hosts by client version."""
    return ranking(
        "Client versions",
        "How many hosts of the last week run each version of the client.",
        "hosts/versions",
        unit=COUNT,
        colour=LINE,
    )
