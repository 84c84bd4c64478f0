"""An event as a row of telemetry_events: its words, by which it is counted, and a line of COPY's text format.

The line is made as soon as the event is checked, while all of it is at hand. What waits for the commit is a tenth of
what was decoded, and holds nothing of it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec

from app.store.words import REMEMBERED, Interned, Words, interned

# The series' columns but the outcome are names of the event schema: a word that is absent is NULL.
SERIES = (
    "host_id",
    "agent_name",
    "event_type",
    "outcome",
    "decision",
    "hook_name",
    "tool_name",
    "mode",
    "execution_type",
    "model_tier",
    "model_name",
    "provider",
    "client_version",
)
# Columns that have the schema's names too.
NUMBERS = (
    "latency_ms",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "error_count",
    "warning_count",
    "success",
    "cost",
)
TEXTS = ("event_id", "decision_reason", "generation_id")
OBJECTS = ("tool_input", "extra_data")
# The columns of a line, in its order.
KEYS = ("series_key", "session_key", "working_dir_key")
COLUMNS = (*KEYS, "received_at", "occurred_at", *NUMBERS, *TEXTS, *OBJECTS, "attributes")

_OUTCOME = SERIES.index("outcome")
_WORDS = attrgetter(*(name for name in SERIES if name != "outcome"))
_NUMBERS = attrgetter("timestamp", *NUMBERS)
_TEXTS = attrgetter(*TEXTS)
_OBJECTS = attrgetter(*OBJECTS)
_DECISION = [name for name in SERIES if name != "outcome"].index("decision")
# Words -> the same with the outcome.
_SERIES: dict[Words, Interned] = {}

_NULL = "\\N"
NULL = _NULL.encode()
# PostgreSQL's word for the transaction's time.
_NOW = b"now"
_encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct, gc=False):
    """A checked event, ready to be stored."""

    # 32 hex digits.
    identity: str
    # With neither eventId nor timestamp an equal event is a repeat for an hour only.
    passing: bool
    # In UTC; None is when it is stored.
    occurred_at: datetime | None
    # The words that everything counts by, in the order of SERIES.
    series: Interned
    session: Interned
    working_dir: Interned | None
    # The columns after received_at.
    line: bytes


def make_event(
    identity: str,
    passing: bool,
    outcome: Callable[[str | None], str],
    values: Any,
    attributes: Mapping[str, Any],
) -> Event:
    """From `values`, which has the schema's attributes, None where one is absent, and `attributes`: what else came.

    `outcome` tells what a decision counts as.
    """
    words, folder, at = _WORDS(values), values.working_dir, values.timestamp
    series = _SERIES.get(words)
    if series is None:
        series = _remember(words, outcome)
    # JSON spells numbers as COPY does, but for NULL, the comma, and the quotes of the time before them.
    numbers = _encode(_NUMBERS(values))[1:-1].replace(b",", b"\t").replace(b"null", NULL).replace(b'"', b"")
    objects = [NULL if value is None else _object(value) for value in _OBJECTS(values)]
    return Event(
        identity,
        passing,
        at,
        series,
        interned((values.host_id, values.session_id)),
        None if folder is None else interned((folder,)),
        b"\t".join(
            (
                numbers if at is not None else _NOW + numbers.removeprefix(NULL),
                _texts(_TEXTS(values)),
                *objects,
                _object(attributes) if attributes else NULL,
            )
        ),
    )


def _remember(words: Words, outcome: Callable[[str | None], str]) -> Interned:
    if len(_SERIES) > REMEMBERED:
        _SERIES.clear()
    series = interned((*words[:_OUTCOME], outcome(words[_DECISION]), *words[_OUTCOME:]))
    return _SERIES.setdefault(words, series)


def _texts(values: tuple[str | None, ...]) -> bytes:
    line = "\t".join([_NULL if value is None else value for value in values])
    # As it is in nearly all.
    if "\\" not in line and "\n" not in line and "\r" not in line and line.count("\t") == len(values) - 1:
        return line.encode()
    return b"\t".join([NULL if value is None else escaped(value).encode() for value in values])


def escaped(text: str) -> str:
    """A text as COPY takes it."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _object(value: Mapping[str, Any]) -> bytes:
    # JSON has no control characters of its own, and COPY takes a backslash for the beginning of one.
    return _encode(value).replace(b"\\", b"\\\\")
