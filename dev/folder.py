"""The folder that an embedded server lives in: made for its user alone, kept by one launcher at a time."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from dev.programs import Account, EmbeddedError, succeeds

# The shortest that a system of ours has for a Unix socket's address (macOS: 104 bytes with the last one zero).
SOCKET_PATH_BYTES = 103
SOCKET_NAME = ".s.PGSQL.5432"


def home_folder(environ: Mapping[str, str]) -> Path:
    """Where everything is kept: AFT_HOME, or what is usual for root and for others. It may not be there yet."""
    name = "agent-framework-telemetry"
    if environ.get("AFT_HOME"):
        return Path(environ["AFT_HOME"]).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib") / name
    # The specification of base directories: a relative path there is to be ignored.
    data = Path(environ.get("XDG_DATA_HOME", ""))
    return (data if data.is_absolute() else Path.home() / ".local/share") / name


def make_folder(directory: Path, account: Account) -> None:
    """Makes the folder, unless it is there, and those above it; one that is there is never changed.

    Raises EmbeddedError when it cannot be made, or the account may not write to it.
    """
    make_parents(directory)
    try:
        if not directory.exists():
            make_private(directory, account)
    except OSError as error:
        raise _not_made(directory, error) from error
    if not succeeds(account, "/bin/sh", "-c", 'cd "$0" && test -w .', directory):
        raise EmbeddedError(
            f"The user that PostgreSQL runs as ({account.name or 'you'}) may not write to {directory}: "
            "choose a folder that it may, such as one below /var/lib, with AFT_HOME."
        )


def make_parents(path: Path) -> None:
    """Makes the folders above a path that are missing. Raises EmbeddedError when one cannot be made."""
    for parent in reversed(path.parents):
        try:
            if not parent.exists():
                parent.mkdir()
                # As root, the server's user has to get through, whatever the umask is.
                parent.chmod(0o755 if os.geteuid() == 0 else 0o700)
        except OSError as error:
            raise _not_made(parent, error) from error


def _not_made(directory: Path, error: OSError) -> EmbeddedError:
    return EmbeddedError(f"The folder {directory} cannot be made ({error.strerror}): choose another with AFT_HOME.")


def make_private(directory: Path, account: Account) -> None:
    """Makes a folder that no one but that account (and root) may enter. Raises OSError."""
    directory.mkdir(mode=0o700)
    if account.user is not None and account.group is not None:
        os.chown(directory, account.user, account.group)


def lock_folder(directory: Path) -> int:
    """Keeps other launchers out until the file descriptor is closed, or this process ends, however it ends.

    Raises EmbeddedError when another launcher has the folder.
    """
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise EmbeddedError(
            f"Another program, such as a second 'make run', runs the PostgreSQL in {directory}: stop it first."
        ) from None
    return lock


def socket_folder(directory: Path) -> Path:
    """Where a server's socket goes: below that folder, or where that is too long for an address, a name in /tmp."""
    path = directory / "socket"
    # libpq takes a comma for the end of a host's name.
    if len(os.fsencode(path / SOCKET_NAME)) <= SOCKET_PATH_BYTES and "," not in str(path):
        return path
    return Path("/tmp") / f"pg-{os.urandom(8).hex()}"  # noqa: S108 - made anew, for one user, or not at all
