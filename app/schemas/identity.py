"""Which event is which: 128 bits that a repeat has too, whatever batch or process it comes through.

The identity never changes from release to release: `tests/unit/test_identity.py` holds values that were given out.
It is computed from what the client sent, not from what we know of it, so a field that a later release learns to
understand does not change it.

- With an eventId: the digest of (hostId, eventId). The time is no part of it, since a client may stamp anew.
- Without: the digest of the content, and how many equal events stood before it in the same request. With a timestamp,
  the first four bytes are that time in units of 128 s, so that new events meet in one place of the index.
"""

import hashlib
import json
import math
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec

YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
TIME_UNIT_SECONDS = 128
# Floats are exact integers up to here; beyond, 1e300 and its 301 digits are better not made equal.
EXACT = 2**53
_BY_EVENT_ID = hashlib.blake2b(digest_size=16, person=b"event id")
_spell = msgspec.json.Encoder().encode


class Identifier:
    """Gives identities to the events of one request, in their order."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def identify(self, content: dict[str, Any], occurred_at: datetime | None) -> str:
        """The identity of the event with JSON `content`, as 32 hex digits; `occurred_at` is its timestamp in UTC."""
        event_id = content.get("eventId")
        if event_id is not None:
            return by_event_id(content["hostId"], event_id)
        canonical = _canonical({name: value for name, value in content.items() if value is not None})
        ordinal = self._seen[canonical]
        self._seen[canonical] += 1
        content_hash = hashlib.blake2b(digest_size=12 if occurred_at else 16, person=b"content")
        content_hash.update(canonical)
        content_hash.update(b"%d" % ordinal)
        if occurred_at is None:
            return content_hash.hexdigest()
        units = int((occurred_at - YEAR_ONE).total_seconds()) // TIME_UNIT_SECONDS
        return units.to_bytes(4).hex() + content_hash.hexdigest()


def by_event_id(host_id: str, event_id: str) -> str:
    """The identity of an event that has an eventId, as 32 hex digits."""
    spelt = _spell((host_id, event_id))
    # For plain text there is one spelling anyway.
    if b"\\" in spelt or not spelt.isascii():
        spelt = _canonical([host_id, event_id])
    digest = _BY_EVENT_ID.copy()
    digest.update(spelt)
    return digest.hexdigest()


def _canonical(value: Any) -> bytes:
    """One spelling of equal JSON: sorted names, no white space, 3.0 as 3, everything beyond ASCII escaped."""
    return json.dumps(_exact(value), sort_keys=True, separators=(",", ":")).encode("ascii")


def _exact(value: Any) -> Any:
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < EXACT:
        return int(value)
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return value
