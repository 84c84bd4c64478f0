"""Text and structures that PostgreSQL can hold."""

import re
from typing import Any

import msgspec

# Structures nested deeper than this are no telemetry; PostgreSQL and Python each have a limit somewhere beyond.
MAX_DEPTH = 100
# JSON can spell both, and JavaScript cuts strings through the middle of a pair; PostgreSQL holds neither.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\ufffd"
# Laid out, a text grows up to fiftyfold.
MAX_LAID_OUT_BYTES = 2**20
# A line that opens an array or an object at a depth of MAX_DEPTH: a line break within a string is an escape.
_TOO_DEEP = re.compile(rb'\n {%d}(?:"(?:[^"\\]|\\.)*": )?[\[{]' % MAX_DEPTH)


def storable(value: Any) -> Any:
    """`value` with U+0000 and lone surrogates replaced by U+FFFD in every string and name."""
    if isinstance(value, str):
        return _UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def needs_care(raw: bytes) -> bool:
    """Whether the JSON text `raw` can hold what `storable` replaces: only an escape can spell it."""
    return b"\\u" in raw


def too_deep(raw: bytes) -> bool:
    """Whether the JSON text `raw` nests deeper than MAX_DEPTH. Counts brackets first, which is nearly always enough.

    A client chooses how many brackets there are, so they are followed in C: laid out with a line a value, what is
    nested too deeply stands on a line that is indented so far.
    """
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    if len(raw) > MAX_LAID_OUT_BYTES:
        return _too_deep_slowly(raw)
    try:
        lines = msgspec.json.format(raw, indent=1)
    except RecursionError:
        return True
    except msgspec.DecodeError:
        # NaN and lone surrogates; both are rare, and refused or replaced.
        return _too_deep_slowly(raw)
    return b"\n" + b" " * MAX_DEPTH in lines and _TOO_DEEP.search(lines) is not None


def _too_deep_slowly(raw: bytes) -> bool:
    depth = 0
    for bracket in re.findall(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', raw):
        if bracket in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif bracket in b"]}":
            depth -= 1
    return False
