"""Load from outside the collector's processes, by wrk: it costs little beside what it measures."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CONNECTIONS = 16
SCRIPT = Path(__file__).with_name("wrk.lua")
# In a body it stands where each request gets a number of its own: eight digits of hexadecimal.
MARK = "@@@@@@@@"

Plan = Literal["each", "repeat", "grow", "same"]


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: answers, how long it sent, and how long an answer took; `failed` are those other than 2xx."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float

    def __add__(self, other: "Load") -> "Load":
        """Both of them; how long an answer took is the mean."""
        return Load(
            self.requests + other.requests,
            self.seconds + other.seconds,
            self.failed + other.failed,
            (self.p50_ms + other.p50_ms) / 2,
            (self.p99_ms + other.p99_ms) / 2,
        )

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def p99_against_p50(self) -> float:
        """How often longer the slowest hundredth took than the middle one, at least."""
        return round(self.p99_ms / self.p50_ms, 2)


class NoWrk(Exception):
    """wrk is not here; the message has the remedy."""


def write_bodies(path: Path, bodies: Iterable[str]) -> None:
    """Writes what `send` sends."""
    with path.open("wb") as file:
        for body in bodies:
            data = body.encode()
            file.write(b"%d\n%b\n" % (len(data), data))


def send(
    url: str, bodies: Path, key: str, seconds: float, *, first: int, plan: Plan = "each", connections: int = CONNECTIONS
) -> Load:
    """Posts the bodies for so many seconds, numbered from `first`. Raises NoWrk, and RuntimeError where wrk fails."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise NoWrk("wrk is not installed: apt-get install wrk")
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "10s", "-s", str(SCRIPT), url]
    words = [str(bodies), key, str(first), plan]
    result = subprocess.run([*command, "--", *words], capture_output=True, text=True, timeout=seconds + 60, check=False)
    line = next((line for line in result.stdout.splitlines() if line.startswith("JSON ")), None)
    if result.returncode != 0 or line is None:
        raise RuntimeError(f"wrk failed: {result.stderr.strip() or result.stdout.strip()}")
    seen = json.loads(line.removeprefix("JSON "))
    return Load(seen["requests"], seen["seconds"], seen["refused"] + seen["broken"], seen["p50_ms"], seen["p99_ms"])
