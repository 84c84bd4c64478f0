"""The quick way and marshmallow are equal in what they take, in what they give, and in which event it is."""

import gc
import sys
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import ValidationError

from app.schemas import batch, event
from app.schemas.batch import load_batch
from app.schemas.event import EVENT, KNOWN, Values, load_event, outcome
from app.schemas.identity import Identifier
from app.store.rows import Event, make_events
from tests.api.events import FULL
from tests.api.events import event as plain

COMMON = {**FULL, "hostId": "laptop", "eventId": "8e0f3a52-7d0e-4a5e-9b1e-0123456789ab"}

deep: dict[str, Any] = {}
for _ in range(99):
    deep = {"a": deep}

numbers = st.integers() | st.floats(allow_nan=True) | st.sampled_from([0, -0.0, 1.0, 2**31, 10**12, 10**6, 86_400_000])
texts = st.text(max_size=300) | st.sampled_from(
    ["", "a" * 64, "a" * 65, "a" * 255, "a" * 256, "\u00dc" * 4096, "\0", "\x7f"]
)
times = st.datetimes().map(str) | st.sampled_from(
    [
        *("2024-01-15T10:30:00Z", "2024-01-15T10:30:00.9999999Z", "2024-01-15t10:30:00z", "2024-01-15", "10:30", "now"),
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-01:00"),
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts | times,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
overrides = st.dictionaries(st.sampled_from(sorted(KNOWN)) | st.text(max_size=5), anything, max_size=4)
contents = st.builds(lambda base, fields: {**base, **fields}, st.sampled_from([plain("laptop"), COMMON]), overrides)


def by_marshmallow(content: dict[str, Any]) -> Any:
    """The event's `Values`; None where marshmallow refuses it."""
    try:
        return Values(**EVENT.load({name: value for name, value in content.items() if value is not None}))
    except ValidationError:
        return None


@given(contents)
@example({**plain("laptop"), "host_id": "another"})
@example({**plain("laptop"), "latencyMs": -0.0})
def test_an_event_is_taken_as_marshmallow_takes_it(content: dict[str, Any]) -> None:
    kept = {name: value for name, value in content.items() if value is not None}
    expected = by_marshmallow(content)
    try:
        values, unknown = load_event(kept)
    except ValidationError:
        assert expected is None
    else:
        # The text tells 1 from 1.0 and -0.0 from 0.0.
        assert repr(values) == repr(expected)
        assert unknown == {name: value for name, value in kept.items() if name not in KNOWN}


@given(contents)
@example(COMMON)
@example({**COMMON, "toolInput": {"command": "caf\u00e9 \U0001f600"}})
@example({**COMMON, "toolInput": deep})
@example({**COMMON, "extraData": {"a": deep}})
@example({**COMMON, "eventId": "\u00e9 \x7f"})
def test_a_batch_that_is_decoded_at_once_gives_what_its_events_give_one_by_one(content: dict[str, Any]) -> None:
    try:
        body = msgspec.json.encode({"events": [content]})
    except (ValueError, UnicodeEncodeError):
        return
    quick = batch._load_quickly(body, "*", 1)
    if quick is None:
        return
    identity, values, attributes = batch._load(msgspec.json.encode(content), Identifier(), "*")
    assert list(map(repr, quick)) == list(map(repr, make_events([identity], [values], [attributes], outcome)))
    values = by_marshmallow(msgspec.json.decode(msgspec.json.encode(content)))
    assert quick == make_events([quick[0].identity], [values], [{}], outcome)


@given(st.lists(contents, max_size=5))
@example([COMMON, {**COMMON, "decisionReason": 'a\tb\\N\n\r\b"","null'}, plain("laptop")])
@example([{**COMMON, "decisionReason": "\x1b"}, {**COMMON, "timestamp": None}, {**COMMON, "workingDir": None}])
@example([{**plain("laptop"), "toolInput": {}, "somethingNew": {"null": "\nnull"}}, {**COMMON, "toolInput": None}])
def test_events_that_come_together_are_what_each_is_alone(several: list[dict[str, Any]]) -> None:
    try:
        bodies = [msgspec.json.encode(content) for content in several]
    except (ValueError, UnicodeEncodeError):
        return
    together = load_batch(b'{"events":[%b]}' % b",".join([msgspec.json.encode(COMMON), *bodies]), "*", 6).events
    alone = [load_batch(b'{"events":[%b]}' % body, "*", 1).events for body in bodies]
    # What an event is without an eventId depends on its like before it in the batch.
    lines = [(each.occurred_at, each.series, each.session, each.working_dir, each.line) for each in together[1:]]
    expected = [(e.occurred_at, e.series, e.session, e.working_dir, e.line) for events in alone for e in events]
    assert lines == expected


def quick(content: dict[str, Any], host: str = "*") -> list[Event] | None:
    return batch._load_quickly(msgspec.json.encode({"events": [COMMON, content]}), host, 2)


def test_common_events_are_decoded_at_once() -> None:
    assert quick(COMMON)
    assert quick(
        {**COMMON, "decisionReason": None, "toolInput": {"edits": [{"old": "a\\u0041", "new": "b"}]}}, "laptop"
    )


def test_what_needs_a_closer_look_is_not() -> None:
    assert quick(plain("laptop")) is None
    assert quick({**COMMON, "somethingNew": 1}) is None
    assert quick({**COMMON, "decisionReason": "a\0b"}) is None
    assert quick({**COMMON, "toolInput": deep}) is None
    assert quick({**COMMON, "timestamp": "yesterday"}) is None
    assert quick(COMMON, "desktop") is None


@given(st.sets(st.sampled_from(sorted(KNOWN))))
def test_what_lacks_a_required_field_is_rejected(names: set[str]) -> None:
    content = {name: value for name, value in COMMON.items() if name in names}
    loaded = load_batch(msgspec.json.encode({"events": [content]}), "*", 1)
    required = {field.data_key for field in event.EVENT.fields.values() if field.required}
    assert bool(loaded.events) == (required <= names)


def test_nothing_is_kept_of_a_batch_that_was_checked() -> None:
    several = msgspec.json.encode({"events": [COMMON, {**COMMON, "decisionReason": None}, plain("laptop")]})
    quick = msgspec.json.encode({"events": [COMMON]})

    def blocks() -> int:
        for _ in range(100):
            load_batch(several, "*", 3)
            load_batch(quick, "*", 3)
        gc.collect()
        return sys.getallocatedblocks()

    blocks()
    # Others' come and go; were a single object kept of each batch, there would be hundreds.
    assert blocks() - blocks() > -100
