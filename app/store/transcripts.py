"""The table session_transcripts: one row a session, replaced as a whole or left alone; and what was refused.

Beside the messages stands a chain of digests, 16 bytes a message: link n stands for messages 1 to n. So an upload that
equals what is stored, or is its beginning, is known by one link, whatever the transcript's size.
"""

import hashlib
from dataclasses import dataclass

import psycopg
from psycopg.types.json import Json

LINK_BYTES = 16
# A connection keeps a buffer of the size of the largest statement that it ever sent. One that has sent more than this
# is closed, and its pool makes another.
LARGEST_BUFFER_BYTES = 4 * 2**20

FIND_REPEATED = """
SELECT message_count FROM session_transcripts
WHERE host_id = %s AND session_id = %s AND received = %s
"""

# Takes no lock: a row lock would be a write. Where the stored chain is shorter there is no such link, but an empty one.
IS_STORED = f"""
SELECT substring(chain FROM %(start)s FOR {LINK_BYTES}) = %(link)s
FROM session_transcripts WHERE host_id = %(host_id)s AND session_id = %(session_id)s
"""

# Of two uploads at once the later one waits here for the earlier one, new row or old, and then judges what that left.
STORE = f"""
INSERT INTO session_transcripts AS stored (host_id, session_id, message_count, chain, received, messages)
VALUES (%(host_id)s, %(session_id)s, %(count)s, %(chain)s, %(received)s, %(messages)s)
ON CONFLICT (host_id, session_id) DO UPDATE
SET updated_at = now(), message_count = excluded.message_count, chain = excluded.chain, received = excluded.received,
    messages = excluded.messages
WHERE substring(stored.chain FROM %(start)s FOR {LINK_BYTES}) <> %(link)s
"""

COUNT_REFUSED = """
INSERT INTO refused_transcripts AS refused (host_id) VALUES (%s)
ON CONFLICT (host_id) DO UPDATE SET times = refused.times + 1, last_refused_at = now()
"""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A checked transcript; `messages` is its JSON array in canonical form, in which message n ends before `ends[n-1]`.

    Canonical: names sorted, no white space, so that equal messages are equal bytes. `received` is a digest of the array
    as it was received.
    """

    host_id: str
    session_id: str
    received: bytes
    messages: bytes | bytearray
    ends: list[int]

    def last_link(self) -> bytes:
        """The digest of all messages; nothing for none."""
        if not self.ends:
            return b""
        with memoryview(self.messages) as view:
            return hashlib.blake2b(view[: self.ends[-1]], digest_size=LINK_BYTES).digest()

    def chain(self) -> bytes:
        """Every link: the digest of the array's text up to the end of each message."""
        links, running, start = bytearray(), hashlib.blake2b(digest_size=LINK_BYTES), 0
        with memoryview(self.messages) as view:
            for end in self.ends:
                running.update(view[start:end])
                links += running.copy().digest()
                start = end
        return bytes(links)


def find_repeated(connection: psycopg.Connection, host_id: str, session_id: str, received: bytes) -> int | None:
    """How many messages are stored, where they were received in just these bytes; else None."""
    row = connection.execute(FIND_REPEATED, (host_id, session_id, received)).fetchone()
    return None if row is None else int(row[0])


def store(connection: psycopg.Connection, transcript: Transcript) -> bool:
    """Stores `transcript` in the place of what its session had; False where that equals it or begins with it.

    Then nothing is written, not even a lock. `connection` is in autocommit mode, and what is stored is committed when
    this returns; after a large transcript it is closed. Safe to run again: the second run finds what the first stored.
    """
    count = len(transcript.ends)
    values = {
        "host_id": transcript.host_id,
        "session_id": transcript.session_id,
        "count": count,
        "start": (count - 1) * LINK_BYTES + 1,
        "link": transcript.last_link(),
        "received": transcript.received,
    }
    found = connection.execute(IS_STORED, values).fetchone()
    if found is not None and found[0]:
        return False
    values["chain"] = transcript.chain()
    values["messages"] = Json(transcript.messages, dumps=lambda text: text)
    stored = connection.execute(STORE, values).rowcount == 1
    if len(transcript.messages) > LARGEST_BUFFER_BYTES:
        connection.close()
    return stored


def count_refused(connection: psycopg.Connection, host_id: str) -> None:
    """Counts a transcript that was refused as too large; `host_id` is that of the key it came with."""
    connection.execute(COUNT_REFUSED, (host_id,))
