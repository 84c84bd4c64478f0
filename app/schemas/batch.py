"""From a request's body to checked events: each event is decoded and judged alone, so none costs its neighbours."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from marshmallow import ValidationError

from app.errors import BadRequest
from app.schemas.event import Values, check_depth, complete, load_event, outcome
from app.schemas.identity import Identifier, by_event_id
from app.schemas.quick import Doubtful
from app.schemas.text import may_be_deep, needs_care, storable, too_deep
from app.store.rows import Event, make_events

Errors = dict[str, Any]
TOO_DEEP = "Nested too deeply."
NUL = b"\\u0000"
SHAPE = 'Send {"events": [...]} with an array of events.'


class _Body(msgspec.Struct):
    events: list[msgspec.Raw]


_BODY = msgspec.json.Decoder(_Body)
_QuickBody = msgspec.defstruct("_QuickBody", [("events", list[Values])])  # type: ignore[valid-type]  # it is a type
_QUICK_BODY: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_QuickBody)


@dataclass(slots=True)
class Rejected:
    """An event that was not accepted: its place in the request, errors by field, its JSON as received."""

    index: int
    errors: Errors
    raw: bytes
    # For a host that the key may not write: told to the client, but not kept.
    foreign: bool = False


@dataclass(slots=True)
class Batch:
    """One request's events, checked; event n stood at `places[n]` of the request."""

    body: bytes
    events: list[Event] = field(default_factory=list)
    places: Sequence[int] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def raw(self, place: int) -> bytes:
        """The JSON as received of what stood there."""
        return _split(self.body)[place]


def load_batch(body: bytes, host_id: str, max_events: int) -> Batch:
    """Checks the events in `body` (JSON, UTF-8) for a key of `host_id` ("*" is any host).

    Raises BadRequest where the body as a whole is not what the contract says.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    quick = _load_quickly(body, host_id, max_events)
    if quick is not None:
        return Batch(body, quick, range(len(quick)))
    raws = _split(body)
    _check_length(raws, max_events)
    batch, identifier, checked, places = Batch(body), Identifier(), [], []
    for index, raw in enumerate(raws):
        try:
            checked.append(_load(raw, identifier, host_id))
        except ValidationError as error:
            batch.rejected.append(Rejected(index, messages(error), raw))
        except _Foreign:
            errors = {"hostId": ["This key may not write for this host."]}
            batch.rejected.append(Rejected(index, errors, raw, foreign=True))
        else:
            places.append(index)
    if checked:
        identities, events, attributes = zip(*checked, strict=True)
        batch.events = make_events(identities, events, attributes, outcome)
    batch.places = places
    return batch


def messages(error: ValidationError) -> Errors:
    """The error's messages by field; "_schema" is the event as a whole."""
    # marshmallow's errors and their frames refer to each other; the batch must not wait for a collector of circles.
    error.__traceback__ = None
    return error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}


class _Foreign(Exception):
    """The event is for a host that the key may not write."""


def _check_length(events: Sequence[Any], most: int) -> None:
    if not 1 <= len(events) <= most:
        raise BadRequest(f"A batch holds 1 to {most} events, not {len(events)}.")


def _load_quickly(body: bytes, host_id: str, max_events: int) -> list[Event] | None:
    """The events where each is a common one: of this release's fields alone, with an eventId, and right; else None.

    Raises BadRequest where they are too many, or none.
    """
    # What else `needs_care` looks for, the decoder refuses. From behind Python is three times as fast: it compares the
    # first character, which is rare, and not the last.
    if body.rfind(NUL) >= 0:
        return None
    try:
        found = _QUICK_BODY.decode(body).events
        # Before anything is done for each of them.
        _check_length(found, max_events)
        identities = []
        for values in found:
            if values.event_id is None or host_id not in ("*", values.host_id):
                return None
            identities.append(by_event_id(values.host_id, values.event_id))
        complete(found)
        check_depth(found)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Doubtful):
        return None
    return make_events(identities, found, None, outcome)


def _split(body: bytes) -> list[bytes]:
    try:
        return [bytes(raw) for raw in _BODY.decode(body).events]
    except msgspec.ValidationError as error:
        raise BadRequest(SHAPE) from error
    except RecursionError as error:
        raise BadRequest("The JSON is nested too deeply.") from error
    except msgspec.DecodeError as error:
        return _split_leniently(body, str(error))


def _split_leniently(body: bytes, problem: str) -> list[bytes]:
    """As `_split`, for what strict JSON forbids and clients send all the same: lone surrogates (JavaScript) and NaN
    (Python). The event that holds them is judged by itself.
    """
    try:
        decoded = json.loads(body.decode("utf-8"), parse_int=_parse_int)
        if isinstance(decoded, dict) and isinstance(decoded.get("events"), list):
            return [json.dumps(event).encode("ascii") for event in decoded["events"]]
    except RecursionError as error:
        raise BadRequest("The JSON is nested too deeply.") from error
    except ValueError as error:
        raise BadRequest("The body is not JSON in UTF-8.", problem) from error
    raise BadRequest(SHAPE)


def _load(raw: bytes, identifier: Identifier, host_id: str) -> tuple[str, Any, dict[str, Any]]:
    """The identity, the `Values`, and what else came."""
    try:
        content = _decode(raw)
    except RecursionError as error:
        raise ValidationError(TOO_DEEP) from error
    if may_be_deep(raw) and too_deep(content):
        raise ValidationError(TOO_DEEP)
    if not isinstance(content, dict):
        raise ValidationError("Not an object.")
    kept = {name: value for name, value in content.items() if value is not None}
    if needs_care(raw):
        kept = storable(kept)
    if host_id not in ("*", kept.get("hostId")) and isinstance(kept.get("hostId"), str):
        raise _Foreign
    values, attributes = load_event(kept)
    return identifier.identify(content, values.timestamp), values, attributes


def _decode(raw: bytes) -> Any:
    """The JSON value of one event; ValidationError where it holds what no column and no JSON can."""
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError as error:
        raise ValidationError("Not UTF-8.") from error
    except msgspec.ValidationError as error:
        raise ValidationError("A number is out of range.") from error
    except msgspec.DecodeError:
        content = json.loads(raw, parse_int=_parse_int)
    if not _finite(content):
        raise ValidationError("A number is out of range, or NaN.")
    return content


def _parse_int(digits: str) -> int | float:
    # Beyond this Python refuses to convert, and would refuse the whole batch.
    return int(digits) if len(digits) <= 4000 else math.inf


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return True
