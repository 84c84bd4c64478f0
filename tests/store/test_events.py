"""Events are written into their month directly, exactly once and to the letter, whatever becomes of the month."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from app.store import partitions, rollups, words
from app.store.database import BoundedConnection
from app.store.events import EventStore
from tests.fixtures.postgres import connect, wait_until_blocked
from tests.store.batches import load, store_events
from tests.store.truth import check_views

NOW = datetime.now(UTC)
MONTH = f"telemetry_events_{NOW:%Y%m}"

# What COPY gives a meaning of its own.
odd = st.text(st.sampled_from("\\N.\t\n\r\v\f\b\x01\x7f\"',{}[] ntrb0x\u2028\u00e9\U0001f600"), max_size=12)
texts = odd | st.text(max_size=20) | st.sampled_from(["", "\\N", "\\.", "null", "now", '","', "a\tb"])


def places(connection: psycopg.Connection) -> dict[str | None, str]:
    """The table of each event, by its eventId."""
    rows = connection.execute("SELECT event_id, tableoid::regclass::text FROM telemetry_events")
    return dict(rows.fetchall())


def noted(connection: psycopg.Connection) -> int:
    """How many events wait to be counted."""
    return rollups.freshness(connection).events_waiting


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts.filter(lambda text: "\0" not in text),
    st.dictionaries(texts, texts | st.integers(-(2**53), 2**53) | st.booleans() | st.none(), max_size=3),
)
@example("\\", {"\\": "\\\\"})
def test_texts_and_objects_are_stored_to_the_letter(
    connection: psycopg.Connection, writer: BoundedConnection, text: str, content: dict[str, Any]
) -> None:
    fields = {"decisionReason": text, "generationId": text[::-1], "toolInput": content, "extraData": {"a": content}}
    events = load({**fields, "eventId": "1"}, {"eventId": "2", "decisionReason": text, "more": content})
    writer.execute("TRUNCATE telemetry_events, event_identities")
    assert store_events(EventStore(), writer, events).accepted == 2
    rows = connection.execute(
        "SELECT decision_reason, generation_id, tool_input::text, extra_data::text, attributes::text"
        " FROM telemetry_events ORDER BY event_id"
    ).fetchall()
    clean = json.loads(json.dumps(content).replace("\\u0000", "\\ufffd"))
    assert rows[0][:2] == (text, text[::-1])
    assert [json.loads(each) for each in rows[0][2:4]] == [clean, {"a": clean}]
    assert rows[0][4] is None
    assert rows[1][:4] == (text, None, None, None)
    assert json.loads(rows[1][4]) == {"more": clean}


def test_each_event_is_in_its_month_and_noted_once(connection: psycopg.Connection, writer: BoundedConnection) -> None:
    moments = {"now": NOW, "last year": NOW - timedelta(days=400), "next month": NOW + timedelta(days=32)}
    events = load(
        {"eventId": "no time"}, *({"eventId": name, "timestamp": at.isoformat()} for name, at in moments.items())
    )
    assert store_events(EventStore(), writer, events).accepted == 4
    assert store_events(EventStore(), writer, events).duplicates == 4
    assert places(connection) == {
        "no time": MONTH,
        "now": MONTH,
        "last year": "telemetry_events_default",
        "next month": f"telemetry_events_{NOW + timedelta(days=32):%Y%m}",
    }
    assert noted(connection) == 4
    rollups.catch_up(connection)
    check_views(connection)


def test_repeats_among_new_events_are_found_whether_any_are_expected_or_not(
    connection: psycopg.Connection, writer: BoundedConnection
) -> None:
    event_store, found = EventStore(), []
    for ids in ("a", "ab", "bc", "cd"):
        events = load(*({"eventId": each, "timestamp": NOW.isoformat()} for each in ids))
        stored = store_events(event_store, writer, events)
        found.append((stored.accepted, stored.duplicates))
    assert found == [(1, 0), (2, 1), (2, 1), (2, 1)]
    assert places(connection) == dict.fromkeys("abcd", MONTH)
    assert noted(connection) == 4


def test_a_month_that_was_dropped_costs_nothing(connection: psycopg.Connection, writer: BoundedConnection) -> None:
    event_store = EventStore()
    store_events(event_store, writer, load({"eventId": "before", "timestamp": NOW.isoformat()}))
    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(MONTH)))
    stored = store_events(event_store, writer, load({"eventId": "after", "timestamp": NOW.isoformat()}))
    assert (stored.accepted, stored.duplicates) == (1, 0)
    assert places(connection) == {"after": "telemetry_events_default"}


def test_a_month_that_an_older_release_made_is_written_through_the_table_until_it_has_its_trigger(
    connection: psycopg.Connection, writer: BoundedConnection
) -> None:
    connection.execute(sql.SQL("DROP TRIGGER queue_events ON {}").format(sql.Identifier(MONTH)))
    event_store = EventStore()
    store_events(event_store, writer, load({"eventId": "1", "timestamp": NOW.isoformat()}))
    assert noted(connection) == 1
    assert partitions.ensure(connection).failures == []
    event_store.forget()
    store_events(event_store, writer, load({"eventId": "2", "timestamp": NOW.isoformat()}))
    assert set(places(connection).values()) == {MONTH}
    assert noted(connection) == 2
    assert all(each.noted for each in partitions.existing(connection))


@pytest.mark.parametrize("expected", [False, True])
def test_of_two_that_store_the_same_event_at_once_one_finds_a_repeat(
    connection: psycopg.Connection, writer: BoundedConnection, database_url: str, expected: bool
) -> None:
    events, store = load({"eventId": "both"}, {"eventId": "mine"}), EventStore()
    store._repeats_until = float("inf") if expected else 0.0
    found: list[Any] = []
    with connect(database_url) as other:
        with other.transaction():
            other.execute("INSERT INTO event_identities (identity) VALUES (%s::uuid)", (events[0].identity,))
            waiting = threading.Thread(target=lambda: found.append(store_events(store, writer, events)))
            waiting.start()
            wait_until_blocked(database_url)
        waiting.join(10)
    assert [(one.accepted, one.duplicates, one.refused) for one in found] == [(2, 1, {})]
    assert list(places(connection)) == ["mine"]


def test_a_refused_event_costs_the_connection_nothing(
    connection: psycopg.Connection, writer: BoundedConnection
) -> None:
    """After a transaction that failed psycopg deallocates whatever was prepared."""
    store = EventStore()
    # The later ones have no eventId and no time, so they go statement by statement; often enough to be prepared.
    for number in range(8):
        assert store_events(store, writer, load({"eventId": f"{number}", "sessionId": f"{number}"})).accepted == 1
        assert store_events(store, writer, load({"agentName": f"{number}"})).accepted == 1
    writer.execute("ALTER TABLE telemetry_events ADD CONSTRAINT cheap CHECK (cost < 500)")
    assert list(store_events(store, writer, load({"cost": 500})).refused) == [0]
    assert store_events(store, writer, load({"eventId": "next"})).accepted == 1
    assert "next" in places(connection)


def test_a_session_that_was_forgotten_between_two_of_its_events_is_one_session(
    connection: psycopg.Connection, writer: BoundedConnection
) -> None:
    first = load({"eventId": "1", "sessionId": "new"})
    words._INTERNED.clear()
    events = [*first, *load({"eventId": "2", "sessionId": "new"})]
    assert events[0].session is not events[1].session
    assert store_events(EventStore(), writer, events).accepted == 2
    assert connection.execute("SELECT count(DISTINCT session_key) FROM telemetry_events").fetchone() == (1,)
