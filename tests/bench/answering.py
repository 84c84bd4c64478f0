"""What the requests are measured against: Flask and waitress that only answer (bare.py), to the same bodies."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.cases import PROCESSES, WARM_UP_SECONDS, Case
from tests.bench.wrk import Load, send, write_bodies
from tests.fixtures.client import Client
from tests.fixtures.collector import HAND_OVER
from tests.fixtures.environment import ROOT

# Each has new connections, and chance shares them out: all 16 to one of two processes, which halves the speed, or 12 to
# 4. So there are many, of a second each; an odd number, for their median.
ROUNDS = 7


@contextmanager
def serve() -> Iterator[str]:
    """The address of PROCESSES processes that do nothing but answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setblocking(False)
        descriptor = listener.fileno()
        command = [sys.executable, "-c", HAND_OVER, str(descriptor), sys.executable, "-m", "tests.bench.bare"]
        servers = [subprocess.Popen(command, cwd=ROOT, pass_fds=[descriptor]) for _ in range(PROCESSES)]
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        # Connections wait in the socket until somebody accepts them.
        Client(url, timeout=30.0).post("/", {})
        yield url
    finally:
        for server in servers:
            server.terminate()
            server.wait(timeout=30)


def measure(folder: Path, case: Case) -> Load:
    """What the servers that do nothing answer to that case: of ROUNDS the one of median speed."""
    path = folder / "bare-bodies"
    write_bodies(path, case.bodies())
    with serve() as url:
        send(f"{url}/", path, "-", WARM_UP_SECONDS, first=1)
        loads = [send(f"{url}/", path, "-", 1.0, first=1) for _ in range(ROUNDS)]
    return sorted(loads, key=lambda load: load.per_second)[ROUNDS // 2]
