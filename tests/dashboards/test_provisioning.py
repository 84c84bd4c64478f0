"""What Grafana is told besides its dashboards, rendered from the templates that the playbook installs."""

import configparser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from dev.grafana import GrafanaError, render
from dev.templates import role_variables
from tests.dashboards.macros import expand
from tests.deploy.standin import alerting
from tests.fixtures.postgres import connect

SOURCES = {"telemetry-public", "telemetry-private", "__expr__"}
POINT = {"type": "webhook", "settings": {"url": "https://example.com/$ecret"}}


def rendered(folder: Path, url: str, **variables: Any) -> tuple[configparser.ConfigParser, dict[str, Any]]:
    """The settings, and the alerts' file."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(render(folder, url, variables))
    return ini, yaml.safe_load((folder / "provisioning" / "alerting" / "telemetry.yaml").read_text("utf-8"))


def test_the_datasources_are_of_the_database_that_the_url_names(tmp_path: Path, database_url: str) -> None:
    render(tmp_path, database_url)
    path = tmp_path / "provisioning" / "datasources" / "telemetry.yaml"
    found = yaml.safe_load(path.read_text("utf-8"))["datasources"]
    known = conninfo_to_dict(database_url)
    assert known["dbname"] != role_variables("grafana")["_grafana_database_name"]
    assert {(source["url"], source["jsonData"]["database"]) for source in found} == {(known["host"], known["dbname"])}


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1/agent_telemetry", "postgresql:///?host=/run/postgresql", "agent_telemetry"]
)
def test_a_database_that_no_datasource_could_be_of_is_told_of(tmp_path: Path, url: str) -> None:
    with pytest.raises(GrafanaError, match="as in postgresql:///agent_telemetry"):
        render(tmp_path, url)


def test_nothing_is_watched_without_a_contact_point(tmp_path: Path, database_url: str) -> None:
    ini, alerts = rendered(tmp_path, database_url)
    assert ini["unified_alerting"]["enabled"] == "false"
    assert alerts == {"apiVersion": 1}


def test_a_contact_point_gets_all_alerts(tmp_path: Path, database_url: str) -> None:
    ini, alerts = rendered(tmp_path, database_url, grafana_contact_point=POINT, grafana_alert_daily_cost=5)
    assert ini["unified_alerting"]["enabled"] == "true"
    found = alerting.check([alerts], SOURCES)
    assert [rule["title"] for rule in found["rules"]] == [
        "Host silent",
        "Error rate",
        "Denial spike",
        "Cost of the day",
        "Quarantine growing",
        "Disk full soon",
        "Backup too old",
    ]
    assert found["policies"][0]["receiver"] == found["contact-points"][0]["name"]
    assert "{{ $labels.host }}" in found["rules"][0]["annotations"]["summary"]
    # $ stands for a variable there, $$ for itself.
    assert found["contact-points"][0]["receivers"][0]["settings"] == {"url": "https://example.com/$$ecret"}


def test_a_limit_of_zero_is_no_alert(tmp_path: Path, database_url: str) -> None:
    none = {f"grafana_alert_{name}": 0 for name in ("daily_cost", "disk_days", "backup_hours")}
    _, alerts = rendered(tmp_path, database_url, grafana_contact_point=POINT, **none)
    titles = {rule["title"] for rule in alerts["groups"][0]["rules"]}
    assert titles == {"Host silent", "Error rate", "Denial spike", "Quarantine growing"}


SAMPLES = """
INSERT INTO status_samples (start, stored, duplicates, rejected, disk_bytes, disk_free_bytes)
SELECT now() - n * interval '1 hour', 0, 0, 0, 100e9::bigint, {free} FROM generate_series(0, {hours}) AS n;
"""
BACKUP = "INSERT INTO status_backups (taken_at, bytes, copied) VALUES (now() - interval '{hours} hours', 1, false);"


@pytest.mark.parametrize(
    ("history", "firing"),
    [
        ("", set()),
        # Two days are too few to say where it leads, and a site of two days should have a backup.
        (SAMPLES.format(free="50e9 + n * 1e9", hours=48), {"Backup too old"}),
        (SAMPLES.format(free="50e9 + n * 1e9", hours=30), set()),
        (SAMPLES.format(free="13e9 + n * 1e9 / 24", hours=96) + BACKUP.format(hours=35), {"Disk full soon"}),
        (SAMPLES.format(free="15e9 + n * 1e9 / 24", hours=96) + BACKUP.format(hours=37), {"Backup too old"}),
        # It empties.
        (SAMPLES.format(free="13e9 - n * 1e6", hours=96) + BACKUP.format(hours=1), set()),
        (SAMPLES.format(free="4.9e9", hours=1), {"Disk full soon"}),
        # It was enlarged an hour ago.
        (
            SAMPLES.format(free="90e9", hours=1)
            + SAMPLES.format(free="1e9 + n * 1e9", hours=96)
            .replace("now()", "now() - interval '2 hours'")
            .replace("100e9", "50e9")
            + BACKUP.format(hours=1),
            set(),
        ),
    ],
)
def test_disk_and_backup_alert_when_they_should(
    tmp_path: Path, database_url: str, history: str, firing: set[str]
) -> None:
    _, alerts = rendered(tmp_path, database_url, grafana_contact_point=POINT)
    with connect(database_url) as owner:
        owner.execute(history.encode())
    fired = set()
    with psycopg.connect(database_url, user="grafana_private", autocommit=True) as connection:
        for rule in alerts["groups"][0]["rules"]:
            question, condition = rule["data"]
            [evaluator] = [each["evaluator"] for each in condition["model"]["conditions"]]
            over = {"gt": float.__gt__, "lt": float.__lt__}[evaluator["type"]]
            rows = connection.execute(question["model"]["rawSql"].encode()).fetchall()
            if any(over(row[-1], float(evaluator["params"][0])) for row in rows):
                fired.add(rule["title"])
    assert fired == firing


@pytest.mark.parametrize("hosts", [[], ["laptop", "o'neil's"]])
def test_each_alert_asks_for_one_number_a_row(tmp_path: Path, any_database_url: str, hosts: list[str]) -> None:
    variables = {
        "grafana_contact_point": POINT,
        "grafana_alert_daily_cost": 5,
        "grafana_alert_silent_hosts": hosts,
    }
    _, alerts = rendered(tmp_path, any_database_url, **variables)
    now = datetime.now(UTC)
    with psycopg.connect(any_database_url, user="grafana_private", autocommit=True) as connection:
        for rule in alerts["groups"][0]["rules"]:
            question, condition = rule["data"]
            cursor = connection.execute(expand(question["model"]["rawSql"], now, now).encode())
            assert cursor.description is not None
            kinds = [psycopg.adapters.types[column.type_code].name for column in cursor.description]
            assert sorted(kinds) in (["float8"], ["float8", "text"])
            assert condition["model"]["expression"] == question["refId"]
            assert rule["condition"] == condition["refId"]
