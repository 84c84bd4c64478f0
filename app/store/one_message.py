"""A statement and COPYs as one transaction that takes two ways to PostgreSQL and back; psycopg's own takes five.

What one message of the simple protocol holds is one transaction, without BEGIN and COMMIT: "Multiple Statements in a
Simple Query" in PostgreSQL's description of its protocol. Each COPY in it asks for its content in turn.
"""

from collections.abc import Generator, Sequence
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from app.store.database import BoundedConnection

# With the five bytes of its head it is a multiple of the 8 KiB that libpq sends at once: nothing is left over, and
# PostgreSQL is not woken for that.
PIECE_BYTES = 32 * 1024 - 5

Waits = Generator[Wait, Ready, Any]


def execute_and_copy(connection: BoundedConnection, statement: bytes, copies: Sequence[tuple[bytes, bytes]]) -> None:
    """Runs `statement`, which gives no rows, then each `COPY ... FROM STDIN` with its content.

    All of it is committed on return. Not within a transaction. Raises psycopg.Error; then nothing is, unless the
    connection broke at the very end.
    """
    message = b"; ".join((statement, *(copy for copy, _ in copies)))
    connection.wait(_exchange(connection.pgconn, message, [content for _, content in copies]))


def _exchange(server: PGconn, message: bytes, contents: Sequence[bytes]) -> Waits:
    server.send_query(message)
    yield from _send(server)
    given, done, failed = iter(contents), 0, None
    # To the last of them, so that the connection can be used again.
    while (result := (yield from _result(server))) is not None:
        if result.status == ExecStatus.COPY_IN:
            yield from _copy(server, next(given))
        elif result.status == ExecStatus.COMMAND_OK:
            done += 1
        else:
            failed = failed or result
    if failed is not None:
        raise psycopg.errors.error_from_result(failed)
    if done != 1 + len(contents):
        raise psycopg.InternalError("PostgreSQL did not answer each statement")


def _copy(server: PGconn, content: bytes) -> Waits:
    view = memoryview(content)
    for at in range(0, len(content), PIECE_BYTES):
        if at:
            # So no more than a piece waits in memory. The last one goes with the end.
            yield from _send(server)
        while server.put_copy_data(view[at : at + PIECE_BYTES]) == 0:
            yield from _wait(Wait.W)
    while server.put_copy_end() == 0:
        yield from _wait(Wait.W)
    yield from _send(server)


def _send(server: PGconn) -> Waits:
    while server.flush():
        if (yield from _wait(Wait.RW)) & Ready.R:
            # Otherwise each side may wait for the other to read.
            server.consume_input()


def _result(server: PGconn) -> Generator[Wait, Ready, PGresult | None]:
    while server.is_busy():
        yield from _wait(Wait.R)
        server.consume_input()
    return server.get_result()


def _wait(state: Wait) -> Generator[Wait, Ready, Ready]:
    # Nothing is ready when psycopg only looks whether it is to stop.
    while not (ready := (yield state)):
        pass
    return ready
