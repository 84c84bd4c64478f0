"""GET /api/v1/summary: the overview as flat JSON, for sensors and scripts."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, g, request

from app import durations
from app.context import collector
from app.errors import BadRequest
from app.glance import verdict
from app.openapi import Operation, Parameter, describes
from app.routes.access import requires
from app.schemas.answers import ErrorSchema, SummarySchema
from app.store.database import DatabaseUnavailable
from app.store.overview import Overview, Window

PATH = "/api/v1/summary"
DEFAULT = "24h"
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=30)

blueprint = Blueprint("summary", __name__)

DESCRIPTION = Operation(
    summary="The site's numbers as one flat object.",
    description=(
        "Those of `/glance`, for sensors and scripts, at most ten seconds old. A window begins with a full hour, so 24h"
        " are 24 hours and what has passed of the present one. Rates are from 0 to 1, and null where there is"
        " nothing to take them of."
    ),
    answers={
        200: ("The numbers.", SummarySchema),
        400: ("The window is no duration, or too short or too long.", ErrorSchema),
    },
    parameters=(Parameter("window", "How far back, from 1h to 30d, as in 90m, 24h or 7d; 24h unless told otherwise."),),
    key=True,
)


@blueprint.get(PATH)
@describes(DESCRIPTION)
@requires("read")
def get_summary() -> dict[str, Any]:
    """The numbers of a window, whole: whoever has a key may see hosts' names and costs."""
    text = request.args.get("window", DEFAULT)
    known = collector().overviews.get(_window(text), trusted=True)
    # Old numbers under a new time would be taken for new ones.
    if known.failure or known.overview is None:
        raise DatabaseUnavailable(known.failure)
    g.log_fields = {"window": text[:20]}
    return summarize(known.overview, text)


def summarize(overview: Overview, window: str) -> dict[str, Any]:
    """The answer's JSON."""
    now, judged = overview.now, verdict.judge(overview)
    return {
        "window": window,
        "at": _time(overview.at),
        "verdict": judged.headline,
        "verdictLevel": judged.level.value,
        "events": now.events,
        "sessions": now.sessions,
        "hosts": now.hosts,
        "agents": now.agents,
        "decisions": now.decisions,
        "approved": now.approved,
        "denied": now.denied,
        "errors": now.errors,
        "approvalRate": _rate(now.approval_rate),
        "denialRate": _rate(now.denial_rate),
        "errorRate": _rate(now.error_rate),
        "latencyP50Ms": _rounded(now.p50_ms),
        "latencyP95Ms": _rounded(now.p95_ms),
        "totalTokens": int(now.tokens or 0),
        "cost": _dollars(now.cost),
        "costToday": _dollars(overview.cost_today),
        "knownHosts": overview.known_hosts,
        "silentHosts": overview.silent_hosts,
        "silentHostNames": ", ".join(host.name for host in overview.hosts if host.silent),
        "lastEventAt": _time(overview.last_event_at),
        "lastDenialAt": _time(overview.last_denial_at),
    }


def _window(text: str) -> Window:
    try:
        length = durations.parse(text)
    except ValueError as error:
        raise BadRequest(f"window: {error}") from None
    if not SHORTEST <= length <= LONGEST:
        raise BadRequest(f"window: {text} is not from 1h to 30d.")
    return Window(length)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _rate(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 6)


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)


def _dollars(cost: Decimal | None) -> float:
    return float(round(cost or Decimal(0), 6))
