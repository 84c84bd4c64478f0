"""What single migrations do to the database of an older release, and to whoever works on it meanwhile."""

import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from app.store import migrate, partitions
from app.store.migrate import MigrationError
from tests.fixtures.postgres import connect, wait_until_blocked


def before(number: str, folder: Path) -> Path:
    """The folder, with the migrations of the release before that one."""
    for each in migrate.FOLDER.iterdir():
        if each.name < number:
            shutil.copy(each, folder)
    return folder


def archives(connection: psycopg.Connection) -> bool:
    """Whether there is an archive of identities."""
    return connection.execute("SELECT to_regclass('archived_identities') IS NOT NULL").fetchone() == (True,)


def test_what_was_archived_before_there_were_fingerprints_has_them(empty_database_url: str, tmp_path: Path) -> None:
    older = before("0011", tmp_path)
    with connect(empty_database_url) as connection:
        migrate.migrate(connection, folder=older)
        some = "INSERT INTO archived_identities SELECT gen_random_uuid(), now() FROM generate_series(1, 99)"
        connection.execute(some)
        with connect(empty_database_url) as other:
            with other.transaction():
                other.execute(some)
                # Whatever the role begins a transaction with.
                connection.execute("SET default_transaction_isolation = 'repeatable read'")
                migrating = threading.Thread(target=migrate.migrate, args=(connection,))
                migrating.start()
                wait_until_blocked(empty_database_url)
            migrating.join(10)
        found = "SELECT cardinality(perhaps_archived(array_agg(identity))) FROM archived_identities"
        assert connection.execute(found).fetchone() == (198,)


def test_every_month_is_vacuumed_gently_whichever_release_made_it(empty_database_url: str, tmp_path: Path) -> None:
    older = before("0013", tmp_path)
    with connect(empty_database_url) as connection:
        migrate.migrate(connection, folder=older)
        connection.execute(
            "CREATE TABLE telemetry_events_202512 PARTITION OF telemetry_events FOR VALUES"
            " FROM ('2025-12-01Z') TO ('2026-01-01Z')"
        )
        migrate.migrate(connection)
        partitions.ensure(connection, now=datetime(2026, 1, 15, tzinfo=UTC))
        options = connection.execute(
            "SELECT c.relname, c.reloptions FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
            " WHERE inhparent = 'telemetry_events'::regclass AND c.relname <> 'telemetry_events_default' ORDER BY 1"
        ).fetchall()
    months = ("202512", "202601", "202602", "202603", "202604")
    assert options == [(f"telemetry_events_{month}", ["autovacuum_vacuum_cost_delay=20"]) for month in months]


def test_a_migration_that_a_backup_holds_up_says_so_before_anybody_is_refused(
    empty_database_url: str, tmp_path: Path
) -> None:
    older = before("0010", tmp_path)
    with connect(empty_database_url) as connection, psycopg.connect(empty_database_url) as backup:
        migrate.migrate(connection, folder=older)
        backup.execute("LOCK TABLE event_identities IN ACCESS SHARE MODE")
        began = time.monotonic()
        with pytest.raises(MigrationError, match=r"0010_archived_identities\.sql failed .* lock timeout"):
            migrate.migrate(connection)
        assert time.monotonic() - began < 4
        assert not archives(connection)
        backup.rollback()
        migrate.migrate(connection)
        assert archives(connection)
