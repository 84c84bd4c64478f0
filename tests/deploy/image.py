"""The images that test hosts are unpacked from: a minimal Debian each, made by mmdebstrap and kept as a tar."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from dev.packages import environment, find
from tests.deploy import outer
from tests.deploy.needs import HostError, NotHereError

# Outside the checkout: a bare checkout on the same machine finds them again.
IMAGES = Path("/var/cache/agent-framework-telemetry/images")

SUITES = ("bookworm", "trixie")

# What a provider's Debian image has at the least, and nothing that the playbook is to bring.
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "python3",
    "python3-apt",
    "iproute2",
    "ca-certificates",
    "sudo",
    "openssh-server",
    "nftables",
)

# As cloud images have it: a user with sudo beside root. Each host makes ssh keys and a machine-id of its own.
FINISH = r"""
set -e
rm -f "$1"/etc/ssh/ssh_host_*
chroot "$1" useradd --create-home --shell /bin/bash debian
echo 'debian ALL=(ALL) NOPASSWD: ALL' > "$1/etc/sudoers.d/debian"
chmod 440 "$1/etc/sudoers.d/debian"
echo 'LANG=C.UTF-8' > "$1/etc/default/locale"
echo 'force-unsafe-io' > "$1/etc/dpkg/dpkg.cfg.d/test-host"
mkdir -p "$1/var/log/journal"
chroot "$1" systemctl enable systemd-networkd.service
"""

BUILD_SECONDS = 900


class ImageError(HostError):
    """An image could not be made; the message has the end of the log."""


def image(suite: str) -> Path:
    """The tar of that Debian's image, made now unless it is there. Raises NotHereError without network, ImageError."""
    command = _command(suite)
    recipe = hashlib.sha256(json.dumps(command).encode()).hexdigest()[:16]
    path = IMAGES / f"{suite}-{recipe}.tar"
    IMAGES.mkdir(parents=True, exist_ok=True)
    with _locked(IMAGES / f"{suite}.lock"):
        if not path.exists():
            _build(suite, command, path)
            for old in IMAGES.glob(f"{suite}-*.tar"):
                if old != path:
                    old.unlink()
    return path


def _command(suite: str) -> list[str]:
    """The command line of mmdebstrap, without the output's name at its third-last place."""
    sources = outer.apt_sources(suite)
    return [
        "mmdebstrap",
        "--mode=root",
        "--format=tar",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        *(f"--aptopt={line}" for line in outer.apt_options(sources)),
        f"--customize-hook={FINISH}",
        suite,
        *sources,
    ]


def _build(suite: str, command: list[str], path: Path) -> None:
    started = time.monotonic()
    sys.stderr.write(f"Making the image of Debian {suite} for the test hosts; it is kept in {IMAGES}\n")
    building = IMAGES / f"{suite}.building"
    _remove(building)
    building.mkdir(mode=0o755)
    log = IMAGES / f"{suite}.log"
    unfinished = building / "image.tar"
    place = command.index(suite) + 1
    with log.open("wb") as output:
        try:
            code = subprocess.run(
                [find("mmdebstrap") or "mmdebstrap", *command[1:place], str(unfinished), *command[place:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment(), "TMPDIR": str(building)},
                timeout=BUILD_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    if code != 0:
        _remove(building)
        _explain(suite, command[place:], log)
    unfinished.rename(path)
    _remove(building)
    sys.stderr.write(f"Made it in {time.monotonic() - started:.0f} s: {path.stat().st_size >> 20} MB\n")


def _explain(suite: str, sources: list[str], log: Path) -> None:
    words = log.read_text(errors="replace")
    url = sources[0].split()[1] if sources else (re.findall(r"https?://\S+", words) or [""])[0]
    if not _reachable(url):
        raise NotHereError(
            f"the image of Debian {suite} cannot be made, for the mirror {url} is out of reach: connect this machine, "
            "or set its mirror or proxy in /etc/apt"
        )
    raise ImageError(f"mmdebstrap could not make {suite}; {log} ends with\n" + "\n".join(words.splitlines()[-15:]))


def _reachable(url: str) -> bool:
    if urlsplit(url).scheme not in ("http", "https"):
        return True
    try:
        with urlopen(Request(url, method="HEAD"), timeout=20) as answer:
            return bool(answer)
    except OSError as error:
        # An answer that says no is an answer.
        return hasattr(error, "code")


def _remove(folder: Path) -> None:
    if folder.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", folder], check=True, timeout=300)
    assert not folder.exists()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def unpack(suite: str, folder: Path) -> None:
    """Unpacks that Debian's image into a new folder, owners and attributes included. Raises as `image` does."""
    tar = image(suite)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    options = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--extract", "--preserve-permissions"]
    subprocess.run([find("tar") or "tar", *options, f"--file={tar}", f"--directory={folder}"], check=True, timeout=300)
