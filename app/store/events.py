"""The table telemetry_events and what it leans on: identities for exactly once, words stored once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec
import psycopg

from app.store import quarantine
from app.store.database import BoundedConnection
from app.store.quarantine import Quarantined
from app.store.words import WordTable

# The series' columns but the outcome are names of the event schema: a word that is absent is NULL.
SERIES = (
    "host_id",
    "agent_name",
    "event_type",
    "outcome",
    "decision",
    "hook_name",
    "tool_name",
    "mode",
    "execution_type",
    "model_tier",
    "model_name",
    "provider",
    "client_version",
)
# Every other column that comes from the event, with its type: json_to_recordset needs it spelt out.
MEASURES = {
    "latency_ms": "double precision",
    "prompt_tokens": "bigint",
    "completion_tokens": "bigint",
    "total_tokens": "bigint",
    "cached_tokens": "bigint",
    "reasoning_tokens": "bigint",
    "error_count": "integer",
    "warning_count": "integer",
    "success": "boolean",
    "cost": "numeric",
    "event_id": "text",
    "decision_reason": "text",
    "generation_id": "text",
    "tool_input": "json",
    "extra_data": "json",
}
KEYS = {"series_key": "integer", "session_key": "bigint", "working_dir_key": "integer", "attributes": "json"}
_COLUMNS = ", ".join((*KEYS, *MEASURES))
_WORDS = attrgetter(*(name for name in SERIES if name != "outcome"))
_OUTCOME = SERIES.index("outcome")
_SESSION = attrgetter("host_id", "session_id")
_MEASURES = attrgetter(*MEASURES)
# What is None is left out of the JSON.
_Row = msgspec.defstruct(
    "_Row",
    [(name, Any, None) for name in ("identity", "occurred_at", *KEYS, *MEASURES)],
    omit_defaults=True,
    gc=False,
)
_TYPES = ", ".join(f"{name} {kind}" for name, kind in {**KEYS, **MEASURES}.items())

# One statement is one transaction and one round trip. Identities are inserted in their order, so that two batches
# with the same events wait for each other and never in a circle; the one that waited finds duplicates, committed. It
# gives the identities that were there before.
STORE = f"""
WITH incoming AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s) AS r(identity uuid, occurred_at timestamptz, {_TYPES})
), fresh AS (
    INSERT INTO event_identities (identity) SELECT identity FROM incoming ORDER BY identity
    ON CONFLICT (identity) DO NOTHING
    RETURNING identity
), stored AS (
    INSERT INTO telemetry_events (occurred_at, received_at, {_COLUMNS})
    SELECT coalesce(occurred_at, now()), now(), {_COLUMNS} FROM incoming JOIN fresh USING (identity)
)
SELECT replace(identity::text, '-', '') FROM incoming WHERE identity NOT IN (SELECT identity FROM fresh)
"""

# An event with neither eventId nor timestamp is a repeat for an hour only: its older identity makes room.
EXPIRE = """
DELETE FROM event_identities WHERE identity IN (
    SELECT identity FROM event_identities
    WHERE identity = ANY(%s::uuid[]) AND stored_at < now() - interval '1 hour' ORDER BY identity FOR UPDATE)
