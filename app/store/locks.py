"""Strong locks on tables that the collector writes: waited for briefly, let go again, and asked for anew."""

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg import errors

T = TypeVar("T")

# While one waits for a strong lock, whoever comes later waits behind it, the collector too: so never for long.
# Together with a second lock after the first it stays well under the time in which a request is answered.
WAIT_SECONDS = 1.0
PAUSE_SECONDS = 1.0
ATTEMPTS = 10
# A lock that nobody but VACUUM minds. Autovacuum gives way after PostgreSQL's deadlock_timeout, 1 s.
QUIET_WAIT_SECONDS = 5.0


class Busy(Exception):
    """Somebody kept the table locked through all attempts; nothing was changed."""


def patiently(connection: psycopg.Connection, work: Callable[[], T], wait_seconds: float = WAIT_SECONDS) -> T:
    """What `work` gives, in a transaction of its own or in a savepoint; all that it locked is free during the pauses.

    Each of its locks is waited for `wait_seconds` at most. Raises Busy when ATTEMPTS were not enough.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{wait_seconds * 1000:.0f}ms",))
                return work()
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            reason = error
    raise Busy("somebody kept a lock on the table; see pg_stat_activity for a long transaction") from reason
