"""A request's body as JSON bytes: type and encoding checked, decompressed, never beyond the limit."""

import zlib

from flask import Request

from app.errors import BadRequest, TooLarge, UnsupportedMediaType

MIB = 2**20
GZIP_WINDOW = 31


def read_body(request: Request, limit: int) -> bytes:
    """The body, at most `limit` bytes after decompression.

    Raises UnsupportedMediaType, TooLarge, or BadRequest for gzip that is none.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as Content-Type: application/json.")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("Send the body in UTF-8.")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise UnsupportedMediaType("Send the body as it is, or with Content-Encoding: gzip.")
    # A compressed body that is over the limit is over it all the more once it is decompressed.
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = request.get_data(cache=False)
    return _decompress(body, limit) if encoding.endswith("gzip") else body


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
