"""Molecule's scenarios: the playbook on real hosts, from bare to running, and what may happen to a site after that.

By hand, in tests/deploy: `molecule test -s site`, with AFT_DEBIAN=12 for hosts with Debian 12. `molecule converge`
leaves them running; `python -m tests.deploy.machines ssh site-13` opens one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import machines, record
from tests.fixtures.environment import environment

pytestmark = [pytest.mark.hosts, pytest.mark.slow]

FOLDER = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent

SCENARIO_SECONDS = 1500.0


@pytest.mark.parametrize(("scenario", "debian"), [("site", "12"), ("site", "13"), ("cluster", "13")])
def test_scenario(hosts_here: None, tmp_path: Path, scenario: str, debian: str) -> None:
    if not (PROGRAMS / "molecule").exists():
        pytest.skip("NO SCENARIOS: requirements-deploy.txt is not installed: run 'make .venv/deploy.stamp'")
    environ = environment(
        AFT_DEBIAN=debian,
        # Whatever happens to molecule, the hosts go when this run ends; until then their journals can be read.
        AFT_HOSTS_OWNER=str(os.getpid()),
        MOLECULE_EPHEMERAL_DIRECTORY=str(tmp_path / scenario),
        ANSIBLE_HOME=str(tmp_path / "ansible"),
        ANSIBLE_FORCE_COLOR="0",
        NO_COLOR="1",
        PATH=f"{PROGRAMS}:{os.environ['PATH']}",
    )
    log = tmp_path / "log"
    try:
        with log.open("wb") as output:
            code = subprocess.run(
                [PROGRAMS / "molecule", "test", "--scenario-name", scenario, "--destroy", "never"],
                cwd=FOLDER,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=SCENARIO_SECONDS,
                check=False,
            ).returncode
        words = log.read_text(errors="replace").splitlines()
        assert code == 0, "\n".join(["molecule's output ends with", *words[-150:]])
    finally:
        shutil.rmtree(tmp_path / "ansible", ignore_errors=True)


@pytest.fixture(autouse=True)
def one_at_a_time() -> None:
    """Takes the former scenario's hosts away, once its journals have been shown."""
    for machine in record.read_all():
        if machine.owner and machine.owner.pid == os.getpid():
            machines.destroy(machine.name)
