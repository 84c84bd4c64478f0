"""POST /api/v1/telemetry/batch in words; what it does is in ingest.py."""

from typing import NoReturn

from flask import Blueprint
from marshmallow import Schema, fields, validate

from app.config import Settings
from app.openapi import Body, Operation, describes
from app.routes.ingest import BODY_LIMIT, PATH
from app.schemas.answers import ErrorSchema, Open, ReceiptSchema
from app.schemas.event import EventSchema

blueprint = Blueprint("telemetry", __name__)

FIRST_GENERATION = {
    "hostId": "laptop",
    "sessionId": "abc123",
    "eventType": "agent_execution",
    "agentName": "tool-approve",
    "timestamp": "2024-01-15T10:30:00Z",
    "decision": "APPROVED",
    "decisionReason": "Tool is safe",
    "toolName": "Bash",
    "latencyMs": 150,
    "modelTier": "haiku",
}
SECOND_GENERATION = {
    **FIRST_GENERATION,
    "eventId": "7b0f0c9e-5f0d-4f57-9a3c-0d9a2f6b1c11",
    "hookName": "PreToolUse",
    "mode": "direct",
    "executionType": "llm",
    "modelName": "claude-3-haiku-20240307",
    "success": True,
    "errorCount": 0,
    "promptTokens": 1200,
    "completionTokens": 80,
    "cost": 0.00042,
    "toolInput": {"command": "git status"},
}


def batch_schema(settings: Settings) -> type[Schema]:
    """What a batch is, for openapi.json; load_batch takes a real one apart, event by event."""
    events = fields.List(
        fields.Nested(EventSchema), required=True, validate=validate.Length(min=1, max=settings.max_batch_events)
    )
    return Open.from_dict({"events": events}, name="Batch")


DESCRIPTION = Operation(
    summary="Stores a batch of events, each exactly once.",
    description=(
        "Every event is judged alone: one that is not as it should be is listed in `rejected` and kept in quarantine,"
        " and the others are stored. An event that is stored already, by its `eventId` or else by its content, counts"
        " as a duplicate; two equal events inside one batch are two events. With neither `eventId` nor `timestamp` an"
        " equal event counts as a duplicate for an hour. Fields that are not listed here are kept with the event, and"
        " `null` is the same as absent."
    ),
    answers={
        200: ("At least one event was accepted.", ReceiptSchema),
        400: (
            "The body is no JSON, or not of this shape, or every event was rejected: then `details` is the receipt.",
            ErrorSchema,
        ),
        403: (
            "The key is unknown, revoked, expired or of another scope, or may not write for the host of any event.",
            ErrorSchema,
        ),
    },
    body=Body(
        schema=batch_schema,
        examples={
            "What happened": {"events": [FIRST_GENERATION]},
            "How it came about, and what it cost": {"events": [SECOND_GENERATION]},
        },
        limit=BODY_LIMIT,
    ),
    key=True,
)


@blueprint.post(PATH)
@describes(DESCRIPTION)
def post_batch() -> NoReturn:
    """For Flask to know the address, and openapi.json what it takes: `ingest` answers before Flask is asked."""
    raise NotImplementedError
