"""The common event, decoded and checked in a tenth of marshmallow's time, by a type that is derived from its schema.

The type takes a value only where marshmallow certainly takes it too, and gives the same; whatever is doubtful goes to
marshmallow, whose messages are the API's. `tests/unit/test_quick.py` holds the two equal.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from marshmallow import Schema, fields, validate

from app.schemas.fields import Flag, Instant, Number, Object, Text, Whole
from app.schemas.text import MAX_DEPTH, too_deep

# A moment is decoded as text: msgspec would round it where the contract cuts it.
TYPES: dict[type[fields.Field[Any]], Any] = {Flag: bool, Instant: str, Number: float, Object: dict[str, Any]}
TYPES |= {Text: str, Whole: int}
_CONTAINERS = frozenset((dict, list))


class Doubtful(Exception):
    """Not for the quick way; marshmallow knows."""


def values_type(schema: Schema) -> type[msgspec.Struct]:
    """A struct with the schema's fields by their names, None where one is absent; in JSON it has the contract's names.

    It decodes what keeps every rule of the schema and has no field beside, once `complete` has seen it.
    """
    known = sorted(schema.fields.items(), key=lambda item: not item[1].required)
    return msgspec.defstruct(
        "Values",
        [(name, _type(field)) if field.required else (name, _type(field) | None, None) for name, field in known],
        rename={name: field.data_key or name for name, field in known},
        forbid_unknown_fields=True,
        # JSON has no circles.
        gc=False,
    )


class Completion:
    """What is left to do for structs of `values_type(schema)` that were decoded."""

    def __init__(self, schema: Schema) -> None:
        def columns(kind: type[fields.Field[Any]]) -> list[tuple[str, Callable[[Any], Any]]]:
            return [(name, attrgetter(name)) for name, field in schema.fields.items() if type(field) is kind]

        self._instants, self._numbers, self._objects = columns(Instant), columns(Number), columns(Object)

    def complete(self, events: Sequence[Any]) -> None:
        """Makes their moments datetimes in UTC and their -0.0 zero. Raises Doubtful where a moment is none."""
        for name, column in self._instants:
            for values, text in zip(events, map(column, events), strict=True):
                if text is not None:
                    setattr(values, name, _instant(text))
        for name, column in self._numbers:
            if 0 in map(column, events):
                for values in events:
                    if column(values) == 0:
                        setattr(values, name, 0.0)

    def check_depth(self, events: Sequence[Any]) -> None:
        """Raises Doubtful where an object nests too deeply."""
        for _, column in self._objects:
            objects = list(filter(None, map(column, events)))
            items = chain.from_iterable(map(dict.values, objects))
            # In nearly all nothing is nested.
            if _CONTAINERS.isdisjoint(map(type, items)):
                continue
            # The event around it is a level too.
            if any(too_deep(value, MAX_DEPTH - 1) for value in objects):
                raise Doubtful


def _type(field: fields.Field[Any]) -> Any:
    """The type of one field, by its exact class; KeyError for a class that is not known here."""
    kind = TYPES[type(field)]
    for validator in field.validators:
        if isinstance(validator, validate.Length):
            kind = Annotated[kind, msgspec.Meta(min_length=validator.min, max_length=validator.max)]
        elif isinstance(validator, validate.Range):
            kind = Annotated[kind, msgspec.Meta(ge=validator.min, le=validator.max)]
        else:
            raise TypeError(f"{validator!r} has no counterpart")
    return kind


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is UTC:
            return moment
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Doubtful from error
