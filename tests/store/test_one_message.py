"""A statement and COPYs in one message are one transaction, and an error leaves the connection as good as new."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from app.store.database import BoundedConnection
from app.store.one_message import execute_and_copy
from tests.fixtures.postgres import connect, wait_until_blocked

FIRST = b"INSERT INTO one VALUES (1)"
COPIES = (b"COPY one FROM STDIN", b"COPY two FROM STDIN")


@pytest.fixture
def writer(database_url: str) -> Iterator[BoundedConnection]:
    """A connection with two tables of numbers, each number once."""
    with BoundedConnection.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE one (n integer PRIMARY KEY)")
        connection.execute("CREATE TABLE two (n integer PRIMARY KEY)")
        yield connection
        if not connection.closed:
            connection.execute("DROP TABLE one, two")


def numbers(writer: BoundedConnection) -> list[tuple[str, int]]:
    """What is stored, on the same connection: it can be used."""
    return writer.execute("SELECT 'one', n FROM one UNION ALL SELECT 'two', n FROM two ORDER BY 1, 2").fetchall()


def test_the_statement_and_each_copy_are_committed_together(writer: BoundedConnection, database_url: str) -> None:
    execute_and_copy(writer, FIRST, list(zip(COPIES, (b"2\n3\n", b"1\n"), strict=True)))
    with connect(database_url) as another:
        assert another.execute("SELECT (SELECT sum(n) FROM one), (SELECT sum(n) FROM two)").fetchone() == (6, 1)
    execute_and_copy(writer, b"INSERT INTO one VALUES (4)", [])
    assert len(numbers(writer)) == 5


@pytest.mark.parametrize(
    ("statement", "contents", "error"),
    [
        ("INSERT INTO one VALUES (0)", (b"2\n", b"2\n"), psycopg.errors.UniqueViolation),
        ("INSERT INTO three VALUES (1)", (b"2\n", b"2\n"), psycopg.errors.UndefinedTable),
        ("INSERT INTO one VALUES (1)", (b"1\n", b"2\n"), psycopg.errors.UniqueViolation),
        ("INSERT INTO one VALUES (1)", (b"two\n", b"2\n"), psycopg.errors.InvalidTextRepresentation),
        ("INSERT INTO one VALUES (1)", (b"2\n", b"two\n"), psycopg.errors.InvalidTextRepresentation),
        ("INSERT INTO one VALUES (1)", (b"x\n" + b"2\n" * 1_000_000, b"2\n"), psycopg.errors.InvalidTextRepresentation),
    ],
)
def test_after_an_error_nothing_of_it_is_stored_and_the_connection_goes_on(
    writer: BoundedConnection, statement: str, contents: tuple[bytes, bytes], error: type[Exception]
) -> None:
    writer.execute("INSERT INTO one VALUES (0)")
    with pytest.raises(error):
        execute_and_copy(writer, statement.encode(), list(zip(COPIES, contents, strict=True)))
    assert numbers(writer) == [("one", 0)]
    execute_and_copy(writer, FIRST, [(COPIES[1], b"2\n")])
    assert numbers(writer) == [("one", 0), ("one", 1), ("two", 2)]


def test_what_only_the_commit_finds_out_is_an_error_too(writer: BoundedConnection) -> None:
    writer.execute("ALTER TABLE two ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED, DROP CONSTRAINT two_pkey")
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute_and_copy(writer, FIRST, [(COPIES[1], b"2\n2\n")])
    assert numbers(writer) == []


def test_more_than_any_buffer_holds_arrives(writer: BoundedConnection) -> None:
    execute_and_copy(writer, FIRST, [(COPIES[1], b"".join(b"%d\n" % n for n in range(300_000)))])
    assert writer.execute("SELECT count(*), sum(n) FROM two").fetchone() == (300_000, 44_999_850_000)


def test_it_takes_no_longer_than_until_the_deadline(writer: BoundedConnection, database_url: str) -> None:
    with connect(database_url) as another, another.transaction():
        another.execute("LOCK TABLE two")
        writer.deadline = time.monotonic() + 0.3
        with pytest.raises(psycopg.OperationalError, match="in time"):
            execute_and_copy(writer, FIRST, [(COPIES[1], b"2\n")])
        assert time.monotonic() < writer.deadline + 5
    with connect(database_url) as another:
        assert another.execute("SELECT count(*) FROM one").fetchone() == (0,)
        another.execute("DROP TABLE one, two")


@pytest.mark.parametrize("table", ["one", "two"])
def test_a_connection_that_breaks_on_the_way_is_an_error_and_leaves_nothing(
    writer: BoundedConnection, database_url: str, table: str
) -> None:
    process = writer.info.backend_pid
    writer.deadline = time.monotonic() + 20
    with connect(database_url) as another, another.transaction():
        another.execute(f"LOCK TABLE {table}")
        waiting = threading.Thread(target=lambda: _end(database_url, process))
        waiting.start()
        with pytest.raises(psycopg.OperationalError, match=r"terminat|closed"):
            execute_and_copy(writer, FIRST, [(COPIES[1], b"2\n")])
        waiting.join()
    assert writer.closed
    with connect(database_url) as another:
        assert another.execute("SELECT count(*) FROM one").fetchone() == (0,)
        another.execute("DROP TABLE one, two")


def _end(database_url: str, process: int) -> None:
    wait_until_blocked(database_url)
    with connect(database_url) as another:
        another.execute("SELECT pg_terminate_backend(%s)", (process,))
