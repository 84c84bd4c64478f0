"""A panel as Grafana's JSON has it, whatever its kind.

A panel's SQL is a file below grafana/sql. Every panel needs a title, a description, and words for when it is empty that
say what to do; numbers need a unit. Thresholds are always given: without them Grafana paints whatever is over 80 red.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SQL = Path(__file__).parent.parent / "sql"

Json = dict[str, Any]


def read_sql(name: str, values: Mapping[str, object] | None = None) -> str:
    """The statement of that path below grafana/sql, without its ending; `values` stand for `{names}` in it."""
    statement = (SQL / f"{name}.sql").read_text("utf-8").strip()
    for word, value in (values or {}).items():
        statement = statement.replace(f"{{{word}}}", str(value))
    return statement


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
    """How one column of a table, or one series, differs from the others. `properties` are Grafana's, by their ids; with
    the matcher byRegexp the name is a pattern between slashes.
    """

    name: str
    properties: Mapping[str, Any]
    matcher: str = "byName"

    def json(self) -> Json:
        """As an override."""
        return {
            "matcher": {"id": self.matcher, "options": self.name},
            "properties": [{"id": key, "value": value} for key, value in self.properties.items()],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What every panel has. `sql` is a path below grafana/sql without its ending, `values` what stands for `{names}`
    in it; `empty` is shown for no row.
    """

    kind: str
    title: str
    description: str
    sql: str
    empty: str
    values: Mapping[str, object] = field(default_factory=dict)
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

    def statement(self) -> str:
        """What it asks."""
        return read_sql(self.sql, self.values)

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
                    "rawSql": self.statement(),
                }
            ],
            "fieldConfig": {
                "defaults": {**defaults, **self.defaults},
                "overrides": [column.json() for column in self.columns],
            },
            "options": self.options,
        }
