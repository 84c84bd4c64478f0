"""The archive of identities: what is a day old moves there, so that the index which each new one goes into stays small.

Exactly once holds meanwhile: see identities.py. PostgreSQL notes fingerprints of what comes into it, by which nearly
every look is answered without its index (migration 0011).
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg

from app.store.identities import ARCHIVE, TABLE
from app.store.pages import PROGRESS_SECONDS, pieces

FINGERPRINTS = "archived_fingerprints"
# Fingerprints of deleted identities cost room, and looks in vain. All are made anew once they are so many times as many
# as there are identities, and more than so many times the least number.
STALE_FACTOR = 1.5
LEAST_IDENTITIES = 100_000

AFTER = timedelta(days=1)
# A transaction moves what is old in so many pages of 8 kB, some 40,000 identities; whoever stores one of them again
# waits for it, 4 s at most. Beside thirty million in the archive twice as many took 2.7 s on two slow cores. In their
# order, they come upon each page of the archive's index once.
PAGES = 256

WAITING = f"""
SELECT count(*) FROM {TABLE} WHERE stored_at < %(before)s AND stored_at >= coalesce(%(since)s, '-infinity'::timestamptz)
"""
# Never waits for a row, and so in no circle: one that is locked is moved the next time.
MOVE = f"""
WITH moved AS (
    DELETE FROM {TABLE} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {TABLE} WHERE ctid >= %(first)s::tid AND ctid < %(next)s::tid AND stored_at < %(before)s
        FOR UPDATE SKIP LOCKED))
    RETURNING identity, stored_at
), stored AS (
    INSERT INTO {ARCHIVE} (identity, stored_at) SELECT identity, stored_at FROM moved ORDER BY identity
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM moved
"""
# A fingerprint has two bytes.
STALE = f"""
SELECT (SELECT coalesce(sum(octet_length(fingerprints)), 0) / 2 FROM {FINGERPRINTS})
    > %s * greatest(%s, (SELECT reltuples FROM pg_class WHERE oid = '{ARCHIVE}'::regclass))
"""


def waiting(connection: psycopg.Connection, now: datetime, since: datetime | None = None) -> int:
    """How many identities are old enough to be moved; with `since`, of those stored since then."""
    return _number(connection.execute(WAITING, {"before": now - AFTER, "since": since}))


def move(
    connection: psycopg.Connection,
    now: datetime,
    report: Callable[[str], None] = lambda _: None,
    *,
    pages: int = PAGES,
) -> int:
    """Moves them and returns how many, tens of thousands a transaction; `report` hears of progress at times.

    `connection` is in autocommit mode. Whoever sends one of them again meanwhile waits for its transaction, of so many
    `pages`. Raises psycopg.Error.
    """
    if not waiting(connection, now):
        return 0
    moved, reported_at = 0, time.monotonic()
    for piece in pieces(connection, TABLE, pages):
        moved += _number(connection.execute(MOVE, {"before": now - AFTER, **piece}))
        if time.monotonic() - reported_at > PROGRESS_SECONDS:
            reported_at = time.monotonic()
            report(f"archived {moved} identities so far")
    return moved


def tidy(connection: psycopg.Connection) -> bool:
    """To be called after identities came or were deleted; whether the fingerprints were made anew.

    That is when too many are of identities that are gone. `connection` is in autocommit mode. Raises psycopg.Error.
    """
    # How they are looked up hangs on how large they are known to be.
    connection.execute(f"ANALYZE {ARCHIVE}")
    row = connection.execute(STALE, (STALE_FACTOR, LEAST_IDENTITIES)).fetchone()
    assert row is not None
    if row[0]:
        connection.execute("SELECT make_fingerprints()")
    # Each transaction that moved some has written nearly all fingerprints anew.
    connection.execute(f"VACUUM (ANALYZE, TRUNCATE false) {FINGERPRINTS}")
    return bool(row[0])


def _number(cursor: psycopg.Cursor) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
