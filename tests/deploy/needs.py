"""What a machine must have before it can boot test hosts; what is missing is installed where that may be done."""

import os
import subprocess
import sys
from pathlib import Path

from dev.packages import InstallError, find, install

# Program -> the package of Debian and Ubuntu that has it.
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "rsync": "rsync",
    "tar": "tar",
    "setsid": "util-linux",
    "journalctl": "systemd",
    "dpkg-deb": "dpkg",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


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
    try:
        install(missing(), "the test hosts")
    except InstallError as reason:
        raise NotHereError(str(reason)) from None
    still = missing()
    if still:
        raise NotHereError(f"these packages do not bring what test hosts need: {' '.join(still)}")


def missing() -> list[str]:
    """The packages whose programs are not on this machine."""
    packages = {package for program, package in PROGRAMS.items() if find(program) is None}
    if not KEYRING.exists():
        packages.add("debian-archive-keyring")
    return sorted(packages)


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
