"""Puts a backup back, and tries that out."""

import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from telemetry_backup import census, copies, files
from telemetry_backup import globals as database_globals
from telemetry_backup.config import Config
from telemetry_backup.copies import Copy
from telemetry_backup.errors import BackupError
from telemetry_backup.postgres import Postgres
from telemetry_backup.take import verify

PARTS = ("files", "grafana", "database")
RESTORING = "_restoring"
DRILL = "_drill"

CREATE = """
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L%s', :'name', :'owner', :'encoding',
    (SELECT format(' LC_COLLATE %L LC_CTYPE %L', datcollate, datctype)
     FROM pg_database WHERE datname = :'like')) \\gexec
"""

# Renaming needs the databases to be empty of sessions, and both names change at once or neither does.
SWAP = """
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS false', datname) FROM pg_database WHERE datname = :'live' \\gexec
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN (:'live', :'new') \\g /dev/null
BEGIN;
SELECT format('ALTER DATABASE %I RENAME TO %I', datname, :'aside') FROM pg_database WHERE datname = :'live' \\gexec
ALTER DATABASE :"new" RENAME TO :"live";
COMMIT;
"""
ALLOW = """
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database
WHERE datname IN (:'live', :'aside') AND NOT datallowconn \\gexec
"""


def plan(config: Config, copy: Copy, parts: tuple[str, ...]) -> dict[str, Any]:
    """What `restore` would do, with counts; the backup is verified, and nothing is changed."""
    manifest = _check(config, copy, parts)
    would: dict[str, Any] = {"backup": copy.name, "taken_at": manifest["taken_at"], "host": manifest["host"]}
    if "database" in parts and config.database and manifest["database"]:
        server = Postgres(config.database)
        name = config.database.name
        there = server.exists(name)
        live = {census.name(one): one for one in census.of(server, name)} if there else {}
        would["database"] = {
            "name": name,
            "live": "would be renamed" if there else "there is none",
            "tables": [
                {
                    "table": census.name(one),
                    "backup": one["rows"],
                    "live": live.get(census.name(one), {}).get("rows"),
                    "same": live.get(census.name(one)) == one,
                }
                for one in manifest["database"]["tables"]
            ],
        }
    if "grafana" in parts and config.grafana and manifest["grafana"]:
        there = config.grafana.database.exists()
        would["grafana"] = {"path": str(config.grafana.database), "live": "replaced" if there else "there is none"}
    if "files" in parts and manifest["files"]:
        would["files"] = files.differences(copy.folder / "files.tar.gz")
    return would


def restore(config: Config, copy: Copy, parts: tuple[str, ...], *, drop_live: bool = False) -> dict[str, Any]:
    """Puts the parts back. What they replace is set aside, unless `drop_live` says to drop the live database."""
    with copies.locked(config.folder):
        manifest = _check(config, copy, parts)
        stamp = datetime.now(UTC).strftime("%Y%m%dt%H%M%Sz")
        done: dict[str, Any] = {"backup": copy.name, "set_aside": {}}
        # What may fail for many reasons comes first: until then nothing has changed.
        if "database" in parts and config.database and manifest["database"]:
            _restore_database(Postgres(config.database), copy, manifest, stamp, done, drop_live=drop_live)
        if "grafana" in parts and config.grafana and manifest["grafana"]:
            if config.grafana.database.exists():
                aside = _aside(config, stamp)
                shutil.copy2(config.grafana.database, aside / "grafana.db")
                done["set_aside"]["grafana"] = str(aside / "grafana.db")
            files.put_sqlite(copy.folder / "grafana.db.gz", config.grafana.database, config.grafana.user)
        if "files" in parts and manifest["files"]:
            aside = _aside(config, stamp)
            files.pack(config.paths, aside / "files.tar.gz")
            files.unpack(copy.folder / "files.tar.gz", config.paths)
            done["set_aside"]["files"] = str(aside / "files.tar.gz")
        return done


