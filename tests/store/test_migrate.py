"""Migrations: forward only, whole or not at all, once however many ask, and never edited once applied."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from app.store import migrate
from app.store.migrate import MigrationError
from tests.fixtures.environment import ROOT, environment
from tests.fixtures.postgres import connect
from tests.store.history import count

TABLES = {
    *("agent_series", "hosts", "reporting_settings", "rollup_agent_days", "rollup_agent_hours", "rollup_agent_recent"),
    *("rollup_backlog", "rollup_days", "rollup_hours", "rollup_queue", "rollup_session_counts", "series_agents"),
    *("rollup_session_days", "rollup_session_hours", "status_backups", "status_maintenance", "status_samples"),
    *(
        "api_keys",
        "archived_fingerprints",
        "archived_identities",
        "event_identities",
        "quarantined_events",
        "refused_transcripts",
        "schema_migrations",
    ),
    *("series", "session_transcripts", "sessions", "telemetry_events", "telemetry_events_default", "working_dirs"),
}

FIRST = "CREATE TABLE first (number integer);"
SECOND = "CREATE TABLE second (number integer); INSERT INTO first VALUES (1);"

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with these files, which replace any of before: `folder(_0001_first="CREATE ...")`."""

    def write(**files: str) -> Path:
        for path in tmp_path.iterdir():
            path.unlink()
        for name, text in files.items():
            (tmp_path / f"{name.removeprefix('_')}.sql").write_text(text)
        return tmp_path

    return write


