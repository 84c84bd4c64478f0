"""From a request's body to a checked transcript: it is stored whole or not at all, so one bad message refuses it."""

import functools
import hashlib
import math
import time
from dataclasses import dataclass
from typing import Any

import msgspec
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from app.errors import BadRequest, Forbidden, TooLarge, Unavailable
from app.schemas.fields import Text
from app.schemas.json_text import BOM, explained, repaired
from app.schemas.message import MessageSchema, load_message, messages_of
from app.schemas.text import may_be_deep, storable, too_deep
from app.store.transcripts import Transcript

MAX_MESSAGES = 10_000
MAX_MESSAGE_BYTES = 2**20
# As many as a client needs to see of a transcript that is wrong throughout.
MAX_ERRORS = 20
# 255 characters take 12 bytes each at most, as pairs of escapes.
MAX_NAME_BYTES = 4096

SHAPE = 'Send {"sessionId": ..., "hostId": ..., "transcript": [...]}.'


class TranscriptSchema(Schema):
    """One session's transcript as hosts send it. Fields that are not listed here are ignored."""

    class Meta:
        """As for events, unknown fields are no error."""

        unknown = EXCLUDE

    session_id = Text(255, "The session; the host's own name for it.", low=1, required=True, data_key="sessionId")
    host_id = Text(255, "The host that sends it.", low=1, required=True, data_key="hostId")
    transcript = fields.List(
        fields.Nested(MessageSchema),
        required=True,
        validate=validate.Length(max=MAX_MESSAGES),
        metadata={"description": "All messages of the session so far, in their order."},
    )


TRANSCRIPT = TranscriptSchema()


class _Body(msgspec.Struct, rename="camel"):
    """The body's fields undecoded, empty where they are absent: what each would cost is looked at first."""

    session_id: msgspec.Raw = msgspec.Raw()
    host_id: msgspec.Raw = msgspec.Raw()
    transcript: msgspec.Raw = msgspec.Raw()


_BODY = msgspec.json.Decoder(_Body)
_MESSAGES = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_CANONICAL = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Upload:
    """A transcript of `size` bytes whose messages are not checked yet; `received` is a digest of them as they are."""

    host_id: str
    session_id: str
    size: int
    received: bytes
    messages: list[msgspec.Raw]

    def check(self, deadline: float = math.inf) -> Transcript:
        """The checked transcript.

        Raises BadRequest, and Unavailable where the time is over: `deadline` is in seconds of time.monotonic.
        """
        messages, ends = _join(self.messages, deadline)
        return Transcript(self.host_id, self.session_id, self.received, messages, ends)


def load_upload(body: bytes, key_host_id: str) -> Upload:
    """Checks whose transcript is in `body` (JSON, UTF-8), for a key of `key_host_id` ("*" is any host), and its sizes.

    Raises BadRequest, Forbidden, and TooLarge for more messages or larger ones than the contract allows.
    """
    parts = _parts(body)
    values = {"sessionId": parts.session_id, "hostId": parts.host_id, "transcript": parts.transcript}
    try:
        names = storable(TRANSCRIPT.load({name: _outline(raw) for name, raw in values.items() if len(raw)}))
    except ValidationError as error:
        raise _wrong(messages_of(error)) from error
    if key_host_id not in ("*", names["host_id"]):
        raise Forbidden("This key may not write for this host.")
    messages = _split(parts.transcript, body.count(b","))
    if max(map(len, messages), default=0) > MAX_MESSAGE_BYTES:
        raise TooLarge(f"A message is at most {MAX_MESSAGE_BYTES // 2**20} MiB.")
    received = hashlib.blake2b(memoryview(parts.transcript), digest_size=16).digest()
    return Upload(names["host_id"], names["session_id"], len(body), received, messages)


def _parts(body: bytes) -> _Body:
    body = body.removeprefix(BOM)
    try:
        try:
            return _BODY.decode(body)
        except msgspec.ValidationError as error:
            raise BadRequest(SHAPE) from error
        except msgspec.DecodeError:
            # Strict JSON has no lone surrogates. Where something else was wrong, it still is.
            return _BODY.decode(repaired(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(explained(body, error), str(error)) from error
    except RecursionError as error:
        raise BadRequest("The JSON is nested too deeply.") from error


def _outline(raw: msgspec.Raw) -> Any:
    """What the schema has to see of a field: text as it is, of all else and of what is far too long only the kind."""
    kind = bytes(memoryview(raw)[:1])
    if kind != b'"':
        return {b"[": [], b"{": {}, b"n": None}.get(kind, 0)
    if len(raw) > MAX_NAME_BYTES:
        return " " * MAX_NAME_BYTES
    try:
        return _TEXT.decode(raw)
    except UnicodeDecodeError as error:
        raise BadRequest(explained(b"", error), str(error)) from error


def _split(transcript: msgspec.Raw, commas: int) -> list[msgspec.Raw]:
    """The messages undecoded, where there are `commas` commas around. Raises TooLarge where they are too many."""
    try:
        # So many messages that they would fill the memory: 32 MiB of [0,0,... become a gigabyte.
        if commas > 10 * MAX_MESSAGES:
            _bounded().decode(transcript)
        raws = _MESSAGES.decode(transcript)
    except msgspec.ValidationError as error:
        raise _too_many() from error
    if len(raws) > MAX_MESSAGES:
        raise _too_many()
    return raws


@functools.cache
def _bounded() -> msgspec.json.Decoder[Any]:
    """Decodes an array up to the limit and not one element further, for which msgspec has no shorter word."""
    places = [(f"message_{place}", msgspec.Raw, msgspec.Raw()) for place in range(MAX_MESSAGES)]
    return msgspec.json.Decoder(msgspec.defstruct("Messages", places, array_like=True, forbid_unknown_fields=True))


def _join(raws: list[msgspec.Raw], deadline: float) -> tuple[bytes | bytearray, list[int]]:
    """The messages as one canonical JSON array, and where each of them ends in it."""
    messages, ends = bytearray(b"["), []
    errors: dict[str, Any] = {}
    for place, raw in enumerate(raws):
        start = len(messages)
        # Nearly all take microseconds, but a mebibyte of brackets takes a fifth of a second.
        if time.monotonic() > deadline:
            raise Unavailable("The transcript took too long to read; nothing was stored.")
        try:
            message = load_message(raw, place)
            _CANONICAL.encode_into(message, messages, -1)
            if may_be_deep(messages, start):
                _refuse_depth(message)
        except ValidationError as error:
            errors[str(place)] = messages_of(error)
            if len(errors) == MAX_ERRORS:
                break
        ends.append(len(messages))
        messages += b","
    if errors:
        raise _wrong({"transcript": errors})
    messages[len(messages) - bool(ends) :] = b"]"
    # In canonical form only U+0000 is left to repair, and no byte changes its place.
    return (repaired(bytes(messages)) if b"\\u0000" in messages else messages), ends


def _refuse_depth(message: dict[str, Any]) -> None:
    if too_deep(message):
        raise ValidationError("Nested too deeply.")


def _too_many() -> TooLarge:
    return TooLarge(f"A transcript holds at most {MAX_MESSAGES} messages.")


def _wrong(details: Any) -> BadRequest:
    return BadRequest("The transcript was refused; nothing of it is stored.", details)
