"""A request as it comes in: its head, known again from the one before, and how far it has come."""

import re
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser
from waitress.receiver import FixedStreamReceiver

from app.routes import ingest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

# So many heads are remembered, of so many bytes; a host sends one or two, again and again. Their keys stay in memory as
# those of requests under way do, and whoever sends without a key takes no more of it than that.
MOST_HEADS = 256
LONGEST_HEAD = 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n", re.IGNORECASE)
# What waitress' parser learns from a head, but for the headers and the body's length.
_LEARNT = (
    *("first_line", "command", "version", "request_uri", "proxy_scheme", "proxy_netloc", "path", "query", "fragment"),
    *("url_scheme", "connection_close", "expect_continue"),
)


class PendingAnswer:
    """A request that the application was called for, and whose answer was not asked for yet."""

    def __init__(self, application: "WSGIApplication", environ: "WSGIEnvironment") -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.result: Iterable[bytes] = application(environ, self._start_response)

    def body(self) -> bytes:
        """The answer; `status` and `headers` are known then."""
        result, self.result = self.result, ()
        # It refers to this object, and nothing is to wait for a collector of circles.
        return b"".join(result)

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status, self.headers = status, headers


class _Head(NamedTuple):
    learnt: dict[str, Any]
    headers: dict[str, str]


class Request(HTTPRequestParser):
    """waitress' parser, which takes a quarter of what Python does for a batch of ten for the head alone.

    A batch's head is the same as that of its host's last one, to the byte, but for the number after Content-Length. So
    what waitress learnt from one is known for the next. Whatever it would refuse was never remembered.
    """

    pending: PendingAnswer | None = None
    _heads: ClassVar[dict[bytes, _Head]] = {}

    def parse_header(self, header_plus: bytes) -> None:
        """Raises what waitress' own does."""
        # A line of its own, the first of that name; were there another, it would be in the rest.
        found = _LENGTH.search(header_plus)
        if found is None:
            super().parse_header(header_plus)
            return
        length = int(found[1])
        rest = header_plus[: found.start(1)] + header_plus[found.end(1) :]
        head = self._heads.get(rest)
        if head is None:
            super().parse_header(header_plus)
            self._remember(rest)
            return
        vars(self).update(head.learnt)
        self.headers = {**head.headers, "CONTENT_LENGTH": found[1].decode("ascii")}
        self.content_length = length
        if length:
            buffer = OverflowableBuffer(self.adj.inbuf_overflow)
            self.body_rcv = FixedStreamReceiver(length, buffer)

    def _remember(self, rest: bytes) -> None:
        known = vars(self)
        if known["path"] != ingest.PATH or self.chunked or len(rest) > LONGEST_HEAD:
            return
        # Each has another, so it would come never again, and push others out.
        if "X_REQUEST_ID" in self.headers:
            return
        if len(self._heads) >= MOST_HEADS:
            del self._heads[next(iter(self._heads))]
        self._heads[rest] = _Head({name: known[name] for name in _LEARNT if name in known}, dict(self.headers))
