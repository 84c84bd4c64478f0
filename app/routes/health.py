"""GET /api/v1/health: whether this collector can take events in."""

from typing import Any

from flask import Blueprint

from app import __version__
from app.context import collector
from app.openapi import Operation, describes
from app.schemas.answers import HealthSchema

# The contract's second, less the way through the server.
TIMEOUT_SECONDS = 0.8
PATH = "/api/v1/health"

blueprint = Blueprint("health", __name__)


@blueprint.get(PATH)
@describes(
    Operation(
        summary="Tells whether events can be taken in.",
        description="Answers within one second, whatever state the database is in.",
        answers={
            200: ("Events can be taken in.", HealthSchema),
            503: ("The database is away.", HealthSchema),
        },
    )
)
def get_health() -> tuple[dict[str, Any], int]:
    """Readiness, with the database's state."""
    if collector().ping.alive(TIMEOUT_SECONDS):
        return {"status": "healthy", "database": "connected", "version": __version__}, 200
    return {"status": "unhealthy", "database": "disconnected", "version": __version__}, 503
