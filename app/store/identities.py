"""The table event_identities, on which exactly once rests: an event is stored if and only if its identity was new."""

from collections.abc import Collection

import psycopg
from psycopg import sql
from psycopg.adapt import Dumper
from psycopg.pq import Format

from app.store.database import BoundedConnection

TABLE = "event_identities"

INSERT = f"INSERT INTO {TABLE} (identity) SELECT unnest(%s::uuid[])"
CLAIM = f"{INSERT} ON CONFLICT DO NOTHING RETURNING replace(identity::text, '-', '')"

# An event with neither eventId nor timestamp is a repeat for an hour only: its older identity makes room.
EXPIRE = f"""
DELETE FROM {TABLE} WHERE identity IN (
    SELECT identity FROM {TABLE}
    WHERE identity = ANY(%s) AND stored_at < now() - interval '1 hour' ORDER BY identity FOR UPDATE)
"""


def claim(connection: BoundedConnection, identities: Collection[str]) -> Collection[str]:
    """Inserts those that are new, and returns them. They are different, each 32 hex digits.

    Where somebody else is storing one of them it waits for what becomes of that.
    """
    if not identities:
        return ()
    # In one order, so that two batches with the same events wait for each other and never in a circle.
    given = _Uuids(sorted(identities))
    cursor = connection.execute(CLAIM, (given,), prepare=True)
    return identities if cursor.rowcount == len(given) else {identity for (identity,) in cursor}


def claim_all(identities: Collection[str]) -> sql.SQL:
    """The statement that inserts them, for a message of the simple protocol. They are as for `claim`.

    It fails with UniqueViolation where one was there before, and takes two thirds of the time of `claim`, which has
    PostgreSQL look before it writes each row, and write it twice.
    """
    # As in `claim`. They are digits, so there is nothing to quote. It is planned each time, which takes little: psycopg
    # deallocates whatever was prepared when a transaction of its own fails.
    return sql.SQL(INSERT % f"'{{{','.join(sorted(identities))}}}'")


def expire(connection: BoundedConnection, identities: Collection[str]) -> None:
    """Deletes those that were stored more than an hour ago."""
    if identities:
        connection.execute(EXPIRE, (_Uuids(identities),))


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
