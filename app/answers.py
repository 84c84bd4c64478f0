"""What every answer has in common: a request id, and one JSON shape for every refusal."""

import logging
import os
import re
from http import HTTPStatus

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from app.errors import ApiError, Unavailable
from app.store.database import DatabaseUnavailable

log = logging.getLogger(__name__)

# A proxy's or client's own id is kept where it is harmless in a log and a header.
HARMLESS_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def install(app: Flask) -> None:
    """Gives `app` request ids and error answers."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _refuse)


def new_request_id() -> str:
    """An id that no other request has."""
    return os.urandom(16).hex()


def request_id(sent: str) -> str:
    """The id that the proxy or the client chose, else a new one."""
    return sent if HARMLESS_ID.fullmatch(sent) else new_request_id()


def as_refusal(error: Exception, request_id: str) -> ApiError:
    """What the client is told of `error`. A bug, which must never happen, goes to the log as a whole."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, DatabaseUnavailable):
        # The reason is the operator's, in the log; it may name hosts and users.
        return Unavailable("The database is away or slow; nothing was acknowledged, send it again.")
    log.error("unexpected error", exc_info=error, extra={"fields": {"request_id": request_id}})
    return ApiError("The collector failed; its log tells why under this request id.")


def _begin() -> None:
    g.request_id = request_id(request.headers.get("X-Request-Id", ""))


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    return response


def _refuse(error: Exception) -> tuple[Response, int, dict[str, str]]:
    refusal = as_refusal(error, g.get("request_id", ""))
    if refusal is not error:
        g.log_fields = {**g.get("log_fields", {}), "reason": str(error)}
    return jsonify(refusal.body()), refusal.status, refusal.headers()


def _http_error(error: HTTPException) -> tuple[Response, int, dict[str, str]]:
    """Werkzeug's own refusals: no such address, method not allowed."""
    status = error.code or 500
    messages = {404: "There is no such address.", 405: "This address does not take that method."}
    headers = {"Allow": ", ".join(sorted(error.valid_methods or []))} if hasattr(error, "valid_methods") else {}
    body = {"error": messages.get(status, f"{error.name}."), "details": None}
    return jsonify(body), status, headers
