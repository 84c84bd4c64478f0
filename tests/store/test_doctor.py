"""doctor: a line for each thing that it looks at, a remedy in each fault's, and never a traceback or a secret."""

import json
import os
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from app import checks, doctor, machine
from app.checks import CHECKS
from app.doctor import Check
from app.machine import Disk
from app.store import keys
from tests.fixtures.postgres import Server, connect
from tests.store.history import store, utc

NAMES = ["configuration", *CHECKS]


def examine(url: str, **variables: str) -> dict[str, Check]:
    """What doctor finds, by name."""
    found = doctor.run({"DATABASE_URL": url, **variables})
    assert [check.name for check in found] == NAMES
    json.dumps([asdict(check) for check in found])
    return {check.name: check for check in found}


def faults(found: dict[str, Check]) -> set[str]:
    return {name for name, check in found.items() if not check.ok}


def add_key(connection: psycopg.Connection, host: str = "laptop", **options: object) -> int:
    digest = f"{len(keys.everyone(connection)):064x}"
    return keys.add(connection, digest, host, **options)  # type: ignore[arg-type]


def test_a_healthy_site_has_no_fault_on_any_version(any_database_url: str) -> None:
    with connect(any_database_url) as connection:
        add_key(connection)
        version = connection.info.server_version // 10_000
    found = examine(any_database_url)
    assert faults(found) == set()
    assert found["database"].text.startswith(f"PostgreSQL {version}.")
    assert found["partitions"].text == "4, up to 3 months ahead"
    assert found["partitions"].data["months_ahead"] == 3


def test_it_needs_no_right_to_write(database_url: str, connection: psycopg.Connection) -> None:
    add_key(connection)
    assert faults(examine(f"{database_url}&options=-c%20default_transaction_read_only%3Don")) == set()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"TELEMETRY_THREAD": "4"}, "TELEMETRY_THREAD is no setting; did you mean TELEMETRY_THREADS?"),
        ({"PORT": "http"}, "PORT must be a whole number"),
    ],
)
def test_a_setting_that_is_wrong_is_named(variables: dict[str, str], expected: str) -> None:
    found = doctor.run({"DATABASE_URL": "postgresql:///x", **variables})
    assert [check.name for check in found] == NAMES
    assert not any(check.ok for check in found)
    assert expected in found[0].text
    assert found[1].text == "not checked: there is no configuration"


def test_a_database_that_is_away_is_one_fault_with_its_remedy() -> None:
    found = examine("postgresql://telemetry@127.0.0.1:1/agent_telemetry")
    assert found["configuration"].ok
    assert "Connection refused" in found["database"].text
    assert "check DATABASE_URL" in found["database"].text
    assert {found[name].text for name in NAMES[2:]} == {"not checked: the database cannot be reached"}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:Sesame-open@127.0.0.1:1/x",
        "postgresql://me:Sesame%40open@127.0.0.1:1/x",
        "postgresql://me:Sesame@open@127.0.0.1:1/x",
        "postgresql://me:Sesame/open@127.0.0.1:1/x",
        "postgresql://me:Sesame%open@127.0.0.1:1/x",
        "postgresql://me:Sesame open@127.0.0.1:1/x",
        "postgresql//me:Sesame-open@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?password=Sesame&open",
        "host=127.0.0.1 port=1 password=Sesame-open",
        "host=127.0.0.1 port=1 password=Sesame open",
    ],
)
def test_no_part_of_a_password_is_shown_however_badly_it_is_written(url: str) -> None:
    found = examine(url)
    shown = json.dumps([asdict(check) for check in found.values()])
    assert "Sesame" not in shown
    assert "open" not in shown
    assert "DATABASE_URL" in found["database"].text


def test_a_password_that_a_check_stumbles_over_is_hidden_too(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: psycopg.Connection) -> checks.Finding:
        raise RuntimeError(f"lost {url}, password Sesame")

    url = database_url.replace("telemetry@", "telemetry:Sesame@", 1)
    monkeypatch.setitem(CHECKS, "keys", fail)
    assert examine(url)["keys"].text.startswith("could not be checked: lost postgresql://telemetry:***@")
    assert "Sesame" not in examine(url)["keys"].text


def test_an_empty_database_wants_to_be_migrated(empty_database_url: str) -> None:
    found = examine(empty_database_url)
    assert "lacks 0001_collector.sql, " in found["schema"].text
    assert faults(found) == {*CHECKS} - {"database", "disk", "clock"}
    assert found["quarantine"].text == "the schema is not up to date; run: python -m app migrate"


