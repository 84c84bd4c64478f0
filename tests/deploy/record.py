"""What is written down of each test host, so that the next run knows what a killed one left behind."""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

# A folder a host: record.json, root/ (its file system), console.log, its ssh key and its known_hosts.
HOME = Path("/var/lib/agent-framework-telemetry-machines")
LOCK = Path("/run/lock/agent-framework-telemetry-machines")

# A network interface has at most 15 characters, and it is called ve-NAME.
NAME = re.compile(r"[a-z][a-z0-9-]{0,10}[a-z0-9]")


class Process(NamedTuple):
    """A process of this machine, told from a later one with the same number by its start."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """That process as it runs now; None when there is none."""
        try:
            # The program's name, in brackets, may hold anything; the start is the 22nd field, in ticks since the boot.
            return cls(pid, int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]))
        except (OSError, IndexError):
            return None

    def alive(self) -> bool:
        return type(self).of(self.pid) == self


@dataclass(frozen=True)
class Machine:
    """A test host. `number` gives it its addresses; `owner` is the run that it ends with, None for a person's."""

    name: str
    suite: str
    number: int
    owner: Process | None = None

    @property
    def folder(self) -> Path:
        return HOME / self.name

    @property
    def root(self) -> Path:
        """Its file system, as this machine sees it."""
        return self.folder / "root"

    @property
    def key(self) -> Path:
        """The private ssh key that opens it."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Its ssh host key, for `UserKnownHostsFile`."""
        return self.folder / "known_hosts"

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def interface(self) -> str:
        """Our end of the cable to it."""
        return f"ve-{self.name}"

    @property
    def address(self) -> str:
        return f"10.213.{self.number}.2"

    @property
    def gateway(self) -> str:
        """Our address on that cable."""
        return f"10.213.{self.number}.1"

    @property
    def abandoned(self) -> bool:
        """Whether the run that it belonged to is gone."""
        return self.owner is not None and not self.owner.alive()


@contextmanager
def locked() -> Iterator[None]:
    """One at a time may look at all hosts and change what they share; the kernel ends it with the process."""
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write(machine: Machine) -> None:
    """Makes the host's folder and writes the record down, whole or not at all."""
    machine.folder.mkdir(parents=True, exist_ok=True)
    unfinished = machine.folder / "record.json.new"
    unfinished.write_text(json.dumps(asdict(machine)) + "\n")
    unfinished.replace(machine.folder / "record.json")


def read(name: str) -> Machine | None:
    """The host of that name; None when there is none. One whose making was cut off at once has number 0."""
    folder = HOME / name
    if not NAME.fullmatch(name) or not folder.is_dir():
        return None
    try:
        values = json.loads((folder / "record.json").read_text())
    except (FileNotFoundError, ValueError):
        return Machine(name, "", 0)
    owner = values.pop("owner")
    return Machine(**values, owner=Process(*owner) if owner else None)


def read_all() -> list[Machine]:
    """Every host there is, running or not, by name."""
    names = sorted(folder.name for folder in HOME.iterdir()) if HOME.exists() else []
    return [machine for name in names if (machine := read(name)) is not None]
