"""The table session_transcripts on a real PostgreSQL: replaced whole, left alone whole, whoever comes at once."""

import json
import random
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from app.schemas.transcript import load_upload
from app.store import transcripts
from app.store.transcripts import LINK_BYTES, Transcript
from tests.fixtures.postgres import connect
from tests.unit.test_transcript_schema import messages

ROW = """
SELECT *, xmin::text, xmax::text, ctid::text FROM session_transcripts WHERE host_id = %s AND session_id = 'abc123'
"""


def conversation(*contents: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, "index": place} for place, content in enumerate(contents)]


def transcript(*contents: str, host: str = "laptop") -> Transcript:
    return checked(conversation(*contents), host)


def checked(sent: list[dict[str, Any]], host: str = "laptop") -> Transcript:
    body = json.dumps({"sessionId": "abc123", "hostId": host, "transcript": sent})
    return load_upload(body.encode(), "*").check()


def row(connection: psycopg.Connection, host: str = "laptop") -> dict[str, Any]:
    """The session's row, with what tells one version of it from the next."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(ROW, [host]).fetchone()
    assert found is not None
    return found


@pytest.fixture
def read_only(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection on which every write fails, a row lock included."""
    with connect(database_url) as opened:
        opened.execute("SET default_transaction_read_only = on")
        yield opened


def test_a_new_transcript_is_stored(connection: psycopg.Connection) -> None:
    assert transcripts.store(connection, transcript("a", "b"))

    stored = row(connection)
    assert stored["messages"] == conversation("a", "b")
    assert stored["message_count"] == 2
    assert len(stored["chain"]) == 2 * LINK_BYTES
    assert stored["created_at"] == stored["updated_at"]


def test_sessions_are_told_apart_by_host_too(connection: psycopg.Connection) -> None:
    assert transcripts.store(connection, transcript("a", host="laptop"))
    assert transcripts.store(connection, transcript("a", host="desktop"))
    assert row(connection, "laptop")["messages"] == row(connection, "desktop")["messages"] == conversation("a")


def test_one_message_more_replaces_the_row(connection: psycopg.Connection) -> None:
    transcripts.store(connection, transcript("a", "b"))
    before = row(connection)
    assert transcripts.store(connection, transcript("a", "b", "c"))

    after = row(connection)
    assert after["messages"] == conversation("a", "b", "c")
    assert after["chain"][: 2 * LINK_BYTES] == before["chain"]
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]


@pytest.mark.parametrize(
    "contents", [("a", "x"), ("x", "b", "c"), ("a", "b", "x"), ("x",), ("b",), ("a", "c"), ("a", "b", "c", "d")]
)
def test_what_differs_replaces_the_row_shorter_or_longer(
    connection: psycopg.Connection, contents: tuple[str, ...]
) -> None:
    transcripts.store(connection, transcript("a", "b", "c"))
    assert transcripts.store(connection, transcript(*contents))

    stored = row(connection)
    assert stored["messages"] == conversation(*contents)
    assert (stored["message_count"], len(stored["chain"])) == (len(contents), len(contents) * LINK_BYTES)


@pytest.mark.parametrize("contents", [("a", "b", "c"), ("a", "b"), ("a",), ()])
def test_what_is_stored_or_its_beginning_writes_nothing(
    connection: psycopg.Connection, read_only: psycopg.Connection, contents: tuple[str, ...]
) -> None:
    transcripts.store(connection, transcript("a", "b", "c"))
    before = row(connection)

    assert not transcripts.store(read_only, transcript(*contents))
    assert not transcripts.store(connection, transcript(*contents))
    assert row(connection) == before
    # The proof of the proof: this connection does refuse to write.
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        transcripts.store(read_only, transcript("a", "x"))


def test_an_empty_transcript_is_stored_and_then_grows(connection: psycopg.Connection) -> None:
    assert transcripts.store(connection, transcript())
    assert (row(connection)["messages"], row(connection)["message_count"]) == ([], 0)
    assert not transcripts.store(connection, transcript())
    assert transcripts.store(connection, transcript("a"))
    assert row(connection)["messages"] == conversation("a")


def test_a_beginning_is_known_at_every_length(connection: psycopg.Connection) -> None:
    contents = [f"{place} {'x' * (place % 50)}" for place in range(1000)]
    transcripts.store(connection, transcript(*contents))
    before = row(connection)

    for length in (1, 2, 63, 64, 65, 500, 999, 1000):
        assert not transcripts.store(connection, transcript(*contents[:length])), length
    assert row(connection) == before


def test_what_was_received_in_the_same_bytes_is_known_by_them(connection: psycopg.Connection) -> None:
    one, other = transcript("a", "b"), transcript("a", "b", "c")

    def find(sent: Transcript) -> int | None:
        return transcripts.find_repeated(connection, sent.host_id, sent.session_id, sent.received)

    assert find(one) is None
    transcripts.store(connection, one)
    assert (find(one), find(other)) == (2, None)
    transcripts.store(connection, other)
    assert (find(one), find(other)) == (None, 3)
    assert find(transcript("a", "b", "c", host="desktop")) is None


