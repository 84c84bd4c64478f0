"""Identities of events, on which exactly once rests: an event is stored if and only if its identity was new.

Every new one is inserted into event_identities, whose unique index decides between two that store the same event at
once. A day later it is moved to archived_identities (archive.py), which is only looked up. That is done after the
insert: a row that somebody is moving is waited for there, and in READ COMMITTED the next statement sees where it went.
"""

from collections.abc import Collection

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from app.store.database import BoundedConnection

TABLE = "event_identities"
ARCHIVE = "archived_identities"

_DIGITS = "replace(identity::text, '-', '')"
CLAIM = f"INSERT INTO {TABLE} (identity) SELECT unnest(%s::uuid[]) ON CONFLICT DO NOTHING RETURNING {_DIGITS}"
# Asks the archive only for those whose fingerprints are known: migration 0011.
ARCHIVED = f"SELECT {_DIGITS} FROM {ARCHIVE} WHERE identity = ANY((SELECT perhaps_archived(%s::uuid[]))::uuid[])"

# An event with neither eventId nor timestamp is a repeat for an hour only: its older identity makes room.
EXPIRE = """
DELETE FROM {0} WHERE identity IN (
    SELECT identity FROM {0}
    WHERE identity = ANY(%s) AND stored_at < now() - interval '1 hour' ORDER BY identity FOR UPDATE)
"""


def claim(connection: BoundedConnection, identities: Collection[str]) -> Collection[str]:
    """Inserts those that are new, and returns them. They are different, each 32 hex digits. Within a transaction.

    Where somebody else is storing one of them it waits for what becomes of that.
    """
    if not identities:
        return ()
    # In one order, so that two batches with the same events wait for each other and never in a circle.
    given = _Uuids(sorted(identities))
    cursor = connection.execute(CLAIM, (given,), prepare=True)
    inserted = identities if cursor.rowcount == len(given) else {identity for (identity,) in cursor}
    if not inserted:
        return ()
    # Those that it finds stay in both tables, which does no harm.
    archived = {identity for (identity,) in connection.execute(ARCHIVED, (_Uuids(inserted),), prepare=True)}
    return set(inserted) - archived if archived else inserted


def claim_all(identities: Collection[str]) -> bytes:
    """The statement that inserts them, for a message of the simple protocol. They are as for `claim`.

    It fails with UniqueViolation where one was there before, and takes less time than `claim`, which has PostgreSQL
    look before it writes each row, and write it twice.
    """
    # As in `claim`. They are digits, so there is nothing to quote.
    return f"CALL claim_identities('{{{','.join(sorted(identities))}}}')".encode("ascii")


def expire(connection: BoundedConnection, identities: Collection[str]) -> None:
    """Deletes those that were stored more than an hour ago. Within a transaction."""
    if identities:
        # In the order in which they are moved: one that is being moved is waited for, and then found in the archive.
        for table in (TABLE, ARCHIVE):
            connection.execute(EXPIRE.format(table), (_Uuids(identities),))


class _Uuids(list[str]):
    """Sent as uuid[]; psycopg's own way is for objects of Python's UUID, which would have to be made."""


class _UuidsDumper(Dumper):
    format = Format.BINARY
    _uuid = psycopg.adapters.types["uuid"]
    oid = _uuid.array_oid
    # Dimensions, whether there are NULLs, type, length, number of the first; then each with its length.
    _head = f"{1:08x}{0:08x}{_uuid.oid:08x}%08x{1:08x}"
    _length = f"{16:08x}"

    def dump(self, obj: list[str]) -> bytes:
        """PostgreSQL's binary form of an array."""
        return bytes.fromhex(self._length.join((self._head % len(obj), *obj)))


psycopg.adapters.register_dumper(_Uuids, _UuidsDumper)
