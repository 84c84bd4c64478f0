"""The thread that keeps the roll-ups up to date, in every collector process; one of them all has work at a time.

Since it has a connection that no request waits for, it also notes what its process took in.
"""

import logging
import threading
import time
from contextlib import suppress

import psycopg

from app.intake import Intake
from app.store import rollups, site
from app.store.database import BoundedConnection, first_line
from app.store.site import Site

log = logging.getLogger(__name__)

# From one look at the queue to the next. Whatever is stored is counted some seconds later.
INTERVAL_SECONDS = 4.0
# Events wait for many times as long as the last round took, whichever process counts them then: a row that many events
# share is written once for all of them, and while it counts under load, batches take twice as long, so that is to be
# seldom. What has waited for the longest time has waited enough.
PATIENCE = 30
LONGEST_WAIT_SECONDS = 10.0
# Days that are counted anew are in no hurry, and there may be hundreds of them.
REST_AFTER_A_DAY = 2
# A round that takes longer than this has met a server that hangs.
ROUND_SECONDS = 600.0
STOP_SECONDS = 5.0
LAST_NOTE_SECONDS = 1.0


class RollupWorker:
    """Counts what is noted, and counts days anew that wait for it, until it is stopped.

    Whatever ends it at whatever moment, nothing is lost or counted twice: the next one goes on.
    """

    def __init__(self, url: str, settings: Site, intake: Intake) -> None:
        self._url = url
        self._site = settings
        self._intake = intake
        self._stopping = threading.Event()
        self._connection: BoundedConnection | None = None
        self._away = False
        self._patience = 0.0
        self._thread = threading.Thread(target=self._run, name="rollups", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Lets the round in hand end, a few seconds long."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.wait(self._round()):
            pass
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.deadline = time.monotonic() + LAST_NOTE_SECONDS
                self._intake.save(self._connection, at_once=True)
        self._disconnect()

    def _round(self) -> float:
        """Counts, and returns after how many seconds it is worth looking again."""
        try:
            connection = self._connected()
            rest = self._count(connection)
            self._intake.save(connection)
        except psycopg.Error as error:
            self._disconnect()
            if not self._away:
                log.warning("roll-ups wait: %s", first_line(error))
            self._away = True
            return INTERVAL_SECONDS
        if self._away:
            log.info("roll-ups are counted again")
        self._away = False
        return rest

    def _count(self, connection: BoundedConnection) -> float:
        """Counts, if events have waited for long enough; after how many seconds it is worth looking again."""
        began = time.monotonic()
        connection.deadline = began + ROUND_SECONDS
        state = rollups.freshness(connection)
        # 0 is the lag after the server's clock was set back: then nobody knows how long they have waited.
        patience = self._patience if state.lag_seconds else 0.0
        left = patience - state.lag_seconds if state.events_waiting else INTERVAL_SECONDS
        if left > 0 and not state.days_to_rebuild:
            return left
        with rollups.counting(connection) as ours:
            if not ours:
                return INTERVAL_SECONDS
            if left <= 0:
                counted = rollups.count_notes(connection)
                if state.batches_waiting >= rollups.MANY_BATCHES:
                    rollups.vacuum_queue(connection)
                self._patience = min(PATIENCE * (time.monotonic() - began), LONGEST_WAIT_SECONDS)
                if counted >= rollups.MOST_EVENTS:
                    return 0.0
            noted = time.monotonic()
            if state.days_to_rebuild and rollups.count_day(connection):
                return REST_AFTER_A_DAY * (time.monotonic() - noted)
        return INTERVAL_SECONDS

    def _connected(self) -> BoundedConnection:
        if self._connection is None:
            self._connection = BoundedConnection.connect(
                self._url,
                autocommit=True,
                connect_timeout=3,
                application_name="telemetry-rollups",
                options="-c TimeZone=UTC -c temp_buffers=32MB",
            )
            # Here rather than at the start, when the database may be away.
            site.save(self._connection, self._site)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
