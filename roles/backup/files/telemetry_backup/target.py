"""Copies off this host, by rsync."""

import shlex
import subprocess
from pathlib import Path

from telemetry_backup.config import Target
from telemetry_backup.copies import NAME
from telemetry_backup.errors import BackupError

SECONDS = 6 * 3600


def push(root: Path, target: Target) -> None:
    """Brings all finished backups there; what is there already is not sent again. Raises BackupError."""
    names = "[0-9]" * 8 + "T" + "[0-9]" * 6 + "Z"
    assert NAME.pattern == r"\d{8}T\d{6}Z"
    command = ["rsync", "--archive", "--mkpath", "--timeout=120", f"--include=/{names}/***", "--exclude=*"]
    if target.mirror:
        command.append("--delete")
    if target.key:
        command.append(f"--rsh={shlex.join(_ssh(target))}")
    command += ["--", f"{root}/", f"{target.address}/"]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=SECONDS)
    except FileNotFoundError:
        raise BackupError("There is no rsync here: install the package rsync.") from None
    except subprocess.TimeoutExpired:
        raise BackupError(f"rsync to {target.address} did not end in {SECONDS // 3600} hours.") from None
    if result.returncode != 0:
        said = result.stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
        raise BackupError(
            f"The copies are safe here but could not go to {target.address}: {said[0]} (rsync exited with "
            f"{result.returncode}); see that its host lets the key {target.key} in."
        )


def _ssh(target: Target) -> list[str]:
    command = ["ssh", "-F", "none", "-i", str(target.key), "-p", str(target.port)]
    options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=20"]
    if target.known_hosts:
        options.append(f"UserKnownHostsFile={target.known_hosts}")
    return [*command, *(word for option in options for word in ("-o", option))]
