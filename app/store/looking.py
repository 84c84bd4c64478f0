"""Looks at the numbers, on a connection of its own: whoever looks never takes one from those who store."""

import threading
import time

import psycopg

from app.store.database import STATEMENT_TIMEOUT_MS, TRANSIENT, BoundedConnection, DatabaseUnavailable, first_line
from app.store.overview import Overview, Window, look
from app.store.readers import as_visitor

# How long a look may take, seconds, a new connection included where the old one did not answer in PATIENCE_SECONDS.
LOOK_SECONDS = 3.5
PATIENCE_SECONDS = 1.5


class Looker:
    """One connection, opened when somebody looks; one looks at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: BoundedConnection | None = None
        self._lock = threading.Lock()

    def look(self, window: Window, trusted: bool) -> Overview:
        """The numbers of `window`, in one snapshot: as a visitor may see them, or all of them.

        Raises DatabaseUnavailable within about LOOK_SECONDS.
        """
        now = time.monotonic()
        with self._lock:
            try:
                # A connection that the server dropped meanwhile says nothing about a new one.
                if self._connection is not None:
                    try:
                        return self._look(self._connection, window, now + PATIENCE_SECONDS, trusted=trusted)
                    except TRANSIENT:
                        self._forget()
                self._connection = self._connect()
                return self._look(self._connection, window, now + LOOK_SECONDS, trusted=trusted)
            except psycopg.Error as error:
                self._forget()
                raise DatabaseUnavailable(first_line(error)) from error

    def close(self) -> None:
        """Closes the connection. Who looks at this moment is waited for."""
        with self._lock:
            self._forget()

    def _look(self, connection: BoundedConnection, window: Window, deadline: float, *, trusted: bool) -> Overview:
        connection.deadline = deadline
        if trusted:
            with connection.transaction():
                return look(connection, window)
        with as_visitor(connection):
            return look(connection, window)

    def _connect(self) -> BoundedConnection:
        connection = BoundedConnection.connect(
            self._url,
            autocommit=True,
            connect_timeout=2,
            application_name="telemetry-glance",
            options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c TimeZone=UTC -c jit=off",
        )
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
