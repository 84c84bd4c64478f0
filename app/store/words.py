"""Words that repeat from event to event, stored once and known by number: series, sessions, working_dirs."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TypeVar

import msgspec
from psycopg import sql

from app.store.database import BoundedConnection

Words = tuple[str | None, ...]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, eq=False)
class Interned:
    """Words, a value a column, of which `interned` gives one object.

    It is looked up by what it is, and not by what it says, which takes a tenth of the time.
    """

    words: Words


# Entries remembered a process and table; beyond it all are forgotten, which costs look-ups and nothing else.
REMEMBERED = 50_000


@dataclass
class WordTable:
    """One table of words, and the numbers that this process remembers.

    Each number is confirmed in the database once a day by stamping `last_used_on`, so that `maintain` can delete
    what was not used for longer than any event lives, and never a number that some process still remembers.
    """

    name: str
    key: str
    columns: Sequence[str]
    _keys: dict[Interned, bytes] = field(default_factory=dict)
    _day: date = date.min
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Drops what is remembered: after a new connection the server may be another, restored from a backup."""
        with self._lock:
            self._keys = {}

    def numbers(self, connection: BoundedConnection, wanted: Sequence[Interned]) -> list[bytes]:
        """The number of each of `wanted` in their order, as COPY takes it, stored where it is new.

        Commits by itself, before the events that refer to it: a number is remembered only once it is durable.
        """
        today = datetime.now(UTC).date()
        with self._lock:
            if self._day != today or len(self._keys) > REMEMBERED:
                self._keys, self._day = {}, today
            remembered = self._keys
        found = list(map(remembered.get, wanted))
        if None in found:
            missing = {known for known, key in zip(wanted, found, strict=True) if key is None}
            stored = self._store(connection, missing)
            # The same dictionary as before: what was forgotten meanwhile stays forgotten.
            remembered.update(stored)
            return [stored[known] if key is None else key for known, key in zip(wanted, found, strict=True)]
        return found  # type: ignore[return-value]  # none of them is None

    def _store(self, connection: BoundedConnection, missing: Iterable[Interned]) -> dict[Interned, bytes]:
        # Two objects may say the same, where all were forgotten in between.
        digests = {known: digest(known.words) for known in missing}
        words = {text: known.words for known, text in digests.items()}
        # In one order everywhere, so that two processes never wait for each other.
        rows = [{"digest": text, **dict(zip(self.columns, words[text], strict=True))} for text in sorted(words)]
        columns = [sql.Identifier(column) for column in self.columns]
        statement = sql.SQL(
            "INSERT INTO {table} AS t (digest, {columns})"
            " SELECT digest, {columns} FROM json_to_recordset(%s) AS r(digest uuid, {types})"
            " ON CONFLICT (digest) DO UPDATE SET last_used_on = CURRENT_DATE"
            " RETURNING {key}, digest::text"
        ).format(
            table=sql.Identifier(self.name),
            key=sql.Identifier(self.key),
            columns=sql.SQL(", ").join(columns),
            types=sql.SQL(", ").join(sql.SQL("{} text").format(column) for column in columns),
        )
        cursor = connection.execute(statement, (msgspec.json.encode(rows).decode(),))
        numbers = {text: b"%d" % key for key, text in cursor}
        return {known: numbers[text] for known, text in digests.items()}


_INTERNED: dict[Words, "Interned"] = {}


def interned(words: Words) -> "Interned":
    """One object for equal words."""
    known = _INTERNED.get(words)
    if known is None:
        if len(_INTERNED) > REMEMBERED:
            _INTERNED.clear()
        # Two threads may come here; both have the same object then.
        known = _INTERNED.setdefault(words, Interned(words))
    return known


def look_up(known: Mapping[K, V], wanted: Sequence[K], otherwise: Callable[[K], V]) -> list[V]:
    """What is `known` of each, and `otherwise` of it where nothing is; no value is None."""
    found = list(map(known.get, wanted))
    # Nearly always all are known, and then no function is called for each.
    if None in found:
        return [otherwise(key) if value is None else value for key, value in zip(wanted, found, strict=True)]
    return found  # type: ignore[return-value]  # none of them is None


def all_interned(words: Sequence[Words]) -> "list[Interned]":
    """`interned` of each, in their order."""
    return look_up(_INTERNED, words, interned)


def digest(words: Words) -> str:
    """The 128 bits that stand for `words`, in PostgreSQL's form of a uuid."""
    text = hashlib.blake2b(msgspec.json.encode(words), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
