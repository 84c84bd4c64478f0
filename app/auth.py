"""Who calls, and for which host: API keys, looked up by hash through a cache that is never older than 10 s."""

import hashlib
import hmac
import secrets
import string
import threading
import time
from collections import OrderedDict

from app.deadline import deadline
from app.store import keys
from app.store.database import BoundedConnection, Database
from app.store.keys import StoredKey

# So that secret scanners find a key by aft_[0-9A-Za-z]{40}; 40 characters of 62 are 238 bits.
KEY_PREFIX = "aft_"
KEY_LENGTH = 40
ALPHABET = string.ascii_letters + string.digits

# The contract's 10 s, less the time that a look-up may take.
CACHE_SECONDS = 5.0
# Unknown keys are remembered too, or guessing would cost a query each; bounded, since anybody can make them up.
CACHE_ENTRIES = 4096


def generate_key() -> str:
    """A new key, never seen before and nowhere stored."""
    return KEY_PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(KEY_LENGTH))


def hash_key(key: str) -> str:
    """What api_keys holds of `key`. Headers arrive as latin-1, which gives back the bytes that were sent."""
    return hashlib.sha256(key.encode("latin-1", "replace")).hexdigest()


class KeyRing:
    """The keys in use, at most CACHE_SECONDS old."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: OrderedDict[str, tuple[float, StoredKey | None]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: str) -> StoredKey | None:
        """The stored key for the `key` that was sent; raises DatabaseUnavailable where nobody can tell."""
        key_hash = hash_key(key)
        now = time.monotonic()
        with self._lock:
            entry = self._cache.get(key_hash)
        if entry is not None and now - entry[0] < CACHE_SECONDS:
            return entry[1]
        found = self._database.run(lambda connection: _look_up(connection, key_hash), deadline())
        with self._lock:
            self._cache[key_hash] = (now, found)
            self._cache.move_to_end(key_hash)
            while len(self._cache) > CACHE_ENTRIES:
                self._cache.popitem(last=False)
        return found


def _look_up(connection: BoundedConnection, key_hash: str) -> StoredKey | None:
    found = keys.find(connection, key_hash)
    if found is None or not hmac.compare_digest(found.key_hash, key_hash):
        return None
    keys.touch(connection, found.id)
    return found
