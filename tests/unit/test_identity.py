"""Which event is which. The golden values were given out: a release that changes one stores old events again."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.batch import load_batch
from app.schemas.event import KNOWN
from app.schemas.identity import Identifier
from tests.api.events import event

MOMENT = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
FIRST_GENERATION = event("laptop")

GOLDEN = [
    (FIRST_GENERATION, MOMENT, "1dba6e00ce222cc846b3e3987f7222ae"),
    (
        {**FIRST_GENERATION, "latencyMs": 150.5, "decisionReason": "Größe ≤ 5 \ud83d \u0000"},
        MOMENT,
        "1dba6e00c97e2df79174f5933386b96d",
    ),
    (
        {**FIRST_GENERATION, "cost": 1e-7, "extraData": {"b": [1, {"a": None}], "a": 1e300}},
        MOMENT,
        "1dba6e00cae5f83cb79d1928aa9b0869",
    ),
    ({**FIRST_GENERATION, "timestamp": None}, None, "9a02df301a9c39c7d38166bae3c5aca8"),
    (
        {**FIRST_GENERATION, "eventId": "8e0f3a52-7d0e-4a5e-9b1e-0123456789ab"},
        MOMENT,
        "460123a48254cb52d19cf6bf2c72e53b",
    ),
    ({**FIRST_GENERATION, "eventId": "1"}, None, "0f3cc221e2aad0eb8c40da7ec70bd742"),
]

names = st.text(max_size=8)
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
unknown_fields = st.dictionaries(names.filter(lambda name: name not in KNOWN), values)


def identify(*contents: dict[str, Any], occurred_at: datetime | None = MOMENT) -> list[str]:
    identifier = Identifier()
    return [identifier.identify(content, occurred_at) for content in contents]


@pytest.mark.parametrize(("content", "occurred_at", "identity"), GOLDEN)
def test_an_identity_is_the_same_in_every_release(
    content: dict[str, Any], occurred_at: datetime | None, identity: str
) -> None:
    assert identify(content, occurred_at=occurred_at) == [identity]


@given(unknown_fields, st.randoms())
def test_order_of_names_white_space_and_null_do_not_matter(fields: dict[str, Any], random: Any) -> None:
    content = {**FIRST_GENERATION, **fields}
    shuffled = list({**content, "provider": None}.items())
    random.shuffle(shuffled)
    sent_again = json.loads(json.dumps(dict(shuffled), indent=2))
    assert identify(content) == identify(sent_again)


@given(unknown_fields, unknown_fields)
def test_other_content_is_another_event(one: dict[str, Any], other: dict[str, Any]) -> None:
    def present(fields: dict[str, Any]) -> str:
        return json.dumps({name: value for name, value in fields.items() if value is not None}, sort_keys=True)

    if present(json.loads(json.dumps(one), parse_float=_exact)) != present(
        json.loads(json.dumps(other), parse_float=_exact)
    ):
        assert identify({**FIRST_GENERATION, **one}) != identify({**FIRST_GENERATION, **other})


def _exact(text: str) -> int | float:
    """3.0 is 3 in JSON."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def test_a_whole_float_is_the_same_number() -> None:
    assert identify({**FIRST_GENERATION, "latencyMs": 150.0}) == identify(FIRST_GENERATION)


def test_equal_events_of_one_request_are_several_and_the_same_ones_when_sent_again() -> None:
    first, second, other = identify(FIRST_GENERATION, FIRST_GENERATION, {**FIRST_GENERATION, "toolName": "Edit"})
    assert len({first, second, other}) == 3
    assert identify(FIRST_GENERATION, FIRST_GENERATION) == [first, second]
    assert identify(FIRST_GENERATION) == [first]


def test_an_event_id_stands_for_the_event_whatever_else_changes() -> None:
    content = {**FIRST_GENERATION, "eventId": "e1"}
    changed = {**content, "timestamp": "2031-01-01T00:00:00Z", "decision": "DENIED"}
    assert identify(content) == identify(changed, occurred_at=datetime(2031, 1, 1, tzinfo=UTC))
    assert identify(content, content)[0] == identify(content, content)[1]


def test_an_event_id_belongs_to_its_host() -> None:
    content = {**FIRST_GENERATION, "eventId": "e1"}
    assert identify(content) != identify({**content, "hostId": "desktop"})
    # Nor can a host pose as another by moving the boundary between the two.
    assert identify({**content, "hostId": "a", "eventId": "bc"}) != identify(
        {**content, "hostId": "ab", "eventId": "c"}
    )


@given(unknown_fields)
def test_a_neighbour_that_needs_the_lenient_reader_changes_no_identity(fields: dict[str, Any]) -> None:
    """A lone surrogate in one event has the whole body read by another parser."""
    content = {**FIRST_GENERATION, **fields}
    body = json.dumps({"events": [content]})
    neighbour = json.dumps({"events": [content, {**FIRST_GENERATION, "decisionReason": "cut \ud83d"}]})
    alone = load_batch(body.encode(), "*", 10)
    together = load_batch(neighbour.encode(), "*", 10)
    assert [event.identity for event in alone.events] == [event.identity for event in together.events[:-1]]
    assert alone.events[0].line == together.events[0].line


@given(st.datetimes(timezones=st.just(UTC)))
def test_any_time_gives_an_identity_of_128_bits(moment: datetime) -> None:
    (identity,) = identify(FIRST_GENERATION, occurred_at=moment)
    assert len(identity) == 32
    assert bytes.fromhex(identity)
