"""What came in and how full the disk is, noted in the database about once a minute by every collector process."""

import ipaddress
import threading
import time
from pathlib import Path

import psycopg

from app import machine
from app.store import condition, status

SAVE_SECONDS = 60.0
# Where Debian and Ubuntu keep the data of every cluster, if nobody says otherwise.
DEBIAN_FOLDER = Path("/var/lib/postgresql")


class Intake:
    """What this process took in since it last noted it. One that is killed loses the numbers of a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = (0, 0, 0)
        self._saved_at: float | None = None

    def add(self, stored: int, duplicates: int, rejected: int) -> None:
        """Counts what became of a batch's events; never waits for the database."""
        with self._lock:
            before = self._counts
            self._counts = (before[0] + stored, before[1] + duplicates, before[2] + rejected)

    def save(self, connection: psycopg.Connection, *, at_once: bool = False) -> None:
        """Notes it, unless that was done within the last minute. What could not be noted is kept for the next time.

        Raises psycopg.Error.
        """
        now = time.monotonic()
        if not at_once and self._saved_at is not None and now - self._saved_at < SAVE_SECONDS:
            return
        folder = data_folder(connection)
        disk = machine.disk(folder) if folder else None
        with self._lock:
            counts, self._counts = self._counts, (0, 0, 0)
        try:
            status.add_sample(connection, counts, disk.size if disk else None, disk.free if disk else None)
        except psycopg.Error:
            self.add(*counts)
            raise
        self._saved_at = now


def data_folder(connection: psycopg.Connection) -> Path | None:
    """Where the database lies as far as one may know; None where that is on another machine."""
    info = connection.info
    if not info.host.startswith(("/", "@")) and not _is_loopback(info.hostaddr):
        return None
    told = condition.data_directory(connection)
    return Path(told) if told else machine.working_folder(info.backend_pid) or DEBIAN_FOLDER


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
