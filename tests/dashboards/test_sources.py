"""The dashboards as they are committed: current, complete, and such as Grafana 11.6 and 12 know them."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from grafana.sources import DASHBOARDS as SOURCES
from grafana.sources.__main__ import FOLDER, write
from grafana.sources.panel import SQL, Json
from tests.fixtures.environment import ROOT

FILES = sorted(FOLDER.glob("*.json"))
DASHBOARDS: list[Json] = [json.loads(path.read_text("utf-8")) for path in FILES]
PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard["panels"]]
NEXT = Path(sys.prefix) / "grafana-next"

each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["uid"])
each_panel = pytest.mark.parametrize(
    ("dashboard", "panel"), PANELS, ids=[f"{dashboard['uid']}: {panel['title']}" for dashboard, panel in PANELS]
)


def test_files_are_what_the_sources_write(tmp_path: Path) -> None:
    (tmp_path / "left-over.json").write_text("{}")
    write(tmp_path)
    written = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text("utf-8") for path in FILES}, "make dashboards writes them"


def test_no_sql_file_is_left_over_and_no_value_is_missing() -> None:
    made = [make() for make in SOURCES]
    panels = [panel for dashboard in made for row in dashboard.rows for panel, _ in row.panels]
    used = {panel.sql for panel in panels} | {
        variable.sql for dashboard in made for variable in dashboard.variables if variable.sql
    }
    assert used == {str(path.relative_to(SQL).with_suffix("")) for path in SQL.rglob("*.sql")}
    for panel in panels:
        assert not re.search(r"(?<!\$)\{\w+\}", panel.statement()), panel.title


@pytest.mark.parametrize("version", ["11.6", "12"])
def test_models_of_grafana_know_everything_in_them(version: str) -> None:
    environment = dict(os.environ)
    if version == "12":
        if not NEXT.is_dir():
            pytest.skip(f"{NEXT} is missing, which make setup fills with Grafana 12's models")
        environment["PYTHONPATH"] = str(NEXT)
    command = [sys.executable, "-m", "tests.dashboards.models", *map(str, FILES)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {str(path): [] for path in FILES}


def test_models_would_tell_of_a_word_that_grafana_does_not_know(tmp_path: Path) -> None:
    dashboard = json.loads(FILES[0].read_text("utf-8"))
    dashboard["panels"][0]["options"]["graphmode"] = "none"
    (tmp_path / "wrong.json").write_text(json.dumps(dashboard))
    command = [sys.executable, "-m", "tests.dashboards.models", str(tmp_path / "wrong.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)[str(tmp_path / "wrong.json")] == [".panels[0].options.graphmode is lost"]


@pytest.mark.parametrize("name", ["uid", "title"])
def test_no_two_dashboards_share_a(name: str) -> None:
    """Grafana makes all dashboards of a folder read-only where two do."""
    counted = Counter(dashboard[name] for dashboard in DASHBOARDS)
    assert [each for each, times in counted.items() if times > 1] == []


@each_dashboard
def test_dashboard_is_named_after_its_file_described_and_not_editable(dashboard: Json) -> None:
    assert (FOLDER / f"{dashboard['uid']}.json").exists()
    assert dashboard["title"]
    assert dashboard["description"].endswith(".")
    assert dashboard["editable"] is False
    assert "id" not in dashboard


@each_dashboard
def test_panels_fill_the_width_and_do_not_overlap(dashboard: Json) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [
        {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])} for at in places
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(cells, 2))
    bottom = max(at["y"] + at["h"] for at in places)
    assert set().union(*cells) == {(x, y) for x in range(24) for y in range(bottom)}


@each_dashboard
def test_panels_have_an_id_and_a_title_of_their_own(dashboard: Json) -> None:
    kinds = [(panel["type"], panel["title"]) for panel in dashboard["panels"]]
    assert len(set(kinds)) == len(kinds)
    assert [panel["id"] for panel in dashboard["panels"]] == list(range(1, len(kinds) + 1))


@each_dashboard
def test_only_the_overview_is_asked_as_the_public(dashboard: Json) -> None:
    wanted = "telemetry-public" if dashboard["uid"] == "agent-overview" else "telemetry-private"
    source = {"type": "grafana-postgresql-datasource", "uid": wanted}
    named = [panel["datasource"] for panel in dashboard["panels"]]
    named += [target["datasource"] for panel in dashboard["panels"] for target in panel["targets"]]
    named += [each["datasource"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    assert all(each == source for each in named)


@each_panel
def test_panel_says_what_it_shows(dashboard: Json, panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["noValue"]
    assert defaults["noValue"].lower() != "no data"


@each_panel
def test_no_threshold_is_left_to_grafana(dashboard: Json, panel: Json) -> None:
    """Without any Grafana paints all that is over 80 red."""
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[0]["value"] is None
    values = [step["value"] for step in steps[1:]]
    assert values == sorted(values)


def overview() -> Json:
    return next(dashboard for dashboard in DASHBOARDS if dashboard["uid"] == "agent-overview")


def test_overview_can_be_shared() -> None:
    """A shared dashboard has no variables, no other datasource, and refreshes by itself."""
    dashboard = overview()
    assert dashboard["title"] == "Agent Overview"
    assert dashboard["templating"]["list"] == []
    assert dashboard["refresh"] == "30s"
    assert "${" not in "".join(target["rawSql"] for panel in dashboard["panels"] for target in panel["targets"])


def test_first_rows_of_the_overview_tell_whether_all_is_well() -> None:
    """A card of 800 x 450 px shows eight rows, nine where no time can be picked; no panel is cut by its edge."""
    edges = [(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"]) for panel in overview()["panels"]]
    assert overview()["timepicker"] == {"hidden": True}
    assert not [edge for edge in edges if edge[0] < 9 < edge[1]]
    first = {panel["title"] for panel in overview()["panels"] if panel["gridPos"]["y"] < 8}
    wanted = {"Right now", "Denial rate", "Error rate", "Approval rate", "p95 latency", "Cost today", "Hosts"}
    assert {*wanted, "Decisions by outcome"} <= first


def links(dashboard: Json) -> list[str]:
    """The addresses that a click on a value of its panels leads to."""
    found = []
    for panel in dashboard["panels"]:
        config = panel["fieldConfig"]
        found += config["defaults"].get("links", [])
        for override in config["overrides"]:
            found += [link for each in override["properties"] if each["id"] == "links" for link in each["value"]]
    return [link["url"] for link in found]


@each_dashboard
def test_links_lead_to_dashboards_that_are_there_and_set_their_variables(dashboard: Json) -> None:
    known = {each["uid"]: {variable["name"] for variable in each["templating"]["list"]} for each in DASHBOARDS}
    for url in links(dashboard):
        path, _, query = url.partition("?")
        assert path.startswith("/d/")
        uid = path.removeprefix("/d/")
        given = {part.partition("=")[0].removeprefix("var-") for part in query.split("&") if part.startswith("var-")}
        assert given <= known[uid]


def test_three_clicks_lead_from_a_denial_rate_to_the_transcript() -> None:
    """The overview's tile, a decision's session, and there it is."""
    by_uid = {dashboard["uid"]: dashboard for dashboard in DASHBOARDS}
    assert any("/d/agent-decisions?" in url and "var-outcome=denied" in url for url in links(by_uid["agent-overview"]))
    assert any("/d/agent-session?" in url and "var-session=" in url for url in links(by_uid["agent-decisions"]))
    assert "Transcript" in [panel["title"] for panel in by_uid["agent-session"]["panels"]]