def test_an_edited_migration_is_a_fault(database_url: str, connection: psycopg.Connection) -> None:
    connection.execute("UPDATE schema_migrations SET sha256 = 'of another file'")
    found = examine(database_url)["schema"]
    assert not found.ok
    assert "0001_collector.sql was edited" in found.text


def test_a_database_that_is_not_in_utf_8_is_a_fault(postgres: Server) -> None:
    superuser = postgres.embedded.url("postgres", "postgres")
    with connect(superuser) as connection:
        connection.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            found = examine(postgres.embedded.url("ascii"))["database"]
        finally:
            connection.execute("DROP DATABASE ascii WITH (FORCE)")
    assert not found.ok
    assert "its encoding is SQL_ASCII; create the database with ENCODING 'UTF8'" in found.text


@pytest.mark.parametrize(("months", "expected"), [(0, "none for this month"), (1, "none for the next month")])
def test_partitions_that_run_out_are_a_fault(
    database_url: str, connection: psycopg.Connection, months: int, expected: str
) -> None:
    there = [name for name, *_ in connection.execute("SELECT relid::text FROM pg_partition_tree('telemetry_events')")]
    for name in sorted(name for name in there if name[-6:].isdigit())[months:]:
        connection.execute(f"DROP TABLE {name}")
    found = examine(database_url)["partitions"]
    assert not found.ok
    assert found.text.startswith(f"{expected}; run: python -m app maintain")


def test_what_waits_in_the_default_partition_is_told_by_host(database_url: str, connection: psycopg.Connection) -> None:
    assert examine(database_url)["default partition"].text == "empty"
    store(connection, "1", utc("0001-01-01T00:00"), utc("2026-01-01T00:00"), host="no-clock")
    store(connection, "2", utc("1970-01-01T00:01"), utc("2026-01-01T00:00"), host="no-battery")
    store(connection, "3", utc("1970-01-01T00:02"), utc("2026-01-01T00:00"), host="no-battery")
    store(connection, "4", utc("9999-12-31T23:59"), utc("2026-01-01T00:00"), host="no-clock-either")
    found = examine(database_url)["default partition"]
    assert found.ok
    assert found.text.startswith("4 events, from 0001-01-02 00:00 to 9999-12-30 00:00, of no-battery, no-clock, ")
    assert "python -m app maintain" in found.text
    assert found.data["hosts"] == {"no-battery": 2, "no-clock": 1, "no-clock-either": 1}


def test_the_disk_is_that_of_the_servers_data(postgres: Server) -> None:
    """The superuser may ask where that is; for the role of the collector it is found otherwise, or not at all."""
    found = examine(postgres.embedded.url("postgres", "postgres"))["disk"]
    assert found.ok
    assert found.data["folder"] == str(postgres.embedded.directory / "data")
    assert found.data["size"] == Disk(*found.data.values()).size > 0


