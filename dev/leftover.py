"""What an earlier server left in its data folder: a process whose launcher was killed, or the note of one long gone."""

import os
import signal
import subprocess
import time
from pathlib import Path

from dev.programs import EmbeddedError


def clear_leftover(data: Path, seconds: float) -> None:
    """Makes way for a server in that data folder; the caller makes sure that no launcher is at work there.

    A server that still runs is stopped in PostgreSQL's own way. Raises EmbeddedError when it does not end in time.
    """
    note = data / "postmaster.pid"
    try:
        lines = note.read_text().splitlines(keepends=True)
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return
    if _is_server(pid, data):
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + seconds
        while _is_server(pid, data):
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"A PostgreSQL server (process {pid}) in {data} does not stop: end it with kill {pid}."
                )
            time.sleep(0.05)
    elif _exists(pid):
        # The number belongs to another process by now, and PostgreSQL would take that one for its predecessor. It never
        # does so with its own parent, which is us. The file must stay: it also names the shared memory, which
        # PostgreSQL looks at to be certain that no process of the old server is left.
        note.write_text(f"{os.getpid()}\n{''.join(lines[1:])}")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_server(pid: int, data: Path) -> bool:
    """Whether that process is a PostgreSQL server in that folder, going by its command line."""
    if Path("/proc/self/cmdline").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            return False
    else:
        command = ["ps", "-p", str(pid), "-o", "command="]
        words = subprocess.run(command, capture_output=True, timeout=30, check=False).stdout
    return b"postgres -D " + os.fsencode(data) + b" " in words
