"""What root sees on a host that runs the whole site."""

import re

import pytest

from tests.deploy.inside import memory
from tests.deploy.playbooks import Operator
from tests.deploy.record import Machine
from tests.deploy.remote import attempt, failed_units, run
from tests.fixtures.environment import ROOT

testinfra_hosts = ["ansible://proxy"]

# What a process of that unit could still do, from 0 to 10, as `systemd-analyze security` counts.
MOST_EXPOSURE = {
    "telemetry-collector@1": 1.5,
    "telemetry-maintenance": 1.5,
    "telemetry-backup": 1.5,
    "telemetry-backup-drill": 1.5,
    "caddy": 1.5,
    "grafana-server": 1.5,
}
STAND_IN = "grafana-server.service"
MOST_MEGABYTES = 450


def test_no_unit_has_failed(machine: Machine) -> None:
    assert failed_units(machine) == []


def test_systemd_finds_no_fault_in_the_units(machine: Machine) -> None:
    units = "/etc/systemd/system/telemetry-* caddy.service grafana-server.service"
    result = attempt(machine, "sh", "-c", f"systemd-analyze verify {units}")
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@pytest.mark.parametrize(("unit", "most"), MOST_EXPOSURE.items())
def test_a_unit_may_do_little(machine: Machine, unit: str, most: float) -> None:
    answer = run(machine, "systemd-analyze", "security", "--no-pager", f"{unit}.service")
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", answer)
    assert exposure
    assert float(exposure[1]) <= most


def test_everything_lands_where_the_readme_says(machine: Machine) -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("### What lands where")[2].partition("###")[0]
    paths = re.findall(r"`(/[^`]+)`", section)
    assert len(paths) > 10
    run(machine, "ls", "-d", *paths)


def test_the_doctor_finds_nothing(machine: Machine) -> None:
    # Without a key nobody could send, and it would say so.
    run(machine, "telemetryctl", "keys", "create", "doctor")
    run(machine, "telemetryctl", "doctor")


# The drill needs a backup, which comes before it here.
@pytest.mark.parametrize("name", ["telemetry-maintenance", "telemetry-backup", "telemetry-backup-drill"])
def test_what_a_timer_starts_succeeds(machine: Machine, name: str) -> None:
    assert run(machine, "systemctl", "is-active", f"{name}.timer") == "active\n"
    assert run(machine, "systemctl", "is-enabled", f"{name}.timer") == "enabled\n"
    run(machine, "systemctl", "start", f"{name}.service")
    assert run(machine, "systemctl", "show", "--property=Result", f"{name}.service") == "Result=success\n"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/telemetry/secrets",
        "/etc/telemetry/collector.env",
        "/etc/telemetry/backup.toml",
        "/etc/grafana/grafana.ini",
        "/var/backups/telemetry",
        "/var/lib/caddy/.local/share/caddy",
        "/var/log/caddy",
    ],
)
def test_secrets_are_for_root_and_their_owner(machine: Machine, path: str) -> None:
    assert run(machine, "find", path, "-perm", "/007", "-not", "-type", "l") == ""


def test_a_site_with_two_collectors_is_small(machine: Machine, operator: Operator) -> None:
    used = {unit: kilobytes / 1024 for unit, kilobytes in memory(machine).items()}
    grafana = used.pop(STAND_IN)
    table = "\n".join(
        [
            *(f"{megabytes:7.1f} MB  {unit}" for unit, megabytes in used.items()),
            f"{sum(used.values()):7.1f} MB  in all, without Grafana, for which a stand-in takes {grafana:.1f} MB",
        ]
    )
    (operator.folder / "memory.txt").write_text(f"{machine.suite}\n{table}\n")
    print(table)
    assert len([unit for unit in used if unit.startswith("telemetry-collector@")]) == 2
    assert sum(used.values()) < MOST_MEGABYTES, table
