"""Whether the database answers, told in time even when it hangs."""

import threading
import time

import psycopg

from app.store.database import BoundedConnection

# What is asked within this many seconds shares one look, so that anybody's health checks cost next to nothing.
FRESH_SECONDS = 0.5


class Ping:
    """One connection of its own, looked after by one thread, so that a busy pool or a hanging server blocks nobody."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: BoundedConnection | None = None
        self._condition = threading.Condition()
        self._wanted = False
        self._alive = False
        self._looked_at = float("-inf")
        threading.Thread(target=self._watch, name="ping", daemon=True).start()

    def alive(self, timeout: float) -> bool:
        """Whether the database answered just now; False where it did not within `timeout` seconds."""
        with self._condition:
            if time.monotonic() - self._looked_at < FRESH_SECONDS:
                return self._alive
            before, self._wanted = self._looked_at, True
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._looked_at != before, timeout)
            return self._alive and self._looked_at != before

    def _watch(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._wanted)
                self._wanted = False
            alive = self._look()
            with self._condition:
                self._alive, self._looked_at = alive, time.monotonic()
                self._condition.notify_all()

    def _look(self) -> bool:
        try:
            # A connection that the server dropped meanwhile says nothing about a new one.
            if self._connection is not None and self._ask(self._connection):
                return True
            self._connection = BoundedConnection.connect(
                self._url, autocommit=True, connect_timeout=2, application_name="telemetry-health"
            )
            return self._ask(self._connection)
        except psycopg.Error:
            self._connection = None
            return False

    @staticmethod
    def _ask(connection: BoundedConnection) -> bool:
        connection.deadline = time.monotonic() + 0.8
        try:
            connection.execute("SELECT 1")
        except psycopg.Error:
            connection.close()
            return False
        return True
