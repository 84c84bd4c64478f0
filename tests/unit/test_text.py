"""Text and structures that PostgreSQL can hold."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.schemas.text import MAX_DEPTH, may_be_deep, too_deep

# Enough brackets for a count of them not to be enough.
MANY: list[Any] = [[]] * (MAX_DEPTH + 1)

opens = st.lists(st.sampled_from(["[", '{"a": ', '{"[\\"{": ']), min_size=MAX_DEPTH - 4, max_size=MAX_DEPTH + 1)
cores = st.sampled_from(["0", "[]", "{}", '"[[["', '{"a": [1]}', '"\\n      [", []', '"\\\\", []', "NaN", '"\\ud800"'])


def depth(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(depth, items), default=0)


@settings(max_examples=40)
@given(opens, cores, st.booleans())
@example(["["] * MAX_DEPTH, "0", True)
@example(["["] * (MAX_DEPTH - 1), "[]", True)
@example(["["] * MAX_DEPTH, "[]", True)
def test_depth_is_counted_to_the_level(opens: list[str], core: str, many: bool) -> None:
    text = "".join(opens) + (f"[{core}]" if ", " in core else core)
    text += "".join("]" if each == "[" else "}" for each in reversed(opens))
    if many:
        text = f"[{text}, {json.dumps(MANY)}]"
    value = json.loads(text)
    assert too_deep(value) == (depth(value) > MAX_DEPTH)
    # The count that spares the look never spares it wrongly.
    assert may_be_deep(text.encode()) or not too_deep(value)


@pytest.mark.parametrize("value", [0, "[[[", None, [], {}, [0] * 1000, {"a": {}}])
def test_what_is_wide_is_not_deep(value: Any) -> None:
    assert not too_deep(value)
