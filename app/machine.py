"""What doctor wants to know of the machine: the room on its disk, and whether its clock is kept right."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

LEAST_FREE_SHARE = 0.05
LEAST_FREE_BYTES = 500_000_000

# adjtimex(2) gives this while nobody keeps the clock right; reading takes no rights. The structure is 208 bytes.
TIME_ERROR = 5
TIMEX_BYTES = 256


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of the file system that holds `folder`; `free` is what an ordinary user may still write."""

    folder: str
    free: int
    size: int

    @property
    def enough(self) -> bool:
        """Whether the database can go on writing for a while."""
        return self.free >= LEAST_FREE_BYTES and self.free >= LEAST_FREE_SHARE * self.size


def disk(folder: Path) -> Disk | None:
    """The disk below `folder`, or below the nearest folder above it that may be looked into; None where none is."""
    for path in (folder, *folder.parents[:-1]):
        try:
            space = os.statvfs(path)
        except PermissionError:
            continue
        except OSError:
            return None
        return Disk(str(path), space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize)
    return None


def working_folder(pid: int) -> Path | None:
    """Where a process works, which for PostgreSQL is its data folder; None for whom that is none of his business."""
    try:
        folder = Path(f"/proc/{pid}/cwd").readlink()
        return folder if (folder / "PG_VERSION").exists() else None
    except OSError:
        return None


def clock_is_kept() -> bool | None:
    """Whether something like NTP keeps this machine's clock; None where the system does not tell."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR
