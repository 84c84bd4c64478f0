"""POST /api/v1/telemetry/batch, as hosts see it: what is stored, what is answered."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg.rows import dict_row

from tests.fixtures.client import Response
from tests.fixtures.collector import BATCH, Collector
from tests.fixtures.postgres import connect

FULL = {
    "eventId": "8e0f3a52-7d0e-4a5e-9b1e-0123456789ab",
    "sessionId": "s-1",
    "eventType": "hook_decision",
    "agentName": "tool-approve",
    "timestamp": "2026-03-04T05:06:07.123456789+02:00",
    "decision": "Denied",
    "decisionReason": "rm -rf is not safe",
    "hookName": "PreToolUse",
    "toolName": "Bash",
    "modelName": "claude-3-haiku-20240307",
    "mode": "lazy",
    "executionType": "llm",
    "modelTier": "haiku",
    "provider": "anthropic",
    "clientVersion": "2.1.0",
    "workingDir": "/home/me/project",
    "latencyMs": 150.25,
    "success": True,
    "errorCount": 0,
    "warningCount": 2,
    "promptTokens": 10**12,
    "completionTokens": 20,
    "totalTokens": 30,
    "cachedTokens": 0,
    "reasoningTokens": 5,
    "cost": 0.123456789,
    "generationId": "gen-1,gen-2",
    "toolInput": {"command": "rm -rf /", "timeout": 1.5},
    "extraData": {"deep": {"list": [1, "two", None]}},
}


def event(host: str, **fields: Any) -> dict[str, Any]:
    """A first-generation event of `host`, with other or further fields."""
    return {
        "hostId": host,
        "sessionId": "abc123",
        "eventType": "agent_execution",
        "agentName": "tool-approve",
        "timestamp": "2024-01-15T10:30:00Z",
        "decision": "APPROVED",
        "decisionReason": "Tool is safe",
        "toolName": "Bash",
        "latencyMs": 150,
        "modelTier": "haiku",
        **fields,
    }


def stored(collector: Collector, host: str) -> list[dict[str, Any]]:
    """The host's events in the database, in the order in which they happened."""
    with connect(collector.database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM reporting.events WHERE host_id = %s ORDER BY occurred_at, received_at", [host]
        ).fetchall()


def quarantined(collector: Collector, word: str) -> list[dict[str, Any]]:
    """The quarantined events whose text holds `word`."""
    with connect(collector.database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM quarantined_events WHERE event LIKE %s ORDER BY id", [f"%{word}%"]
        ).fetchall()


def receipt(accepted: int, duplicates: int = 0) -> dict[str, Any]:
    return {"accepted": accepted, "duplicates": duplicates, "rejected": []}


def test_a_first_generation_event_is_stored_once(shared_collector: Collector, host: str) -> None:
    first = shared_collector.send_events(event(host))
    again = shared_collector.send_events(event(host))

    assert (first.status, first.json()) == (200, receipt(1))
    assert (again.status, again.json()) == (200, receipt(1, duplicates=1))
    (row,) = stored(shared_collector, host)
    assert row["occurred_at"] == datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    assert (row["decision"], row["outcome"], row["latency_ms"]) == ("APPROVED", "approved", 150)


def test_every_field_of_the_second_generation_is_kept(shared_collector: Collector, host: str) -> None:
    assert shared_collector.send_events({**FULL, "hostId": host}).json() == receipt(1)

    (row,) = stored(shared_collector, host)
    assert row.pop("received_at") - datetime.now(UTC) < timedelta(seconds=10)
    assert row == {
        "host_id": host,
        "occurred_at": datetime(2026, 3, 4, 3, 6, 7, 123456, tzinfo=UTC),
        "event_id": FULL["eventId"],
        "session_id": "s-1",
        "event_type": "hook_decision",
        "agent_name": "tool-approve",
        "decision": "Denied",
        "outcome": "denied",
        "decision_reason": "rm -rf is not safe",
        "hook_name": "PreToolUse",
        "tool_name": "Bash",
        "model_name": "claude-3-haiku-20240307",
        "mode": "lazy",
        "execution_type": "llm",
        "model_tier": "haiku",
        "provider": "anthropic",
        "client_version": "2.1.0",
        "working_dir": "/home/me/project",
        "latency_ms": 150.25,
        "success": True,
        "error_count": 0,
        "warning_count": 2,
        "prompt_tokens": 10**12,
        "completion_tokens": 20,
        "total_tokens": 30,
        "cached_tokens": 0,
        "reasoning_tokens": 5,
        "cost": Decimal("0.123456789"),
        "generation_id": "gen-1,gen-2",
        "tool_input": FULL["toolInput"],
        "extra_data": FULL["extraData"],
        "attributes": None,
    }


