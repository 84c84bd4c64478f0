"""The folder of backups: which there are, whether one is whole, and which have to go."""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from telemetry_backup.errors import BackupError

NAME = re.compile(r"\d{8}T\d{6}Z")
SUMS = "SHA256SUMS"
# Leftovers of what was killed are known by it, and a copy off the host leaves them out.
UNFINISHED = ".unfinished-"

SUM_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")


@dataclass(frozen=True)
class Copy:
    """A finished backup: one that was verified before it got its name."""

    folder: Path

    @property
    def name(self) -> str:
        """Its time, as in 20240115T031500Z."""
        return self.folder.name

    @property
    def taken_at(self) -> datetime:
        """When, in UTC."""
        return datetime.strptime(self.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """One at a time may change the folder, until its process ends; raises BackupError while another does."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("Another backup, restore or drill is running: wait until it has ended.") from None
        for left in root.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left)
        yield
    finally:
        os.close(descriptor)


def everything(root: Path) -> list[Copy]:
    """All finished backups, the newest first."""
    found = [Copy(path) for path in root.iterdir() if NAME.fullmatch(path.name)] if root.is_dir() else []
    return sorted(found, key=lambda copy: copy.name, reverse=True)


def find(root: Path, name: str | None) -> Copy:
    """The backup of that name or path; without one the newest. Raises BackupError."""
    if name is None:
        copies = everything(root)
        if not copies:
            raise BackupError(f"There is no backup in {root}: take one, or give the path of one.")
        return copies[0]
    folder = Path(name) if "/" in name else root / name
    if not (folder / SUMS).is_file():
        raise BackupError(f"{folder} is no finished backup: there is no {SUMS} in it.")
    return Copy(folder)


def seal(folder: Path) -> None:
    """Writes the sums of all files, and everything to the disk."""
    lines = [f"{_digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines), "ascii")
    for path in (*folder.iterdir(), folder):
        sync(path)


def check_sums(folder: Path) -> None:
    """Raises BackupError unless the files are exactly those that were sealed."""
    lines = (folder / SUMS).read_text("ascii", errors="replace").splitlines()
    matches = [SUM_LINE.fullmatch(line) for line in lines]
    expected = {match[2]: match[1] for match in matches if match}
    present = {path.name for path in folder.iterdir()} - {SUMS}
    if not lines or len(expected) != len(lines) or expected.keys() != present:
        different = sorted(expected.keys() ^ present)
        raise BackupError(f"{folder}: {SUMS} does not fit the files ({', '.join(different) or SUMS}): use another one.")
    for name, digest in expected.items():
        if _digest(folder / name) != digest:
            raise BackupError(f"{folder}: {name} was changed after it was written: use another backup.")


def sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def outlived(copies: list[Copy], *, keep: int, keep_days: int, now: datetime) -> list[Copy]:
    """Those that have to go: older than `keep_days`, with at least `keep` newer ones. So the newest never goes."""
    newest_first = sorted(copies, key=lambda copy: copy.name, reverse=True)
    return [copy for copy in newest_first[max(keep, 1) :] if now - copy.taken_at > timedelta(days=keep_days)]


def delete(copy: Copy) -> None:
    """Takes a backup away; one that is half gone is not mistaken for a backup."""
    doomed = copy.folder.with_name(f"{UNFINISHED}{copy.name}")
    copy.folder.rename(doomed)
    shutil.rmtree(doomed)


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
