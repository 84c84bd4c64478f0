"""HomeAssistant in an environment of its own, outside the checkout: 0.8 GB, and some minutes the first time."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PYTHON = (3, 13)  # the only one that this release of HomeAssistant runs on
INSTALL_SECONDS = 900
FREE_BYTES = 3 * 1024**3

# They listen to voices, would want a compiler, and are imported whether or not anybody speaks.
LEFT_OUT = {"pymicro_vad": "MicroVad", "pyspeex_noise": "AudioProcessor"}


class NotHereError(Exception):
    """HomeAssistant cannot be had on this machine; the message says why, and what to do about it."""


def python() -> Path:
    """The Python that has HomeAssistant; installs it where it is not yet. Raises NotHereError."""
    if sys.version_info[:2] != PYTHON:
        raise NotHereError("it runs on Python 3.13: install that, and 'make test' will take it too")
    cache = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    version = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    environment = cache / f"agent-framework-telemetry/homeassistant-{version}"
    done = environment / "installed"
    if not done.exists():
        environment.parent.mkdir(parents=True, exist_ok=True)
        with environment.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                _install(environment)
                done.touch()
    return environment / "bin/python"


def _install(environment: Path) -> None:
    if shutil.disk_usage(environment.parent).free < FREE_BYTES:
        raise NotHereError(f"HomeAssistant needs room: make 3 GB free below {environment.parent}")
    sys.stderr.write(f"Installing HomeAssistant into {environment}, some minutes for once\n")
    uv = str(Path(sys.executable).with_name("uv"))
    install = ["pip", "install", "--python", str(environment / "bin/python"), "--compile-bytecode", "--no-cache"]
    for words in (
        ["venv", "--clear", "--python", sys.executable, str(environment)],
        [*install, "--no-deps", "--require-hashes", "--requirement", str(REQUIREMENTS)],
    ):
        try:
            result = subprocess.run(
                [uv, "--quiet", *words], capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise NotHereError(f"'uv {words[0]}' did not end in {INSTALL_SECONDS} s (no network?): try again") from None
        if result.returncode != 0:
            raise NotHereError(f"'uv {' '.join(words)}' failed: {result.stderr.strip()[-500:]}")
    (packages,) = environment.glob("lib/python*/site-packages")
    for module, name in LEFT_OUT.items():
        (packages / f"{module}.py").write_text(f"class {name}: ...\n", "utf-8")
