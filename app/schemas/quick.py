"""The common event, checked in a tenth of marshmallow's time, by checks that are derived from the same schema.

A quick check takes a value only where marshmallow certainly takes it too, and gives the same; whatever is doubtful goes
to marshmallow, whose messages are the API's. `tests/unit/test_quick.py` holds the two equal.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, fields, validate

from app.schemas.fields import Flag, Instant, Number, Object, Text, Whole


class _Doubtful(Exception):
    """Not for the quick way."""


Check = Callable[[Any], Any]


class QuickSchema:
    """`schema` for the common case."""

    def __init__(self, schema: Schema) -> None:
        self._checks: dict[str, tuple[str, Check]] = {
            field.data_key or name: (name, _check(field)) for name, field in schema.fields.items()
        }
        self._required = [name for name, field in schema.fields.items() if field.required]

    def load(self, content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What `schema` would load from `content`, and the fields it does not know; None where it must be asked."""
        values: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        checks = self._checks
        try:
            for name, value in content.items():
                known = checks.get(name)
                if known is None:
                    unknown[name] = value
                else:
                    values[known[0]] = known[1](value)
        except _Doubtful:
            return None
        for name in self._required:
            if name not in values:
                return None
        return values, unknown


def _check(field: fields.Field[Any]) -> Check:
    """The quick check of one field, by its exact class; a class that is not known here is always doubtful."""
    kind = type(field)
    if kind is Text:
        return _text(*_bounds(field, validate.Length))
    if kind is Whole:
        return _whole(*_bounds(field, validate.Range))
    if kind is Number:
        return _number(*_bounds(field, validate.Range))
    return {Flag: _flag, Object: _object, Instant: _instant}.get(kind, _doubt)


def _bounds(field: fields.Field[Any], kind: type[validate.Length | validate.Range]) -> tuple[Any, Any]:
    """The bounds of the field's one validator."""
    (validator,) = field.validators
    assert isinstance(validator, kind)
    return validator.min or 0, validator.max


def _text(low: int, high: int) -> Check:
    def check(value: Any) -> Any:
        if type(value) is str and low <= len(value) <= high:
            return value
        raise _Doubtful

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> Any:
        if type(value) is int and low <= value <= high:
            return value
        raise _Doubtful

    return check


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> Any:
        if (type(value) is float or type(value) is int) and low <= value <= high:
            return value + 0.0
        raise _Doubtful

    return check


def _flag(value: Any) -> Any:
    if value is True or value is False:
        return value
    raise _Doubtful


def _object(value: Any) -> Any:
    if type(value) is dict:
        return value
    raise _Doubtful


def _instant(value: Any) -> Any:
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise _Doubtful from error


def _doubt(_: Any) -> Any:
    raise _Doubtful
