"""The kinds of panels, each with what this site wants of it said once."""

from collections.abc import Sequence
from typing import Any

from grafana.sources.panel import Column, Json, Panel

# For a table's column: a long text goes on in the next line.
WRAPPED = {"type": "auto", "wrapText": True}
# Units of Grafana's: numbers as they are, with a mark at the thousands, and dollars to the cent. "short" and
# "currencyUSD" would make 1.50 K of 1500 and $1.48K of $1477.73.
COUNT, DOLLARS = "locale", "prefix:$"


def tile(
    title: str,
    description: str,
    sql: str,
    *,
    unit: str,
    empty: str = "none",
    change: bool = False,
    value_size: int = 26,
    options: Json | None = None,
    **more: Any,
) -> Panel:
    """One number, and with `change` how it changed: its question then answers with two rows, the span before and the
    span. The change has the number's colour: whether it is bad, thresholds say.
    """
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
            "showPercentChange": change,
            "percentChangeColorMode": "same_as_value",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            **(options or {}),
        },
        **more,
    )


def sentence(title: str, description: str, sql: str, *, options: Json | None = None, **more: Any) -> Panel:
    """A few words instead of a number; `sql` always gives some."""
    words = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "/.*/", "values": False}, **(options or {})}
    return tile(title, description, sql, unit="string", empty="unknown", options=words, **more)


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
