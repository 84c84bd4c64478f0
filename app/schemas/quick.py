"""The common event, decoded and checked in a tenth of marshmallow's time, by a type that is derived from its schema.

The type takes a value only where marshmallow certainly takes it too, and gives the same; whatever is doubtful goes to
marshmallow, whose messages are the API's. `tests/unit/test_quick.py` holds the two equal.
"""

from datetime import UTC, datetime
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from marshmallow import Schema, fields, validate

from app.schemas.fields import Flag, Instant, Number, Object, Text, Whole
from app.schemas.text import MAX_DEPTH, too_deep

# A moment is decoded as text: msgspec would round it where the contract cuts it.
TYPES: dict[type[fields.Field[Any]], Any] = {Flag: bool, Instant: str, Number: float, Object: dict[str, Any]}
TYPES |= {Text: str, Whole: int}


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
    """What is left to do for a struct of `values_type(schema)` that was decoded."""

    def __init__(self, schema: Schema) -> None:
        def names(kind: type[fields.Field[Any]]) -> list[str]:
            return [name for name, field in schema.fields.items() if type(field) is kind]

        self._instants, self._numbers = names(Instant), names(Number)
        self._all_numbers, self._all_objects = attrgetter(*self._numbers), attrgetter(*names(Object))

    def complete(self, values: Any) -> None:
        """Makes its moments datetimes in UTC and its -0.0 zero.

        Raises Doubtful where a moment is none, or an object nests too deeply.
        """
        for name in self._instants:
            text = getattr(values, name)
            if text is not None:
                setattr(values, name, _instant(text))
        if 0 in self._all_numbers(values):
            for name in self._numbers:
                if getattr(values, name) == 0:
                    setattr(values, name, 0.0)
        for value in self._all_objects(values):
            # The event around it is a level too.
            if value and _nests(value) and too_deep(value, MAX_DEPTH - 1):
                raise Doubtful


def _nests(value: dict[str, Any]) -> bool:
    """Whether anything is nested in it; in nearly all nothing is."""
    for item in value.values():  # noqa: SIM110  # a generator takes twice as long
        if type(item) is dict or type(item) is list:
            return True
    return False


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
