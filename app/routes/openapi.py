"""GET /api/v1/openapi.json: this API for machines."""

import json

from flask import Blueprint, Response, current_app

from app.context import collector
from app.openapi import Operation, build, describes
from app.schemas.answers import DocumentSchema

PATH = "/api/v1/openapi.json"

blueprint = Blueprint("openapi", __name__)


@blueprint.get(PATH)
@describes(
    Operation(
        summary="This document.",
        description="The API in OpenAPI 3.1, as this release and its settings have it.",
        answers={200: ("The document.", DocumentSchema)},
    )
)
def get_openapi() -> Response:
    """The document, made when it is first asked for: most processes never are."""
    document = current_app.extensions.get("openapi")
    if document is None:
        document = json.dumps(build(current_app, collector().settings), indent=2)
        current_app.extensions["openapi"] = document
    return Response(document, mimetype="application/json")
