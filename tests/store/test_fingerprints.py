"""Fingerprints of archived identities: none is missing, whoever archives and when; one too many does no harm."""

import hashlib
import threading
from datetime import timedelta

import psycopg
import pytest

from app.store import archive
from app.store.database import BoundedConnection
from app.store.events import EventStore
from app.store.partitions import database_now
from tests.fixtures.postgres import connect, wait_until_blocked
from tests.store.batches import load, store_events
from tests.store.history import count, events


def some_identities(numbers: range, bucket: str = "") -> list[str]:
    """As good as random, but for the bucket."""
    digests = (hashlib.blake2b(b"%d" % number, digest_size=16).hexdigest() for number in numbers)
    return [digest[:24] + bucket + digest[24 + len(bucket) :] for digest in digests]


def put_into_archive(connection: psycopg.Connection, some: list[str]) -> None:
    """As any release does."""
    connection.execute("INSERT INTO archived_identities SELECT unnest(%s::uuid[]), now()", (some,))


def perhaps_archived(connection: psycopg.Connection, asked: list[str]) -> set[str]:
    digits = "SELECT replace(unnest(perhaps_archived(%s::uuid[]))::text, '-', '')"
    return {identity for (identity,) in connection.execute(digits, (asked,))}


@pytest.mark.parametrize("bucket", ["", "0000"], ids=["many buckets", "one bucket, more than a page of it"])
def test_fingerprints_leave_nothing_out_that_is_archived_and_little_else_in(
    connection: psycopg.Connection, bucket: str
) -> None:
    archived, others = some_identities(range(10_000), bucket), some_identities(range(10_000, 11_000), bucket)
    for first in (0, 5000):
        put_into_archive(connection, archived[first : first + 5000])
    found = perhaps_archived(connection, archived + others)
    assert found >= set(archived)
    # Of ten thousand fingerprints in one bucket twice as many begin, and there are 65,536.
    assert len(found.intersection(others)) < (400 if bucket else 2)


@pytest.mark.parametrize("expected", [False, True])
def test_a_new_event_with_the_fingerprint_of_an_archived_one_is_stored(
    connection: psycopg.Connection, writer: BoundedConnection, expected: bool
) -> None:
    store, (event,) = EventStore(), load({"eventId": "new"})
    store._repeats_until = float("inf") if expected else 0.0
    alike = f"{'0' * 24}{event.identity[-8:]}"
    put_into_archive(connection, [alike])
    assert len(perhaps_archived(connection, [event.identity])) == 1
    assert store_events(store, writer, [event]).duplicates == 0
    assert store._repeats_until == (float("inf") if expected else 0.0)
    assert sorted(events(connection)) == ["new"]


def test_fingerprints_of_events_of_one_moment_are_spread(
    connection: psycopg.Connection, writer: BoundedConnection
) -> None:
    """Of the first generation's events the identity begins with the time."""
    moment = {"timestamp": "2026-01-05T10:00:00Z"}
    store_events(EventStore(), writer, load(*({**moment, "decisionReason": f"{number}"} for number in range(200))))
    assert archive.move(connection, database_now(connection) + timedelta(days=2)) == 200
    assert count(connection, archive.FINGERPRINTS) > 190


@pytest.mark.parametrize("expected", [False, True])
def test_what_a_release_without_fingerprints_archived_is_known(
    connection: psycopg.Connection, writer: BoundedConnection, expected: bool
) -> None:
    store = EventStore()
    store_events(store, writer, load({"eventId": "a"}, {"eventId": "b"}))
    connection.execute(
        "WITH moved AS (DELETE FROM event_identities RETURNING identity, stored_at)"
        " INSERT INTO archived_identities SELECT * FROM moved ORDER BY identity ON CONFLICT DO NOTHING"
    )
    store._repeats_until = float("inf") if expected else 0.0
    assert store_events(store, writer, load({"eventId": "b"}, {"eventId": "c"}, {"eventId": "a"})).duplicates == 2
    assert sorted(events(connection)) == ["a", "b", "c"]


def test_fingerprints_of_deleted_identities_go_once_they_are_too_many(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LEAST_IDENTITIES", 1)
    archived = some_identities(range(300))
    put_into_archive(connection, archived)
    assert not archive.tidy(connection)
    connection.execute("DELETE FROM archived_identities WHERE identity = ANY (%s::uuid[])", (archived[:90],))
    assert not archive.tidy(connection)
    assert perhaps_archived(connection, archived) == set(archived)
    connection.execute("DELETE FROM archived_identities WHERE identity = ANY (%s::uuid[])", (archived[90:200],))
    assert archive.tidy(connection)
    assert perhaps_archived(connection, archived) == set(archived[200:])
    assert not archive.tidy(connection)


@pytest.mark.parametrize("bucket", ["", "0000"], ids=["other buckets", "one bucket"])
def test_what_comes_while_fingerprints_are_made_anew_has_its_own(
    connection: psycopg.Connection, database_url: str, bucket: str
) -> None:
    """Before them, uncommitted; and after them, when they are uncommitted, and nobody who looks waits."""
    before, first, second = (some_identities(range(each, each + 50), bucket) for each in (0, 50, 100))
    put_into_archive(connection, before)
    with connect(database_url) as other:
        with other.transaction():
            put_into_archive(other, first)
            making = threading.Thread(target=connection.execute, args=("SELECT make_fingerprints()",))
            making.start()
            wait_until_blocked(database_url)
        making.join(10)
        assert perhaps_archived(connection, before + first) == {*before, *first}
        with connection.transaction():
            connection.execute("SELECT make_fingerprints()")
            assert perhaps_archived(other, before + first) == {*before, *first}
            coming = threading.Thread(target=put_into_archive, args=(other, second))
            coming.start()
            wait_until_blocked(database_url)
        coming.join(10)
    assert perhaps_archived(connection, before + first + second) == {*before, *first, *second}
