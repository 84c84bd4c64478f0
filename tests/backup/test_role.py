"""What the role writes: a configuration that the program understands, and units that may do little."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from telemetry_backup import config
from telemetry_backup.config import Config, Database, Grafana, Target

from dev import templates
from tests.fixtures.environment import ROOT

ROLE = ROOT / "roles" / "backup"
UNITS = [f"telemetry-backup{drill}.{kind}" for drill in ("", "-drill") for kind in ("service", "timer")]
VARIANTS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "only a proxy": {"backup_database": False},
    "a host off the site": {
        "backup_target": "backup@192.0.2.1:telemetry",
        "backup_target_known_hosts": "192.0.2.1 ssh-ed25519 AAAA\n",
    },
    "a mount": {"backup_target": "/mnt/backup", "backup_target_mirror": True},
    "another folder": {"backup_folder": '/srv/back "ups"', "backup_grafana": True},
}


def render(destination: str, **variables: Any) -> str:
    """The file as the role would write it on a host with a database, with its defaults but for `variables`."""
    own = templates.role_variables("backup")
    values = {**own, "backup_database": True, "backup_grafana": False, **variables}
    values["_backup_key"] = f"{own['_backup_secrets']}/backup_ed25519"
    values["_backup_by_ssh"] = ":" in values["backup_target"]
    return templates.render(destination, values)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_program_understands_its_configuration(variant: str, tmp_path: Path) -> None:
    (tmp_path / "backup.toml").write_text(render("/etc/telemetry/backup.toml", **VARIANTS[variant]))
    found = config.load(tmp_path / "backup.toml")
    expected: dict[str, Any] = {
        "folder": Path("/var/backups/telemetry"),
        "paths": (Path("/etc/telemetry"), Path("/var/lib/caddy")),
        "database": Database("agent_telemetry"),
    }
    match variant:
        case "only a proxy":
            expected["database"] = None
        case "a host off the site":
            expected["target"] = Target(
                "backup@192.0.2.1:telemetry",
                key=Path("/etc/telemetry/secrets/backup_ed25519"),
                known_hosts=Path("/etc/telemetry/backup_known_hosts"),
            )
        case "a mount":
            expected["target"] = Target("/mnt/backup", mirror=True)
        case "another folder":
            expected |= {
                "folder": Path('/srv/back "ups"'),
                "grafana": Grafana(Path("/var/lib/grafana/grafana.db")),
            }
    # The program's defaults are those of the role.
    assert found == Config(**expected)


@pytest.fixture
def units(tmp_path: Path) -> dict[str, Path]:
    """The units of a host with the defaults, whose program is one that is there."""
    for unit in UNITS:
        text = render(f"/etc/systemd/system/{unit}").replace("/usr/local/sbin/telemetry-backup", "/bin/true")
        (tmp_path / unit).write_text(text)
    return {unit: tmp_path / unit for unit in UNITS}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here: install the package systemd")
def test_systemd_understands_the_units(units: dict[str, Path]) -> None:
    # Another program's units on this machine may be faulty; ours are named in what is said of them.
    command = ["systemd-analyze", "verify", *map(str, units.values())]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert not [line for line in said.splitlines() if "telemetry-backup" in line], said


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here: install the package systemd")
@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.endswith(".service")])
def test_the_services_may_do_little(units: dict[str, Path], unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(units[unit])]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-300:] + result.stderr


def test_a_drill_differs_from_a_backup_in_what_it_runs_only() -> None:
    backup, drill = (
        {line for line in render(f"/etc/systemd/system/{unit}.service").splitlines() if line}
        for unit in ("telemetry-backup", "telemetry-backup-drill")
    )
    assert {line.split("=")[0] for line in backup ^ drill} == {"Description", "ExecStart"}


def test_a_host_that_sends_its_copies_nowhere_has_no_network_for_it() -> None:
    service = "/etc/systemd/system/telemetry-backup.service"
    assert "PrivateNetwork=yes" in render(service)
    assert "PrivateNetwork" not in render(service, **VARIANTS["a host off the site"])
    assert "ReadWritePaths=/var/backups/telemetry -/mnt/backup\n" in render(service, **VARIANTS["a mount"])


def test_the_command_finds_the_program_and_nothing_of_the_callers(tmp_path: Path) -> None:
    command = tmp_path / "telemetry-backup"
    text = render("/usr/local/sbin/telemetry-backup")
    assert text.startswith("#!/usr/bin/python3 -IB\n")
    assert '"/usr/local/lib/telemetry"' in text
    text = text.replace("/usr/local/lib/telemetry", str(ROLE / "files"))
    command.write_text(text.replace("/usr/bin/python3", sys.executable))
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    (tmp_path / "json.py").write_text("raise SystemExit('another json')")
    result = subprocess.run([command, "--help"], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert all(word in result.stdout for word in ("take", "restore", "drill", "verify"))