def _restore_database(
    server: Postgres, copy: Copy, manifest: dict[str, Any], stamp: str, done: dict[str, Any], *, drop_live: bool
) -> None:
    live = server.settings.name
    new = f"{live}{RESTORING}"
    database_globals.create_missing(server, manifest["database"]["roles"])
    done["tables"] = _load(server, copy, manifest, new)
    try:
        server.run_file("postgres", copy.folder / "roles.sql")
        server.run_file("postgres", copy.folder / "settings.sql", database=new)
        aside = _swap(server, new, live, f"{live}_before_{stamp}")
    except BaseException:
        server.drop(new)
        raise
    if aside and drop_live:
        server.drop(aside)
    elif aside:
        done["set_aside"]["database"] = aside


def drill(config: Config, copy: Copy) -> dict[str, Any]:
    """Restores the database beside the live one, compares it with the manifest, and drops it again."""
    with copies.locked(config.folder):
        if config.database is None:
            raise BackupError("This host has no database to restore: switch its drill off (backup_drill).")
        manifest = _check(config, copy, ("database",))
        _check_space(config, manifest)
        started = time.monotonic()
        server = Postgres(config.database)
        scratch = f"{config.database.name}{DRILL}"
        tables = _load(server, copy, manifest, scratch)
        server.drop(scratch)
        return {"backup": copy.name, "seconds": round(time.monotonic() - started, 1), "tables": tables}


def _check(config: Config, copy: Copy, parts: tuple[str, ...]) -> dict[str, Any]:
    manifest = verify(config, copy.folder)
    if "database" in parts and config.database and manifest["database"]:
        taken, here = manifest["database"]["server_version"] // 10000, Postgres(config.database).version // 10000
        if taken > here:
            raise BackupError(
                f"The backup is of PostgreSQL {taken}, and here is {here}: install {taken} or a newer one."
            )
    if "grafana" in parts and config.grafana and manifest["grafana"] and not config.grafana.database.parent.is_dir():
        raise BackupError(f"There is no {config.grafana.database.parent}: run ansible/site.yml first.")
    return manifest


def _load(server: Postgres, copy: Copy, manifest: dict[str, Any], name: str) -> dict[str, int]:
    """Fills a new database and compares it with the manifest; each table's rows. Leaves nothing behind if it fails."""
    server.drop(name)
    facts = manifest["database"]
    owner = facts["owner"]
    if not server.has_role(owner):
        raise BackupError(f"There is no role {owner}: run ansible/site.yml first.")
    try:
        live = server.settings.name
        server.query("postgres", CREATE, name=name, owner=owner, encoding=facts["encoding"], like=live)
        # Until it has the rights of the original, only its owner and superusers may look.
        server.query("postgres", 'REVOKE ALL ON DATABASE :"name" FROM PUBLIC;', name=name)
        server.restore(copy.folder / "database.dump", name)
        census.compare(facts["tables"], census.of(server, name))
        server.analyze(name)
    except BaseException:
        server.drop(name)
        raise
    return {census.name(table): table["rows"] for table in facts["tables"]}


def _swap(server: Postgres, new: str, live: str, aside: str) -> str | None:
    """Gives the new database the live one's name; the name that the live one has now, None where there was none."""
    there = server.exists(live)
    for attempt in range(10):
        try:
            server.query("postgres", SWAP, live=live, new=new, aside=aside)
            return aside if there else None
        except BackupError as error:
            # A session needs a moment to end.
            if "being accessed" not in str(error) or attempt == 9:
                raise
            time.sleep(0.5)
        finally:
            server.query("postgres", ALLOW, live=live, aside=aside)
    raise AssertionError


def _aside(config: Config, stamp: str) -> Path:
    folder = config.folder / f"before-restore-{stamp}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _check_space(config: Config, manifest: dict[str, Any]) -> None:
    assert config.database is not None
    server = Postgres(config.database)
    where = Path(server.query("postgres", "SHOW data_directory"))
    free = os.statvfs(where)
    left = free.f_bavail * free.f_frsize - manifest["database"]["bytes"] * 11 // 10
    if left < config.minimum_free_mb * 1_000_000:
        raise BackupError(
            f"A drill would leave {left // 1_000_000} MB free below {where}, and minimum_free_mb is "
            f"{config.minimum_free_mb}: make room, or switch it off here (backup_drill) and drill on another host."
        )
