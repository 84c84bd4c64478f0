"""Takes a backup, and tells whether one is good."""

import json
import os
import shutil
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from telemetry_backup import census, copies, files
from telemetry_backup import globals as database_globals
from telemetry_backup.config import Config
from telemetry_backup.copies import UNFINISHED, Copy
from telemetry_backup.errors import BackupError
from telemetry_backup.postgres import Postgres

FORMAT = 1


def plan(config: Config) -> dict[str, Any]:
    """What `take` would put into a backup now."""
    database = None
    if config.database:
        server = Postgres(config.database)
        database = {"name": config.database.name, "tables": census.of(server, config.database.name)}
    doomed = copies.outlived(
        copies.everything(config.folder), keep=config.keep - 1, keep_days=config.keep_days, now=datetime.now(UTC)
    )
    return {
        "database": database,
        "grafana": str(config.grafana.database) if config.grafana else None,
        "paths": {str(path): "there" if path.exists() else "missing" for path in config.paths},
        "would_delete": [copy.name for copy in doomed],
    }


def take(config: Config) -> tuple[Copy, dict[str, Any]]:
    """A new backup and its manifest. It has its name only once it was read back and found whole."""
    with copies.locked(config.folder):
        now = datetime.now(UTC)
        # A backup is named by its second.
        while (config.folder / (name := now.strftime("%Y%m%dT%H%M%SZ"))).exists():
            time.sleep(0.1)
            now = datetime.now(UTC)
        _check_space(config)
        folder = config.folder / f"{UNFINISHED}{name}"
        folder.mkdir(mode=0o700)
        try:
            manifest = _fill(config, folder, now)
            copies.seal(folder)
            verify(config, folder)
        except BaseException:
            shutil.rmtree(folder)
            raise
        folder.rename(config.folder / name)
        copies.sync(config.folder)
        return Copy(config.folder / name), manifest


def _fill(config: Config, folder: Path, now: datetime) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "taken_at": now.isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "database": _database(config, folder) if config.database else None,
        "grafana": None,
        "files": None,
    }
    if config.grafana:
        files.copy_sqlite(config.grafana.database, folder / "grafana.db.gz")
        manifest["grafana"] = {"path": str(config.grafana.database)}
    if config.paths:
        missing = files.pack(config.paths, folder / "files.tar.gz")
        manifest["files"] = {"paths": [str(path) for path in config.paths], "missing": missing}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    return manifest


def _database(config: Config, folder: Path) -> dict[str, Any]:
    assert config.database is not None
    server = Postgres(config.database)
    name = config.database.name
    database_globals.write(server, name, folder)
    # Dump and census see the same moment, so that a restored database can be compared row by row.
    with server.session(name) as session:
        session.tell("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        snapshot = session.ask("SELECT pg_export_snapshot();")
        server.dump(name, snapshot, folder / "database.dump")
        return {
            "name": name,
            "server_version": server.version,
            "roles": database_globals.names(server, name),
            **census.facts(session),
            "tables": census.tables(session),
        }


def verify(config: Config, folder: Path) -> dict[str, Any]:
    """The manifest of a backup that was read back whole. Raises BackupError."""
    copies.check_sums(folder)
    manifest = read_manifest(folder)
    if manifest["database"]:
        if config.database is None:
            raise BackupError(f"{folder} holds a database, and this host is to have none: see backup_database.")
        listing = Postgres(config.database).listing(folder / "database.dump").splitlines()
        entries = {" ".join(line.split()[3:-1]) for line in listing if not line.startswith(";")}
        for table in manifest["database"]["tables"]:
            if f"TABLE {table['schema']} {table['table']}" not in entries:
                raise BackupError(f"{folder}: the dump lacks the table {census.name(table)}: use another backup.")
    if manifest["grafana"]:
        with files.unpacked_sqlite(folder / "grafana.db.gz", config.folder):
            pass
    if manifest["files"]:
        files.members(folder / "files.tar.gz")
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a backup says of itself. Raises BackupError when it is none of this program's."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BackupError(f"{folder} has no manifest that can be read: use another backup.") from error
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{folder} was written by another release: restore it with that release's program.")
    return manifest


def _check_space(config: Config) -> None:
    """Rather no backup than a full disk under the database. The last one says how large the next will be."""
    former = copies.everything(config.folder)
    free = os.statvfs(config.folder)
    left = free.f_bavail * free.f_frsize - (former[0].bytes * 6 // 5 if former else 0)
    if left < config.minimum_free_mb * 1_000_000:
        raise BackupError(
            f"A backup would leave {left // 1_000_000} MB free below {config.folder}, and minimum_free_mb is "
            f"{config.minimum_free_mb}: make room, or keep fewer backups here (backup_keep_days, backup_keep)."
        )
