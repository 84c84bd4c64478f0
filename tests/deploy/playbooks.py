"""The site's operator in molecule's tests: runs playbooks on the scenario's hosts, as the README says."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.deploy import record
from tests.deploy.record import Machine
from tests.fixtures.environment import ROOT

# A restore onto a bare host runs the whole site.yml twice, which takes over ten minutes on a busy machine.
PLAYBOOK_SECONDS = 1200.0
SHOWN_LINES = 80


@dataclass(frozen=True)
class Run:
    """How a playbook ended, and all that it printed."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """How many tasks changed something, on all hosts."""
        counts = re.findall(r"^\S+ +: ok=\d+ +changed=(\d+) ", self.output, re.MULTILINE)
        assert counts, f"there is no recap in\n{self.output}"
        return sum(map(int, counts))

    @property
    def said(self) -> str:
        """Its output as one line: Ansible folds what is long."""
        return " ".join(self.output.split())


class Operator:
    """Runs playbooks on the hosts that molecule has made; `folder` is where molecule keeps what is the scenario's.

    What a playbook prints is kept there, besides, for the search for secrets: see test_scenarios.py.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory"

    def attempt(self, playbook: str, *arguments: str | Path, checkout: Path = ROOT, **variables: Any) -> Run:
        """Runs one of the checkout's ansible/, with extra variables that no command line shows."""
        logs = self.folder / "playbooks"
        logs.mkdir(exist_ok=True)
        log = logs / f"{len(list(logs.glob('*.log'))) + 1:02}-{playbook}.log"
        extra = self._write("variables.yml", variables)
        programs = Path(sys.executable).parent
        with log.open("wb") as output:
            code = subprocess.run(
                [
                    programs / "ansible-playbook",
                    f"--inventory={self.inventory}",
                    f"--extra-vars=@{extra}",
                    f"ansible/{playbook}",
                    *arguments,
                ],
                cwd=checkout,
                env={**_environment(), "PATH": f"{programs}:{os.environ['PATH']}", "PWD": str(checkout)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=PLAYBOOK_SECONDS,
                check=False,
            ).returncode
        return Run(code, log.read_text("utf-8"))

    def run(self, playbook: str, *arguments: str | Path, checkout: Path = ROOT, **variables: Any) -> Run:
        """As `attempt`; fails the test when the playbook fails."""
        done = self.attempt(playbook, *arguments, checkout=checkout, **variables)
        shown = "\n".join(done.output.splitlines()[-SHOWN_LINES:])
        assert done.code == 0, f"{playbook} exited with {done.code}; its output ends with\n{shown}"
        return done

    def make_key(self, host: str, **variables: Any) -> str:
        """A new API key for events of that host, by keys.yml."""
        file = self.folder / f"{host.replace('*', 'all')}-{len(list(self.folder.glob('*.key'))) + 1}.key"
        self.run("keys.yml", key_action="create", key_host=host, key_file=str(file), **variables)
        assert file.stat().st_mode & 0o777 == 0o600
        return file.read_text().strip()

    def moved(self, machine: Machine) -> None:
        """Writes the host's address down anew, after another has taken its place."""
        path = self.inventory / "made.yml"
        made = yaml.safe_load(path.read_text())
        made["all"]["hosts"][machine.name]["ansible_host"] = machine.address
        path.write_text(yaml.safe_dump(made))

    def _write(self, name: str, value: Mapping[str, object]) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(dict(value)))
        return path


def _environment() -> dict[str, str]:
    """Ansible's settings are the checkout's own, but for what speaks of the terminal and of how much is told."""
    kept = ("ANSIBLE_HOME", "ANSIBLE_VERBOSITY", "ANSIBLE_FORCE_COLOR")
    return {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_") or name in kept}


def machine_named(name: str) -> Machine:
    """The test host of that name. Fails the test when there is none."""
    found = record.read(name)
    assert found is not None, name
    return found
