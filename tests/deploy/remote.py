"""Commands on a test host, over ssh as an operator comes in; and its journal, ssh or not."""

import shlex
import subprocess
import time
from collections.abc import Sequence

from dev.packages import environment, find
from tests.deploy import guest
from tests.deploy.needs import HostError
from tests.deploy.record import Machine

READY_SECONDS = 120.0


class RemoteError(HostError):
    """A command on a host failed, or the host does not answer; the message has what it said."""


def ssh(machine: Machine, user: str = "root") -> list[str]:
    """The ssh command that opens that host; words after it are a command there."""
    return [
        find("ssh") or "ssh",
        "-F",
        "none",
        "-i",
        str(machine.key),
        "-o",
        f"UserKnownHostsFile={machine.known_hosts}",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "ConnectTimeout=5",
        "-o",
        "LogLevel=ERROR",
        f"{user}@{machine.address}",
    ]


def run(machine: Machine, *command: str, text: str | None = None, timeout: float = 300.0) -> str:
    """Runs a command there as root; what it printed. Raises RemoteError with its errors when it fails."""
    result = attempt(machine, *command, text=text, timeout=timeout)
    if result.returncode != 0:
        said = f"{result.stdout}{result.stderr}".strip()
        raise RemoteError(f"'{shlex.join(command)}' on {machine.name} exited with {result.returncode}: {said}")
    return result.stdout


def attempt(
    machine: Machine, *command: str, text: str | None = None, timeout: float = 300.0
) -> subprocess.CompletedProcess[str]:
    """Runs a command there as root, and gives whatever came of it; ssh's own failure is exit code 255."""
    return subprocess.run(
        [*ssh(machine), shlex.join(command)],
        input="" if text is None else text,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment(),
        timeout=timeout,
        check=False,
    )


def wait_until_up(machine: Machine) -> str:
    """Waits until its boot has ended; `running`, or `degraded` when a unit has failed. Raises RemoteError."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        result = attempt(machine, "systemctl", "is-system-running", "--wait", timeout=READY_SECONDS)
        state = result.stdout.strip()
        if result.returncode != 255 and state in ("running", "degraded"):
            return state
        if not guest.running(machine) or time.monotonic() > deadline:
            said = state or result.stderr.strip()
            raise RemoteError(f"{machine.name} did not come up ({said}); its console ends with\n{console(machine)}")
        time.sleep(0.05)


def failed_units(machine: Machine) -> Sequence[str]:
    """The names of the units that have failed there."""
    lines = run(machine, "systemctl", "list-units", "--failed", "--plain", "--no-legend").splitlines()
    return [line.split()[0] for line in lines]


def journal(machine: Machine, lines: int = 200) -> str:
    """The end of its journal, read from its file system: also when it is dead or lets nobody in."""
    folder = machine.root / "var/log/journal"
    command = [find("journalctl") or "journalctl", f"--directory={folder}", "--no-pager", "--quiet", f"--lines={lines}"]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    return result.stdout or f"no journal in {folder}: {result.stderr.strip()}\n{console(machine)}"


def console(machine: Machine) -> str:
    """The end of what it wrote to its console."""
    if not machine.console.exists():
        return ""
    return "\n".join(machine.console.read_text(errors="replace").splitlines()[-15:])
