"""What may happen to a site that serves, in the order of this file; whoever posts meanwhile notices nothing."""

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import __version__ as original
from tests.deploy import machines, release
from tests.deploy.inside import Database
from tests.deploy.load import POSTS_A_SECOND, Load
from tests.deploy.outside import Site
from tests.deploy.playbooks import Operator, Run
from tests.deploy.record import Machine
from tests.deploy.remote import run

testinfra_hosts = ["ansible://proxy"]

UPGRADED = "9001.0.0"
# What the collector reads at its start only.
SETTINGS = {"TELEMETRY_THREADS": 7}


@dataclass(frozen=True)
class Vps:
    """The host with its site, from inside and from outside."""

    site: Site
    machine: Machine
    operator: Operator
    database: Database

    def load(self, least_seconds: float = 0.0) -> Load:
        """Posts by a host that nobody knew before."""
        host_id = f"load-{secrets.token_hex(4)}"
        return Load(self.site, self.operator.make_key(host_id), host_id, least_seconds)

    def checkout(self, version: str) -> Path:
        """A checkout of another release, in place of one that was left by an earlier run of these tests."""
        folder = self.operator.folder / f"checkout-{version}"
        shutil.rmtree(folder, ignore_errors=True)
        return release.checkout(folder, version)

    def release(self, checkout: Path) -> Run:
        """Deploys a checkout's collector, whatever comes of it."""
        return self.operator.attempt(
            "site.yml", "--tags=collector", checkout=checkout, collector_settings=SETTINGS, collector_probe_seconds=3
        )

    def version(self) -> str:
        """The version that the site says it has; each process must be of the release that `current` names."""
        current = run(self.machine, "readlink", "/opt/telemetry/current")
        for process in (1, 2):
            unit = f"telemetry-collector@{process}"
            pid = run(self.machine, "systemctl", "show", "--property=MainPID", "--value", unit).strip()
            assert run(self.machine, "readlink", f"/proc/{pid}/cwd") == current
        health = self.site.get("/api/v1/health")
        assert health.status == 200
        return str(health.json()["version"])


@pytest.fixture
def vps(site: Site, machine: Machine, operator: Operator, database: Database) -> Vps:
    return Vps(site, machine, operator, database)


def test_neither_a_rolling_restart_nor_an_upgrade_costs_a_request(vps: Vps) -> None:
    newer = vps.checkout(UPGRADED)
    release.add_migration(newer, 9001, "CREATE TABLE of_a_test (); ALTER TABLE telemetry_events ADD of_a_test integer;")
    with vps.load(least_seconds=60) as load:
        restarted = vps.operator.run("site.yml", "--tags=collector", collector_settings=SETTINGS)
        vps.operator.run("site.yml", checkout=newer, collector_settings=SETTINGS)
    assert restarted.changed > 0
    assert vps.version() == UPGRADED
    assert vps.database.ask("SELECT to_regclass('of_a_test')") == "of_a_test"
    print(load.check(vps.database))
    assert len(load.posts) >= 60 * POSTS_A_SECOND


def no_longer_healthy(folder: Path) -> None:
    release.change(folder / "app/routes/health.py", r"if collector\(\)\.ping\.alive\(TIMEOUT_SECONDS\):", "if False:")


def crashes_at_its_start(folder: Path) -> None:
    release.change(folder / "app/server.py", r"    return_large_blocks\(\)\n", '    raise RuntimeError("of a test")\n')


@pytest.mark.parametrize("spoil", [no_longer_healthy, crashes_at_its_start])
def test_a_release_that_does_not_work_takes_itself_back(vps: Vps, spoil: Callable[[Path], None]) -> None:
    broken = vps.checkout("9002.0.0")
    spoil(broken)
    with vps.load() as load:
        done = vps.release(broken)
    assert done.code != 0
    assert "Release 9002.0.0-" in done.said
    assert f"did not pass its probe on {vps.machine.name}, so release {UPGRADED}-" in done.said
    assert "serves again." in done.said
    assert vps.version() == UPGRADED
    print(load.check(vps.database))


def test_a_migration_that_fails_changes_nothing(vps: Vps) -> None:
    broken = vps.checkout("9003.0.0")
    release.add_migration(broken, 9003, "CREATE TABLE half (); SELECT 1/0;")
    done = vps.release(broken)
    assert done.code != 0
    assert "The database could not be migrated to release 9003.0.0-" in done.said
    assert "division by zero" in done.said
    assert vps.database.ask("SELECT to_regclass('half')") == ""
    assert vps.version() == UPGRADED


def test_a_rollback_puts_the_release_before_back_on_the_newer_schema(vps: Vps) -> None:
    with vps.load() as load:
        vps.operator.run("rollback.yml")
    assert vps.version() == original
    assert vps.database.ask("SELECT to_regclass('of_a_test')") == "of_a_test"
    print(load.check(vps.database))


@pytest.mark.parametrize("switch_off", [machines.power_off, machines.cut_power])
def test_after_it_was_off_everything_comes_up_by_itself(vps: Vps, switch_off: Callable[[Machine], None]) -> None:
    count = "SELECT count(*) FROM reporting.events"
    before = vps.database.ask(count)
    switch_off(vps.machine)
    assert machines.boot(vps.machine) == "running"
    assert vps.version() == original
    assert vps.database.ask(count) == before
    assert vps.site.get("/grafana/api/health").status == 200
    with vps.load(least_seconds=2) as load:
        pass
    load.check(vps.database)
