"""The budget: an event's bytes on disk, indexes included, are at most 0.75 of its compact JSON; the goal is 0.5."""

import sys

import psycopg
import pytest

from app.store import storage
from tests.bench import disk
from tests.store.history import count

BUDGET = 0.75


@pytest.mark.slow
@pytest.mark.any_python
def test_an_event_takes_three_quarters_of_its_json_at_most(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = disk.measure(database_url)
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(taken.lines()) + "\n")
    assert taken.against_json <= BUDGET


def test_the_parts_are_all_of_it(connection: psycopg.Connection, database_url: str) -> None:
    """Given a table of each kind, their sizes and what they are said to be agree."""
    connection.execute("INSERT INTO working_dirs (digest, working_dir) VALUES (gen_random_uuid(), '/home')")
    tables = connection.execute(
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND relname NOT IN ('api_keys', 'refused_transcripts', 'schema_migrations')"
    ).fetchone()
    used = storage.measure(connection)
    assert tables == (used.total,)
    assert sum(used.shares().values()) == pytest.approx(1)
    assert used.parts["words"] > 0


def test_without_events_there_are_no_bytes_an_event(connection: psycopg.Connection) -> None:
    used = storage.measure(connection)
    assert (used.events, used.counted, used.bytes_an_event) == (0, True, None)


def test_many_events_are_estimated_closely(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.execute(
        "INSERT INTO telemetry_events (occurred_at, received_at, session_key, series_key)"
        " SELECT now(), now(), n, 1 FROM generate_series(1, 20000) AS n"
    )
    connection.execute("ANALYZE telemetry_events")
    monkeypatch.setattr(storage, "COUNTED_BYTES", 0)
    used = storage.measure(connection)
    assert not used.counted
    assert used.events == pytest.approx(count(connection, "telemetry_events"), rel=0.05)
