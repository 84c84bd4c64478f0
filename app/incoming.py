"""A request as it comes in: its head, known again from the one before, and how far it has come."""

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser
from waitress.receiver import FixedStreamReceiver
from waitress.utilities import find_double_newline

from app.routes import ingest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

# So many heads are remembered, of so many bytes; a host sends one or two, again and again. Their keys stay in memory as
# those of requests under way do, and whoever sends without a key takes no more of it than that.
MOST_HEADS = 256
LONGEST_HEAD = 1024
# As nearly everybody spells it: to ignore case takes several times as long.
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength:[ \t]*([0-9]{1,15})[ \t]*\r\n")
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


class _Body(BytesIO):
    """A whole body, where waitress looks for a buffer, and for the file in it."""

    def getbuf(self) -> "_Body":
        return self

    getfile = getbuf


class Request(HTTPRequestParser):
    """waitress' parser, which takes a quarter of what Python does for a batch of ten for the head alone.

    A batch's head is the same as that of its host's last one, to the byte, but for the number after Content-Length. So
    what waitress learnt from one is known for the next. Whatever it would refuse was never remembered.
    """

    pending: PendingAnswer | None = None
    _heads: ClassVar[dict[bytes, _Head]] = {}

    def received(self, data: bytes) -> int:
        """Takes what there is of the request, and gives how many bytes that was.

        Nearly always all of it came at once, and needs none of the buffers for what comes in pieces.
        """
        if self.header_plus or self.headers_finished or (end := find_double_newline(data)) < 0:
            return int(super().received(data))
        rest, digits = _split(data[:end])
        known, length = self._heads.get(rest), int(digits)
        whole = 0 < length < self.adj.max_request_body_size and end + length <= len(data)
        if known is None or not whole or known.learnt.get("expect_continue"):
            return int(super().received(data))
        self._take_over(known, digits)
        self.body_rcv = _Body(data[end : end + length])  # type: ignore[assignment]  # all that is asked of it
        self.header_bytes_received, self.body_bytes_received = end, length
        self.headers_finished = self.completed = True
        return end + length

    def parse_header(self, header_plus: bytes) -> None:
        """Raises what waitress' own does."""
        rest, digits = _split(header_plus)
        head = self._heads.get(rest)
        if head is None:
            super().parse_header(header_plus)
            if rest:
                self._remember(rest)
            return
        self._take_over(head, digits)
        if self.content_length:
            self.body_rcv = FixedStreamReceiver(self.content_length, OverflowableBuffer(self.adj.inbuf_overflow))

    def _take_over(self, head: _Head, digits: bytes) -> None:
        vars(self).update(head.learnt)
        self.headers = {**head.headers, "CONTENT_LENGTH": digits.decode("ascii")}
        self.content_length = int(digits)

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


def _split(header_plus: bytes) -> tuple[bytes, bytes]:
    """The head without the number of its Content-Length, and that number; nothing and 0 where it has none.

    That is a line of its own, the first of its name; were there another, it would be in the rest.
    """
    found = _LENGTH.search(header_plus)
    return (header_plus[: found.start(1)] + header_plus[found.end(1) :], found[1]) if found else (b"", b"0")
