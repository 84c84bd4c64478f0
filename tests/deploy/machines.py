"""Real Debian hosts with systemd for tests, booted by systemd-nspawn on the machine that runs them.

    python -m tests.deploy.machines up NAME [--suite trixie]    a fresh host, reachable by ssh; it stays until `down`
    python -m tests.deploy.machines ssh NAME [COMMAND...]
    python -m tests.deploy.machines list
    python -m tests.deploy.machines down NAME... | --all

A host is an unpacked image, a control group with its processes, and a virtual cable. Each of them has the host's name,
and the record of it is written first: so whatever a killed run leaves is found and taken away by the next `create` or
`destroy`. `reboot` inside a host powers it off; `boot` boots it again.
"""

import os
import shutil
import subprocess
import sys

from tests.deploy import guest, network, personal, record, remote
from tests.deploy.image import SUITES, unpack
from tests.deploy.needs import HostError, NotHereError, require
from tests.deploy.record import NAME, Machine, Process, locked

__all__ = ["Machine", "MachineError", "NotHereError", "boot", "create", "cut_power", "destroy", "power_off", "sweep"]


class MachineError(HostError):
    """A host cannot be made as wished; the message names the remedy."""


def create(name: str, suite: str = SUITES[-1], *, owner: int | None = None) -> Machine:
    """A new host, booted and reachable by ssh as root and as debian; an older one of that name is destroyed first.

    With the process id of its owner it is taken away by `sweep` when that process has ended, else it stays until
    `destroy`. Raises NotHereError where test hosts cannot be had, MachineError, and what the parts raise.
    """
    require()
    if not NAME.fullmatch(name):
        raise MachineError(f"'{name}' is no host's name: 2 to 12 small letters, digits and hyphens")
    if suite not in SUITES:
        raise MachineError(f"there is no suite '{suite}': choose one of {', '.join(SUITES)}")
    whose = Process.of(owner) if owner else None
    former = record.read(name)
    if former and former.owner and former.owner.alive() and former.owner != whose:
        raise MachineError(f"the host {name} belongs to a test run that is going on (process {former.owner.pid})")
    destroy(name)
    machine = _claim(name, suite, whose)
    try:
        unpack(suite, machine.root)
        personal.personalise(machine)
        boot(machine)
    except BaseException as error:
        sys.stderr.write(f"{name} is taken away again, for it did not come up ({error!r})\n")
        destroy(name)
        raise
    return machine


def _claim(name: str, suite: str, owner: Process | None) -> Machine:
    with locked():
        if record.read(name) is not None:
            raise MachineError(f"somebody else is making a host {name} right now: choose another name")
        if network.exists(Machine(name, suite, 0)):
            raise MachineError(f"an interface ve-{name} of somebody else's is there: choose another name")
        taken = [each.number for each in record.read_all()]
        machine = Machine(name, suite, network.free_number(taken), owner)
        record.write(machine)
    return machine


def boot(machine: Machine) -> str:
    """Boots a host that is off, and returns when its boot has ended: `running`, or `degraded` where a unit failed."""
    if guest.running(machine):
        return remote.wait_until_up(machine)
    personal.renew_resolvers(machine)
    with locked():
        network.open_way_out()
    guest.launch(machine)
    try:
        network.connect(machine)
    except network.NetworkError as error:
        guest.cut_power(machine)
        raise MachineError(f"{error}; its console ends with\n{remote.console(machine)}") from error
    return remote.wait_until_up(machine)


def power_off(machine: Machine) -> None:
    """Shuts it down in order; its disk stays. Does nothing when it is off."""
    guest.power_off(machine)
    network.disconnect(machine)


def cut_power(machine: Machine) -> None:
    """Ends it from one moment to the next; its disk stays. Does nothing when it is off."""
    guest.cut_power(machine)
    network.disconnect(machine)


def destroy(name: str) -> None:
    """Takes a host away with all that belongs to it; does nothing when there is none of that name."""
    if os.geteuid() != 0:
        raise NotHereError("test hosts need root: run the same command with sudo")
    machine = record.read(name)
    if machine is not None:
        cut_power(machine)
        # The record goes last: as long as anything is left, it is known whose it is.
        for path in machine.folder.iterdir():
            if path.name != "record.json":
                subprocess.run(["rm", "-rf", "--one-file-system", path], check=True, timeout=300)
    with locked():
        if machine is not None:
            shutil.rmtree(machine.folder, ignore_errors=True)
        if not record.read_all():
            network.close_way_out()
            if record.HOME.exists():
                record.HOME.rmdir()


def sweep() -> None:
    """Takes away the hosts of runs that have ended without doing so. Does nothing where none can be."""
    if os.geteuid() == 0:
        for machine in record.read_all():
            if machine.abandoned:
                destroy(machine.name)


if __name__ == "__main__":
    from tests.deploy.command import main

    main()
