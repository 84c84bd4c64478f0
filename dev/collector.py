"""The collector that `make run` serves: a process of its own, whose log goes to the terminal once it is ready."""

import collections
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from dev.programs import tied

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


class ServedCollector:
    """`python -m app serve`, out of Ctrl-C's reach: it ends when it is told to."""

    def __init__(self, environ: Mapping[str, str], address: tuple[str, int]) -> None:
        self._address = address
        self._lines: collections.deque[str] = collections.deque(maxlen=20)
        self._shown: Callable[[str], bool] = lambda _: False
        self._process = subprocess.Popen(
            [*tied("TERM"), sys.executable, "-m", "app", "serve"],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def healthy(self, pause: Callable[[float], None]) -> bool:
        """Waits until it is healthy; False when it ended instead, or is not healthy within a bounded time."""
        deadline = time.monotonic() + START_SECONDS
        while self.exit_code is None and time.monotonic() < deadline:
            if self._status() == 200:
                return True
            pause(0.05)
        return False

    def show_log(self, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """Prints what it logs from now on, but for the lines that are not wanted."""
        self._shown = wanted

    def last_words(self) -> str:
        """The end of its log."""
        if self.exit_code is not None:
            self._reader.join(5)
        return "\n".join(self._lines) or "nothing at all"

    def stop(self) -> None:
        """Ends it, within a bounded time."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)

    def _status(self) -> int | None:
        connection = HTTPConnection(*self._address, timeout=5)
        try:
            connection.request("GET", "/api/v1/health")
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.append(line.rstrip("\n"))
                if self._shown(line):
                    try:
                        print(line, end="", flush=True)
                    except OSError:
                        # The terminal is gone; the collector's log must not block it.
                        self._shown = lambda _: False
