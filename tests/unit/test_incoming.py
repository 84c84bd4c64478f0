"""A head that is known again gives what waitress' own parser gives, and whatever that refuses is refused still."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser
from waitress.utilities import RequestEntityTooLarge

from app.incoming import LONGEST_HEAD, MOST_HEADS, Request
from app.routes.ingest import PATH

ADJUSTMENTS = Adjustments()
PLAIN = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nX-API-Key: k\r\nContent-Type: application/json\r\n"
LINES = (
    *("Content-Length: 7", "content-length:12", "Content-Length:\t3 ", "CONTENT-LENGTH: 0", "Content-Length: 007"),
    *("Content-Length: +7", "Content-Length: 7, 7", "Content-Length: -1", "Content-Length: ", "Content-Length : 7"),
    *(" Content-Length: 5", "\t, 6", "Content_Length: 9", "X-Length: 4", "X: Content-Length: 4", "Connection: close"),
    *("Connection: keep-alive", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Expect: 100-continue"),
    *("X-Request-Id: one", "X-Request-Id: two", "Host: b", "no colon", "Content-Length: ٣"),
)
FIRST_LINES = (
    *(f"POST {PATH} HTTP/1.1", f"POST {PATH} HTTP/1.0", f"POST {PATH}", f"POST {PATH}?a=1#b HTTP/1.1"),
    *(f"POST http://host{PATH} HTTP/1.1", f"GET {PATH} HTTP/1.1", "POST /elsewhere HTTP/1.1", f"post {PATH} HTTP/1.1"),
)


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    Request._heads.clear()
    yield
    Request._heads.clear()


def learnt(parser: HTTPRequestParser, head: bytes) -> Any:
    """All that is known after the head, or the error."""
    try:
        parser.parse_header(head)
    except Exception as error:  # noqa: BLE001  # whatever it is, it must be the same
        return type(error), error.args
    known = {name: value for name, value in vars(parser).items() if name != "body_rcv"}
    body = parser.body_rcv
    return known, type(body), getattr(body, "remain", None)


@given(
    st.lists(st.sampled_from(LINES), max_size=6),
    st.lists(st.sampled_from(LINES), max_size=6),
    st.sampled_from(FIRST_LINES),
)
def test_it_is_what_waitress_alone_gives(lines: list[str], others: list[str], first_line: str) -> None:
    for some in (lines, others, lines, others):
        head = "\r\n".join((first_line, "Host: a", *some, "", "")).encode()
        assert learnt(Request(ADJUSTMENTS), head) == learnt(HTTPRequestParser(ADJUSTMENTS), head)


def taken(parser: type[HTTPRequestParser], pieces: list[bytes]) -> list[Any]:
    """The requests that come of these pieces, as waitress' connection has them."""
    requests: list[Any] = []
    request = parser(ADJUSTMENTS)
    for piece in pieces:
        at = 0
        while at < len(piece):
            consumed = request.received(piece[at:])
            at += consumed
            known = {name: value for name, value in vars(request).items() if name not in ("body_rcv", "error")}
            if request.completed:
                requests.append((known, type(request.error), request.get_body_stream().read()))
                request.close()
                request = parser(ADJUSTMENTS)
            elif not consumed:
                break
    return [*requests, known]


@given(st.data())
def test_requests_that_are_cut_anywhere_are_what_waitress_alone_gives(data: st.DataObject) -> None:
    Request._heads.clear()
    bodies = data.draw(st.lists(st.binary(max_size=20), min_size=1, max_size=4))
    lines = data.draw(st.lists(st.sampled_from(LINES), max_size=1))
    sent = b""
    for body in bodies:
        head = "".join(f"{line}\r\n" for line in (*lines, f"Content-Length: {len(body)}", ""))
        sent += PLAIN.encode() + head.encode() + body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    pieces = [sent[start:end] for start, end in zip((0, *cuts), (*cuts, len(sent)), strict=True) if start < end]
    assert taken(Request, pieces) == taken(HTTPRequestParser, pieces)


def head_of(number: int, length: int = 7) -> bytes:
    return f"{PLAIN}X-Number: {number}\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_head_is_known_again_whatever_the_length_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Request(ADJUSTMENTS)
    first.parse_header(head_of(1, 100))
    monkeypatch.setattr(HTTPRequestParser, "parse_header", lambda *_: pytest.fail("it was parsed again"))
    again = Request(ADJUSTMENTS)
    again.parse_header(head_of(1, 25))
    assert (again.content_length, again.headers["CONTENT_LENGTH"], again.headers["X_API_KEY"]) == (25, "25", "k")
    assert first.headers["CONTENT_LENGTH"] == "100"


def test_what_comes_at_once_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Request(ADJUSTMENTS).parse_header(head_of(1))
    monkeypatch.setattr(HTTPRequestParser, "received", lambda *_: pytest.fail("it went the long way"))
    request = Request(ADJUSTMENTS)
    sent = head_of(1, 3) + b"[1]"
    assert request.received(sent + b"POST") == len(sent)
    assert (request.completed, request.get_body_stream().read()) == (True, b"[1]")


def test_a_body_that_is_too_long_is_refused_at_its_head() -> None:
    most = Adjustments(max_request_body_size=3)
    for _ in range(2):
        request = Request(most)
        request.received(head_of(1, 3) + b"[1]")
        assert (request.completed, type(request.error)) == (True, RequestEntityTooLarge)


def test_no_request_changes_what_another_learns() -> None:
    for _ in range(2):
        request = Request(ADJUSTMENTS)
        request.parse_header(head_of(1))
        # The server itself writes into them.
        headers: Any = request.headers
        assert "CONNECTION" not in headers
        headers["CONNECTION"] = "close"


def test_the_newest_are_remembered_and_short_ones_that_come_again() -> None:
    for number in range(3 * MOST_HEADS):
        Request(ADJUSTMENTS).parse_header(head_of(number))
    remembered = [int(head.headers["X_NUMBER"]) for head in Request._heads.values()]
    assert remembered == list(range(2 * MOST_HEADS, 3 * MOST_HEADS))
    Request._heads.clear()
    for line in (f"X-Long: {'x' * LONGEST_HEAD}", "Transfer-Encoding: chunked", "X-Request-Id: once"):
        Request(ADJUSTMENTS).parse_header(head_of(1).replace(b"X-Number: 1", line.encode()))
    assert Request._heads == {}
