"""Every panel's SQL, sent as Grafana sends it and as the role that Grafana uses, over short and long times."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from app.store import rollups
from dev.fill import fill
from grafana.sources.__main__ import FOLDER
from grafana.sources.panel import Json
from tests.dashboards.macros import expand
from tests.fixtures.postgres import Server, connect

SPANS = {"1 h": 1, "24 h": 24, "30 d": 720, "90 d": 2160}
ROLES = {"telemetry-public": "grafana_public", "telemetry-private": "grafana_private"}
NUMBERS = {"float8", "int4", "int8"}
DASHBOARDS = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]
EVENTS = 3000
# Of a disk that loses 1 GB a day and has 20 GB left, a site that is sent everything twice, and a backup each day.
STATUS = """
INSERT INTO status_samples (start, stored, duplicates, rejected, disk_bytes, disk_free_bytes)
SELECT date_bin('5 minutes', now(), '2000-01-01Z') - n * interval '5 minutes', 300, 300, 0, 1e12::bigint,
    2e10::bigint + n * 1000000000::bigint / 288
FROM generate_series(0, 40 * 288) AS n;
INSERT INTO status_backups (taken_at, bytes, copied)
SELECT now() - interval '2 hours' - n * interval '1 day', 1000000, false FROM generate_series(0, 6) AS n;
INSERT INTO status_maintenance (ran_at, failures) VALUES (now() - interval '3 hours', 0)
"""

# What only a rejected event or a transcript would fill, and what there is none of in some span.
MAY_BE_EMPTY = {"Quarantine", "Transcripts refused as too large", "Transcript", "Tools by denials"}


@pytest.fixture(scope="module", params=[16, 18], ids=lambda version: f"PostgreSQL {version}")
def url(request: pytest.FixtureRequest, servers: Callable[[int], Server]) -> Iterator[str]:
    """A database with events of the last 40 days, counted."""
    server = servers(request.param)
    database = server.create_database()
    now = datetime.now(UTC)
    fill(database, now - timedelta(days=40), now, EVENTS)
    with connect(database) as connection:
        rollups.catch_up(connection)
        connection.execute(STATUS)
    yield database
    server.drop_database(database)


@pytest.fixture(scope="module")
def empty(servers: Callable[[int], Server]) -> Iterator[str]:
    """A database without an event."""
    database = servers(16).create_database()
    yield database
    servers(16).drop_database(database)


@pytest.fixture(scope="module")
def session(url: str) -> dict[str, list[str]]:
    """A session's host and id, for the dashboard that shows one."""
    with connect(url) as connection:
        row = connection.execute(
            "SELECT host_id, session_id FROM reporting.session_days ORDER BY last_at DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    return {"host": [row[0]], "session": [row[1]]}


def questions(kind: str = "") -> list[Any]:
    return [
        pytest.param(dashboard, panel, id=f"{dashboard['uid']}: {panel['title']}")
        for dashboard in DASHBOARDS
        for panel in dashboard["panels"]
        if kind in ("", panel["type"])
    ]


def ask(url: str, dashboard: Json, panel: Json, hours: int, chosen: dict[str, list[str]]) -> Any:
    """The columns, by name and type, and the rows."""
    now = datetime.now(UTC)
    if dashboard["uid"] != "agent-session":
        chosen = {}
    statement = expand(panel["targets"][0]["rawSql"], now - timedelta(hours=hours), now, chosen)
    with psycopg.connect(url, user=ROLES[panel["datasource"]["uid"]], autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        assert cursor.description is not None
        types = {
            column.name: kind.name if (kind := psycopg.adapters.types.get(column.type_code)) else ""
            for column in cursor.description
        }
        assert len(types) == len(cursor.description), "two columns have one name"
        return types, cursor.fetchall()


@pytest.mark.parametrize("hours", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize(("dashboard", "panel"), questions())
def test_question_answers_with_what_its_panel_needs(
    url: str, session: dict[str, list[str]], dashboard: Json, panel: Json, hours: int
) -> None:
    types, rows = ask(url, dashboard, panel, hours, session)
    names = list(types)
    if panel["type"] in ("timeseries", "state-timeline"):
        assert names == ["time", "metric", "value"]
        assert (types["time"], types["metric"]) == ("timestamptz", "text")
        assert types["value"] in NUMBERS, "Grafana makes series of numbers only"
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    elif panel["type"] == "stat" and panel["targets"][0]["format"] == "time_series":
        assert names[0] == "time"
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
        assert len(rows) <= 2
        assert [types[name] for name in names[1:]] == ["float8"]
    elif panel["type"] == "stat":
        assert len(rows) == 1
        texts = panel["options"]["reduceOptions"]["fields"] == "/.*/"
        assert set(types.values()) <= ({"text"} if texts else NUMBERS), "Grafana takes numbers, unless told otherwise"
    elif panel["type"] == "bargauge":
        assert list(types.values()) == ["text", "float8"]
        assert rows in (sorted(rows), sorted(rows, key=lambda row: (-row[1], row[0]))), "neither by name nor by size"
    else:
        assert "numeric" not in types.values(), "Grafana may take numeric for text"
    assert rows or hours < 720 or panel["title"] in MAY_BE_EMPTY


@pytest.mark.parametrize(("dashboard", "panel"), questions("table"))
def test_columns_that_a_panel_names_are_there(
    url: str, session: dict[str, list[str]], dashboard: Json, panel: Json
) -> None:
    types, _ = ask(url, dashboard, panel, 24, session)
    named = [override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]]
    assert list(types) == named


@pytest.mark.parametrize(("dashboard", "panel"), questions())
def test_question_can_be_asked_of_an_empty_database(empty: str, dashboard: Json, panel: Json) -> None:
    _, rows = ask(empty, dashboard, panel, 24, {"host": ["h"], "session": ["s"]})
    assert len(rows) <= 2 or panel["title"] in ("Tables", "Events by month")


@pytest.mark.parametrize("hours", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize(
    "dashboard", [each for each in DASHBOARDS if each["templating"]["list"]], ids=lambda d: d["uid"]
)
def test_variables_offer_names(url: str, dashboard: Json, hours: int) -> None:
    now = datetime.now(UTC)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        with psycopg.connect(url, user=ROLES[variable["datasource"]["uid"]], autocommit=True) as connection:
            rows = connection.execute(expand(variable["query"], now - timedelta(hours=hours), now).encode()).fetchall()
        assert all(len(row) == 1 and isinstance(row[0], str) for row in rows)
        assert rows or hours == 1


FILTERS = {
    "outcome": (["denied"], "Outcome"),
    "host": (["laptop-ben"], "Host"),
    "agent": (["path-guard", "tool-approve"], "Agent"),
    "tool": (["Bash"], "Tool"),
}


@pytest.mark.parametrize("variable", FILTERS)
def test_decisions_are_filtered(url: str, variable: str) -> None:
    dashboard = next(each for each in DASHBOARDS if each["uid"] == "agent-decisions")
    panel = next(each for each in dashboard["panels"] if each["type"] == "table")
    values, column = FILTERS[variable]
    now = datetime.now(UTC)
    statement = expand(panel["targets"][0]["rawSql"], now - timedelta(days=40), now, {variable: values})
    with psycopg.connect(url, user="grafana_private", row_factory=dict_row) as connection:
        rows = connection.execute(statement.encode()).fetchall()
    assert {row[column] for row in rows} == set(values)


def test_a_text_in_the_reason_is_text_and_no_pattern_and_no_sql(url: str) -> None:
    dashboard = next(each for each in DASHBOARDS if each["uid"] == "agent-decisions")
    panel = next(each for each in dashboard["panels"] if each["type"] == "table")
    now = datetime.now(UTC)
    for text in ("%", "'; SELECT 1 --", "\\"):
        statement = expand(panel["targets"][0]["rawSql"], now - timedelta(days=40), now, {"text": [text]})
        with psycopg.connect(url, user="grafana_private", row_factory=dict_row) as connection:
            rows = connection.execute(statement.encode()).fetchall()
        assert all(text in row["Reason"] for row in rows)


def test_timeline_numbers_outcomes_as_its_panel_names_them(url: str, session: dict[str, list[str]]) -> None:
    dashboard = next(each for each in DASHBOARDS if each["uid"] == "agent-session")
    panel = next(each for each in dashboard["panels"] if each["type"] == "state-timeline")
    names = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    _, rows = ask(url, dashboard, panel, 2160, session)
    with connect(url) as connection:
        query = "SELECT DISTINCT outcome FROM reporting.events WHERE host_id = %s AND session_id = %s"
        told = {row[0] for row in connection.execute(query, (session["host"][0], session["session"][0]))}
    assert {names[f"{value:.0f}"]["text"] for _, _, value in rows if value is not None} == told


@pytest.mark.parametrize(
    ("title", "hours", "expected"),
    [
        ("Free on the disk", 24, 2e10),
        ("Days until it is full", 24, 20),
        ("Newest backup", 24, 2 * 3600),
        ("Maintenance", 24, 3 * 3600),
        ("Duplicates", 1, 0.5),
        ("Duplicates", 720, 0.5),
    ],
)
def test_collectors_tiles_tell_what_was_noted(url: str, title: str, hours: int, expected: float) -> None:
    dashboard = next(each for each in DASHBOARDS if each["uid"] == "agent-collector")
    panel = next(each for each in dashboard["panels"] if each["title"] == title)
    _, [(value,)] = ask(url, dashboard, panel, hours, {})
    assert value == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("hours", SPANS.values(), ids=SPANS)
def test_arrivals_are_a_second_whatever_the_span(url: str, hours: int) -> None:
    dashboard = next(each for each in DASHBOARDS if each["uid"] == "agent-collector")
    panel = next(each for each in dashboard["panels"] if each["title"] == "Arrivals a second")
    _, rows = ask(url, dashboard, panel, hours, {})
    # The newest sample is of less than five minutes.
    rates = {name: [rate for time, metric, rate in rows if metric == name][:-1] for name in ("stored", "duplicates")}
    assert rates["stored"] == rates["duplicates"] == pytest.approx([1.0] * len(rates["stored"]), rel=0.05)
    assert rates["stored"]
