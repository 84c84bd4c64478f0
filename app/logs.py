"""Logs: one JSON object a line on standard output; never a body, never a key."""

import json
import logging
import sys
import time
from datetime import UTC, datetime

from flask import Response, g, request

from app.context import collector
from app.deadline import arrived
from app.metrics import OTHER

log = logging.getLogger("app.request")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what a call gives as `extra={"fields": {...}}` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, ASCII only."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure() -> None:
    """Sends every log record of this process to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # A warning for each request that waits is noise; the metrics show the queue.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def log_request(response: Response) -> Response:
    """Writes the request's line, and counts it. Key and body stay out; the path is the client's, and only that long."""
    key = g.get("key")
    seconds, size = time.monotonic() - arrived(), request.content_length or 0
    route = request.url_rule.rule if request.url_rule else OTHER
    collector().metrics.answered(route, response.status_code, seconds, size)
    fields = {
        "request_id": g.request_id,
        "method": request.method,
        "path": request.path[:200],
        "status": response.status_code,
        "milliseconds": round(seconds * 1000, 1),
        "bytes": size,
        "client": request.remote_addr,
        "key_id": key.id if key else None,
        "host": key.host_id if key else None,
        **g.get("log_fields", {}),
    }
    log.info("request", extra={"fields": fields})
    return response
