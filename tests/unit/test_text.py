"""Text and structures that PostgreSQL can hold."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.schemas.text import MAX_DEPTH, MAX_LAID_OUT_BYTES, too_deep

# Enough brackets for a count of them not to be enough.
MANY: list[Any] = [[]] * (MAX_DEPTH + 1)

opens = st.lists(st.sampled_from(["[", '{"a": ', '{"[\\"{": ']), min_size=MAX_DEPTH - 4, max_size=MAX_DEPTH + 1)
cores = st.sampled_from(["0", "[]", "{}", '"[[["', '{"a": [1]}', '"\\n      [", []', '"\\\\", []', "NaN", '"\\ud800"'])


def depth(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(depth, items), default=0)


@settings(max_examples=40)
@given(opens, cores, st.booleans(), st.booleans())
@example(["["] * MAX_DEPTH, "0", True, True)
@example(["["] * (MAX_DEPTH - 1), "[]", True, True)
@example(["["] * MAX_DEPTH, "[]", True, True)
def test_depth_is_counted_to_the_level(opens: list[str], core: str, many: bool, large: bool) -> None:
    text = "".join(opens) + (f"[{core}]" if ", " in core else core)
    text += "".join("]" if each == "[" else "}" for each in reversed(opens))
    if many:
        text = f"[{text}, {json.dumps(MANY)}]"
    if large:
        text = f'["{"[" * MAX_LAID_OUT_BYTES}", {text}]'
    assert too_deep(text.encode()) == (depth(json.loads(text)) > MAX_DEPTH)


@pytest.mark.parametrize("text", [b'"\xff"', b'"\xed\xa0\x80"', b"1e999", b"1" * 5000])
def test_what_is_wrong_in_another_way_is_not_this_ones_to_refuse(text: bytes) -> None:
    assert not too_deep(b"[" + text + b", " + json.dumps(MANY).encode() + b"]")


@pytest.mark.parametrize("levels", [1000, 100_000])
def test_no_depth_is_too_deep_to_be_told(levels: int) -> None:
    assert too_deep(b"[" * levels + b"]" * levels)
