"""What an event is: the contract's table of fields as a marshmallow schema, and what follows from a decision."""

from collections.abc import Mapping
from typing import Any

import msgspec
from marshmallow import EXCLUDE, Schema

from app.schemas.fields import Flag, Instant, Number, Object, Text, Whole
from app.schemas.quick import Completion, Doubtful, values_type

TOKENS = 10**12
COUNT = 2**31 - 1
DAY_MS = 86_400_000

# The one vocabulary that everything counts by. A decision that is in none of these is "other".
OUTCOMES = {
    "approved": ("APPROVE", "APPROVED", "OK", "ALIGNED", "OVERTURN", "ACCEPT", "ACCEPTED"),
    "denied": (
        *("DENY", "DENIED", "DECLINED", "BLOCK", "BLOCKED", "UPHOLD", "DRIFT", "DRIFTED", "INTERVENE"),
        *("REJECT", "REJECTED"),
    ),
    "confirmed": ("CONFIRM", "CONFIRMED"),
    "continued": ("CONTINUE",),
    "succeeded": ("SUCCESS",),
    "failed": ("ERROR",),
}
_OUTCOME = {decision: outcome for outcome, decisions in OUTCOMES.items() for decision in decisions}


def outcome(decision: str | None) -> str:
    """The outcome that `decision` stands for, without regard to case; "none" without a decision."""
    return "none" if decision is None else _OUTCOME.get(decision.upper(), "other")


class EventSchema(Schema):
    """One event as hosts send it. Absent fields are absent in the result; unknown ones are the caller's to keep."""

    class Meta:
        """Unknown fields are no error, and never reach the result, where one could pose as a known field."""

        unknown = EXCLUDE

    host_id = Text(
        255, "The machine that sends. The API key must be one for it.", low=1, required=True, data_key="hostId"
    )
    session_id = Text(255, "The agent's session.", low=1, required=True, data_key="sessionId")
    agent_name = Text(255, "The agent, such as tool-approve.", low=1, required=True, data_key="agentName")
    event_type = Text(
        64,
        "agent_execution, hook_decision, error, escalation or commit; others are stored too.",
        low=1,
        required=True,
        data_key="eventType",
    )
    event_id = Text(
        128,
        "The client's own id: an event of the same host with the same id is stored once. Without it, an event of the"
        " same content is.",
        low=1,
        data_key="eventId",
    )
    timestamp = Instant(
        "When it happened, in ISO 8601 with any offset (none is UTC) and up to nanoseconds, of which microseconds are"
        " kept. Absent: when it was received."
    )
    decision = Text(
        64, "As the agent put it, such as APPROVED or DENY; what it counts as is worked out from it.", low=1
    )
    decision_reason = Text(65_536, "Why it decided so.", data_key="decisionReason")
    hook_name = Text(255, "The hook that ran the agent, such as PreToolUse.", data_key="hookName")
    tool_name = Text(255, "The tool that the decision is about, such as Bash.", data_key="toolName")
    model_name = Text(255, "The model by its full name, such as claude-3-haiku-20240307.", data_key="modelName")
    mode = Text(64, "direct or lazy.")
    execution_type = Text(64, "llm or typescript.", data_key="executionType")
    model_tier = Text(64, "haiku, sonnet or opus.", data_key="modelTier")
    provider = Text(64, "Who runs the model, such as anthropic.")
    client_version = Text(64, "The version of the software that sends.", data_key="clientVersion")
    working_dir = Text(4096, "The folder in which the agent worked.", data_key="workingDir")
    latency_ms = Number(DAY_MS, "How long the agent took, in milliseconds; fractions are kept.", data_key="latencyMs")
    success = Flag("Whether the agent ran without an error of its own. A denial can be a success.")
    error_count = Whole(COUNT, "Errors on the way.", data_key="errorCount")
    warning_count = Whole(COUNT, "Warnings on the way.", data_key="warningCount")
    prompt_tokens = Whole(TOKENS, "Tokens sent to the model.", data_key="promptTokens")
    completion_tokens = Whole(TOKENS, "Tokens that the model gave.", data_key="completionTokens")
    total_tokens = Whole(TOKENS, "Tokens in all.", data_key="totalTokens")
    cached_tokens = Whole(TOKENS, "Tokens that the provider had cached.", data_key="cachedTokens")
    reasoning_tokens = Whole(TOKENS, "Tokens that the model spent on reasoning.", data_key="reasoningTokens")
    cost = Number(10**6, "What the model cost, in US dollars; kept exactly to 9 decimals.")
    generation_id = Text(2048, "The provider's ids of what it generated, comma-separated.", data_key="generationId")
    tool_input = Object("What the tool was to be given.", data_key="toolInput")
    extra_data = Object("Whatever else the client wants to keep.", data_key="extraData")


EVENT = EventSchema()
KNOWN = frozenset(field.data_key or name for name, field in EVENT.fields.items())
# An event's values by the schema's names, None where one is absent.
Values = values_type(EVENT)
_completion = Completion(EVENT)
complete, check_depth = _completion.complete, _completion.check_depth


def load_event(content: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The `Values` of an event (JSON `content` without nulls), and the fields that the schema does not know.

    Raises marshmallow's ValidationError.
    """
    unknown = {name: value for name, value in content.items() if name not in KNOWN}
    known = {name: value for name, value in content.items() if name in KNOWN} if unknown else content
    try:
        values: Any = msgspec.convert(known, Values)
        complete([values])
    except (msgspec.ValidationError, Doubtful):
        values = Values(**EVENT.load(known))
    return values, unknown
