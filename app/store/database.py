"""Connections to PostgreSQL: pooled, bounded in time, tried again where the server dropped one."""

import logging
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg.errors import _WaitTimeout  # what Connection.wait raises; psycopg has no public name for it
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

log = logging.getLogger(__name__)

T = TypeVar("T")

# How long a caller waits for a free connection, seconds, before it is told to come again.
WAIT_SECONDS = 2.0
# While the server is away, callers are refused at once, and one in this many seconds tries again.
PROBE_SECONDS = 0.5
# The server ends by itself what a caller no longer waits for, milliseconds.
STATEMENT_TIMEOUT_MS = 4000

# All that the collector looks up has an index, whatever the planner thinks of a table that was empty a minute ago.
# Exactly once needs that each statement sees what was committed before it (identities.py).
OPTIONS = r"-c TimeZone=UTC -c jit=off -c enable_seqscan=off -c default_transaction_isolation=read\ committed"

# Errors after which the same work on another connection, or a moment later, may succeed.
TRANSIENT = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
)


class DatabaseUnavailable(Exception):
    """The database is away, or too slow for the deadline: nothing is known to be stored."""


class BoundedConnection(psycopg.Connection[TupleRow]):
    """A connection whose every wait ends at `deadline` (time.monotonic seconds), even if the server hangs."""

    deadline: float | None = None

    def wait(self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None) -> T:
        """As psycopg's, but no longer than until the deadline; a connection that missed it is of no further use."""
        if timeout is None and self.deadline is not None:
            timeout = max(0.001, self.deadline - time.monotonic())
        try:
            return super().wait(gen, interval, timeout)
        except _WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from error


class Database:
    """A pool of connections for short pieces of work, each bounded by its caller's deadline."""

    def __init__(self, url: str, size: int) -> None:
        """`size` connections at most; none is opened before `open`."""
        # Called with each new connection: whoever caches rows forgets them, since the server may be another one now.
        self.on_connect: list[Callable[[], None]] = []
        self._away = False
        self._probe_at = 0.0
        self.pool: ConnectionPool[BoundedConnection] = ConnectionPool(
            url,
            connection_class=BoundedConnection,
            kwargs={
                "autocommit": True,
                "connect_timeout": 3,
                "application_name": "telemetry-collector",
                # Who was stopped between two statements must not keep others waiting for what it has locked.
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
                f" -c idle_in_transaction_session_timeout={STATEMENT_TIMEOUT_MS} {OPTIONS}",
            },
            configure=self._configure,
            min_size=1,
            max_size=size,
            timeout=WAIT_SECONDS,
            # Short, so that a server that comes back is found at the next request and not minutes later.
            reconnect_timeout=1.0,
            open=False,
        )

    def open(self) -> None:
        """Starts connecting in the background; a server that is away is no error here."""
        self.pool.open(wait=False)

    def close(self) -> None:
        """Closes every connection."""
        self.pool.close()

    def _configure(self, connection: BoundedConnection) -> None:
        self._away = False
        for forget in self.on_connect:
            forget()

    def run(self, work: Callable[[BoundedConnection], T], deadline: float) -> T:
        """What `work` gives; it must be safe to run again, and is, once the server dropped the connection.

        Raises DatabaseUnavailable by `deadline` (time.monotonic seconds) at the latest.
        """
        reason = ""
        # After a restart of the server every connection of the pool may be dead, and each is found out by using it.
        for _ in range(self.pool.max_size + 1):
            try:
                return self._once(work, deadline)
            except PoolTimeout as error:
                self._away = True
                raise DatabaseUnavailable("no connection to the database") from error
            except TRANSIENT as error:
                # The words alone: the error holds its frames, and they the batch, until somebody collects circles.
                reason = first_line(error)
                log.warning("database: %s", reason)
            except (psycopg.DataError, psycopg.IntegrityError):
                # The work's own values are at fault, and whoever gave them knows what to do.
                raise
            except psycopg.Error as error:
                # The server's state is: a standby, missing rights or tables. An operator can mend it.
                log.error("database: %s", first_line(error))  # noqa: TRY400  # the sentence says it all
                raise DatabaseUnavailable(first_line(error)) from error
        raise DatabaseUnavailable(reason)

    def _once(self, work: Callable[[BoundedConnection], T], deadline: float) -> T:
        now = time.monotonic()
        if now >= deadline:
            raise DatabaseUnavailable("too late before the work began")
        if self._away:
            if now < self._probe_at:
                raise DatabaseUnavailable("the database is away")
            self._probe_at = now + PROBE_SECONDS
        with self.pool.connection(timeout=min(WAIT_SECONDS, deadline - now)) as connection:
            self._away = False
            connection.deadline = deadline
            try:
                return work(connection)
            finally:
                connection.deadline = None


def first_line(error: Exception) -> str:
    """The error in one line, as PostgreSQL words it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
