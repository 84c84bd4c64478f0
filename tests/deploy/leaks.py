"""The search for secrets where none may be: in what playbooks print, what hosts log, and how processes are called."""

import base64
import os
import re
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

from dev.packages import find
from tests.deploy.record import Machine

# What is a secret wherever it comes from: an API key, a private key, and what PostgreSQL keeps of a password.
KINDS = {
    "an API key": r"aft_[0-9A-Za-z]{40}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a password's verifier": r"SCRAM-SHA-256\$\d+:",
}
SECRETS = "etc/telemetry/secrets"
# Shorter than any secret here, long enough to stand in no other word.
LEAST_LENGTH = 12

SAMPLE_SECONDS = 0.03
# A young process may still become another program; an old one is looked at once in so many samples.
YOUNG_SAMPLES = 20


class ProcessList(threading.Thread):
    """While the block runs, notes the command line of every process of this machine, the test hosts' included.

    It looks every 30 ms: what lives for less may escape it.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        ages: dict[str, int] = {}
        while not self._ended.wait(SAMPLE_SECONDS):
            ages = {pid: ages.get(pid, -1) + 1 for pid in os.listdir("/proc") if pid.isdigit()}  # noqa: PTH208  # quick
            for pid, age in ages.items():
                if age < YOUNG_SAMPLES or age % YOUNG_SAMPLES == 0:
                    self._note(pid)

    def _note(self, pid: str) -> None:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return  # it has ended
        self.seen.add(command.decode(errors="replace").replace("\0", " "))


def secrets_of(machine: Machine, inventory: Mapping[str, object]) -> dict[str, str]:
    """The secrets of a site's host by what they are: those of the inventory, and those that were made there."""
    found = {name: str(value) for name, value in inventory.items() if name.endswith("_password")}
    folder = machine.root / SECRETS
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        found[file.name] = file.read_text().strip()
    return {name: value for name, value in found.items() if len(value) >= LEAST_LENGTH}


def leaks(text: str, secrets: Mapping[str, str]) -> list[str]:
    """Each line of a text that shows a secret, as `what: line`, without the secret."""
    patterns = {name: _spellings(value) for name, value in secrets.items()} | KINDS
    return [
        f"{name}: {re.sub(pattern, '(it)', line)[:300]}"
        for name, pattern in patterns.items()
        if re.search(pattern, text)
        for line in text.splitlines()
        if re.search(pattern, line)
    ]


def _spellings(value: str) -> str:
    """A secret as it is, and as Ansible's slurp hands it over."""
    encoded = base64.b64encode(value.encode()).decode().rstrip("=")
    # With a line's end after it, the last character of the base64 differs.
    return f"{re.escape(value)}|{re.escape(encoded[:-1])}"


def logs(machine: Machine) -> Iterator[tuple[str, str]]:
    """All that a host has logged, by file: its journal with every field, and the text files in /var/log."""
    folder = machine.root / "var/log"
    command = [find("journalctl") or "journalctl", f"--directory={folder}/journal", "--output=export", "--quiet"]
    journal = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout
    yield f"{machine.name}: journal", journal.decode(errors="replace")
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and "journal" not in file.parts:
            yield f"{machine.name}: /{file.relative_to(machine.root)}", file.read_text(errors="replace")


def search(places: Iterable[tuple[str, str]], secrets: Mapping[str, str]) -> list[str]:
    """The leaks in each of the named texts, as `place: what: line`."""
    return [f"{place}: {leak}" for place, text in places for leak in leaks(text, secrets)]
