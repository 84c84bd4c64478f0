"""GET /metrics on a loopback port of its own, which no proxy reaches.

One thread serves it, a request at a time, each within two seconds. Processes that count together listen on one port
together, and whichever the kernel picks gives the sum. A port that something else holds costs the metrics and nothing
more: one warning is logged, events are taken in as ever, and the port is tried again every second.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.metrics import Metrics

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
# How often the port looks at the gauges, so that a sibling's scrape finds them this old at most.
OBSERVE_SECONDS = 1.0
CLIENT_SECONDS = 2.0
HEAD_BYTES = 8192


class MetricsPort:
    """Serves `metrics` on 127.0.0.1 at `port`, and calls `observe` every second."""

    def __init__(self, port: int, metrics: Metrics, observe: Callable[[], None]) -> None:
        self._port = port
        self._metrics = metrics
        self._observe = observe
        self._warned = False

    def start(self) -> None:
        """Begins, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def _run(self) -> None:
        listener = self._listen()
        while True:
            self._observe()
            if listener is None:
                time.sleep(OBSERVE_SECONDS)
                listener = self._listen()
                continue
            try:
                client, _ = listener.accept()
            except OSError:
                # Nobody came within the second, or who came is gone again.
                continue
            with client:
                self._serve(client)

    def _listen(self) -> socket.socket | None:
        try:
            listener = self._bind()
        except OSError as error:
            if not self._warned:
                log.warning(
                    "metrics: no /metrics on %s:%d (%s); set TELEMETRY_METRICS_PORT to a free port, or give the"
                    " processes that share it one TELEMETRY_METRICS_DIR",
                    *(ADDRESS, self._port, error.strerror),
                )
            self._warned = True
            return None
        log.info("metrics", extra={"fields": {"address": f"{ADDRESS}:{self._port}"}})
        return listener

    def _bind(self) -> socket.socket:
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._metrics.shared:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((ADDRESS, self._port))
            listener.listen(16)
            listener.settimeout(OBSERVE_SECONDS)
            stack.pop_all()
            return listener

    def _serve(self, client: socket.socket) -> None:
        try:
            target = _target(client)
            if target:
                client.settimeout(CLIENT_SECONDS)
                client.sendall(self._answer(*target))
        except OSError:
            # A client that went away, or is too slow.
            return

    def _answer(self, method: str, path: str) -> bytes:
        if path != "/metrics":
            return _response("404 Not Found", b"Metrics are at /metrics.\n")
        if method != "GET":
            return _response("405 Method Not Allowed", b"GET is all there is.\n", "Allow: GET\r\n")
        self._observe()
        return _response("200 OK", self._metrics.expose())


def _target(client: socket.socket) -> tuple[str, str] | None:
    """The request's method and path without a query; None where nothing sensible came in time."""
    deadline = time.monotonic() + CLIENT_SECONDS
    head = b""
    while b"\r\n\r\n" not in head:
        left = deadline - time.monotonic()
        if left <= 0 or len(head) > HEAD_BYTES:
            return None
        client.settimeout(left)
        part = client.recv(HEAD_BYTES)
        if not part:
            return None
        head += part
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1].split("?", 1)[0]) if len(words) == 3 else None


def _response(status: str, body: bytes, headers: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE_PLAIN_0_0_4}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n{headers}\r\n"
    )
    return head.encode("latin-1") + body
