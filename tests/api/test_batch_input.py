"""What a batch may hold: bounds, oddities, types and encodings, each with its answer."""

import gzip
import json
from typing import Any

import pytest

from tests.api.events import event, receipt, stored
from tests.fixtures.client import Response
from tests.fixtures.collector import BATCH, Collector

REFUSED_FIELDS = [
    ("hostId", ""),
    ("hostId", "h" * 256),
    ("sessionId", 5),
    ("sessionId", None),
    ("agentName", ["a"]),
    ("eventType", "t" * 65),
    ("eventId", ""),
    ("eventId", "i" * 129),
    ("timestamp", 1705314600),
    ("timestamp", "yesterday"),
    ("timestamp", "2024-02-30T00:00:00Z"),
    ("timestamp", "0001-01-01T00:00:00+14:00"),
    ("decision", "D" * 65),
    ("decisionReason", "r" * 65_537),
    ("workingDir", "/" * 4097),
    ("latencyMs", "150"),
    ("latencyMs", True),
    ("latencyMs", -1),
    ("latencyMs", 86_400_000.5),
    ("latencyMs", 10**400),
    ("success", 1),
    ("success", "true"),
    ("errorCount", 1.5),
    ("errorCount", 2**31),
    ("promptTokens", 10**12 + 1),
    ("promptTokens", False),
    ("cost", 10**6 + 1),
    ("generationId", "g" * 2049),
    ("toolInput", "ls"),
    ("extraData", [1]),
]


@pytest.mark.parametrize(("name", "value"), REFUSED_FIELDS, ids=[f"{n}-{str(v)[:12]}" for n, v in REFUSED_FIELDS])
def test_a_field_out_of_its_bounds_is_refused_by_name(
    shared_collector: Collector, host: str, name: str, value: Any
) -> None:
    answer = shared_collector.send_events(event(host, **{name: value}))
    assert answer.status == 400
    (rejected,) = answer.json()["details"]["rejected"]
    assert list(rejected["errors"]) == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hostId", "h" * 255),
        ("decisionReason", "r" * 65_536),
        ("eventType", "something_new"),
        ("errorCount", 3.0),
        ("errorCount", 2**31 - 1),
        ("latencyMs", 86_400_000),
        ("latencyMs", 0.001),
        ("cost", 10**6),
        ("cost", 1e-12),
        ("toolName", ""),
        ("timestamp", "2024-01-15T10:30:00,5+0200"),
    ],
)
def test_a_field_at_its_bounds_is_taken(shared_collector: Collector, host: str, name: str, value: Any) -> None:
    assert shared_collector.send_events(event(host, **{name: value, "sessionId": host})).status == 200


ODD_BODIES = [
    (b"", "not JSON"),
    (b"nonsense", "not JSON"),
    (b"[]", "Send {"),
    (b"{}", "Send {"),
    (b'{"events": null}', "Send {"),
    (b'{"events": {}}', "Send {"),
    (b'{"events": []}', "1 to 100"),
    (b'{"events": [' + b",".join([b"{}"] * 101) + b"]}", "1 to 100"),
    (b'{"events": [{}]} trailing', "not JSON"),
    ('{"events": [{}]}'.encode("utf-16"), "not JSON"),
    (b'{"events": [' + b"[" * 200_000 + b"]" * 200_000 + b"]}", "nested too deeply"),
    (b'{"events": [{"a": "\xff"}], "b": "\\ud800"}', "not JSON"),
]


@pytest.mark.parametrize(("body", "words"), ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_a_body_of_another_shape_is_refused_in_one_sentence(
    shared_collector: Collector, body: bytes, words: str
) -> None:
    answer = shared_collector.post(BATCH, body, key=shared_collector.key)
    assert answer.status == 400
    assert words in answer.json()["error"]


def send_raw(collector: Collector, text: str | bytes) -> Response:
    """Posts events that Python's own JSON would not write."""
    return collector.post(BATCH, text.encode() if isinstance(text, str) else text, key=collector.key)


@pytest.mark.parametrize(
    ("spelled", "errors"),
    [
        ('"latencyMs": NaN', {"_schema": ["A number is out of range, or NaN."]}),
        ('"extraData": {"x": -Infinity}', {"_schema": ["A number is out of range, or NaN."]}),
        ('"anything": 1e999', {"_schema": ["A number is out of range."]}),
        ('"anything": ' + "9" * 5000, {"_schema": ["A number is out of range."]}),
        ('"deep": ' + "[" * 101 + "]" * 101, {"_schema": ["Nested too deeply."]}),
        ('"text": "\xff"', {"_schema": ["Not UTF-8."]}),
    ],
)
def test_what_no_column_can_hold_costs_only_its_own_event(
    shared_collector: Collector, host: str, spelled: str, errors: dict[str, Any]
) -> None:
    good, bad = json.dumps(event(host)), json.dumps(event(host))[:-1] + ", " + spelled + "}"
    answer = send_raw(shared_collector, f'{{"events": [{good}, {bad}, 5]}}'.encode("latin-1"))

    assert answer.status == 200
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"] == [
        {"index": 1, "errors": errors},
        {"index": 2, "errors": {"_schema": ["Not an object."]}},
    ]
    assert len(stored(shared_collector, host)) == 1


