"""The table telemetry_events and what it leans on: identities for exactly once, words stored once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
_TYPES = ", ".join(f"{name} {kind}" for name, kind in {**KEYS, **MEASURES}.items())

# One statement is one transaction and one round trip. Identities are inserted in their order, so that two batches
# with the same events wait for each other and never in a circle; the one that waited finds duplicates, committed.
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
    RETURNING 1
)
SELECT count(*) FROM stored
"""

# An event with neither eventId nor timestamp is a repeat for an hour only: its older identity makes room.
EXPIRE = """
DELETE FROM event_identities WHERE identity IN (
    SELECT identity FROM event_identities
    WHERE identity = ANY(%s::uuid[]) AND stored_at < now() - interval '1 hour' ORDER BY identity FOR UPDATE)
"""


@dataclass(slots=True)
class Event:
    """A checked event: `values` by the schema's attribute names, `attributes` what the schema does not know."""

    identity: str
    # With neither eventId nor timestamp an equal event is a repeat for an hour only.
    passing: bool
    outcome: str
    values: Mapping[str, Any]
    attributes: Mapping[str, Any]

    def series(self) -> tuple[str | None, ...]:
        """The words that everything counts by, in the order of SERIES."""
        return tuple(self.outcome if name == "outcome" else self.values.get(name) for name in SERIES)


@dataclass(slots=True)
class Stored:
    """What became of a batch: `accepted` events are in the database, `duplicates` of them were before."""

    accepted: int = 0
    duplicates: int = 0
    # Positions in the given events of those that PostgreSQL itself refused, with its reason.
    refused: dict[int, str] = field(default_factory=dict)


class EventStore:
    """Stores events exactly once, and rejected ones in quarantine, in one commit."""

    def __init__(self) -> None:
        self._series = WordTable("series", "series_key", SERIES)
        self._sessions = WordTable("sessions", "session_key", ("host_id", "session_id"))
        self._working_dirs = WordTable("working_dirs", "working_dir_key", ("working_dir",))

    def forget(self) -> None:
        """Drops remembered words: the server may be another one now."""
        for table in (self._series, self._sessions, self._working_dirs):
            table.forget()

    def store(
        self, connection: BoundedConnection, events: Sequence[Event], rejected: Sequence[Quarantined] = ()
    ) -> Stored:
        """Stores `events` and quarantines `rejected`; all of it is committed when this returns.

        Should PostgreSQL refuse a value that the schema let through, each event is tried alone, so that the bad one
        costs none of its neighbours.
        """
        try:
            return self._store(connection, events, rejected)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(events) <= 1 and not rejected:
                return Stored(refused={0: str(error).splitlines()[0]})
        total = self._store(connection, (), rejected)
        for index, event in enumerate(events):
            one = self.store(connection, (event,))
            total.accepted += one.accepted
            total.duplicates += one.duplicates
            total.refused.update(dict.fromkeys((index for _ in one.refused), "".join(one.refused.values())))
        return total

    def _store(self, connection: BoundedConnection, events: Sequence[Event], rejected: Sequence[Quarantined]) -> Stored:
        # The first of those with one identity; a client's eventId may stand twice in a request.
        unique: dict[str, Event] = {}
        for event in events:
            unique.setdefault(event.identity, event)
        rows = msgspec.json.encode(self._rows(connection, unique.values())).decode() if unique else ""
        passing = [event.identity for event in unique.values() if event.passing]
        if not (passing or rejected):
            fresh = _insert(connection, rows)
        else:
            with connection.transaction():
                if passing:
                    connection.execute(EXPIRE, (passing,))
                fresh = _insert(connection, rows)
                quarantine.add(connection, rejected)
        return Stored(accepted=len(events), duplicates=len(events) - fresh)

    def _rows(self, connection: BoundedConnection, events: Sequence[Event] | Any) -> list[dict[str, Any]]:
        series = self._series.keys(connection, {event.series() for event in events})
        sessions = self._sessions.keys(connection, {_session(event) for event in events})
        folders = {(event.values["working_dir"],) for event in events if "working_dir" in event.values}
        working_dirs = self._working_dirs.keys(connection, folders) if folders else {}
        rows = []
        for event in events:
            row = {name: event.values[name] for name in MEASURES if name in event.values}
            row["identity"] = event.identity
            row["series_key"] = series[event.series()]
            row["session_key"] = sessions[_session(event)]
            if "working_dir" in event.values:
                row["working_dir_key"] = working_dirs[(event.values["working_dir"],)]
            if "timestamp" in event.values:
                row["occurred_at"] = event.values["timestamp"]
            if event.attributes:
                row["attributes"] = event.attributes
            rows.append(row)
        return rows


def _session(event: Event) -> tuple[str | None, ...]:
    return event.values["host_id"], event.values["session_id"]


def _insert(connection: BoundedConnection, rows: str) -> int:
    if not rows:
        return 0
    counted = connection.execute(STORE, (rows,), prepare=True).fetchone()
    assert counted is not None
    return int(counted[0])
