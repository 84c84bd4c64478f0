"""The demo's history: brought up to the present at each start, without doubling what is there."""

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg

from app.schemas.batch import load_batch
from app.schemas.transcript import load_upload
from app.store import quarantine, transcripts
from app.store.database import BoundedConnection
from app.store.quarantine import Quarantined
from dev.bulk import BulkLoader
from dev.fill import make_partitions, settle
from dev.generate import Event
from dev.sessions import Session, history, sessions
from dev.story import BEHIND, SILENT_FOR, Story
from dev.talk import transcript

DAYS = 30
SEED = 2026
# Of the last day each session has its transcript, of those before one in so many.
TRANSCRIPT_DAY = timedelta(days=1)
TRANSCRIPT_EVERY = 30
# One event in so many sessions is one that the collector does not take.
BAD_EVERY = 120

# Marked events only: what somebody sends to try the collector is not the demo's.
KNOWN = """
SELECT min(occurred_at), max(occurred_at) FROM telemetry_events
WHERE occurred_at < now() AND attributes->>'demo' = 'true'
"""
DATE_TRANSCRIPT = """
UPDATE session_transcripts SET created_at = %s, updated_at = %s WHERE host_id = %s AND session_id = %s
"""
DATE_QUARANTINE = "UPDATE quarantined_events SET first_seen_at = %s, last_seen_at = %s WHERE digest = %s"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class History:
    """What was added, and the story that the events now tell."""

    story: Story
    events: int
    transcripts: int


def bring_up_to_date(
    url: str, *, days: int = DAYS, report: Report = lambda _: None, pause: Callable[[float], None] = lambda _: None
) -> History:
    """Adds what is missing of the last `days` days up to now, in the order of time, so that it may end at any moment.

    The schema is there. `report` gets a line every few seconds; `pause` is called between transactions.
    Raises psycopg.Error, and what `pause` raises.
    """
    # What a clock that is behind dates now was received in a while.
    end = datetime.now(UTC) - 2 * max(BEHIND.values())
    with BoundedConnection.connect(url, autocommit=True) as connection:
        begun, last = connection.execute(KNOWN).fetchone() or (None, None)
        earliest = end - timedelta(days=days)
        start = earliest if last is None else max(earliest, last + timedelta(milliseconds=1))
        story = Story(begun or start)
        if start >= end:
            return History(story, 0, 0)
        make_partitions(connection, start, end)
        beside = _Beside(connection, end)
        found = beside.watch(sessions(SEED, start, end, story, end - SILENT_FOR))
        added, told = 0, time.monotonic()
        gc.disable()
        try:
            for count in BulkLoader(connection, BEHIND).load(history(found, end)):
                beside.store()
                added += count
                pause(0)
                if time.monotonic() - told > 2:
                    told = time.monotonic()
                    report(f"{added:,} events so far")
        finally:
            gc.enable()
        beside.store()
    if added:
        report("counting")
        settle(url)
    return History(story, added, beside.transcripts)


class _Beside:
    """What sessions bring along besides their events: transcripts, and now and then an event that is refused."""

    def __init__(self, connection: psycopg.Connection, end: datetime) -> None:
        self._connection = connection
        self._end = int(end.timestamp() * 1000)
        self._waiting: list[Session] = []
        self._bad: list[Session] = []
        self._seen = 0
        self.transcripts = 0

    def watch(self, found: Iterator[Session]) -> Iterator[Session]:
        """The same sessions, noting on the way what is to be stored beside their events."""
        recent = self._end - TRANSCRIPT_DAY.total_seconds() * 1000
        for session in found:
            self._seen += 1
            if session.begin >= recent or self._seen % TRANSCRIPT_EVERY == 0:
                self._waiting.append(session)
            if self._seen % BAD_EVERY == 0:
                self._bad.append(session)
            yield session

    def store(self) -> None:
        """Stores what was noted."""
        for session in self._waiting:
            self._store_transcript(session)
        for number, session in enumerate(self._bad):
            self._store_bad(bad(session.events[0][1], number), session)
        self.transcripts += len(self._waiting)
        self._waiting, self._bad = [], []

    def _store_transcript(self, session: Session) -> None:
        upload = load_upload(msgspec.json.encode(transcript(session, self._end)), "*").check()
        transcripts.store(self._connection, upload)
        times = _moment(session.begin), _moment(min(session.end, self._end))
        self._connection.execute(DATE_TRANSCRIPT, (*times, upload.host_id, upload.session_id))

    def _store_bad(self, event: Event, session: Session) -> None:
        host = event["hostId"]
        (rejected,) = load_batch(msgspec.json.encode({"events": [event]}), host, 1).rejected
        item = Quarantined(rejected.raw, host, rejected.errors)
        quarantine.add(self._connection, [item])  # type: ignore[arg-type]
        moment = _moment(session.begin)
        self._connection.execute(DATE_QUARANTINE, (moment, moment, item.digest))


def bad(event: Event, number: int) -> Event:
    """An event that the collector does not take, as clients of an odd version send it."""
    faults: Iterable[dict[str, Any]] = (
        {"latencyMs": f"{event['latencyMs']} ms"},
        {"timestamp": "yesterday"},
        {"agentName": ""},
        {"success": "yes", "errorCount": -1},
    )
    return {**event, "eventId": f"bad-{event['eventId']}", **list(faults)[number % 4]}


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
