"""Text and structures that PostgreSQL can hold."""

import re
from typing import Any

# Structures nested deeper than this are no telemetry; PostgreSQL and Python each have a limit somewhere beyond.
MAX_DEPTH = 100
# JSON can spell both, and JavaScript cuts strings through the middle of a pair; PostgreSQL holds neither.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
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


def needs_care(raw: bytes) -> bool:
    """Whether the JSON text `raw` can hold what `storable` replaces: only an escape can spell it."""
    return b"\\u" in raw


def too_deep(raw: bytes) -> bool:
    """Whether the JSON text `raw` nests deeper than MAX_DEPTH. Counts brackets first, which is nearly always enough."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in re.findall(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', raw):
        if bracket in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif bracket in b"]}":
            depth -= 1
    return False
