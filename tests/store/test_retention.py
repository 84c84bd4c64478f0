"""What maintain deletes and what it keeps, step by step and all at once."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg import errors, sql

from app import maintain
from app.config import load as load_settings
from app.maintain import Summary
from app.store import archive, locks, retention, rollups, site
from app.store.database import BoundedConnection
from app.store.events import EventStore
from app.store.partitions import database_now, ensure
from app.store.retention import Deletion
from tests.fixtures.postgres import connect
from tests.store.batches import load, store_events
from tests.store.history import before_any_partition, bereft, count, events, identities, store, utc

NOW = utc("2025-12-15T12:00")
DAYS = timedelta(days=1)
EVENT_DAYS, TRANSCRIPT_DAYS, QUARANTINE_DAYS = 90, 60, 30

STATUS = {"status_samples": "start", "status_maintenance": "ran_at", "status_backups": "taken_at"}

Run = Callable[..., Summary]


@pytest.fixture
def database_url(empty_database_url: str) -> str:
    """A database that has not made partitions for the time in which the tests run."""
    return before_any_partition(empty_database_url)


@pytest.fixture
def lines() -> list[str]:
    """What the runs of `run` have reported."""
    return []


@pytest.fixture
def run(connection: psycopg.Connection, database_url: str, lines: list[str]) -> Run:
    """Maintains the database at a moment, with retentions of 90, 60 and 30 days."""

    def at(now: datetime = NOW, *, dry_run: bool = False, **variables: str) -> Summary:
        days = {"EVENT": EVENT_DAYS, "TRANSCRIPT": TRANSCRIPT_DAYS, "QUARANTINE": QUARANTINE_DAYS}
        retentions = {f"TELEMETRY_{what}_RETENTION_DAYS": str(number) for what, number in days.items()}
        settings = load_settings({"DATABASE_URL": database_url, **retentions, **variables})
        return maintain.run(connection, settings, dry_run=dry_run, report=lines.append, now=now)

    return at


def keep_transcript(connection: psycopg.Connection, session: str, changed: datetime) -> None:
    connection.execute(
        "INSERT INTO session_transcripts (host_id, session_id, created_at, updated_at, message_count, chain, messages)"
        " VALUES ('laptop', %s, '2020-01-01Z', %s, 0, '', '[]')",
        (session, changed),
    )


def keep_quarantined(connection: psycopg.Connection, event: str, last_seen: datetime) -> None:
    connection.execute(
        "INSERT INTO quarantined_events (digest, key_host_id, first_seen_at, last_seen_at, errors, event)"
        " VALUES (md5(%s)::uuid, 'laptop', '2020-01-01Z', %s, '{}', %s)",
        (event, last_seen, event),
    )


def keep_status(connection: psycopg.Connection, at: datetime) -> None:
    connection.execute("INSERT INTO status_samples (start, stored, duplicates, rejected) VALUES (%s, 0, 0, 0)", (at,))
    connection.execute("INSERT INTO status_maintenance (ran_at, failures) VALUES (%s, 0)", (at,))
    connection.execute("INSERT INTO status_backups (taken_at, bytes, copied) VALUES (%s, 1, true)", (at,))


def names(connection: psycopg.Connection, statement: str) -> set[str]:
    return {name for (name,) in connection.execute(statement)}


def test_a_months_events_go_once_the_whole_month_is_too_old(run: Run, connection: psycopg.Connection) -> None:
    """Ninety days before the fifteenth of December is the sixteenth of September."""
    for month in (7, 8, 9):
        store(connection, str(month), utc(f"2025-{month:02}-28T00:00"), utc(f"2025-{month:02}-28T00:00"))
    run(utc("2025-10-01T00:00"))
    assert events(connection) == {str(month): f"telemetry_events_2025{month:02}" for month in (7, 8, 9)}
    assert run().partitions_dropped == ["telemetry_events_202507", "telemetry_events_202508"]
    assert events(connection) == {"9": "telemetry_events_202509"}
    assert run(utc("2025-12-29T23:59")).partitions_dropped == []
    assert run(utc("2025-12-30T00:00")).partitions_dropped == ["telemetry_events_202509"]


def test_what_no_month_can_take_is_kept_by_its_receipt_for_its_clock_was_wrong(
    run: Run, connection: psycopg.Connection
) -> None:
    store(connection, "from 1970, and received long ago", utc("1970-01-01T00:00"), NOW - 91 * DAYS)
    store(connection, "from 1970", utc("1970-01-01T00:00"), NOW)
    store(connection, "from a month before the oldest that is kept", utc("2025-08-31T23:59"), NOW - 91 * DAYS)
    store(connection, "from the year 9999, and received long ago", utc("9999-12-31T00:00"), NOW - 91 * DAYS)
    store(connection, "from the year 9999", utc("9999-12-31T00:00"), NOW - 89 * DAYS)
    store(connection, "from the oldest month", utc("2025-09-01T00:00"), NOW)
    assert run().rows_deleted["telemetry_events_default"] == 3
    assert events(connection) == {
        "from 1970": "telemetry_events_default",
        "from the year 9999": "telemetry_events_default",
        "from the oldest month": "telemetry_events_202509",
    }


def test_transcripts_go_by_their_last_change(run: Run, connection: psycopg.Connection) -> None:
    keep_transcript(connection, "old", NOW - TRANSCRIPT_DAYS * DAYS - timedelta(seconds=1))
    keep_transcript(connection, "kept", NOW - TRANSCRIPT_DAYS * DAYS)
    assert run().rows_deleted["session_transcripts"] == 1
    assert names(connection, "SELECT session_id FROM session_transcripts") == {"kept"}


def test_quarantined_events_go_by_when_they_last_came(run: Run, connection: psycopg.Connection) -> None:
    keep_quarantined(connection, "old", NOW - QUARANTINE_DAYS * DAYS - timedelta(seconds=1))
    keep_quarantined(connection, "kept", NOW - QUARANTINE_DAYS * DAYS)
    assert run().rows_deleted["quarantined_events"] == 1
    assert names(connection, "SELECT event FROM quarantined_events") == {"kept"}


def test_refused_transcripts_stay(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO refused_transcripts VALUES ('laptop', 3, '2001-01-01Z')")
    run()
    assert count(connection, "refused_transcripts") == 1


def test_0_days_keep_for_ever(run: Run, connection: psycopg.Connection) -> None:
    forever = {f"TELEMETRY_{what}_RETENTION_DAYS": "0" for what in ("EVENT", "TRANSCRIPT", "QUARANTINE")}
    store(connection, "old", utc("2018-02-03T00:00"), utc("2018-02-03T00:00"))
    store(connection, "ancient", utc("1970-01-01T00:00"), utc("2018-02-03T00:00"))
    keep_transcript(connection, "old", utc("2018-02-03T00:00"))
    keep_quarantined(connection, "old", utc("2018-02-03T00:00"))
    run(**forever)
    run(NOW + 3000 * DAYS, **forever)
    assert events(connection) == {"old": "telemetry_events_201802", "ancient": "telemetry_events_default"}
    assert bereft(connection) == []
    assert count(connection, "session_transcripts") == 1
    assert count(connection, "quarantined_events") == 1


def test_identities_and_words_outlive_their_events_but_not_by_much(run: Run, connection: psycopg.Connection) -> None:
    store(connection, "x", utc("2025-01-20T00:00"), utc("2025-01-20T00:00"))
    run(utc("2025-01-20T00:00"))
    gone = utc("2025-02-01T00:00") + EVENT_DAYS * DAYS
    run(gone - DAYS)
    assert events(connection) == {"x": "telemetry_events_202501"}
    run(gone)
    assert events(connection) == {}
    assert identities(connection) == 1
    deleted = run(gone + 70 * DAYS).rows_deleted
    words = {name: deleted[name] for name in ("archived_identities", "series", "sessions", "working_dirs")}
    assert set(words.values()) == {1}
    assert identities(connection) == 0


def test_words_that_are_still_in_use_stay_however_old_they_are(run: Run, connection: psycopg.Connection) -> None:
    store(connection, "first", utc("2023-01-01T00:00"), utc("2023-01-01T00:00"))
    store(connection, "of another host", utc("2023-01-01T00:00"), utc("2023-01-01T00:00"), host="desktop")
    store(connection, "last", NOW, NOW)
    run()
    assert names(connection, "SELECT host_id FROM series") == {"laptop"}
    assert events(connection) == {"last": "telemetry_events_202512"}


def test_an_event_dated_years_ahead_keeps_its_identity_and_words_to_its_end(
    run: Run, connection: psycopg.Connection
) -> None:
    """Its month comes near while it waits, so it is moved there, and stays for the whole retention once more."""
    received, occurred = utc("2025-01-10T00:00"), utc("2025-07-20T00:00")
    store(connection, "ahead", occurred, received)
    end = utc("2025-08-01T00:00") + EVENT_DAYS * DAYS
    now = received
    while now < end:
        run(now)
        assert list(events(connection)) == ["ahead"]
        assert bereft(connection) == []
        now += 5 * DAYS
    run(end)
    assert events(connection) == {}
    run(end + 120 * DAYS)
    assert [count(connection, table) for table in ("series", "sessions", "working_dirs")] == [0] * 3
    assert identities(connection) == 0


def test_partitions_that_were_made_far_ahead_by_hand_do_not_mislead(run: Run, connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE TABLE year_2030 PARTITION OF telemetry_events FOR VALUES FROM ('2030-01-01Z') TO ('2031-01-01Z')"
    )
    store(connection, "ahead", utc("2030-05-01T00:00"), NOW)
    for year in range(1, 6):
        run(NOW + year * 360 * DAYS)
        assert events(connection) == {"ahead": "year_2030"}
        assert bereft(connection) == []
    assert "year_2030" in run(NOW + 6 * 360 * DAYS).partitions_dropped


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_the_clocks_of_the_hosts_no_kept_event_ever_loses_its_identity_or_its_words(
    run: Run, connection: psycopg.Connection, seed: int
) -> None:
    """Given two years of events from clocks that are right, late, and ahead, and maintenance at odd times."""
    chance, now, number, most = random.Random(seed), NOW, 0, 0
    while now < NOW + 730 * DAYS:
        for _ in range(4):
            number += 1
            skew = chance.choice([0, 0, -1, -40, -95, 20, 31, 60, 89, 125, 160, 200, 400])
            received = now - chance.uniform(0, 10) * DAYS
            store(connection, str(number), received + skew * DAYS, received, host=str(number % 7 + skew))
        run(now)
        assert bereft(connection) == []
        now += chance.choice([1, 5, 15, 50]) * DAYS
        most = max(most, identities(connection))
    run(now + 2000 * DAYS)
    assert [count(connection, table) for table in ("telemetry_events", "series")] == [0] * 2
    assert identities(connection) == 0
    assert most < number


def full_of_everything(connection: psycopg.Connection) -> None:
    """Something for each step of maintenance to do, and something to keep."""
    for month in (3, 8):
        store(
            connection,
            f"old {month}",
            utc(f"2025-{month:02}-10T00:00"),
            utc(f"2025-{month:02}-10T00:00"),
            f"host {month}",
        )
    ensure(connection, utc("2025-03-01T00:00"), now=utc("2025-08-10T00:00"))
    for month in range(9, 13):
        store(connection, f"kept {month}", utc(f"2025-{month:02}-10T00:00"), NOW)
    store(connection, "stray", utc("1970-01-01T00:00"), NOW - 91 * DAYS)
    store(connection, "far ahead", utc("2099-01-01T00:00"), NOW - 91 * DAYS)
    connection.execute(
        "INSERT INTO archived_identities VALUES (gen_random_uuid(), '2025-03-10Z'), (gen_random_uuid(), %s)", (NOW,)
    )
    # A repeat that was sent again is in both.
    connection.execute(
        "INSERT INTO archived_identities SELECT * FROM event_identities WHERE identity = md5('stray')::uuid"
    )
    for changed in (NOW, NOW - 100 * DAYS):
        keep_transcript(connection, changed.isoformat(), changed)
        keep_quarantined(connection, changed.isoformat(), changed)
        keep_status(connection, changed - timedelta(seconds=1))


def test_a_dry_run_foretells_exactly_what_a_run_does_and_does_nothing(
    run: Run, connection: psycopg.Connection, lines: list[str]
) -> None:
    full_of_everything(connection)
    before = events(connection), count(connection, "pg_class"), count(connection, "event_identities")
    foreseen = run(dry_run=True)
    assert before == (events(connection), count(connection, "pg_class"), count(connection, "event_identities"))
    assert lines == [
        "would make telemetry_events_202512 with 1 events",
        "would make telemetry_events_202601",
        "would make telemetry_events_202602",
        "would make telemetry_events_202603",
        "would drop telemetry_events_202503 with 1 events",
        "would drop telemetry_events_202508 with 1 events",
        "would delete 2 rows of telemetry_events_default",
        "would delete 1 rows of event_identities",
        "would delete 1 rows of archived_identities",
        "would delete 1 rows of series",
        "would delete 1 rows of sessions",
        "would delete 1 rows of working_dirs",
        "would delete 1 rows of session_transcripts",
        "would delete 1 rows of quarantined_events",
        "would delete 1 rows of status_samples",
        "would delete 1 rows of status_maintenance",
        "would delete 1 rows of status_backups",
        "would archive 3 identities",
    ]
    done = run()
    assert done.partitions_dropped == ["telemetry_events_202503", "telemetry_events_202508"]
    assert all(done.rows_deleted.values())
    foreseen.dry_run = False
    assert foreseen == done


def test_a_second_run_finds_nothing_to_do(run: Run, connection: psycopg.Connection, lines: list[str]) -> None:
    full_of_everything(connection)
    run()
    lines.clear()
    assert run().idle
    assert lines == ["nothing to do"]


def test_fingerprints_of_deleted_identities_are_forgotten_and_it_says_so(
    run: Run, connection: psycopg.Connection, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "STALE_FACTOR", 1.0)
    monkeypatch.setattr(archive, "LEAST_IDENTITIES", 1)
    full_of_everything(connection)
    run()
    assert lines[-1] == "made the fingerprints of archived identities anew"
    known = connection.execute("SELECT sum(octet_length(fingerprints)) FROM archived_fingerprints").fetchone()
    assert known == (2 * count(connection, "archived_identities"),)


def test_while_one_runs_a_second_leaves_the_work_to_it(
    run: Run, connection: psycopg.Connection, database_url: str, lines: list[str]
) -> None:
    full_of_everything(connection)
    with connect(database_url) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (maintain.LOCK,))
        assert run().running_elsewhere
        assert run(dry_run=True).partitions_dropped != []
        other.execute("SELECT pg_advisory_unlock(%s)", (maintain.LOCK,))
    assert lines[0] == "another maintain is running; it does the work"
    assert not run().idle


def wait_until_gone(connection: psycopg.Connection, pid: int) -> None:
    """Returns when the server has ended that session, which it does a moment after it says so, and freed its locks."""
    deadline = time.monotonic() + 10
    while connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchall():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_that_is_cut_off_is_finished_by_the_next(
    run: Run, connection: psycopg.Connection, database_url: str
) -> None:
    full_of_everything(connection)

    def cut_off(line: str) -> None:
        if line == "dropped telemetry_events_202503":
            with connect(database_url) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))

    settings = load_settings({"DATABASE_URL": database_url, "TELEMETRY_EVENT_RETENTION_DAYS": str(EVENT_DAYS)})
    with connect(database_url) as dying:
        pid = dying.info.backend_pid
        with pytest.raises(psycopg.OperationalError):
            maintain.run(dying, settings, dry_run=False, report=cut_off, now=NOW)
    wait_until_gone(connection, pid)
    summary = run()
    assert summary.partitions_made == []
    assert summary.partitions_dropped == ["telemetry_events_202508"]
    assert all(summary.rows_deleted.values())


def test_what_a_transaction_holds_is_left_for_the_next_time_and_not_waited_for(
    run: Run, connection: psycopg.Connection, database_url: str
) -> None:
    connection.execute("SET lock_timeout = '2s'")
    keep_transcript(connection, "busy", NOW - 100 * DAYS)
    keep_transcript(connection, "old", NOW - 100 * DAYS)
    with psycopg.connect(database_url) as uploading:
        uploading.execute("UPDATE session_transcripts SET updated_at = %s WHERE session_id = 'busy'", (NOW,))
        assert run().rows_deleted["session_transcripts"] == 1
        uploading.commit()
    assert run().rows_deleted["session_transcripts"] == 0
    assert names(connection, "SELECT session_id FROM session_transcripts") == {"busy"}


def test_each_batch_is_a_transaction_of_its_own(connection: psycopg.Connection) -> None:
    """Given a table of several pages, the last of which cannot be deleted from."""
    connection.execute("CREATE TABLE several (number integer, padding text)")
    connection.execute("INSERT INTO several SELECT n, repeat('x', 1000) FROM generate_series(1, 70) AS n")
    connection.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$"
    )
    connection.execute(
        "CREATE TRIGGER t BEFORE DELETE ON several FOR EACH ROW WHEN (old.number = 70) EXECUTE FUNCTION refuse()"
    )
    everything = Deletion("several", sql.SQL("number > %(above)s"), {"above": 3}, 2)
    assert retention.count(connection, everything) == 67
    with pytest.raises(errors.RaiseException, match="not this one"):
        retention.delete(connection, everything)
    assert names(connection, "SELECT number::text FROM several WHERE number <= 56") == {"1", "2", "3"}
    assert count(connection, "several WHERE number > 56") > 0
    connection.execute("DROP TRIGGER t ON several")
    assert retention.delete(connection, everything) > 0
    assert count(connection, "several") == 3


def test_long_deletions_tell_how_far_they_are(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PROGRESS_SECONDS", 0.0)
    for number in range(3):
        keep_quarantined(connection, f"{number} {'x' * 5000}", NOW)
    lines: list[str] = []
    everything = Deletion("quarantined_events", sql.SQL("true"), {}, 1)
    assert retention.delete(connection, everything, lines.append) == 3
    assert lines[-1] == "deleted 3 rows of quarantined_events so far"


def test_a_partition_that_is_being_read_is_dropped_the_next_time(
    run: Run, connection: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_of_everything(connection)
    monkeypatch.setattr(locks, "ATTEMPTS", 1)
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT FROM telemetry_events_202503")
        summary = run()
    assert summary.partitions_dropped == ["telemetry_events_202508"]
    assert len(summary.failures) == 1
    assert summary.failures[0].startswith("telemetry_events_202503 was not dropped: somebody kept a lock")
    assert bereft(connection) == []
    assert run().partitions_dropped == ["telemetry_events_202503"]
    assert bereft(connection) == []


def test_the_collector_notices_nothing_of_it(run: Run, connection: psycopg.Connection, database_url: str) -> None:
    """Given a collector that stores events of today, late ones for months that are going, and words gone and back."""
    full_of_everything(connection)
    now, done = database_now(connection), threading.Event()

    def insert(worker: int) -> int:
        sent = 0
        with BoundedConnection.connect(database_url, autocommit=True) as inserting:
            while not done.is_set():
                # A new one each time, which remembers no word and so asks for each.
                event_store = EventStore()
                batch = load(
                    {"eventId": f"{worker} {sent}", "timestamp": now.isoformat(), "hostId": "laptop"},
                    {"eventId": f"{worker} {sent + 1}", "timestamp": "2025-03-31T23:59:59Z", "hostId": "old"},
                )
                stored = store_events(event_store, inserting, batch)
                assert (stored.accepted, stored.duplicates, stored.refused) == (2, 0, {})
                sent += 2
        return sent // 2

    with ThreadPoolExecutor(3) as pool:
        inserting = [pool.submit(insert, worker) for worker in range(3)]
        try:
            for _ in range(5):
                run(now)
        finally:
            done.set()
        sent = sum(worker.result() for worker in inserting)
    statement = "SELECT count(*) FROM telemetry_events JOIN series USING (series_key) JOIN sessions USING (session_key)"
    kept = connection.execute(f"{statement} WHERE occurred_at = %s", (now,)).fetchone()
    assert kept == (sent,)
    # Those that came while their month was still there went with it; those that came later are kept by their receipt.
    late = connection.execute(f"{statement} WHERE occurred_at < '2025-04-01Z' AND received_at < %s", (now,)).fetchone()
    assert late == (0,)


def test_roll_ups_and_their_series_outlive_the_events_and_sessions_become_a_number(
    run: Run, connection: psycopg.Connection
) -> None:
    """Given two sessions that were counted, when their events are deleted, and two years later their names."""
    for event, host in (("one", "laptop"), ("another", "desktop")):
        store(connection, event, utc("2025-01-20T00:00"), utc("2025-01-20T00:00"), host=host)
    run(utc("2025-01-20T00:00"))
    rollups.catch_up(connection)
    counted = connection.execute("SELECT time, host, events FROM reporting.usage_hours ORDER BY 2").fetchall()
    assert [row[1:] for row in counted] == [("desktop", 1), ("laptop", 1)]
    sessions = connection.execute("SELECT day, host, sessions FROM reporting.session_counts_by_day").fetchall()
    later = utc("2027-01-20T00:00")
    foreseen = run(later, dry_run=True)
    done = run(later)
    assert done.rows_deleted["rollup_session_days"] == foreseen.rows_deleted["rollup_session_days"] == 2
    assert done.rows_deleted["series"] == foreseen.rows_deleted["series"] == 0
    assert events(connection) == {}
    assert count(connection, "sessions") == count(connection, "rollup_session_hours") == 0
    assert connection.execute("SELECT time, host, events FROM reporting.usage_hours ORDER BY 2").fetchall() == counted
    kept = connection.execute("SELECT day, host, sessions FROM reporting.session_counts_by_day").fetchall()
    assert sorted(kept) == sorted(sessions) != []
    assert run(later).idle


def test_a_day_whose_events_are_gone_in_part_keeps_its_roll_up(run: Run, connection: psycopg.Connection) -> None:
    """Given a time zone in which one day lies in two months, of which the first is deleted."""
    site.save(connection, site.Site(time_zone="Asia/Kolkata"))
    store(connection, "before", utc("2025-01-31T23:00"), utc("2025-01-31T23:00"))
    store(connection, "after", utc("2025-02-01T01:00"), utc("2025-02-01T01:00"))
    run(utc("2025-02-01T02:00"))
    rollups.catch_up(connection)
    before = connection.execute("SELECT day::text, events FROM reporting.usage_days").fetchall()
    assert before == [("2025-02-01", 2)]
    run(utc("2025-02-01T02:00") + EVENT_DAYS * DAYS)
    assert set(events(connection)) == {"after"}
    rollups.ask_for_all_days(connection)
    rollups.catch_up(connection)
    assert connection.execute("SELECT day::text, events FROM reporting.usage_days").fetchall() == before
    assert connection.execute("SELECT sum(events) FROM reporting.usage_hours").fetchall() == [(2,)]


def test_each_run_is_noted_and_the_sites_own_notes_go_after_90_days(run: Run, connection: psycopg.Connection) -> None:
    for days in (91, 89):
        keep_status(connection, NOW - days * DAYS)
    run(dry_run=True)
    run()
    left = {
        table: connection.execute(f"SELECT {at} FROM {table} ORDER BY 1").fetchall() for table, at in STATUS.items()
    }
    assert left["status_samples"] == left["status_backups"] == [(NOW - 89 * DAYS,)]
    assert left["status_maintenance"] == [(NOW - 89 * DAYS,), (NOW,)]
