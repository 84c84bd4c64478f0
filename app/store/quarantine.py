"""The table quarantined_events: what was rejected, once each, with its reason and how often it came."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from app.store.database import BoundedConnection

ADD = """
INSERT INTO quarantined_events AS q (digest, key_host_id, times, errors, event)
SELECT digest, key_host_id, times, errors, event
FROM json_to_recordset(%s) AS r(digest uuid, key_host_id text, times bigint, errors json, event text)
ORDER BY digest
ON CONFLICT (digest) DO UPDATE
SET times = q.times + excluded.times, last_seen_at = now(), errors = excluded.errors
"""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A rejected event: its JSON as received, the host of the key it came with, and errors by field."""

    raw: bytes
    key_host_id: str
    errors: dict[str, Any]

    @property
    def digest(self) -> str:
        """128 bits, hex: the same event with the same key is one row, however often it comes."""
        return hashlib.blake2b(self.key_host_id.encode() + b"\0" + self.raw, digest_size=16).hexdigest()


def add(connection: BoundedConnection, rejected: Sequence[Quarantined]) -> None:
    """Stores each, or counts it where it is known already."""
    if not rejected:
        return
    times = Counter(item.digest for item in rejected)
    rows = [
        {
            "digest": digest,
            "key_host_id": item.key_host_id,
            "times": times[digest],
            "errors": item.errors,
            # Bytes that are no UTF-8 stay readable as \\xNN.
            "event": item.raw.decode("utf-8", "backslashreplace"),
        }
        for digest, item in {item.digest: item for item in rejected}.items()
    ]
    connection.execute(ADD, (msgspec.json.encode(rows).decode(),))
