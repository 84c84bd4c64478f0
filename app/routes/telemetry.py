"""POST /api/v1/telemetry/batch: events in, receipt out, after the commit."""

from typing import Any

from flask import Blueprint, g, request

from app.body import MIB, read_body
from app.context import collector
from app.deadline import deadline
from app.errors import BadRequest, Forbidden
from app.routes.access import requires
from app.schemas.batch import Batch, Rejected, load_batch
from app.store.events import Stored
from app.store.quarantine import Quarantined

BODY_LIMIT = 8 * MIB

blueprint = Blueprint("telemetry", __name__)


@blueprint.post("/api/v1/telemetry/batch")
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
        "host": _hosts(batch),
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