"""


@dataclass(slots=True)
class Event:
    """A checked event: `values` has the schema's attributes, None where one is absent, `attributes` what else came."""

    identity: str
    # With neither eventId nor timestamp an equal event is a repeat for an hour only.
    passing: bool
    outcome: str
    values: Any
    attributes: Mapping[str, Any]

    def series(self) -> tuple[str | None, ...]:
        """The words that everything counts by, in the order of SERIES."""
        words = _WORDS(self.values)
        return (*words[:_OUTCOME], self.outcome, *words[_OUTCOME:])


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request brings: events to store, and rejected ones for quarantine."""

    events: Sequence[Event]
    rejected: Sequence[Quarantined] = ()


@dataclass(slots=True)
class Stored:
    """What became of a delivery: `accepted` events are in the database, `duplicates` of them were before."""

    accepted: int = 0
    duplicates: int = 0
    # Positions in the given events of those that PostgreSQL itself refused, with its reason.
    refused: dict[int, str] = field(default_factory=dict)


class EventStore:
    """Stores events exactly once, and rejected ones in quarantine; several deliveries share one commit."""

    def __init__(self) -> None:
        self._series = WordTable("series", "series_key", SERIES)
        self._sessions = WordTable("sessions", "session_key", ("host_id", "session_id"))
        self._working_dirs = WordTable("working_dirs", "working_dir_key", ("working_dir",))

    def forget(self) -> None:
        """Drops remembered words: the server may be another one now."""
        for table in (self._series, self._sessions, self._working_dirs):
            table.forget()

    def store(self, connection: BoundedConnection, deliveries: Sequence[Delivery]) -> list[Stored]:
        """Stores all of them; everything is committed when this returns what became of each.

        Should PostgreSQL refuse a value that the schema let through, each delivery is tried alone, then each event, so
        that the bad one costs none of its neighbours.
        """
        try:
            return self._store(connection, deliveries)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            reason = str(error).splitlines()[0]
        if len(deliveries) > 1:
            return [self.store(connection, (delivery,))[0] for delivery in deliveries]
        (delivery,) = deliveries
        if len(delivery.events) <= 1 and not delivery.rejected:
            return [Stored(refused={0: reason})]
        (total,) = self._store(connection, (Delivery((), delivery.rejected),))
        for index, event in enumerate(delivery.events):
            (one,) = self.store(connection, (Delivery((event,)),))
            total.accepted += one.accepted
            total.duplicates += one.duplicates
            total.refused.update(dict.fromkeys((index for _ in one.refused), "".join(one.refused.values())))
        return [total]

    def _store(self, connection: BoundedConnection, deliveries: Sequence[Delivery]) -> list[Stored]:
        # The first of those with one identity; a client's eventId may stand twice in a request, and in several.
        unique: dict[str, Event] = {}
        for delivery in deliveries:
            for event in delivery.events:
                unique.setdefault(event.identity, event)
        rejected = [item for delivery in deliveries for item in delivery.rejected]
        rows = self._rows(connection, list(unique.values())) if unique else ""
        passing = [event.identity for event in unique.values() if event.passing]
        if not (passing or rejected):
            known = _insert(connection, rows)
        else:
            with connection.transaction():
                if passing:
                    connection.execute(EXPIRE, (passing,))
                known = _insert(connection, rows)
                quarantine.add(connection, rejected)
        return [_stored(delivery, known) for delivery in deliveries]

    def _rows(self, connection: BoundedConnection, events: Sequence[Event]) -> str:
        """The events as STORE takes them."""
        series = self._series.numbers(connection, [event.series() for event in events])
        sessions = self._sessions.numbers(connection, [_SESSION(event.values) for event in events])
        folders = [(event.values.working_dir,) for event in events if event.values.working_dir is not None]
        working_dirs = iter(self._working_dirs.numbers(connection, folders))
        rows = []
        for event, series_key, session_key in zip(events, series, sessions, strict=True):
            values = event.values
            working_dir_key = None if values.working_dir is None else next(working_dirs)
            keys = session_key, working_dir_key, event.attributes or None
            rows.append(_Row(event.identity, values.timestamp, series_key, *keys, *_MEASURES(values)))
        return msgspec.json.encode(rows).decode()


def _insert(connection: BoundedConnection, rows: str) -> set[str]:
    """The identities that were there before."""
    return {identity for (identity,) in connection.execute(STORE, (rows,), prepare=True)} if rows else set()


def _stored(delivery: Delivery, known: set[str]) -> Stored:
    """What became of it; its events are known from then on."""
    fresh = {event.identity for event in delivery.events} - known
    known |= fresh
    return Stored(accepted=len(delivery.events), duplicates=len(delivery.events) - len(fresh))
