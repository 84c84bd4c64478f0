"""What a transcript is: taken whole, filled in and put into one spelling, or refused with a reason that helps."""

import contextlib
import gc
import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import ValidationError

from app.errors import ApiError, BadRequest, Forbidden, TooLarge, Unavailable
from app.schemas.message import MAX_INDEX, MESSAGE, ROLES, load_message, surely_right
from app.schemas.transcript import MAX_MESSAGE_BYTES, MAX_MESSAGES, load_upload
from app.store.transcripts import Transcript

HELLO = {"role": "user", "content": "Fix this bug", "index": 0}

# Half a pair, as JavaScript makes it when it cuts a string, and what PostgreSQL cannot hold at all.
HALF, OTHER_HALF, NOTHING, REPLACEMENT = "\ud83d", "\ude00", "\x00", "\ufffd"

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
blocks = st.lists(st.dictionaries(st.sampled_from(["type", "text", "input"]), values, max_size=3), max_size=4)
messages = st.builds(
    lambda unknown, **known: {**unknown, **known},
    st.dictionaries(st.text(max_size=8), values, max_size=2),
    role=st.sampled_from(ROLES),
    content=st.text() | blocks,
)
doubtful = st.dictionaries(st.sampled_from(["role", "content", "index", "uuid"]), values | st.sampled_from(ROLES))


def body(*transcript: object, **fields: object) -> bytes:
    """A request with these messages."""
    return json.dumps({"sessionId": "abc123", "hostId": "laptop", "transcript": transcript, **fields}).encode()


def load_transcript(sent: bytes, key_host_id: str, deadline: float = math.inf) -> Transcript:
    return load_upload(sent, key_host_id).check(deadline)


def load(*transcript: object) -> Transcript:
    return load_transcript(body(*transcript), "laptop")


def refusal(sent: bytes, kind: type[ApiError] = BadRequest) -> Any:
    """The details of the refusal."""
    with pytest.raises(kind) as caught:
        load_transcript(sent, "laptop")
    assert type(caught.value) is kind
    return caught.value.details


def decoded(transcript: Transcript) -> Any:
    return json.loads(transcript.messages)


def test_a_transcript_is_taken_as_it_is() -> None:
    transcript = load(HELLO)
    assert (transcript.host_id, transcript.session_id) == ("laptop", "abc123")
    assert decoded(transcript) == [HELLO]


@pytest.mark.parametrize("role", ["user", "assistant", "tool_result", "tool", "system"])
def test_every_role_of_the_contract_is_taken(role: str) -> None:
    assert decoded(load({**HELLO, "role": role})) == [{**HELLO, "role": role}]


def test_content_may_be_a_list_of_blocks_and_unknown_fields_are_kept() -> None:
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "On it."}, {"type": "tool_use", "input": {"command": ["ls", None, 1.5]}}],
        "index": 0,
        "uuid": "8e0f3a52",
        "usage": {"output_tokens": 10**30},
        "parent": None,
        "a.b": {"c": []},
    }
    assert decoded(load(message)) == [message]


def test_an_index_that_is_absent_or_null_is_the_place() -> None:
    sent = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b", "index": None},
        {"role": "user", "content": "c", "index": 7},
        {"role": "user", "content": "d", "index": 8.0},
    ]
    assert [message["index"] for message in decoded(load(*sent))] == [0, 1, 7, 8]


def test_a_transcript_may_be_empty() -> None:
    transcript = load()
    assert (bytes(transcript.messages), transcript.ends) == (b"[]", [])


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"role": "robot"}, {"role": [f"Must be one of: {', '.join(ROLES)}."]}),
        ({"role": 1}, {"role": ["Not a valid string."]}),
        ({"role": []}, {"role": ["Not a valid string."]}),
        ({"role": None}, {"role": ["Field may not be null."]}),
        ({"content": None}, {"content": ["Field may not be null."]}),
        ({"content": 5}, {"content": ["Not a string or a list of objects."]}),
        ({"content": {"type": "text"}}, {"content": ["Not a string or a list of objects."]}),
        ({"content": [{"type": "text"}, "text"]}, {"content": ["Not a string or a list of objects."]}),
        ({"index": "0"}, {"index": ["Not a valid integer."]}),
        ({"index": True}, {"index": ["Not a valid integer."]}),
        ({"index": 0.5}, {"index": ["Not a valid integer."]}),
        (
            {"index": -1},
            {"index": [f"Must be greater than or equal to 0 and less than or equal to {MAX_INDEX}."]},
        ),
        (
            {"index": 10**30},
            {"index": [f"Must be greater than or equal to 0 and less than or equal to {MAX_INDEX}."]},
        ),
    ],
)
def test_a_wrong_message_is_named_by_its_place_and_field(fields: dict[str, Any], errors: dict[str, Any]) -> None:
    assert refusal(body(HELLO, {**HELLO, **fields})) == {"transcript": {"1": errors}}


