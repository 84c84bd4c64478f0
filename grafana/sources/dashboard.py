"""A dashboard as Grafana's JSON has it: rows of panels from top to bottom, placed without gaps or overlap."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from grafana.sources.panel import Json, Panel, read_sql

WIDTH = 24
SCHEMA_VERSION = 39  # what Grafana 11.6 writes; newer ones read it


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, `height` units of 38 px high (with the gap); each panel comes with its width of 24."""

    height: int
    panels: Sequence[tuple[Panel, int]]


@dataclass(frozen=True, slots=True)
class Variable:
    """What a reader may pick above the panels: of names that a question gives (`chosen` at first), or any text."""

    name: str
    label: str
    description: str
    sql: str = ""
    chosen: Sequence[str] = ()

    def json(self, datasource: str) -> Json:
        """As template variables are written. "All" stands for '*', which no question looks up."""
        common = {"name": self.name, "label": self.label, "description": self.description, "hide": 0}
        if not self.sql:
            return {**common, "type": "textbox", "query": "", "current": {"text": "", "value": ""}, "options": []}
        statement = read_sql(self.sql)
        return {
            **common,
            "type": "query",
            "datasource": {"type": "grafana-postgresql-datasource", "uid": datasource},
            "query": statement,
            "refresh": 2,
            "sort": 0,
            "multi": True,
            "includeAll": True,
            "allValue": "'*'",
            "current": {"text": list(self.chosen or ["All"]), "value": list(self.chosen or ["$__all"])},
            "options": [],
            "regex": "",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard, and the datasource of all its panels."""

    uid: str
    title: str
    description: str
    datasource: str
    rows: Sequence[Row]
    since: str = "now-24h"
    refresh: str = "30s"
    timepicker: Json = field(default_factory=dict)
    variables: Sequence[Variable] = ()
    links: Sequence[Json] = ()

    def json(self) -> Json:
        """The file's content."""
        panels: list[Json] = []
        top = 0
        for row in self.rows:
            left = 0
            for panel, width in row.panels:
                place = {"x": left, "y": top, "w": width, "h": row.height}
                panels.append(panel.json(panel_id=len(panels) + 1, datasource=self.datasource, place=place))
                left += width
            top += row.height
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["telemetry"],
            "editable": False,
            "graphTooltip": 1,
            "refresh": self.refresh,
            "schemaVersion": SCHEMA_VERSION,
            "time": {"from": self.since, "to": "now"},
            "timepicker": self.timepicker,
            "timezone": "browser",
            "annotations": {"list": []},
            "links": list(self.links),
            "templating": {"list": [variable.json(self.datasource) for variable in self.variables]},
            "panels": panels,
        }