def test_unknown_fields_are_kept_as_attributes_and_never_pose_as_known_ones(
    shared_collector: Collector, host: str
) -> None:
    strange = {"spanId": "7", "host_id": "another", "a.b": [1, {"c": 10**30}], "attributes": {"x": 1}, "gone": None}
    assert shared_collector.send_events(event(host, **strange)).json() == receipt(1)

    (row,) = stored(shared_collector, host)
    del strange["gone"]
    assert row["attributes"] == strange


def test_null_means_absent(shared_collector: Collector, host: str) -> None:
    nothing = dict.fromkeys(("decision", "latencyMs", "toolInput", "eventId", "success", "cost"))
    assert shared_collector.send_events(event(host, **nothing)).json() == receipt(1)

    (row,) = stored(shared_collector, host)
    assert (row["decision"], row["outcome"], row["latency_ms"], row["tool_input"]) == (None, "none", None, None)


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("2024-01-15T10:30:00Z", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
        ("2024-01-15T10:30:00", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
        ("2024-01-15T10:30:00-05:30", datetime(2024, 1, 15, 16, 0, tzinfo=UTC)),
        ("2024-01-15T10:30:00.999999999Z", datetime(2024, 1, 15, 10, 30, 0, 999999, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_may_have_any_offset_and_lie_in_any_year(
    shared_collector: Collector, host: str, sent: str, moment: datetime
) -> None:
    assert shared_collector.send_events(event(host, timestamp=sent)).json() == receipt(1)
    assert [row["occurred_at"] for row in stored(shared_collector, host)] == [moment]


def test_an_event_without_a_timestamp_happened_when_it_was_received(shared_collector: Collector, host: str) -> None:
    before = datetime.now(UTC)
    assert shared_collector.send_events(event(host, timestamp=None, eventId="1")).json() == receipt(1)
    assert shared_collector.send_events(event(host, timestamp=None, eventId="1")).json() == receipt(1, 1)

    (row,) = stored(shared_collector, host)
    assert row["occurred_at"] == row["received_at"]
    assert before - timedelta(seconds=1) < row["received_at"] < datetime.now(UTC) + timedelta(seconds=1)


def test_an_event_id_is_stored_once_whatever_time_it_comes_with(shared_collector: Collector, host: str) -> None:
    times = ["2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z", None, "1999-01-01T00:00:00Z"]
    receipts = [shared_collector.send_events(event(host, eventId="x", timestamp=time)).json() for time in times]
    assert receipts == [receipt(1), receipt(1, 1), receipt(1, 1), receipt(1, 1)]
    assert len(stored(shared_collector, host)) == 1


def test_an_event_id_twice_in_a_request_is_one_event(shared_collector: Collector, host: str) -> None:
    answer = shared_collector.send_events(event(host, eventId="x"), event(host, eventId="x", toolName="Edit"))
    assert answer.json() == receipt(2, 1)
    assert [row["tool_name"] for row in stored(shared_collector, host)] == ["Bash"]


def test_equal_events_in_one_request_are_two_and_stay_two(shared_collector: Collector, host: str) -> None:
    twin, other = event(host), event(host, toolName="Edit")
    assert shared_collector.send_events(twin, twin, other).json() == receipt(3)
    assert shared_collector.send_events(twin, twin, other).json() == receipt(3, 3)
    # In parts: each part is a repeat, wherever it is cut.
    assert shared_collector.send_events(twin).json() == receipt(1, 1)
    assert shared_collector.send_events(twin, other).json() == receipt(2, 2)
    assert len(stored(shared_collector, host)) == 3


def test_without_event_id_and_timestamp_an_equal_event_is_a_repeat_for_an_hour(collector: Collector, host: str) -> None:
    bare = event(host, timestamp=None)
    assert collector.send_events(bare).json() == receipt(1)
    assert collector.send_events(bare).json() == receipt(1, 1)

    def age(minutes: int) -> None:
        with connect(collector.database_url) as connection:
            connection.execute("UPDATE event_identities SET stored_at = now() - %s * interval '1 min'", [minutes])

    age(59)
    assert collector.send_events(bare).json() == receipt(1, 1)
    age(61)
    assert collector.send_events(bare).json() == receipt(1)
    assert collector.send_events(bare).json() == receipt(1, 1)
    assert len(stored(collector, host)) == 2


def test_a_bad_event_costs_its_neighbours_nothing_and_is_kept_once(shared_collector: Collector, host: str) -> None:
    bad = event(host, latencyMs="150", cost=-1, toolName=f"tool-of-{host}")
    answers = [shared_collector.send_events(event(host), bad, event(host, toolName="Edit")) for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert answers[0].json() == {
        "accepted": 2,
        "duplicates": 0,
        "rejected": [
            {
                "index": 1,
                "errors": {
                    "latencyMs": ["Not a valid number."],
                    "cost": ["Must be greater than or equal to 0 and less than or equal to 1000000."],
                },
            }
        ],
    }
    (kept,) = quarantined(shared_collector, f"tool-of-{host}")
    assert (kept["times"], json.loads(kept["event"]), sorted(kept["errors"])) == (3, bad, ["cost", "latencyMs"])
    assert len(stored(shared_collector, host)) == 2


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


def test_a_key_writes_for_its_own_host_only(shared_collector: Collector, host: str) -> None:
    key, stranger = shared_collector.create_key(host), f"{host}-stranger"

    mixed = shared_collector.send_events(event(host), event(stranger), key=key)
    assert mixed.status == 200
    assert mixed.json()["accepted"] == 1
    assert mixed.json()["rejected"] == [{"index": 1, "errors": {"hostId": ["This key may not write for this host."]}}]
    only = shared_collector.send_events(event(stranger), key=key)
    assert only.status == 403
    # One that would be refused anyway is a bad request, since it is not for another host.
    assert shared_collector.send_events(event(stranger), event(host, cost="1"), key=key).status == 400
    assert stored(shared_collector, stranger) == []
    assert quarantined(shared_collector, stranger) == []


def test_the_number_of_events_a_batch_is_a_setting(database_url: str, host: str, start_collector: Any) -> None:
    collector = start_collector(database_url, TELEMETRY_MAX_BATCH_EVENTS="1000")
    many = [event(host, toolName=f"t{number}") for number in range(1000)]
    assert collector.send_events(*many).json() == receipt(1000)
    assert collector.send_events(*many, event(host)).status == 400
    assert collector.send_events(*many).json() == receipt(1000, 1000)


def test_a_value_that_only_postgresql_refuses_costs_its_own_event_alone(collector: Collector, host: str) -> None:
    """Should the schema ever let through what a column cannot hold: here a check that an operator added."""
    with connect(collector.database_url) as connection:
        connection.execute("ALTER TABLE telemetry_events ADD CONSTRAINT cheap CHECK (cost < 500)")
    answer = collector.send_events(event(host, cost=1), event(host, cost=500_000), event(host, cost=2))
    assert answer.status == 200
    assert answer.json()["accepted"] == 2
    assert [item["index"] for item in answer.json()["rejected"]] == [1]
    assert "cheap" in str(answer.json()["rejected"][0]["errors"])
    assert len(stored(collector, host)) == 2
    assert len(quarantined(collector, "500000")) == 1
