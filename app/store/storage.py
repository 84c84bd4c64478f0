"""How much of the disk each part of what is stored takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

# Bytes with everything that belongs to a table: TOAST, maps and, but for those of the events, indexes.
SIZES = r"""
WITH events AS (
    SELECT relid FROM pg_partition_tree('telemetry_events') WHERE isleaf
)
SELECT
    (SELECT coalesce(sum(pg_table_size(relid)), 0) FROM events),
    (SELECT coalesce(sum(pg_indexes_size(relid)), 0) FROM events),
    pg_total_relation_size('event_identities') + pg_total_relation_size('archived_identities')
        + pg_total_relation_size('archived_fingerprints'),
    pg_total_relation_size('series') + pg_total_relation_size('sessions') + pg_total_relation_size('working_dirs'),
    (SELECT sum(pg_total_relation_size(oid)) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND (relname LIKE 'rollup\_%'
                OR relname IN ('agent_series', 'series_agents', 'hosts', 'reporting_settings'))),
    pg_total_relation_size('session_transcripts'),
    pg_total_relation_size('quarantined_events'),
    pg_total_relation_size('status_samples') + pg_total_relation_size('status_maintenance')
        + pg_total_relation_size('status_backups')
"""
PARTS = ("events", "indexes of events", "identities", "words", "roll-ups", "transcripts", "quarantine", "status")
# Those that every event makes longer.
EVENT_PARTS = PARTS[:5]

# Up to this many bytes of events they are counted one by one, which takes a fraction of a second.
COUNTED_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes by part, as in PARTS, and how many events there are; a planner's estimate where `counted` is false."""

    parts: Mapping[str, int]
    events: int
    counted: bool

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(self.parts.values())

    @property
    def bytes_an_event(self) -> float | None:
        """Bytes of disk for one event with all that it brings along; None without events."""
        return sum(self.parts[part] for part in EVENT_PARTS) / self.events if self.events else None

    def shares(self) -> dict[str, float]:
        """Each part's share of the total, from 0 to 1."""
        return {part: size / max(1, self.total) for part, size in self.parts.items()}


def measure(connection: psycopg.Connection) -> Storage:
    """Sizes as they are now. Takes a fraction of a second, however much is stored."""
    row = connection.execute(SIZES).fetchone()
    assert row is not None
    parts = dict(zip(PARTS, map(int, row), strict=True))
    counted = parts["events"] <= COUNTED_BYTES
    return Storage(parts, _count(connection) if counted else _estimate(connection), counted)


def _count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM telemetry_events").fetchone()
    assert row is not None
    return int(row[0])


def _estimate(connection: psycopg.Connection) -> int:
    """What the planner expects: it knows how full pages were at the last ANALYZE, and how many there are now."""
    row = connection.execute("EXPLAIN (FORMAT JSON) SELECT FROM telemetry_events").fetchone()
    assert row is not None
    plan = json.loads(row[0]) if isinstance(row[0], str) else row[0]
    return int(plan[0]["Plan"]["Plan Rows"])
