"""Text and structures that PostgreSQL can hold."""

import re
from typing import Any

# Structures nested deeper than this are no telemetry; PostgreSQL and Python each have a limit somewhere beyond.
MAX_DEPTH = 100
# JSON can spell both, and JavaScript cuts strings through the middle of a pair; PostgreSQL holds neither.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPES = re.compile(rb"\\u(0000|[dD][89a-fA-F])")
REPLACEMENT = "\ufffd"


def storable(value: Any) -> Any:
    """`value` with U+0000 and lone surrogates replaced by U+FFFD in every string and name."""
    if isinstance(value, str):
        return _UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def needs_care(text: bytes) -> bool:
    """Whether the JSON `text` can hold what `storable` replaces: only an escape can spell it."""
    # The first look is at the speed of memory.
    return b"\\u" in text and _ESCAPES.search(text) is not None


def may_be_deep(text: bytes | bytearray, start: int = 0) -> bool:
    """Whether the JSON `text` from `start` on has brackets enough to nest deeper than MAX_DEPTH; nearly none has."""
    return text.count(b"[", start) + text.count(b"{", start) > MAX_DEPTH


def too_deep(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether the decoded `value` nests deeper than `depth`, told level by level."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        if not level:
            return False
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    return bool(level)
