"""POST /api/v1/telemetry/batch: events in, receipt out, after the commit."""

from typing import Any

from flask import Blueprint, g, request
from marshmallow import Schema, fields, validate

from app.body import MIB, read_body
from app.config import Settings
from app.context import collector
from app.deadline import deadline
from app.errors import BadRequest, Forbidden
from app.openapi import Body, Operation, describes
from app.routes.access import requires
from app.schemas.answers import ErrorSchema, Open, ReceiptSchema
from app.schemas.batch import Batch, Rejected, load_batch
from app.schemas.event import EventSchema
from app.store.events import Stored
from app.store.quarantine import Quarantined

BODY_LIMIT = 8 * MIB

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


@blueprint.post("/api/v1/telemetry/batch")
@describes(DESCRIPTION)
@requires("ingest")
def post_batch() -> dict[str, Any]:
    """Stores a batch of events. What it answers is durable."""
    here = collector()
    body = read_body(request, BODY_LIMIT)
    batch = load_batch(body, g.key.host_id, here.settings.max_batch_events)
    stored = _store(batch)
    for position, reason in stored.refused.items():
        batch.rejected.append(Rejected(batch.places[position], {"_schema": [reason]}, b""))
    receipt = {
        "accepted": stored.accepted,
        "duplicates": stored.duplicates,
        "rejected": [
            {"index": item.index, "errors": item.errors} for item in sorted(batch.rejected, key=lambda item: item.index)
        ],
    }
    here.metrics.events(
        stored=stored.accepted - stored.duplicates, duplicate=stored.duplicates, rejected=len(batch.rejected)
    )
    g.log_fields = {
        "host": _hosts(batch) or g.key.host_id,
        "accepted": stored.accepted,
        "duplicates": stored.duplicates,
        "rejected": len(batch.rejected),
    }
    if stored.accepted:
        return receipt
    if all(item.foreign for item in batch.rejected):
        raise Forbidden("This key may not write for the host of any event.", receipt)
    raise BadRequest("Every event was rejected.", receipt)


def _store(batch: Batch) -> Stored:
    here = collector()
    kept = [Quarantined(item.raw, g.key.host_id, item.errors) for item in batch.rejected if not item.foreign]
    if not batch.events and not kept:
        return Stored()
    stored = here.database.run(lambda connection: here.events.store(connection, batch.events, kept), deadline())
    if stored.refused:
        refused = [
            Quarantined(batch.raws[batch.places[position]], g.key.host_id, {"_schema": [reason]})
            for position, reason in stored.refused.items()
        ]
        here.database.run(lambda connection: here.events.store(connection, (), refused), deadline())
    return stored


def _hosts(batch: Batch) -> str:
    """The batch's hosts for the log, a few of them where a key writes for all."""
    hosts = sorted({event.values["host_id"] for event in batch.events})
    return ",".join(hosts[:3]) + (",..." if len(hosts) > 3 else "")