@pytest.mark.parametrize("levels", [101, 500, 900, 960, 980, 990, 1000, 5000])
@pytest.mark.parametrize("text", ["whole", "half a pair \\ud83d"])
def test_no_depth_costs_a_neighbour_or_the_collector(
    shared_collector: Collector, host: str, levels: int, text: str
) -> None:
    deep = json.dumps(event(host))[:-1] + f', "text": "{text}", "deep": {"[" * levels}{"]" * levels}}}'
    answer = send_raw(shared_collector, f'{{"events": [{json.dumps(event(host))}, {deep}]}}')
    # Beyond what the parser itself can follow, there are no events to tell apart.
    if answer.status == 200:
        assert answer.json()["rejected"] == [{"index": 1, "errors": {"_schema": ["Nested too deeply."]}}]
    else:
        assert (answer.status, answer.json()["error"]) == (400, "The JSON is nested too deeply.")
        assert levels > 500


def test_text_that_postgresql_cannot_hold_is_kept_with_a_replacement_character(
    shared_collector: Collector, host: str
) -> None:
    odd = event(
        host,
        decisionReason="nul \u0000 and half a pair \ud83d.",
        toolInput={"\u0000": ["\udc00", "\U0001f600"]},
        extra="\u0000",
        workingDir="/\u0000",
    )
    assert shared_collector.send_events(odd, event(host)).json() == receipt(2)
    assert shared_collector.send_events(odd).json() == receipt(1, 1)

    row = next(row for row in stored(shared_collector, host) if row["working_dir"])
    assert row["decision_reason"] == "nul \ufffd and half a pair \ufffd."
    assert row["tool_input"] == {"\ufffd": ["\ufffd", "\U0001f600"]}
    assert (row["attributes"], row["working_dir"]) == ({"extra": "\ufffd"}, "/\ufffd")


def test_the_last_of_two_equal_names_counts(shared_collector: Collector, host: str) -> None:
    twice = json.dumps(event(host))[:-1] + ', "toolName": "Edit", "toolName": "Write"}'
    assert send_raw(shared_collector, f'{{"events": [{twice}]}}').json() == receipt(1)
    assert [row["tool_name"] for row in stored(shared_collector, host)] == ["Write"]


def test_a_byte_order_mark_is_no_harm(shared_collector: Collector, host: str) -> None:
    assert send_raw(shared_collector, "\ufeff" + json.dumps({"events": [event(host)]})).json() == receipt(1)


def test_gzip_chunks_and_a_charset_are_fine(shared_collector: Collector, host: str) -> None:
    body = json.dumps({"events": [event(host)]}).encode()
    headers = {"Content-Type": "application/json; charset=UTF-8", "X-API-Key": shared_collector.key}

    chunked = shared_collector.request("POST", BATCH, iter([body[:10], body[10:]]), headers)
    assert (chunked.status, chunked.json()) == (200, receipt(1))
    zipped = shared_collector.post(BATCH, body, key=shared_collector.key, compress=True)
    assert (zipped.status, zipped.json()) == (200, receipt(1, 1))
    members = gzip.compress(body[:10]) + gzip.compress(body[10:])
    joined = shared_collector.request("POST", BATCH, members, {**headers, "Content-Encoding": "gzip"})
    assert (joined.status, joined.json()) == (200, receipt(1, 1))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Encoding": "br"}, 415),
        ({"Content-Encoding": "gzip"}, 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_other_types_and_encodings_are_refused(
    shared_collector: Collector, host: str, headers: dict[str, str], status: int
) -> None:
    answer = shared_collector.post(BATCH, {"events": [event(host)]}, key=shared_collector.key, headers=headers)
    assert answer.status == status


def test_a_body_is_at_most_8_mib_after_decompression(shared_collector: Collector, host: str) -> None:
    def padded(size: int) -> bytes:
        body = json.dumps({"events": [event(host)]}).encode()
        return body + b" " * (size - len(body))

    limit, key = 8 * 2**20, shared_collector.key
    assert shared_collector.post(BATCH, padded(limit), key=key).status == 200
    assert shared_collector.post(BATCH, padded(limit + 1), key=key).status == 413
    assert shared_collector.post(BATCH, padded(limit), key=key, compress=True).status == 200
    assert shared_collector.post(BATCH, padded(limit + 1), key=key, compress=True).status == 413
    # A small body that would fill the memory.
    assert shared_collector.post(BATCH, gzip.compress(bytes(200 * 2**20)), key=key, headers=GZIP).status == 413
    assert shared_collector.post(BATCH, gzip.compress(padded(1000))[:-9], key=key, headers=GZIP).status == 400


GZIP = {"Content-Encoding": "gzip"}
