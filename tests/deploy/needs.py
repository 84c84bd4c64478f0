"""What a machine must have before it can boot test hosts; what is missing is installed where that may be done."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Program -> the package of Debian and Ubuntu that has it.
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "tar": "tar",
    "setsid": "util-linux",
    "journalctl": "systemd",
    "dpkg-deb": "dpkg",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

INSTALL_SECONDS = 600


class HostError(Exception):
    """Something about a test host went wrong; the message says what, and the remedy where there is one."""


class NotHereError(HostError):
    """Test hosts cannot be had on this machine; the message says why, and what to do about it."""


def require() -> None:
    """Returns when this machine can boot test hosts, having installed what was missing. Raises NotHereError."""
    if sys.platform != "linux":
        raise NotHereError(f"test hosts need Linux, and this is {sys.platform}: run them in a Debian virtual machine")
    if os.geteuid() != 0:
        raise NotHereError("test hosts need root: run the same command with sudo")
    if not _may_make_namespaces():
        raise NotHereError(
            "this root may not make namespaces (an unprivileged container?): run the tests on a machine or in a "
            "virtual machine of their own"
        )
    if cgroups() is None:
        raise NotHereError("no cgroup2 file system is mounted: mount one with 'mount -t cgroup2 none /sys/fs/cgroup'")
    _install(missing())
    still = missing()
    if still:
        raise NotHereError(f"these packages do not bring what test hosts need: {' '.join(still)}")


def missing() -> list[str]:
    """The packages whose programs are not on this machine."""
    packages = {package for program, package in PROGRAMS.items() if find(program) is None}
    if not KEYRING.exists():
        packages.add("debian-archive-keyring")
    return sorted(packages)


def find(program: str) -> str | None:
    """The path of a program, also where PATH lacks the system's folders."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")


def environment() -> Mapping[str, str]:
    """For programs of the system: their folders in PATH, and texts that do not depend on the user's language."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}"
    return {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def cgroups() -> Path | None:
    """Where the cgroup2 file system is mounted; None where there is none."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    return None


def _may_make_namespaces() -> bool:
    unshare = find("unshare")
    if unshare is None:
        return False
    command = [unshare, "--mount", "--net", "--pid", "--fork", "true"]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def _install(packages: list[str]) -> None:
    if not packages:
        return
    by_hand = f"install them by hand: {' '.join(packages)}"
    apt = find("apt-get")
    if apt is None:
        raise NotHereError(f"packages are missing, and this machine has no apt-get; {by_hand}")
    sys.stderr.write(f"Installing for the test hosts: {' '.join(packages)}\n")
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
            raise NotHereError(
                f"'apt-get {words[0]}' did not end in {INSTALL_SECONDS} s (no network?); {by_hand}"
            ) from None
        if result.returncode != 0:
            last = " ".join(result.stderr.split("\n")[-4:]).strip()
            raise NotHereError(f"'apt-get {words[0]}' failed ({last}); {by_hand}")
