"""What processes have used: CPU seconds and memory, from /proc."""

import os
import resource
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [pid]
    for each in found:
        found.extend(parents.get(each, []))
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, and of the children that it has waited for; with `family`, of a whole server."""
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15]) / TICKS if fields else 0.0


def cpu_of(pids: Iterable[int]) -> float:
    """CPU time of processes together, seconds."""
    return sum(cpu_seconds(each) for pid in pids for each in family(pid))


def cpu_of_ended() -> float:
    """CPU time of those that this process started and that have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_mb(pid: int) -> float:
    """Memory of one process in MB (10^6 bytes), its share of what it has together with others included (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def family_memory_mb(pid: int) -> float | None:
    """That of a process and all that descend from it; None where they are another account's, and the kernel says no."""
    total = 0.0
    for each in family(pid):
        try:
            total += memory_mb(each)
        except PermissionError:
            return None
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended meanwhile.
    return round(total, 1)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; empty when the process is gone."""
    try:
        # The program's name, in brackets, may hold anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
