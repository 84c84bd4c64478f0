"""An event as a row of telemetry_events: its words, by which it is counted, and a line of COPY's text format.

The line is made as soon as the event is checked, while all of it is at hand. What waits for the commit is a tenth of
what was decoded, and holds nothing of it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec

from app.store.words import REMEMBERED, Interned, Words, all_interned, interned, look_up

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
_DECISION = [name for name in SERIES if name != "outcome"].index("decision")
_SESSION = attrgetter("host_id", "session_id")
_FOLDER = attrgetter("working_dir")
_TIME = attrgetter("timestamp")
_EVENT_ID = attrgetter("event_id")
_NUMBERS = attrgetter("timestamp", *NUMBERS)
_TEXTS = tuple(map(attrgetter, TEXTS))
_OBJECTS = tuple(map(attrgetter, OBJECTS))
# Words -> the same with the outcome.
_SERIES: dict[Words, Interned] = {}

NULL = b"\\N"
# PostgreSQL's word for the transaction's time.
_NOW = b"now"
_encode_lines = msgspec.json.Encoder().encode_lines


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


def make_events(
    identities: Sequence[str],
    events: Sequence[Any],
    attributes: Sequence[Mapping[str, Any]] | None,
    outcome: Callable[[str | None], str],
) -> list[Event]:
    """From `events`, each with the schema's attributes, None where one is absent, and `attributes`: what else came.

    `attributes` is None where nothing else did. `outcome` tells what a decision counts as. Whatever can be is done for
    all at once, column by column.
    """
    times = list(map(_TIME, events))
    columns = [_numbers(events, times)]
    columns += [_texts(list(map(column, events))) for column in _TEXTS]
    columns += [_objects(list(map(column, events))) for column in _OBJECTS]
    columns.append(_objects([each or None for each in attributes]) if attributes else [NULL] * len(events))
    folders = list(map(_FOLDER, events))
    return list(
        map(
            Event,
            identities,
            # With neither eventId nor timestamp.
            [at is None and name is None for at, name in zip(times, map(_EVENT_ID, events), strict=True)],
            times,
            look_up(_SERIES, list(map(_WORDS, events)), lambda words: _remember(words, outcome)),
            all_interned(list(map(_SESSION, events))),
            [None if folder is None else interned((folder,)) for folder in folders],
            map(b"\t".join, zip(*columns, strict=True)),
        )
    )


def _remember(words: Words, outcome: Callable[[str | None], str]) -> Interned:
    if len(_SERIES) > REMEMBERED:
        _SERIES.clear()
    series = interned((*words[:_OUTCOME], outcome(words[_DECISION]), *words[_OUTCOME:]))
    return _SERIES.setdefault(words, series)


def _lines(values: list[Any]) -> bytes:
    """Each in JSON, which has no control characters of its own, after a line's end.

    A list, since msgspec 0.22 never frees what it takes from an iterator.
    """
    return b"\n" + _encode_lines(values)[:-1]


def _numbers(events: Sequence[Any], times: Sequence[datetime | None]) -> list[bytes]:
    # JSON spells them as COPY does, but for NULL, the comma, and the quotes of the time before them.
    lines = _lines(list(map(_NUMBERS, events))).replace(b",", b"\t").replace(b"null", NULL).replace(b'"', b"")
    if None in times:
        lines = lines.replace(b"\n[" + NULL, b"\n[" + _NOW)
    return lines[2:-1].split(b"]\n[")


def _texts(values: list[str | None]) -> list[bytes]:
    lines = _lines(values)
    # JSON escapes as COPY does, but for what it has no letter for.
    if b"\\u" in lines:
        return [NULL if value is None else escaped(value).encode() for value in values]
    return lines.replace(b"\nnull", b'\n"' + NULL + b'"')[2:-1].split(b'"\n"')


def _objects(values: list[Mapping[str, Any] | None]) -> list[bytes]:
    # COPY takes a backslash for the beginning of a control character.
    return _lines(values).replace(b"\\", b"\\\\").replace(b"\nnull", b"\n" + NULL)[1:].split(b"\n")


def escaped(text: str) -> str:
    """A text as COPY takes it."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