def test_a_full_disk_is_a_fault(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LEAST_FREE_BYTES", 10**18)
    found = examine(database_url)["disk"]
    if not found.data:
        pytest.skip(f"the role may not know where the data is, and this system does not show it: {found.text}")
    assert not found.ok
    assert "make room, or lower TELEMETRY_EVENT_RETENTION_DAYS" in found.text


@pytest.mark.parametrize(
    ("free", "size", "enough"),
    [
        (499_999_999, 1_000_000_000, False),
        (500_000_000, 1_000_000_000, True),
        (4_999_999_999, 100_000_000_000, False),
        (5_000_000_000, 100_000_000_000, True),
    ],
)
def test_enough_room_is_500_mb_and_5_percent(free: int, size: int, enough: bool) -> None:
    assert Disk("/", free, size).enough == enough


def test_a_folder_that_is_not_there_has_no_disk(tmp_path: Path) -> None:
    assert machine.disk(tmp_path / "absent" / "data") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not look into a folder")
def test_a_folder_that_may_not_be_looked_into_is_on_the_disk_of_the_one_above(postgres_folder: Path) -> None:
    private = postgres_folder / "private"
    private.mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        found = machine.disk(private / "data")
    finally:
        os.seteuid(0)
        private.rmdir()
    assert found is not None
    assert found.folder == str(private)


@pytest.mark.parametrize(("seconds", "word"), [(6.0, "behind"), (-6.0, "ahead of")])
def test_clocks_that_are_more_than_5_s_apart_are_a_fault(
    database_url: str, monkeypatch: pytest.MonkeyPatch, seconds: float, word: str
) -> None:
    real = time.time
    monkeypatch.setattr(checks.time, "time", lambda: real() + seconds)  # type: ignore[attr-defined]
    found = examine(database_url)["clock"]
    assert not found.ok
    assert found.text.startswith(f"the database's is 6.0 s {word} this machine's; keep both with NTP")
    assert found.data["database_ahead_seconds"] == pytest.approx(-seconds, abs=0.5)


def test_without_a_key_for_a_host_nobody_can_send(database_url: str, connection: psycopg.Connection) -> None:
    add_key(connection, scope="read")
    add_key(connection, lifetime=timedelta(days=-1))
    keys.revoke(connection, add_key(connection))
    found = examine(database_url)["keys"]
    assert not found.ok
    expected = "1 active, 1 expired, 1 revoked: none lets a host send; make one: python -m app keys create HOST"
    assert found.text == expected


def test_a_key_that_ends_soon_is_told_with_the_command(database_url: str, connection: psycopg.Connection) -> None:
    number = add_key(connection, lifetime=timedelta(days=13))
    add_key(connection, "desktop", lifetime=timedelta(days=15))
    found = examine(database_url)["keys"]
    assert found.ok
    assert found.text.endswith(f": python -m app keys rotate {number}")
    assert [key["host_id"] for key in found.data["expire_soon"]] == ["laptop"]


def test_quarantine_and_refusals_are_told_with_the_newest(database_url: str, connection: psycopg.Connection) -> None:
    found = examine(database_url)
    assert (found["quarantine"].text, found["refused transcripts"].text) == ("empty", "none")
    connection.execute(
        "INSERT INTO quarantined_events (digest, key_host_id, times, last_seen_at, errors, event)"
        " VALUES (md5('1')::uuid, 'desktop', 1, '2026-01-01Z', '{}', ''),"
        " (md5('2')::uuid, 'laptop', 5, '2026-01-02Z', '{\"latencyMs\": [\"Not a valid number.\"]}', '')"
    )
    connection.execute(
        "INSERT INTO refused_transcripts VALUES ('desktop', 1, '2026-01-03Z'), ('laptop', 4, '2026-01-04Z')"
    )
    found = examine(database_url)
    assert found["quarantine"].text == (
        "2 events that came 6 times, the newest 2026-01-02 00:00 with the key of laptop:"
        " {'latencyMs': ['Not a valid number.']}"
    )
    assert found["quarantine"].data["errors"] == {"latencyMs": ["Not a valid number."]}
    assert found["refused transcripts"].text.startswith("laptop 4 times, desktop 1 times, last on 2026-01-04 00:00;")


def test_roll_ups_that_are_late_are_a_fault(database_url: str, connection: psycopg.Connection) -> None:
    """Given an event that nobody counts, for there is no collector; the day after, it is a fault."""
    assert examine(database_url)["roll-ups"].text == "up to date"
    connection.execute(
        "INSERT INTO telemetry_events (occurred_at, received_at, session_key, series_key) VALUES (now(), now(), 1, 1)"
    )
    found = examine(database_url)["roll-ups"]
    assert found.ok
    assert found.text.startswith("1 events wait, the oldest for ")
    connection.execute("UPDATE rollup_queue SET queued_at = now() - interval '1 day'")
    found = examine(database_url)["roll-ups"]
    assert not found.ok
    assert found.text == "1 events wait, the oldest for 86400 s; see that a collector runs, and what it logs"


def test_storage_tells_the_share_of_each_part(database_url: str, connection: psycopg.Connection) -> None:
    for number in range(100):
        store(connection, str(number), utc("2026-01-01T00:00"), utc("2026-01-01T00:00"))
    found = examine(database_url)["storage"]
    assert found.ok
    assert "for 100 events, " in found.text
    assert "bytes an event: events " in found.text
    assert sum(found.data["shares"].values()) == pytest.approx(1)
    assert found.data["bytes_an_event"] > 100


@pytest.mark.slow
def test_a_table_that_is_locked_costs_5_s_and_one_line(database_url: str, connection: psycopg.Connection) -> None:
    add_key(connection)
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE quarantined_events")
        found = examine(database_url)
    assert found["quarantine"].text == "took over 5 s; try again when the database has less to do"
    assert faults(found) == {"quarantine", "storage"}


def test_a_connection_that_is_lost_halfway_makes_lines_and_no_traceback(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(connection: psycopg.Connection) -> checks.Finding:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        raise AssertionError("it should be gone")

    monkeypatch.setitem(CHECKS, "partitions", lose)
    found = examine(database_url)
    assert found["schema"].ok
    assert found["partitions"].text.startswith("could not be checked: terminating connection")
    assert found["storage"].text == "could not be checked: the connection is closed"
