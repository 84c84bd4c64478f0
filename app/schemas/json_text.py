"""JSON as text, before it is decoded: repaired where clients break it, explained where they break it too much."""

import re

import msgspec

BOM = b"\xef\xbb\xbf"

# What PostgreSQL cannot hold and an escape can spell: U+0000, a high surrogate without its low one, and the reverse.
_UNSTORABLE = re.compile(
    rb"\\u0000"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
# Two bytes that no UTF-8 holds, in the place of an escaped backslash: what follows it is no escape.
_BACKSLASH, _MARK = rb"\\", b"\xff\xff"

_PLACE = re.compile(r"\(byte (\d+)\)")
_NO_NUMBER = re.compile(rb"-?(NaN|Infinity)")


def repaired(text: bytes) -> bytes:
    """The JSON `text` with U+FFFD for each escape of U+0000 or of a lone surrogate; no byte changes its place.

    JavaScript cuts strings through the middle of a pair, which strict JSON does not allow. Costs a few passes at the
    speed of memory and no decoding, however large the text is.
    """
    if b"\xff" in text:
        # No UTF-8, so it is refused anyway; and the mark would be ambiguous.
        return text
    return _UNSTORABLE.sub(rb"\\ufffd", text.replace(_BACKSLASH, _MARK)).replace(_MARK, _BACKSLASH)


def explained(text: bytes, error: msgspec.DecodeError | UnicodeDecodeError) -> str:
    """Why `text` is no JSON, in a sentence for the client, given what the decoder said."""
    if isinstance(error, UnicodeDecodeError):
        return "The body is not UTF-8."
    place = _PLACE.search(str(error))
    # The decoder points at the first wrong byte, which may be behind the sign.
    start = max(0, int(place[1]) - 1) if place else len(text)
    if _NO_NUMBER.search(text, start, start + 10):
        return "NaN and Infinity are no JSON; send null or leave the field out."
    return "The body is not JSON in UTF-8."
