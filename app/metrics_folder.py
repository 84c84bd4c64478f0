"""The folder in which the processes of a site count together: a file of counters a place, a process a place.

A process takes the first place that nobody holds and goes on with its counters. So they never go back when a process
ends and another starts, and the folder has as many files as processes ever ran at once, however often they restart.
Whoever holds a place holds a lock on it, which ends with the process, whatever ended it.
"""

import fcntl
import itertools
import logging
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

log = logging.getLogger(__name__)

# The library's own names: type and mode of what a file holds. Counters outlive their process, gauges do not.
COUNTERS = ("counter", "histogram")
GAUGES = ("gauge_livesum", "gauge_livemax")
# Taken from the disk beforehand: writing to a mapped file that finds the disk full would kill the process. All series
# that there can be need less than half of it.
FILE_BYTES = 128 * 1024


class MetricsFolder:
    """One process's place in the folder, and everybody's numbers; raises OSError where the folder is of no use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.place, self._lock = self._take_place()
        for kind in COUNTERS:
            if not _readable(self._file(kind, self.place)):
                self._file(kind, self.place).unlink(missing_ok=True)
        for kind in GAUGES:
            self._file(kind, self.place).unlink(missing_ok=True)
        for kind in (*COUNTERS, *GAUGES):
            _reserve(self._file(kind, self.place))

    def collect(self) -> Iterable[Metric]:
        """The counters of all places, and the gauges of those where a process lives, summed."""
        files = []
        for lock in sorted(self.path.glob("[0-9]*.lock")):
            place = int(lock.stem)
            kinds = (*COUNTERS, *GAUGES) if self._taken(lock) else COUNTERS
            files += [self._file(kind, place) for kind in kinds]
        # A damaged file costs its own numbers only.
        return _merge([file for file in files if _readable(file)])

    def _take_place(self) -> tuple[int, int]:
        """The first place that nobody holds, and the lock on it, an open file."""
        for place in itertools.count():
            lock = os.open(self.path / f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                return place, lock
        raise AssertionError("unreachable")

    def _taken(self, lock: Path) -> bool:
        """Whether a process lives in the place."""
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def _file(self, kind: str, place: int) -> Path:
        return self.path / f"{kind}_{place}.db"


def _merge(files: list[Path]) -> Iterable[Metric]:
    metrics: Iterable[Metric] = MultiProcessCollector.merge([str(file) for file in files])  # type: ignore[no-untyped-call]
    return metrics


def _readable(file: Path) -> bool:
    """Whether the file is there, and as a living process or a power cut should have left it."""
    try:
        _merge([file])
    except FileNotFoundError:
        return False
    except (OSError, RuntimeError, ValueError, struct.error) as error:
        log.warning("metrics: %s cannot be read (%s)", file, error)
        return False
    return True


def _reserve(file: Path) -> None:
    """Makes the file as large as it will ever be. Raises OSError where the disk is full."""
    with file.open("ab") as opened:
        os.posix_fallocate(opened.fileno(), 0, FILE_BYTES)
