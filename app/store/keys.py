"""The table api_keys: only a key's SHA-256 is ever stored, so a copy of the database opens nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.rows import class_row

COLUMNS = "id, key_hash, host_id, description, scope, created_at, expires_at, revoked_at, last_used_at"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A row of api_keys; `key_hash` is the SHA-256 of the key in lower-case hex."""

    id: int
    key_hash: str
    host_id: str
    description: str
    scope: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def state(self, now: datetime) -> str:
        """active, expired or revoked at `now`."""
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"


def find(connection: psycopg.Connection, key_hash: str) -> StoredKey | None:
    """The key with that hash."""
    with connection.cursor(row_factory=class_row(StoredKey)) as cursor:
        return cursor.execute(f"SELECT {COLUMNS} FROM api_keys WHERE key_hash = %s", (key_hash,)).fetchone()


def get(connection: psycopg.Connection, key_id: int) -> StoredKey | None:
    """The key with that id."""
    with connection.cursor(row_factory=class_row(StoredKey)) as cursor:
        return cursor.execute(f"SELECT {COLUMNS} FROM api_keys WHERE id = %s", (key_id,)).fetchone()


def everyone(connection: psycopg.Connection) -> list[StoredKey]:
    """All keys, oldest first."""
    with connection.cursor(row_factory=class_row(StoredKey)) as cursor:
        return cursor.execute(f"SELECT {COLUMNS} FROM api_keys ORDER BY id").fetchall()


def touch(connection: psycopg.Connection, key_id: int) -> None:
    """Notes that the key is in use; writes at most once a minute, however many processes ask."""
    connection.execute(
        "UPDATE api_keys SET last_used_at = now()"
        " WHERE id = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
        (key_id,),
    )


def add(
    connection: psycopg.Connection,
    key_hash: str,
    host_id: str,
    *,
    description: str = "",
    scope: str = "ingest",
    lifetime: timedelta | None = None,
) -> int:
    """Stores a key by its hash and returns its id; it expires after `lifetime`."""
    row = connection.execute(
        "INSERT INTO api_keys (key_hash, host_id, description, scope, expires_at)"
        " VALUES (%s, %s, %s, %s, now() + %s) RETURNING id",
        (key_hash, host_id, description, scope, lifetime),
    ).fetchone()
    assert row is not None
    return int(row[0])


def revoke(connection: psycopg.Connection, key_id: int) -> bool:
    """Ends the key now; False where there is no such key. Revoking twice keeps the first time."""
    cursor = connection.execute("UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = %s", (key_id,))
    return cursor.rowcount == 1


def expire(connection: psycopg.Connection, key_id: int, overlap: timedelta) -> None:
    """Lets the key work for `overlap` more, or as long as it would have, if that is shorter."""
    connection.execute(
        "UPDATE api_keys SET expires_at = least(expires_at, now() + %s) WHERE id = %s", (overlap, key_id)
    )
