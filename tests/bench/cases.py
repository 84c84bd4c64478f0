"""What is sent: bodies of events and of transcripts, each with marks that make every request a new one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from dev.generate import Event, events
from tests.bench.wrk import MARK, Plan

EVENTS = "/api/v1/telemetry/batch"
TRANSCRIPTS = "/api/v1/transcript"

# How each is measured: so many collector processes, and a warm-up before.
PROCESSES = 2
SECONDS = 10.0
# Each case is measured so often, and the median counts: on a machine of the cloud something always comes between.
ROUNDS = 3
WARM_UP_SECONDS = 2.0

# What clients of the first generation send, and nothing else.
FIRST_GENERATION = (
    *("hostId", "sessionId", "eventType", "agentName", "timestamp", "decision"),
    *("decisionReason", "toolName", "latencyMs", "modelTier"),
)
# So many different events are sent; each comes again under other identities.
POOL = 4000
GROWTH = 25


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table: `size` events or messages a request, sent by that plan."""

    name: str
    path: str
    size: int
    plan: Plan = "each"
    first_generation: bool = False

    def bodies(self) -> Iterator[str]:
        """What wrk is to send."""
        if self.path == TRANSCRIPTS:
            lengths = range(self.size, self.size + GROWTH) if self.plan == "grow" else (self.size,)
            return (transcript(length) for length in lengths)
        return batches(self.size, first_generation=self.first_generation)


TRANSCRIPT_PLANS: tuple[tuple[str, Plan], ...] = (("new", "each"), ("grown by one", "grow"), ("unchanged", "same"))

CASES = (
    Case("events, 1 a batch", EVENTS, 1),
    Case("events, 10 a batch", EVENTS, 10),
    Case("events, 100 a batch", EVENTS, 100),
    Case("events, 100 a batch, every tenth batch again", EVENTS, 100, "repeat"),
    Case("first generation, 1 a batch", EVENTS, 1, first_generation=True),
    Case("first generation, 10 a batch", EVENTS, 10, first_generation=True),
    Case("first generation, 100 a batch", EVENTS, 100, first_generation=True),
    *(
        Case(f"transcript of {size} messages, {word}", TRANSCRIPTS, size, plan)
        for size in (10, 200, 5000)
        for word, plan in TRANSCRIPT_PLANS
    ),
)
# What the targets are of: second-generation events, each one new.
MAIN = CASES[:3]
# Which of them are compared with the bulk copy; the others, with what bare answers to the same.
COPIED = CASES[2:3]


def pool(count: int = POOL) -> Iterator[Event]:
    """Second-generation events of the last day, full ones: each has every field of the contract."""
    now = datetime.now(UTC)
    return events(1, count, now - timedelta(days=1), now, full=True)


def batches(size: int, *, first_generation: bool = False) -> Iterator[str]:
    """Bodies of `size` events each, POOL events in all."""
    stream = (_first(event) if first_generation else _second(event) for event in pool())
    while batch := list(islice(stream, size)):
        yield json.dumps({"events": batch}, separators=(",", ":"))


def _second(event: Event) -> Event:
    return {**event, "eventId": MARK + event["eventId"][len(MARK) :]}


def _first(event: Event) -> Event:
    # Without an eventId the content tells events apart.
    reason = f"{event['decisionReason']} ({MARK})"
    return {**{name: event[name] for name in FIRST_GENERATION if name in event}, "decisionReason": reason}


def transcript(messages: int) -> str:
    """A session's transcript with that many messages; a longer one begins as a shorter one does."""
    body = {"hostId": "devbox-01", "sessionId": f"bench-{MARK}", "transcript": [_message(n) for n in range(messages)]}
    return json.dumps(body, separators=(",", ":"))


def _message(number: int) -> dict[str, Any]:
    if number % 3 == 0:
        return {"role": "user", "content": f"Step {number}: bring the invoice module in line with the new interface."}
    if number % 3 == 1:
        call = {"type": "tool_use", "id": f"toolu_{number:08d}", "name": "Bash", "input": {"command": "npm test"}}
        return {"role": "assistant", "content": [{"type": "text", "text": "I run the tests first."}, call]}
    return {"role": "tool_result", "content": f"{number} passed, 0 failed. " + "ok " * 20}
