"""The tables status_*: what the collector and maintenance note of themselves, for the dashboard Collector.

The backup writes its own rows (roles/backup). All of it is for people to look at: nothing here decides anything.
"""

from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from app.store.retention import Deletion

KEPT = timedelta(days=90)

ADD = """
INSERT INTO status_samples AS s (start, stored, duplicates, rejected, disk_bytes, disk_free_bytes)
VALUES (date_bin('5 minutes', now(), '2000-01-01Z'), %s, %s, %s, %s, %s)
ON CONFLICT (start) DO UPDATE SET
    stored = s.stored + excluded.stored,
    duplicates = s.duplicates + excluded.duplicates,
    rejected = s.rejected + excluded.rejected,
    disk_bytes = coalesce(excluded.disk_bytes, s.disk_bytes),
    disk_free_bytes = coalesce(excluded.disk_free_bytes, s.disk_free_bytes)
"""


def add_sample(
    connection: psycopg.Connection, counts: tuple[int, int, int], disk_bytes: int | None, free_bytes: int | None
) -> None:
    """Adds to these five minutes: events that were stored, duplicates and rejected; the disk is as it is now."""
    connection.execute(ADD, (*counts, disk_bytes, free_bytes))


def note_maintenance(connection: psycopg.Connection, at: datetime, failures: int) -> None:
    """Notes that maintenance ran to its end."""
    connection.execute(
        "INSERT INTO status_maintenance (ran_at, failures) VALUES (%s, %s)"
        " ON CONFLICT (ran_at) DO UPDATE SET failures = excluded.failures",
        (at, failures),
    )


def old(now: datetime) -> list[Deletion]:
    """What has been kept long enough."""
    before = {"before": now - KEPT}
    return [
        Deletion("status_samples", sql.SQL("start < %(before)s"), before, 128),
        Deletion("status_maintenance", sql.SQL("ran_at < %(before)s"), before, 128),
        Deletion("status_backups", sql.SQL("taken_at < %(before)s"), before, 128),
    ]
