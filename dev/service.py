"""A program that runs beside this one for as long as it is wanted, and the end of what it wrote."""

import collections
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dev.programs import tied

READ_SECONDS = 5.0


class Service:
    """Out of Ctrl-C's reach: it ends when it is told to, or when this process does. Its last `lines` are kept."""

    def __init__(
        self,
        command: Sequence[str | Path],
        environ: Mapping[str, str],
        folder: Path,
        *,
        lines: int,
        stop_seconds: float,
    ) -> None:
        self.lines: collections.deque[str] = collections.deque(maxlen=lines)
        self._stop_seconds = stop_seconds
        self._shown: Callable[[str], bool] = lambda _: False
        self._process = subprocess.Popen(
            [*tied("TERM"), *command],
            cwd=folder,
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

    def ready(self, answers: Callable[[], bool], pause: Callable[[float], None], seconds: float) -> bool:
        """Waits until it `answers`; False when it ended instead, or does not in that time. `pause` may raise."""
        deadline = time.monotonic() + seconds
        while self.exit_code is None and time.monotonic() < deadline:
            if answers():
                return True
            pause(0.05)
        return False

    def show_log(self, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """Prints what it logs from now on, but for the lines that are not wanted."""
        self._shown = wanted

    def last_words(self) -> str:
        """The end of its log."""
        if self.exit_code is not None:
            self._reader.join(READ_SECONDS)
        return "\n".join(self.lines) or "nothing at all"

    def stop(self) -> None:
        """Ends it, within a bounded time."""
        self._process.terminate()
        try:
            self._process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(READ_SECONDS)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))
                if self._shown(line):
                    try:
                        print(line, end="", flush=True)
                    except OSError:
                        # The terminal is gone; the program's log must not block it.
                        self._shown = lambda _: False
