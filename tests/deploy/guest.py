"""The processes of a test host: systemd-nspawn and what it runs, in a control group of the host's own.

The group is how they are found again, after whatever crash: all that is in it was started by us, and nothing else is.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from dev.packages import environment, find
from tests.deploy.needs import HostError, cgroups
from tests.deploy.record import Machine

STOP_SECONDS = 120.0
KILL_SECONDS = 20.0

# Joins the group, then becomes systemd-nspawn: not for a moment is there a process of ours outside of it.
LAUNCH = 'echo $$ > "$0/cgroup.procs"; exec "$@"'


class GuestError(HostError):
    """A host's processes did not do as they were told; the message says which."""


def group(machine: Machine) -> Path:
    """The host's control group. Two hosts in one would take each other's services for their own."""
    mounted = cgroups()
    assert mounted is not None, "needs.require() was not called"
    return mounted / f"aft.{machine.name}"


def running(machine: Machine) -> bool:
    """Whether any process of that host is left."""
    try:
        return "populated 1" in (group(machine) / "cgroup.events").read_text()
    except FileNotFoundError:
        return False


def launch(machine: Machine) -> None:
    """Starts it in the background: it outlives this process. Its console goes to console.log."""
    group(machine).mkdir(exist_ok=True)
    command = [
        find("setsid") or "setsid",
        "--fork",
        "/bin/sh",
        "-c",
        LAUNCH,
        str(group(machine)),
        find("systemd-nspawn") or "systemd-nspawn",
        "--quiet",
        "--boot",
        f"--directory={machine.root}",
        f"--machine={machine.name}",
        "--register=no",
        "--keep-unit",
        "--network-veth",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
    ]
    with machine.console.open("ab") as console:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**environment(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_LOG_TARGET": "console"},
            check=True,
            timeout=30,
        )


def power_off(machine: Machine) -> None:
    """Shuts it down in order, as its power button does. Raises GuestError when it does not end in time."""
    supervisor = _supervisor(machine)
    if supervisor is not None:
        os.kill(supervisor, signal.SIGTERM)
    if not _ended(machine, STOP_SECONDS):
        raise GuestError(f"{machine.name} did not shut down in {STOP_SECONDS:.0f} s")
    _remove_group(machine)


def cut_power(machine: Machine) -> None:
    """Ends all its processes at once. Raises GuestError when some are left all the same."""
    if group(machine).exists():
        (group(machine) / "cgroup.kill").write_text("1")
        if not _ended(machine, KILL_SECONDS):
            raise GuestError(f"processes of {machine.name} do not end: see {group(machine)}/cgroup.procs")
        _remove_group(machine)


def leader(machine: Machine) -> int | None:
    """The process that is the host's PID 1, for nsenter; None when it does not run."""
    return next(iter(_processes(group(machine) / "payload" / "init.scope")), None)


def _supervisor(machine: Machine) -> int | None:
    """The systemd-nspawn of that host, wherever it has moved itself within the group."""
    for folder in (group(machine) / "supervisor", group(machine)):
        for pid in _processes(folder):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd-nspawn":
                return pid
    return None


def _processes(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except FileNotFoundError:
        return []


def _ended(machine: Machine, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while running(machine):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _remove_group(machine: Machine) -> None:
    top = group(machine)
    for folder, _, _ in os.walk(top, topdown=False):
        Path(folder).rmdir()
