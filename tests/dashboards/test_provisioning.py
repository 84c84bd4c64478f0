"""What Grafana is told besides its dashboards, rendered from the templates that the playbook installs."""

import configparser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from dev.grafana import render
from tests.dashboards.macros import expand
from tests.deploy.standin import alerting

SOURCES = {"telemetry-public", "telemetry-private", "__expr__"}
POINT = {"type": "webhook", "settings": {"url": "https://example.com/$ecret"}}


def rendered(folder: Path, url: str, **variables: Any) -> tuple[configparser.ConfigParser, dict[str, Any]]:
    """The settings, and the alerts' file."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(render(folder, url, variables))
    return ini, yaml.safe_load((folder / "provisioning" / "alerting" / "telemetry.yaml").read_text("utf-8"))


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
    ]
    assert found["policies"][0]["receiver"] == found["contact-points"][0]["name"]
    assert "{{ $labels.host }}" in found["rules"][0]["annotations"]["summary"]
    # $ stands for a variable there, $$ for itself.
    assert found["contact-points"][0]["receivers"][0]["settings"] == {"url": "https://example.com/$$ecret"}


def test_no_budget_no_alert_of_costs(tmp_path: Path, database_url: str) -> None:
    _, alerts = rendered(tmp_path, database_url, grafana_contact_point=POINT)
    assert "Cost of the day" not in [rule["title"] for rule in alerts["groups"][0]["rules"]]


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