def tables(connection: psycopg.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def applied(connection: psycopg.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM schema_migrations ORDER BY version")]


def command(url: str) -> subprocess.CompletedProcess[str]:
    """Migrates as an operator does."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "app", "migrate"],
        cwd=ROOT,
        env=environment(DATABASE_URL=url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_empty_database_gets_the_whole_schema_on_any_version(any_empty_database_url: str) -> None:
    lines: list[str] = []
    with connect(any_empty_database_url) as connection:
        number = migrate.migrate(connection, lines.append)
        assert tables(connection) == TABLES
        assert lines == applied(connection) == [migration.name for migration in migrate.available()]
        assert number == len(lines) > 0
        assert connection.execute("SELECT FROM reporting.events").fetchall() == []


def test_the_contracts_insert_of_a_key_works_on_any_version(any_database_url: str) -> None:
    with connect(any_database_url) as connection:
        connection.execute(
            "INSERT INTO api_keys (key_hash, host_id, description)"
            " VALUES (encode(sha256('KEY'::bytea), 'hex'), 'laptop', 'Laptop host')"
        )
        row = connection.execute("SELECT scope, revoked_at, expires_at FROM api_keys").fetchone()
    assert row == ("ingest", None, None)


def test_a_second_time_there_is_nothing_to_do(empty_database_url: str) -> None:
    with connect(empty_database_url) as connection:
        assert migrate.migrate(connection) > 0
        assert migrate.pending(connection) == []
        assert migrate.migrate(connection) == 0


def test_the_command_says_what_it_did_and_makes_partitions(empty_database_url: str) -> None:
    first, second = command(empty_database_url), command(empty_database_url)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "applied 0001_collector.sql\n" in first.stdout
    assert first.stdout.count("made telemetry_events_") == 4
    assert second.stdout == "The schema was up to date already.\n"


def test_processes_that_migrate_at_once_do_it_once(any_empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: command(any_empty_database_url), range(4)))
    assert [run.returncode for run in runs] == [0] * 4, [run.stderr for run in runs]
    said = "".join(run.stdout for run in runs)
    assert said.count("applied 0001_collector.sql\n") == 1
    assert said.count("made telemetry_events_") == 4
    with connect(any_empty_database_url) as connection:
        assert len(tables(connection)) == len(TABLES) + 4


def test_whoever_comes_second_waits_for_the_first(empty_database_url: str, folder: Folder) -> None:
    slow = folder(_0001_first=f"SELECT pg_sleep(1); {FIRST}")
    started = threading.Event()

    def first() -> int:
        with connect(empty_database_url) as connection:
            started.set()
            return migrate.migrate(connection, folder=slow)

    with ThreadPoolExecutor(1) as pool, connect(empty_database_url) as connection:
        running = pool.submit(first)
        started.wait(10)
        time.sleep(0.3)
        assert migrate.migrate(connection, folder=slow) == 0
        assert running.result() == 1
        assert tables(connection) == {"first", "schema_migrations"}


def test_only_what_is_new_is_applied_and_in_order(empty_database_url: str, folder: Folder) -> None:
    with connect(empty_database_url) as connection:
        migrate.migrate(connection, folder=folder(_0001_first=FIRST))
        both = folder(_0002_second=SECOND, _0010_tenth="INSERT INTO second VALUES (10);", _0001_first=FIRST)
        assert [migration.version for migration in migrate.pending(connection, both)] == [2, 10]
        assert migrate.migrate(connection, folder=both) == 2
        assert applied(connection) == ["0001_first.sql", "0002_second.sql", "0010_tenth.sql"]
        assert count(connection, "second") == 1


def test_an_edited_file_is_refused_with_what_to_do(empty_database_url: str, folder: Folder) -> None:
    with connect(empty_database_url) as connection:
        migrate.migrate(connection, folder=folder(_0001_first=FIRST))
        edited = folder(_0001_first=f"{FIRST} -- harmless", _0002_second=SECOND)
        with pytest.raises(MigrationError) as refusal:
            migrate.migrate(connection, folder=edited)
        assert str(refusal.value) == (
            "0001_first.sql was edited after it had been applied; restore the released file, "
            "and put the change into a new migration."
        )
        assert tables(connection) == {"first", "schema_migrations"}


def test_the_command_refuses_in_one_sentence(database_url: str, connection: psycopg.Connection) -> None:
    connection.execute("UPDATE schema_migrations SET sha256 = 'of another file'")
    run = command(database_url)
    assert run.returncode == 1
    assert run.stderr.startswith("Error: 0001_collector.sql was edited after it had been applied; restore")
    assert run.stderr.count("\n") == 1


def test_a_file_that_fails_is_taken_back_whole_and_those_before_it_stay(
    any_empty_database_url: str, folder: Folder
) -> None:
    broken = folder(_0001_first=FIRST, _0002_second=f"{SECOND} SELECT 1 / 0; CREATE TABLE third ();", _0003_last="")
    with connect(any_empty_database_url) as connection:
        lines: list[str] = []
        with pytest.raises(MigrationError, match=r"^0002_second.sql failed and was taken back: division by zero"):
            migrate.migrate(connection, lines.append, broken)
        assert lines == applied(connection) == ["0001_first.sql"]
        assert tables(connection) == {"first", "schema_migrations"}
        assert count(connection, "first") == 0
        repaired = folder(_0001_first=FIRST, _0002_second=SECOND)
        assert migrate.migrate(connection, folder=repaired) == 1


def test_a_file_and_the_note_that_it_was_applied_are_one_transaction(empty_database_url: str, folder: Folder) -> None:
    """Given a file after which the note cannot be made, for there is one already."""
    noted = f"{FIRST} INSERT INTO schema_migrations (version, name, sha256) VALUES (1, '', '');"
    with connect(empty_database_url) as connection:
        with pytest.raises(MigrationError, match="duplicate key"):
            migrate.migrate(connection, folder=folder(_0001_first=noted))
        assert tables(connection) == {"schema_migrations"}
        assert applied(connection) == []


def test_a_failure_lets_others_migrate(empty_database_url: str, folder: Folder) -> None:
    with connect(empty_database_url) as connection, connect(empty_database_url) as other:
        with pytest.raises(MigrationError):
            migrate.migrate(connection, folder=folder(_0001_first="nonsense"))
        other.execute("SET lock_timeout = '5s'")
        assert migrate.migrate(other, folder=folder(_0001_first=FIRST)) == 1


def test_a_connection_that_is_lost_in_a_file_leaves_nothing_of_it(empty_database_url: str, folder: Folder) -> None:
    lost = folder(_0001_first=f"{FIRST} SELECT pg_terminate_backend(pg_backend_pid());")
    with pytest.raises((MigrationError, psycopg.Error)), connect(empty_database_url) as connection:
        migrate.migrate(connection, folder=lost)
    with connect(empty_database_url) as connection:
        assert tables(connection) == {"schema_migrations"}


def test_a_schema_newer_than_the_release_is_fine(empty_database_url: str, folder: Folder) -> None:
    """A release that was rolled back still starts on the schema of the one after it."""
    with connect(empty_database_url) as connection:
        migrate.migrate(connection, folder=folder(_0001_first=FIRST, _0002_second=SECOND))
        older = folder(_0001_first=FIRST)
        assert migrate.pending(connection, older) == []
        assert migrate.migrate(connection, folder=older) == 0


def test_every_released_file_has_a_number_of_its_own_and_none_is_left_out() -> None:
    versions = [migration.version for migration in migrate.available()]
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) == len(list(migrate.FOLDER.iterdir()))
