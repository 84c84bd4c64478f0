"""What every answer has in common: a request id, and one JSON shape for every refusal."""

import logging
import re
import uuid

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from app.errors import ApiError, Unavailable
from app.store.database import DatabaseUnavailable

log = logging.getLogger(__name__)

# A proxy's or client's own id is kept where it is harmless in a log and a header.
HARMLESS_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def install(app: Flask) -> None:
    """Gives `app` request ids and error answers."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.register_error_handler(ApiError, _refuse)
    app.register_error_handler(DatabaseUnavailable, _unavailable)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _bug)


def new_request_id() -> str:
    """An id that no other request has."""
    return uuid.uuid4().hex


def _begin() -> None:
    sent = request.headers.get("X-Request-Id", "")
    g.request_id = sent if HARMLESS_ID.fullmatch(sent) else new_request_id()


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    return response


def _refuse(error: ApiError) -> tuple[Response, int, dict[str, str]]:
    return jsonify(error.body()), error.status, error.headers()


def _unavailable(error: DatabaseUnavailable) -> tuple[Response, int, dict[str, str]]:
    # The reason is the operator's, in the log; it may name hosts and users.
    g.log_fields = {**g.get("log_fields", {}), "reason": str(error)}
    return _refuse(Unavailable("The database is away or slow; nothing was acknowledged, send it again."))


def _http_error(error: HTTPException) -> tuple[Response, int, dict[str, str]]:
    """Werkzeug's own refusals: no such address, method not allowed."""
    status = error.code or 500
    messages = {404: "There is no such address.", 405: "This address does not take that method."}
    headers = {"Allow": ", ".join(sorted(error.valid_methods or []))} if hasattr(error, "valid_methods") else {}
    body = {"error": messages.get(status, f"{error.name}."), "details": None}
    return jsonify(body), status, headers


def _bug(error: Exception) -> tuple[Response, int]:
    """What must never happen; the log has it whole, the client nothing."""
    log.error("unexpected error", exc_info=error, extra={"fields": {"request_id": g.get("request_id")}})
    body = {"error": "The collector failed; its log tells why under this request id.", "details": None}
    return jsonify(body), 500
