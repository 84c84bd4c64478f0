"""The collector that `make run` serves: a process of its own, whose log goes to the terminal once it is ready."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from dev.service import Service

ROOT = Path(__file__).resolve().parents[1]

START_SECONDS = 30.0
# Longer than the collector gives its requests to end.
STOP_SECONDS = 20.0


class CommandError(Exception):
    """A command of the collector failed; the message is what it said."""


def run_command(environ: Mapping[str, str], pause: Callable[[float], None], *words: str) -> str:
    """Runs `python -m app` with these words; what it printed. Raises CommandError, or what `pause` raises."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *words],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C is for us, and ends it through us.
        start_new_session=True,
    )
    try:
        # It prints a few lines at most: no pipe can fill up meanwhile.
        while process.poll() is None:
            pause(0.02)
    finally:
        process.kill()
        output, errors = process.communicate()
    if process.returncode != 0:
        raise CommandError(errors.strip().removeprefix("Error: "))
    return output.strip()


class ServedCollector(Service):
    """`python -m app serve`."""

    def __init__(self, environ: Mapping[str, str], address: tuple[str, int]) -> None:
        self._address = address
        command = [sys.executable, "-m", "app", "serve"]
        super().__init__(command, environ, ROOT, lines=20, stop_seconds=STOP_SECONDS)

    def healthy(self, pause: Callable[[float], None]) -> bool:
        """Waits until it is healthy; False when it ended instead, or is not healthy within a bounded time."""
        return self.ready(lambda: self._status() == 200, pause, START_SECONDS)

    def _status(self) -> int | None:
        connection = HTTPConnection(*self._address, timeout=5)
        try:
            connection.request("GET", "/api/v1/health")
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()
