"""Brings the schema up to date: numbered SQL files, forward only, one transaction each.

A library was looked for: none refuses an edited file, locks by advisory lock and stays with plain SQL on psycopg 3.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

FOLDER = Path(__file__).parent.parent / "migrations"
# Any number will do as long as every release uses the same: it names the lock that one migration holds at a time.
LOCK = 7_391_652_024


class MigrationError(Exception):
    """The schema cannot be brought up to date; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `migrations/`; `sha256` is what keeps a released file from being edited."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hex digest of the file's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def available(folder: Path = FOLDER) -> list[Migration]:
    """The migrations of this release, in order."""
    return [
        Migration(int(path.name.split("_")[0]), path.name, path.read_text("utf-8"))
        for path in sorted(folder.glob("[0-9]*.sql"))
    ]


def pending(connection: psycopg.Connection, folder: Path = FOLDER) -> list[Migration]:
    """The migrations that the database lacks. It may have newer ones: a release that was rolled back still runs."""
    exists = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    if exists is None or not exists[0]:
        return available(folder)
    applied: dict[int, str] = dict(connection.execute("SELECT version, sha256 FROM schema_migrations").fetchall())
    missing = []
    for migration in available(folder):
        if migration.version not in applied:
            missing.append(migration)
        elif applied[migration.version] != migration.sha256:
            raise MigrationError(
                f"{migration.name} was edited after it had been applied; restore the released file, "
                "and put the change into a new migration."
            )
    return missing


def migrate(
    connection: psycopg.Connection, report: Callable[[str], None] = lambda _: None, folder: Path = FOLDER
) -> int:
    """Applies what is pending and returns how many that were; `report` gets each file's name when it is done.

    Safe to run twice, and from two places at once: the second waits for the first. `connection` is in autocommit mode.
    """
    connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            " version integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        todo = pending(connection, folder)
        for migration in todo:
            _apply(connection, migration)
            report(migration.name)
        return len(todo)
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    try:
        with connection.transaction():
            # Each statement is to see what was committed while the one before waited.
            connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            connection.execute(migration.sql.encode())
            connection.execute(
                "INSERT INTO schema_migrations (version, name, sha256) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.sha256),
            )
    except psycopg.Error as error:
        raise MigrationError(f"{migration.name} failed and was taken back: {str(error).strip()}") from error
