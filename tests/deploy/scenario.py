"""Runs one of molecule's scenarios, and looks afterwards for secrets in all that it left."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.deploy import leaks, machines, record, remote
from tests.deploy.record import Machine
from tests.fixtures.environment import environment

FOLDER = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent
INVENTORY = FOLDER / "molecule/shared/group_vars/all.yml"

# The longest takes ten minutes, but a machine may be less than half as fast as another.
SCENARIO_SECONDS = 2400.0
# What `timeout` exits with.
TIMED_OUT = 124
SHOWN_LINES = 150


@dataclass(frozen=True)
class Scenario:
    """A scenario, and the release of Debian that its hosts have."""

    name: str
    debian: str

    def __str__(self) -> str:
        return f"{self.name}-{self.debian}"


@dataclass(frozen=True)
class Outcome:
    """How it ended: its exit code, the end of what was printed, secrets that were shown, and its hosts' journals."""

    code: int
    words: str
    leaks: list[str]
    journals: list[tuple[str, str]]
    seconds: float


def run(scenario: Scenario, folder: Path) -> Outcome:
    """Runs it from bare hosts to the end, and takes its hosts away. What it leaves in the folder is for a person.

    Ansible tells all that it can (-vvv): nothing of that may be a secret.
    """
    ephemeral = folder / "molecule"
    log = folder / "log"
    folder.mkdir()
    environ = environment(
        AFT_DEBIAN=scenario.debian,
        # Whatever happens to molecule, the hosts go when this run ends; until then their journals can be read.
        AFT_HOSTS_OWNER=str(os.getpid()),
        MOLECULE_EPHEMERAL_DIRECTORY=str(ephemeral),
        ANSIBLE_HOME=str(folder / "ansible"),
        ANSIBLE_FORCE_COLOR="0",
        ANSIBLE_VERBOSITY="3",
        NO_COLOR="1",
        PATH=f"{PROGRAMS}:{os.environ['PATH']}",
    )
    started = time.monotonic()
    command = [str(PROGRAMS / "molecule"), "test", "--scenario-name", scenario.name, "--destroy", "never"]
    hosts: list[Machine] = []
    try:
        with leaks.ProcessList() as processes, log.open("wb") as output:
            try:
                code = subprocess.run(
                    command,
                    cwd=FOLDER,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=SCENARIO_SECONDS,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired as error:
                # How far it came is in its words.
                output.write(f"\n{error}\n".encode())
                code = TIMED_OUT
        hosts = list(_hosts(ephemeral))
        found = _leaks(ephemeral, log, hosts, processes)
        journals = [(f"journal of {host.name}", remote.journal(host)) for host in hosts] if code or found else []
    finally:
        for host in hosts or _hosts(ephemeral):
            machines.destroy(host.name)
        shutil.rmtree(folder / "ansible", ignore_errors=True)
    words = log.read_text("utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
    return Outcome(code, "\n".join(words), found, journals, time.monotonic() - started)


def _hosts(ephemeral: Path) -> Iterator[Machine]:
    """The scenario's hosts as far as they were made."""
    made = ephemeral / "inventory/made.yml"
    for name in yaml.safe_load(made.read_text())["all"]["hosts"] if made.exists() else []:
        host = record.read(name)
        if host is not None:
            yield host


def _leaks(ephemeral: Path, log: Path, hosts: list[Machine], processes: leaks.ProcessList) -> list[str]:
    inventory = yaml.safe_load(INVENTORY.read_text())
    secrets: dict[str, str] = {}
    for host in hosts:
        secrets |= leaks.secrets_of(host, inventory)
    places = [("processes", "\n".join(sorted(processes.seen)))]
    places += [(file.name, file.read_text("utf-8", errors="replace")) for file in _printed(ephemeral, log)]
    for host in hosts:
        places += leaks.logs(host)
    return leaks.search(places, secrets)


def _printed(ephemeral: Path, log: Path) -> list[Path]:
    """What molecule printed, and the playbooks that its tests ran."""
    return [log, *sorted((ephemeral / "playbooks").glob("*.log"))]
