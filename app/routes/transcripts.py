"""POST /api/v1/transcript: one session's transcript in, stored whole or left alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from flask import Blueprint, g, request

from app.body import MIB, read_body
from app.context import collector
from app.deadline import deadline
from app.errors import ApiError, TooLarge, Unavailable
from app.openapi import Body, Operation, describes
from app.routes.access import requires
from app.schemas.answers import TranscriptReceiptSchema
from app.schemas.transcript import TranscriptSchema, Upload, load_upload
from app.store import transcripts
from app.store.database import DatabaseUnavailable

BODY_LIMIT = 32 * MIB
# A body takes several times its size in memory until it is stored. Above this size few are worked on at once, and few
# wait for that, or they would keep every thread from the small requests.
LARGE_BODY = MIB
LARGE_AT_ONCE = 2
LARGE_IN_LINE = 2
# Above this size it is worth a question to the database whether the very same bytes were stored before, for then they
# need not be decoded.
REPEATED_BODY = MIB // 16
# What gzip may be expected to make of JSON.
GZIP_FACTOR = 16
# How long the count of a refusal may take, seconds.
COUNT_SECONDS = 1.0

_turn = threading.BoundedSemaphore(LARGE_AT_ONCE)
_line = threading.BoundedSemaphore(LARGE_AT_ONCE + LARGE_IN_LINE)

blueprint = Blueprint("transcripts", __name__)

EXAMPLE = {
    "sessionId": "abc123",
    "hostId": "laptop",
    "transcript": [
        {"role": "user", "content": "Fix this bug", "index": 0},
        {"role": "assistant", "content": [{"type": "text", "text": "Which one?"}], "index": 1},
    ],
}
DESCRIPTION = Operation(
    summary="Stores the transcript of a session, whole or not at all.",
    description=(
        "A host sends the whole transcript again as it grows. There is one transcript for each `hostId` and"
        " `sessionId`, and the last one that came is kept. One that equals what is stored, or is its beginning, as a"
        " late retry is, changes nothing. Fields of a message that are not listed here are kept."
    ),
    answers={200: ("The transcript is stored, now or before.", TranscriptReceiptSchema)},
    body=Body(schema=lambda _: TranscriptSchema, examples={"Two messages": EXAMPLE}, limit=BODY_LIMIT),
    key=True,
)


@blueprint.post("/api/v1/transcript")
@describes(DESCRIPTION)
@requires("ingest")
def post_transcript() -> dict[str, Any]:
    """Stores a transcript in the place of what its session had. What it answers is durable."""
    with ExitStack() as stack, _noting_refusals():
        host_id, messages, stored = _store(_receive(stack))
    collector().metrics.transcript("stored" if stored else "unchanged")
    answer = {"messages": messages, "unchanged": not stored}
    g.log_fields = {"host": host_id, **answer}
    return {"success": True, **answer}


def _receive(stack: ExitStack) -> Upload:
    """The upload; a large one has its turn until the end of `stack`."""
    expected = (request.content_length or 0) * (GZIP_FACTOR if "Content-Encoding" in request.headers else 1)
    if expected > LARGE_BODY:
        stack.enter_context(_in_turn())
    body = read_body(request.environ, BODY_LIMIT)
    if len(body) > LARGE_BODY >= expected:
        stack.enter_context(_in_turn())
    return load_upload(body, g.key.host_id)


def _store(upload: Upload) -> tuple[str, int, bool]:
    """The host, how many messages there are, and whether they had to be stored."""
    run, host_id = collector().database.run, upload.host_id
    if upload.size > REPEATED_BODY:
        identity = (host_id, upload.session_id, upload.received)
        messages = run(lambda connection: transcripts.find_repeated(connection, *identity), deadline())
        if messages is not None:
            return host_id, messages, False
    transcript = upload.check(deadline())
    # The body is of no more use, and may be large.
    del upload
    stored = run(lambda connection: transcripts.store(connection, transcript), deadline())
    return host_id, len(transcript.ends), stored


@contextmanager
def _in_turn() -> Iterator[None]:
    """A large body's turn. Raises Unavailable where too many are before it."""
    with ExitStack() as stack:
        for semaphore, patience in ((_line, 0.0), (_turn, deadline() - time.monotonic())):
            if not semaphore.acquire(timeout=max(0.0, patience)):
                raise Unavailable("Too many large transcripts at once; nothing was stored, send it again.")
            stack.callback(semaphore.release)
        yield


@contextmanager
def _noting_refusals() -> Iterator[None]:
    """Counts what is refused for good, and in the database what is refused as too large."""
    try:
        yield
    except ApiError as error:
        if not isinstance(error, Unavailable):
            collector().metrics.transcript("rejected")
        if isinstance(error, TooLarge):
            _count_too_large(g.key.host_id)
        raise


def _count_too_large(host_id: str) -> None:
    soon = min(deadline(), time.monotonic() + COUNT_SECONDS)
    try:
        collector().database.run(lambda connection: transcripts.count_refused(connection, host_id), soon)
    except DatabaseUnavailable:
        # The answer stays what it is, and the database has had its line in the log.
        return
