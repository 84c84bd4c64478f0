"""GET /glance: the overview as a page, for frames and tablets; what a visitor may see, and no more."""

from flask import Blueprint, Response, g, request

from app.context import collector
from app.glance import page
from app.glance.cache import AWAY_SECONDS
from app.openapi import Operation, Parameter, describes

PATH = "/glance"
blueprint = Blueprint("glance", __name__)

DESCRIPTION = Operation(
    summary="The overview as a small page that refreshes itself, without script, cookie or storage.",
    description=(
        "For a card of a dashboard, a tablet or a wall: it shows more as it grows. Numbers are at most ten seconds old,"
        " and only such as everybody may see. Other values of the parameters than these are taken for"
        " none. Frames are let in from the origins in `TELEMETRY_EMBED_ORIGINS` only."
    ),
    answers={
        200: ("The page; while the database is away, with the last numbers that are known.", None),
        503: ("The page, while the database is away and no numbers are known.", None),
    },
    parameters=(
        Parameter("range", "How far back; 24h unless told otherwise.", tuple(page.RANGES)),
        Parameter("theme", "The browser's own wish unless told otherwise.", page.THEMES),
    ),
)


@blueprint.get(PATH)
@describes(DESCRIPTION)
def get_glance() -> Response:
    """The page. Whatever is asked for, there is one: strangers' frames show no errors."""
    made = collector().pages.get(request.args.get("range", ""), request.args.get("theme", ""))
    response = Response(made.body, mimetype="text/html")
    if made.known.failure:
        g.log_fields = {"reason": made.known.failure}
    if made.known.overview is None:
        response.status_code = 503
        response.headers["Retry-After"] = str(round(AWAY_SECONDS))
    response.set_etag(made.tag)
    # Kept, and asked for again: then most answers are a 304.
    response.cache_control.no_cache = True
    ancestors = f"'self' {collector().settings.embed_origins}".rstrip()
    response.headers["Content-Security-Policy"] = page.content_security_policy(ancestors)
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.status_code == 200:
        response.make_conditional(request)
    return response
