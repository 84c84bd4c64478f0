"""Panels as Grafana's JSON has them, each kind with what this site wants of it said once.

A panel's SQL is a file below grafana/sql. Every panel needs a title, a description, and words for when it is empty that
say what to do; numbers need a unit. Thresholds are always given: without them Grafana paints whatever is over 80 red.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SQL = Path(__file__).parent.parent / "sql"

Json = dict[str, Any]

# Outcomes, as /glance colours them: told apart by those who do not see red and green, on white and on black.
APPROVED, DENIED, FAILED, OTHER = "#4189cc", "#dd7a1c", "#c9488f", "#848e9e"
LINE = "#4189cc"
TIER_COLOURS = {"haiku": "#2c9a75", "sonnet": "#4189cc", "opus": "#9a6bd0", "no model": "#848e9e"}
NOTICE, BAD = "#c98a12", "#d64a41"
COLOUR_TEXT = {"type": "color-text"}
WRAPPED = {"type": "auto", "wrapText": True}
OUTCOME_COLOURS = {
    "approved": APPROVED,
    "confirmed": "#6ba7dd",
    "continued": "#2f6ba6",
    "succeeded": "#9cc5ea",
    "denied": DENIED,
    "failed": FAILED,
    "other": OTHER,
    "none": "#5d6674",
}


def read_sql(name: str) -> str:
    """The statement of that path below grafana/sql, without its ending."""
    return (SQL / f"{name}.sql").read_text("utf-8").strip()


@dataclass(frozen=True, slots=True)
class Step:
    """From this value on, this colour."""

    value: float
    colour: str


@dataclass(frozen=True, slots=True)
class Link:
    """Where a click on a value leads; `${__data.fields...}` and `${__value...}` are Grafana's."""

    title: str
    url: str
    new_tab: bool = False

    def json(self) -> Json:
        """As data links are written."""
        return {"title": self.title, "url": self.url, "targetBlank": self.new_tab}


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a table, or one series, differs from the others. `properties` are Grafana's, by their ids."""

    name: str
    properties: Mapping[str, Any]

    def json(self) -> Json:
        """As an override."""
        return {
            "matcher": {"id": "byName", "options": self.name},
            "properties": [{"id": key, "value": value} for key, value in self.properties.items()],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What every panel has. `sql` is a path below grafana/sql without its ending; `empty` is shown for no row."""

    kind: str
    title: str
    description: str
    sql: str
    empty: str
    unit: str = ""
    format: str = "table"
    decimals: int | None = None
    steps: Sequence[Step] = ()
    colour: str = ""
    custom: Json = field(default_factory=dict)
    defaults: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    columns: Sequence[Column] = ()
    links: Sequence[Link] = ()
    transparent: bool = False

    def json(self, *, panel_id: int, datasource: str, place: Json) -> Json:
        """The panel as it stands in a dashboard."""
        source = {"type": "grafana-postgresql-datasource", "uid": datasource}
        base = self.colour or "text"
        defaults: Json = {
            "color": {"mode": "thresholds"} if self.steps else {"mode": "fixed", "fixedColor": base},
            "custom": self.custom,
            "noValue": self.empty,
            "thresholds": {
                "mode": "absolute",
                "steps": [
                    {"value": None, "color": base},
                    *({"value": step.value, "color": step.colour} for step in self.steps),
                ],
            },
        }
        if self.unit:
            defaults["unit"] = self.unit
        if self.decimals is not None:
            defaults["decimals"] = self.decimals
        if self.links:
            defaults["links"] = [link.json() for link in self.links]
        return {
            "id": panel_id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "transparent": self.transparent,
            "gridPos": place,
            "datasource": source,
            "targets": [
                {
                    "refId": "A",
                    "datasource": source,
                    "editorMode": "code",
                    "format": self.format,
                    "rawQuery": True,
                    "rawSql": read_sql(self.sql),
                }
            ],
            "fieldConfig": {
                "defaults": {**defaults, **self.defaults},
                "overrides": [column.json() for column in self.columns],
            },
            "options": self.options,
        }


# A tile's question answers with two rows, the span before and the span; Grafana shows the last one, and its change.
CHANGE_IS_BAD, CHANGE_IS_GOOD, CHANGE_IS_NEUTRAL = "inverted", "standard", "same_as_value"


def tile(
    title: str,
    description: str,
    sql: str,
    *,
    unit: str,
    empty: str = "none",
    change: str = "",
    value_size: int = 26,
    **more: Any,
) -> Panel:
    """One number, and how it changed where `change` says what a rise means."""
    return Panel(
        kind="stat",
        title=title,
        description=description,
        sql=sql,
        unit=unit,
        empty=empty,
        format="time_series" if change else "table",
        options={
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "center",
            "textMode": "value",
            "orientation": "auto",
            "wideLayout": True,
            "text": {"valueSize": value_size, "percentSize": 13},
            "showPercentChange": bool(change),
            "percentChangeColorMode": change or CHANGE_IS_NEUTRAL,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
        **more,
    )


def chart(
    title: str,
    description: str,
    sql: str,
    *,
    unit: str,
    empty: str,
    custom: Json | None = None,
    **more: Any,
) -> Panel:
    """Lines over time, a series a metric."""
    return Panel(
        kind="timeseries",
        title=title,
        description=description,
        sql=sql,
        unit=unit,
        empty=empty,
        format="time_series",
        custom={
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 2,
            "fillOpacity": 0,
            "showPoints": "auto",
            "pointSize": 4,
            # A gap of some hours is a night without work, not a fault.
            "spanNulls": False,
            "axisBorderShow": False,
            "axisPlacement": "auto",
            "axisSoftMin": 0,
            "stacking": {"mode": "none", "group": "A"},
            "thresholdsStyle": {"mode": "off"},
            **(custom or {}),
        },
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "none", "hideZeros": True},
        },
        **more,
    )


def bars(title: str, description: str, sql: str, **more: Any) -> Panel:
    """Stacked bars over time, a series a metric."""
    custom = {
        "drawStyle": "bars",
        "lineWidth": 0,
        "fillOpacity": 90,
        "barAlignment": 1,
        "barWidthFactor": 0.85,
        "showPoints": "never",
        "stacking": {"mode": "normal", "group": "A"},
    }
    return chart(title, description, sql, custom=custom, **more)


def table(
    title: str,
    description: str,
    sql: str,
    *,
    empty: str,
    columns: Sequence[Column],
    header: bool = True,
    **more: Any,
) -> Panel:
    """Rows as they come, a column a field; `columns` say each one's unit, width and colour.

    Without a unit a column is a text: of "short", Grafana would make 12.3 K of a session that is called 12345.
    """
    return Panel(
        kind="table",
        title=title,
        description=description,
        sql=sql,
        unit="string",
        empty=empty,
        # Grafana writes the words for an empty table into each cell without a value too, unless told otherwise.
        columns=[Column(column.name, {"noValue": "-", **column.properties}) for column in columns],
        custom={"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False},
        options={
            "cellHeight": "sm",
            "showHeader": header,
            "sortBy": [],
            "footer": {"show": False, "reducer": ["sum"], "countRows": False},
        },
        **more,
    )


def ranking(
    title: str, description: str, sql: str, *, unit: str, empty: str = "None in this time", **more: Any
) -> Panel:
    """A bar a row: a name and its number, the largest first. Grafana shows `empty` in one line, however short."""
    return Panel(
        kind="bargauge",
        title=title,
        description=description,
        sql=sql,
        unit=unit,
        empty=empty,
        options={
            "displayMode": "basic",
            "orientation": "horizontal",
            "showUnfilled": False,
            "valueMode": "color",
            "namePlacement": "left",
            "sizing": "manual",
            "minVizHeight": 16,
            "maxVizHeight": 26,
            "minVizWidth": 8,
            "text": {"valueSize": 15},
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": True, "limit": 25},
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
        },
        defaults={"min": 0},
        **more,
    )


def timeline(title: str, description: str, sql: str, *, empty: str, mappings: list[Json], **more: Any) -> Panel:
    """A line a metric, and on it a bar a state, from its row to the next; `mappings` colour the states."""
    return Panel(
        kind="state-timeline",
        title=title,
        description=description,
        sql=sql,
        empty=empty,
        unit="none",
        format="time_series",
        custom={"fillOpacity": 85, "lineWidth": 0},
        defaults={"mappings": mappings},
        options={
            "alignValue": "left",
            "mergeValues": False,
            "rowHeight": 0.8,
            "showValue": "never",
            # It would list the words for an empty panel beside the outcomes.
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        },
        **more,
    )
