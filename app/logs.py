"""Logs: one JSON object a line on standard output; never a body, never a key."""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from flask import Response, g, request

from app.context import collector
from app.deadline import arrived
from app.metrics import OTHER, Metrics
from app.store.keys import StoredKey

_ENCODER = json.JSONEncoder(default=str, separators=(",", ":"))


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what a call gives as `extra={"fields": {...}}` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, ASCII only."""
        fields = getattr(record, "fields", {})
        if record.exc_info:
            fields = {**fields, "exception": self.formatException(record.exc_info)}
        return _line(record.created, record.levelname.lower(), record.name, record.getMessage(), fields)


def configure() -> None:
    """Sends every log record of this process to standard output as JSON."""
    # Nobody reads where in the code a line was written, by which thread and process, and to find out takes long.
    logging._srcfile = None  # noqa: SLF001  # as the library's own guide has it
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # A warning for each request that waits is noise; the metrics show the queue.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def log_request(response: Response) -> Response:
    """Writes the line of a request that Flask answered, and counts it."""
    answered(
        collector().metrics,
        request.environ,
        route=request.url_rule.rule if request.url_rule else OTHER,
        status=response.status_code,
        request_id=g.request_id,
        key=g.get("key"),
        fields=g.get("log_fields", {}),
    )
    return response


def answered(
    metrics: Metrics,
    environ: Mapping[str, Any],
    *,
    route: str,
    status: int,
    request_id: str,
    key: StoredKey | None,
    fields: Mapping[str, Any],
) -> None:
    """Writes a request's line, and counts it. Key and body stay out; the path is the client's, and only that long."""
    seconds, size = time.monotonic() - arrived(), int(environ.get("CONTENT_LENGTH") or 0)
    metrics.answered(route, status, seconds, size)
    line = {
        "request_id": request_id,
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"][:200],
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
        "bytes": size,
        "client": environ.get("REMOTE_ADDR"),
        "key_id": key.id if key else None,
        "host": key.host_id if key else None,
        **{name: value for name, value in fields.items() if value is not None},
    }
    _write(_line(time.time(), "info", "app.request", "request", line))


def _line(moment: float, level: str, logger: str, message: str, fields: Mapping[str, Any]) -> str:
    second, millisecond = divmod(int(moment * 1000), 1000)
    head = {"time": f"{_second(second)}.{millisecond:03}+00:00", "level": level, "logger": logger, "message": message}
    line = {**head, **fields}
    # A quarter of the other's time, but only for what is plain.
    with contextlib.suppress(UnicodeEncodeError, TypeError):
        encoded = msgspec.json.encode(line)
        if encoded.isascii():
            return encoded.decode("ascii")
    return _ENCODER.encode(line)


def _write(line: str) -> None:
    """Writes it as logging does, without a record, which for a request's line takes as long as all the rest."""
    # Whoever reads the log may be gone, or the disk full; the client has its answer all the same.
    with contextlib.suppress(OSError):
        # In one piece, so that threads do not mix.
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


@lru_cache(maxsize=1)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