def test_one_link_is_read_and_not_the_chain(connection: psycopg.Connection) -> None:
    transcripts.store(connection, transcript(*map(str, range(5000))))
    # Kept out of line and uncompressed, so that PostgreSQL fetches a part of it.
    stored = connection.execute("SELECT attstorage FROM pg_attribute WHERE attname = 'chain'").fetchone()
    assert stored == ("e",)
    size = connection.execute("SELECT pg_column_size(chain) FROM session_transcripts").fetchone()
    assert size == (5000 * LINK_BYTES,)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(messages, max_size=4), st.integers(0, 4), messages)
def test_whatever_json_holds_comes_out_as_it_went_in_and_its_beginnings_are_known(
    connection: psycopg.Connection, sent: list[dict[str, Any]], length: int, another: dict[str, Any]
) -> None:
    sent = [{**message, "index": place} for place, message in enumerate(sent)]
    connection.execute("DELETE FROM session_transcripts")
    whole = checked(sent)
    assert transcripts.store(connection, whole)
    assert row(connection)["messages"] == json.loads(whole.messages)

    assert not transcripts.store(connection, checked(sent[:length]))
    other = checked([*sent[:length], {**another, "index": 99}])
    assert transcripts.store(connection, other)
    assert row(connection)["messages"] == json.loads(other.messages)


def test_two_uploads_at_once_end_as_one_of_them_whole(database_url: str) -> None:
    rounds = 150
    rivals = [[transcript(*name * size) for size in range(1, rounds + 1)] for name in "ab"]
    start = threading.Barrier(len(rivals))
    failures: list[BaseException] = []

    def upload(mine: list[Transcript], seed: int) -> None:
        # Every other round begins without the row, so that both insert it.
        dice = random.Random(seed)
        try:
            with connect(database_url) as connection:
                for number, one in enumerate(mine):
                    start.wait(30)
                    if number % 2 == 0 and seed == 0:
                        connection.execute("DELETE FROM session_transcripts")
                    start.wait(30)
                    if dice.random() < 0.5:
                        transcripts.store(connection, one)
                    else:
                        transcripts.store(connection, mine[dice.randrange(rounds)])
                    start.wait(30)
                    assert_whole(row(connection))
        except BaseException as failure:  # noqa: BLE001  # it is raised in the main thread
            failures.append(failure)
            start.abort()

    threads = [threading.Thread(target=upload, args=(mine, seed)) for seed, mine in enumerate(rivals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []


def assert_whole(stored: dict[str, Any]) -> None:
    """One of the rivals' transcripts from its first message to its last, with its own count and chain."""
    name = stored["messages"][0]["content"]
    expected = transcript(*name * stored["message_count"])
    assert stored["messages"] == json.loads(expected.messages)
    assert stored["chain"] == expected.chain()


def test_a_late_retry_that_meets_its_longer_self_leaves_it(database_url: str, connection: psycopg.Connection) -> None:
    longer, beginning = transcript("a", "b", "c"), transcript("a", "b")
    transcripts.store(connection, transcript("x"))
    answers: list[bool] = []

    def retry() -> None:
        with connect(database_url) as other:
            answers.append(transcripts.store(other, beginning))

    # The retry sees the row as it was, and then waits for the one that is about to replace it.
    thread = threading.Thread(target=retry)
    with connection.transaction():
        transcripts.store(connection, longer)
        thread.start()
        wait_for_lock(database_url)
    thread.join(30)

    assert answers == [False]
    assert row(connection)["messages"] == conversation("a", "b", "c")


def wait_for_lock(database_url: str) -> None:
    """Returns when somebody waits for another's transaction."""
    with connect(database_url) as connection:
        for _ in range(1000):
            waiting = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            ).fetchone()
            if waiting and waiting[0]:
                return
            connection.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("Nobody waits.")


def test_a_connection_keeps_no_large_buffer(database_url: str) -> None:
    # libpq's buffer cannot be looked at, but a closed connection has none.
    for size, closed in ((3 * 2**20, False), (5 * 2**20, True)):
        with connect(database_url) as connection:
            assert transcripts.store(connection, transcript(*["x" * 2**19] * (size // 2**19)))
            assert connection.closed is closed


def test_refusals_are_counted_by_host(connection: psycopg.Connection) -> None:
    for host in ("laptop", "*", "laptop"):
        transcripts.count_refused(connection, host)
    counted = connection.execute(
        "SELECT host_id, times, last_refused_at <= clock_timestamp() FROM refused_transcripts ORDER BY host_id"
    ).fetchall()
    assert counted == [("*", 1, True), ("laptop", 2, True)]


def test_every_version_of_postgresql_stores_and_recognises_a_transcript(any_database_url: str) -> None:
    with connect(any_database_url) as connection:
        assert transcripts.store(connection, transcript("a", "b"))
        assert not transcripts.store(connection, transcript("a"))
        assert not transcripts.store(connection, transcript())
        assert transcripts.store(connection, transcript("b"))
        assert row(connection)["messages"] == conversation("b")
