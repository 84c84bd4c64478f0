"""What an event is: the contract's table of fields as a marshmallow schema, and what follows from a decision."""

from marshmallow import EXCLUDE, Schema

from app.schemas.fields import Flag, Instant, Number, Object, Text, Whole

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

    host_id = Text(255, low=1, required=True, data_key="hostId")
    session_id = Text(255, low=1, required=True, data_key="sessionId")
    agent_name = Text(255, low=1, required=True, data_key="agentName")
    event_type = Text(64, low=1, required=True, data_key="eventType")
    event_id = Text(128, low=1, data_key="eventId")
    timestamp = Instant()
    decision = Text(64, low=1)
    decision_reason = Text(65_536, data_key="decisionReason")
    hook_name = Text(255, data_key="hookName")
    tool_name = Text(255, data_key="toolName")
    model_name = Text(255, data_key="modelName")
    mode = Text(64)
    execution_type = Text(64, data_key="executionType")
    model_tier = Text(64, data_key="modelTier")
    provider = Text(64)
    client_version = Text(64, data_key="clientVersion")
    working_dir = Text(4096, data_key="workingDir")
    latency_ms = Number(DAY_MS, "Milliseconds.", data_key="latencyMs")
    success = Flag()
    error_count = Whole(COUNT, data_key="errorCount")
    warning_count = Whole(COUNT, data_key="warningCount")
    prompt_tokens = Whole(TOKENS, data_key="promptTokens")
    completion_tokens = Whole(TOKENS, data_key="completionTokens")
    total_tokens = Whole(TOKENS, data_key="totalTokens")
    cached_tokens = Whole(TOKENS, data_key="cachedTokens")
    reasoning_tokens = Whole(TOKENS, data_key="reasoningTokens")
    cost = Number(10**6, "US dollars; kept exactly to 9 decimals.")
    generation_id = Text(2048, data_key="generationId")
    tool_input = Object(data_key="toolInput")
    extra_data = Object(data_key="extraData")


EVENT = EventSchema()
KNOWN = frozenset(field.data_key or name for name, field in EVENT.fields.items())
