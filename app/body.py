"""A request's body as JSON bytes: type and encoding checked, decompressed, never beyond the limit."""

import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from werkzeug.http import parse_options_header
from werkzeug.wsgi import get_input_stream

from app.errors import BadRequest, TooLarge, UnsupportedMediaType

MIB = 2**20
GZIP_WINDOW = 31


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """The body of a request (a WSGI environment), at most `limit` bytes after decompression.

    Raises UnsupportedMediaType, TooLarge, or BadRequest for gzip that is none.
    """
    _check_type(environ.get("CONTENT_TYPE", ""))
    encoding = environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise UnsupportedMediaType("Send the body as it is, or with Content-Encoding: gzip.")
    # A compressed body that is over the limit is over it all the more once it is decompressed.
    if int(environ.get("CONTENT_LENGTH") or 0) > limit:
        raise _too_large(limit)
    body: bytes = get_input_stream(environ).read()  # type: ignore[arg-type]  # an environment
    return _decompress(body, limit) if encoding.endswith("gzip") else body


@lru_cache(maxsize=16)
def _check_type(content_type: str) -> None:
    mimetype, parameters = parse_options_header(content_type)
    if mimetype.lower() != "application/json":
        raise UnsupportedMediaType("Send the body as Content-Type: application/json.")
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("Send the body in UTF-8.")


def _decompress(body: bytes, limit: int) -> bytes:
    parts, room = [], limit + 1
    while body:
        member = zlib.decompressobj(GZIP_WINDOW)
        try:
            part = member.decompress(body, room)
        except zlib.error as error:
            raise BadRequest("The body is not gzip.") from error
        room -= len(part)
        if room <= 0:
            raise _too_large(limit)
        if not member.eof:
            raise BadRequest("The gzip body is cut off.")
        parts.append(part)
        body = member.unused_data
    return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is over {limit // MIB} MiB.")