def test_missing_fields_are_named() -> None:
    missing = ["Missing data for required field."]
    assert refusal(body({})) == {"transcript": {"0": {"role": missing, "content": missing}}}
    assert refusal(b"{}") == {"sessionId": missing, "hostId": missing, "transcript": missing}


@pytest.mark.parametrize("message", [5, "text", None, [], [HELLO], True])
def test_a_message_that_is_no_object_is_refused(message: object) -> None:
    assert refusal(body(HELLO, message)) == {"transcript": {"1": {"_schema": ["Invalid input type."]}}}


def test_of_very_many_wrong_messages_the_first_are_named() -> None:
    details = refusal(body(*[{"role": "robot", "content": ""}] * 5000))
    assert list(details["transcript"]) == [str(place) for place in range(20)]


@pytest.mark.parametrize("name", ["sessionId", "hostId"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("", "Length must be between 1 and 255."),
        ("x" * 256, "Length must be between 1 and 255."),
        ("\U0001f600" * 256, "Length must be between 1 and 255."),
        ("x" * 2**20, "Length must be between 1 and 255."),
        (5, "Not a valid string."),
        (True, "Not a valid string."),
        (["laptop"], "Not a valid string."),
        ({"id": "laptop"}, "Not a valid string."),
        (None, "Field may not be null."),
    ],
)
def test_a_wrong_name_is_refused(name: str, value: object, error: str) -> None:
    assert refusal(body(HELLO, **{name: value})) == {name: [error]}


@pytest.mark.parametrize("digits", [b"1" * 5000, b"1e999", b"-0.5"])
def test_a_number_is_no_name_however_large(digits: bytes) -> None:
    sent = b'{"sessionId": ' + digits + b', "hostId": "laptop", "transcript": []}'
    assert refusal(sent) == {"sessionId": ["Not a valid string."]}


@pytest.mark.parametrize("name", ["laptop", "\U0001f600" * 255, "é", '"\\'])
def test_a_name_is_up_to_255_characters_of_any_kind(name: str) -> None:
    for escaped in (True, False):
        sent = json.dumps({"sessionId": name, "hostId": name, "transcript": []}, ensure_ascii=escaped).encode()
        transcript = load_transcript(sent, "*")
        assert (transcript.session_id, transcript.host_id) == (name, name)


@pytest.mark.parametrize("value", [5, "text", {"0": HELLO}, True])
def test_a_transcript_that_is_no_array_is_refused(value: object) -> None:
    assert refusal(body(transcript=value)) == {"transcript": ["Not a valid list."]}


