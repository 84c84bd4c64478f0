"""Programs of the distribution: where they are, and how what is missing is installed where that may be done."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSTALL_SECONDS = 600


class InstallError(Exception):
    """Packages could not be installed; the message says why, and what to do about it."""


def find(program: str) -> str | None:
    """The path of a program, also where PATH lacks the system's folders."""
    return shutil.which(program, path=_path())


def environment() -> Mapping[str, str]:
    """For programs of the system: their folders in PATH, and texts that do not depend on the user's language."""
    return {**os.environ, "PATH": _path(), "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def install(packages: Sequence[str], purpose: str) -> None:
    """Installs packages of Debian or Ubuntu, and says on standard error that it does so, and for what. Raises
    InstallError where there is no apt-get, no right to use it, or no success.
    """
    if not packages:
        return
    by_hand = f"install them by hand: {' '.join(packages)}"
    apt = find("apt-get")
    if apt is None:
        raise InstallError(f"packages are missing, and this machine has no apt-get; {by_hand}")
    if os.geteuid() != 0:
        raise InstallError(f"packages are missing, and only root may install them; {by_hand}")
    sys.stderr.write(f"Installing for {purpose}: {' '.join(packages)}\n")
    options = ["-o", "DPkg::Lock::Timeout=300", "-qq"]
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        try:
            result = subprocess.run(
                [apt, *options, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=environment(),
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InstallError(
                f"'apt-get {words[0]}' did not end in {INSTALL_SECONDS} s (no network?); {by_hand}"
            ) from None
        if result.returncode != 0:
            last = " ".join(result.stderr.split("\n")[-4:]).strip()
            raise InstallError(f"'apt-get {words[0]}' failed ({last}); {by_hand}")


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}"
