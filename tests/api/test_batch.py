"""POST /api/v1/telemetry/batch, as hosts see it: what is stored, and how often."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.api.events import FULL, event, quarantined, receipt, stored
from tests.fixtures.collector import Collector
from tests.fixtures.postgres import connect


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