@pytest.mark.parametrize("sent", [b"[]", b"5", b"null", b'"text"', b"[" + body(HELLO) + b"]"])
def test_a_body_that_is_no_object_is_refused(sent: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^Send .*transcript"):
        load_transcript(sent, "laptop")


@pytest.mark.parametrize(
    "sent", [b"", b"{", b"text", body(HELLO)[:-1], body(HELLO) + b"x", body(HELLO).decode().encode("utf-16"), b"\xff"]
)
def test_a_body_that_is_no_json_is_refused(sent: bytes) -> None:
    with pytest.raises(BadRequest, match="The body is not JSON in UTF-8"):
        load_transcript(sent, "laptop")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_python_writes_for_no_number_is_named(number: str) -> None:
    with pytest.raises(BadRequest, match="NaN and Infinity are no JSON"):
        load_transcript(body({**HELLO, "cost": float(number)}), "laptop")


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    in_message = body({**HELLO, "content": "@"}).replace(b"@", b"\xff")
    assert refusal(in_message) == {"transcript": {"0": ["Not UTF-8."]}}
    in_name = body(HELLO, sessionId="@").replace(b"@", b"\xed\xa0\x80")
    with pytest.raises(BadRequest, match="not UTF-8"):
        load_transcript(in_name, "laptop")


def test_no_repair_makes_text_of_bytes_that_are_none() -> None:
    with pytest.raises(BadRequest, match="UTF-8"):
        load_transcript(body({**HELLO, "content": HALF + "@"}).replace(b"@", b"\xff\xff"), "laptop")


def test_a_number_that_no_reader_can_hold_is_refused_and_a_large_one_kept() -> None:
    assert decoded(load({**HELLO, "large": [2**64, -(10**300), 1e300]})) == [
        {**HELLO, "large": [2**64, -(10**300), 1e300]}
    ]
    for number in (b"1e999", b"-1e999", b"1" * 5000):
        sent = body({**HELLO, "large": 5}).replace(b'"large": 5', b'"large": ' + number)
        assert refusal(sent) == {"transcript": {"0": ["A number is out of range."]}}


def test_a_byte_order_mark_is_no_fault() -> None:
    assert decoded(load_transcript(b"\xef\xbb\xbf" + body(HELLO), "laptop")) == [HELLO]


def test_of_a_field_that_stands_twice_the_last_counts() -> None:
    sent = body(HELLO)[:-1] + b', "transcript": 5, "hostId": "other", "transcript": [], "hostId": "laptop"}'
    assert decoded(load_transcript(sent, "laptop")) == []
    assert refusal(sent[:-1] + b', "transcript": 5}') == {"transcript": ["Not a valid list."]}


def test_fields_of_the_body_that_are_unknown_are_ignored() -> None:
    assert decoded(load_transcript(body(HELLO, version=2, messages=[1]), "laptop")) == [HELLO]


@pytest.mark.parametrize("deep", ["[", '{"a":'])
def test_a_hundred_levels_are_taken_and_no_more(deep: str) -> None:
    def nested(levels: int) -> bytes:
        inner = deep * levels + "0" + {"[": "]", '{"a":': "}"}[deep] * levels
        return body({**HELLO, "extra": 5}).replace(b'"extra": 5', b'"extra": ' + inner.encode())

    assert len(decoded(load_transcript(nested(99), "laptop"))) == 1
    assert refusal(nested(100)) == {"transcript": {"0": ["Nested too deeply."]}}
    assert refusal(nested(900)) == {"transcript": {"0": ["Nested too deeply."]}}
    with pytest.raises(BadRequest, match="nested too deeply"):
        load_transcript(nested(100_000), "laptop")


def test_brackets_in_text_are_no_levels() -> None:
    message = {**HELLO, "content": '\\"[{' * 1000, "blocks": [{} for _ in range(1000)]}
    assert decoded(load(message)) == [message]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (HALF, REPLACEMENT),
        (OTHER_HALF, REPLACEMENT),
        (NOTHING, REPLACEMENT),
        (OTHER_HALF + HALF, REPLACEMENT * 2),
        (HALF + HALF + OTHER_HALF, REPLACEMENT + "\U0001f600"),
        (HALF + OTHER_HALF + OTHER_HALF, "\U0001f600" + REPLACEMENT),
        ("\\" + HALF + "\\\\" + NOTHING, "\\" + REPLACEMENT + "\\\\" + REPLACEMENT),
        ("a\\ud83d\\\\u0000", "a\\ud83d\\\\u0000"),
        ("\\ud83d" + HALF, "\\ud83d" + REPLACEMENT),
        ("\\u0000" + NOTHING, "\\u0000" + REPLACEMENT),
    ],
)
def test_text_that_postgresql_cannot_hold_is_replaced_and_nothing_else(text: str, stored: str) -> None:
    sent = body({**HELLO, "content": text, text: [text]}, sessionId=text)
    transcript = load_transcript(sent, "laptop")
    assert decoded(transcript) == [{**HELLO, "content": stored, stored: [stored]}]
    assert transcript.session_id == stored


def test_a_transcript_holds_ten_thousand_messages_and_no_more() -> None:
    assert len(load(*[HELLO] * MAX_MESSAGES).ends) == MAX_MESSAGES == 10_000
    refusal(body(*[HELLO] * (MAX_MESSAGES + 1)), TooLarge)


def test_far_too_many_messages_are_refused_before_they_fill_the_memory() -> None:
    refusal(body(transcript="@").replace(b'"@"', b"[" + b"0," * 2**21 + b"0]"), TooLarge)


def test_a_transcript_with_many_commas_is_none_with_many_messages() -> None:
    message = {**HELLO, "content": "," * 200_000}
    assert decoded(load(message, message)) == [message, message]


def test_a_message_is_a_mebibyte_as_received_and_no_more() -> None:
    room = MAX_MESSAGE_BYTES - len(json.dumps({**HELLO, "content": ""}))
    assert MAX_MESSAGE_BYTES == 2**20
    assert len(load({**HELLO, "content": "x" * room}).ends) == 1
    refusal(body(HELLO, {**HELLO, "content": "x" * (room + 1)}), TooLarge)


@pytest.mark.parametrize(
    "sent",
    [
        body({**HELLO, "role": "robot"}),
        body(HELLO, sessionId=5),
        body(HELLO)[:-1],
        body(*[HELLO] * (MAX_MESSAGES + 1)),
        body({**HELLO, "cost": float("nan")}),
    ],
)
def test_a_refused_body_is_let_go_of_at_once(sent: bytes) -> None:
    gc.disable()
    try:
        before = sys.getrefcount(sent)
        with contextlib.suppress(ApiError):
            load_transcript(sent, "laptop")
        assert sys.getrefcount(sent) == before
    finally:
        gc.enable()


