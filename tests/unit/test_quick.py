"""The quick way and marshmallow are equal in what they take and in what they give."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import ValidationError

from app.schemas.event import EVENT, KNOWN
from app.schemas.quick import QuickSchema
from tests.api.events import FULL, event

QUICK = QuickSchema(EVENT)

numbers = st.integers() | st.floats(allow_nan=True) | st.sampled_from([0, -0.0, 1.0, 2**31, 10**12, 10**6, 86_400_000])
texts = st.text(max_size=300) | st.sampled_from(["", "a" * 64, "a" * 65, "a" * 255, "a" * 256, "Ü" * 4096])
times = st.datetimes().map(str) | st.sampled_from(
    ["2024-01-15T10:30:00Z", "2024-01-15", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-01:00", "10:30", "now"]
)
values = st.booleans() | numbers | texts | times | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers())
overrides = st.dictionaries(st.sampled_from(sorted(KNOWN)) | st.text(max_size=5), values, max_size=4)


def by_marshmallow(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    try:
        loaded = EVENT.load(content)
    except ValidationError:
        return None
    return loaded, {name: value for name, value in content.items() if name not in KNOWN}


@given(st.sampled_from([event("laptop"), {**FULL, "hostId": "laptop"}]), overrides)
@example(event("laptop"), {"host_id": "another"})
@example(event("laptop"), {"latencyMs": -0.0})
def test_what_the_quick_way_takes_marshmallow_takes_and_gives_the_same(
    content: dict[str, Any], fields: dict[str, Any]
) -> None:
    content = {**content, **fields}
    quick, slow = QUICK.load(content), by_marshmallow(content)
    if quick is not None:
        assert repr(quick[0]) == repr({name: slow[0][name] for name in quick[0]} if slow else None)
        assert quick == slow


@given(st.sets(st.sampled_from(sorted(KNOWN))))
def test_what_lacks_a_required_field_goes_to_marshmallow(names: set[str]) -> None:
    content = {name: value for name, value in {**FULL, "hostId": "laptop"}.items() if name in names}
    assert (QUICK.load(content) is None) == (by_marshmallow(content) is None)


def test_the_common_event_takes_the_quick_way() -> None:
    assert QUICK.load({**FULL, "hostId": "laptop"}) is not None
    assert QUICK.load({**event("laptop"), "somethingNew": 1}) is not None