def test_a_transcript_that_takes_too_long_is_put_off() -> None:
    with pytest.raises(Unavailable):
        load_transcript(body(HELLO), "laptop", time.monotonic())


def test_a_key_writes_for_its_own_host_only() -> None:
    assert load_transcript(body(HELLO), "*").host_id == "laptop"
    with pytest.raises(Forbidden, match="may not write for this host"):
        load_transcript(body(HELLO, transcript=[5]), "desktop")


@given(st.lists(messages, max_size=5))
def test_what_is_stored_is_what_was_sent(transcript: list[dict[str, Any]]) -> None:
    expected = [
        {**message, "index": place if message.get("index") is None else message["index"]}
        for place, message in enumerate(transcript)
    ]
    indexes = [message["index"] for message in expected]
    if all(type(index) is int and 0 <= index <= MAX_INDEX for index in indexes):
        sent = msgspec.json.encode({"sessionId": "s", "hostId": "laptop", "transcript": transcript})
        assert decoded(load_transcript(sent, "laptop")) == _stored(expected)


def _stored(value: Any) -> Any:
    if isinstance(value, dict):
        return {_stored(name): _stored(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_stored(item) for item in value]
    return value.replace(NOTHING, REPLACEMENT) if isinstance(value, str) else value


@given(st.lists(messages, max_size=4), st.data())
def test_equal_messages_are_equal_bytes_however_they_are_spelt(
    transcript: list[dict[str, Any]], data: st.DataObject
) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shuffled(value[name]) for name in data.draw(st.permutations(list(value)))}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    fields = {"sessionId": "s", "hostId": "laptop"}
    one = json.dumps({**fields, "transcript": transcript}, separators=(",", ":")).encode()
    other = json.dumps({"transcript": shuffled(transcript), **fields}, indent=2, ensure_ascii=False)
    try:
        first = load_transcript(one, "laptop")
    except BadRequest:
        return
    second = load_transcript(other.encode("utf-8", "surrogatepass"), "laptop")
    assert (first.messages, first.ends, first.chain()) == (second.messages, second.ends, second.chain())


def test_an_upload_is_the_same_as_another_whose_messages_have_the_same_bytes() -> None:
    one, fields = load_upload(body(HELLO), "laptop"), {"version": 2}
    assert load_upload(body(HELLO, **fields), "laptop").received == one.received
    assert load_upload(body(HELLO, HELLO), "laptop").received != one.received
    assert load_upload(body(HELLO).replace(b"user", b"tool"), "laptop").received != one.received
    assert len(one.received) == 16


@given(doubtful)
@example({"role": "user", "content": "", "index": MAX_INDEX})
@example({"role": "user", "content": "", "index": MAX_INDEX + 1})
@example({"role": "user", "content": [], "index": None})
@example({"role": "user", "content": [{}], "index": -0.0})
def test_the_quick_way_and_marshmallow_are_equal(message: dict[str, Any]) -> None:
    try:
        loaded = MESSAGE.load(message)
    except ValidationError:
        assert not surely_right(message)
        return
    if surely_right(message):
        assert repr(sorted(loaded.items())) == repr(sorted(message.items()))


def test_the_common_message_takes_the_quick_way() -> None:
    assert surely_right(HELLO)
    assert surely_right({"role": "assistant", "content": [{"type": "text"}], "uuid": 1})


@given(doubtful)
def test_every_message_is_taken_as_marshmallow_has_it_or_refused_in_its_words(message: dict[str, Any]) -> None:
    assert outcome(lambda: load_message(json.dumps(message).encode(), 3)) == outcome(lambda: by_marshmallow(message, 3))


def by_marshmallow(message: dict[str, Any], place: int) -> Any:
    loaded = MESSAGE.load(message)
    return {**loaded, "index": place} if loaded.get("index") is None else loaded


def outcome(work: Callable[[], Any]) -> Any:
    """What the work gives, or the messages with which it refuses."""
    try:
        return work()
    except ValidationError as error:
        return error.messages


def test_the_chain_never_changes_from_release_to_release() -> None:
    message = {
        "role": "assistant",
        "content": [
            {"text": 'é\n\u2028\x7f\x01"\\/<\U0001f600', "n": [0.1, -0.0, 1e22, 1e-7, 10**20, 2**53, None, True]}
        ],
        "index": 0,
    }
    # What it is a digest of is spelt by a library, whose next version might spell numbers in another way. Then a late
    # retry of a beginning would no longer be known as one, and replace the whole.
    chain = load(message, HELLO).chain()
    assert chain.hex() == "aeea80eefa054557ddb3088d9cbd293904dc43618004888435983feb626d77ac"
