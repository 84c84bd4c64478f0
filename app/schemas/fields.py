"""marshmallow fields with JSON's own types: a string is no number, and true is no 1.

Each takes a description, a sentence for whoever reads openapi.json.
"""

from datetime import UTC, datetime
from typing import Any

from marshmallow import fields, validate


class Text(fields.String):
    """A string of `low` to `high` characters."""

    def __init__(self, high: int, description: str = "", *, low: int = 0, **kwargs: Any) -> None:
        length = validate.Length(min=low or None, max=high)
        super().__init__(validate=length, metadata={"description": description}, **kwargs)


class Whole(fields.Integer):
    """A JSON number without a fraction, from 0 to `high`; 3.0 is 3."""

    def __init__(self, high: int, description: str = "", **kwargs: Any) -> None:
        limits = validate.Range(min=0, max=high)
        super().__init__(strict=True, validate=limits, metadata={"description": description}, **kwargs)

    def _validated(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return value


class Number(fields.Float):
    """A finite JSON number from 0 to `high`; the description tells its unit."""

    def __init__(self, high: float, description: str, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(min=0, max=high), metadata={"description": description}, **kwargs)

    def _validated(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        try:
            # Adding zero turns -0.0 into 0.0.
            return float(value) + 0.0
        except OverflowError as error:
            raise self.make_error("too_large", input=value) from error


class Flag(fields.Boolean):
    """true or false, and nothing that merely looks like it."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": description}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Instant(fields.DateTime):
    """ISO 8601 with any offset, none meaning UTC; given as a datetime in UTC, cut to microseconds."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": description}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        try:
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error


class Object(fields.Dict):
    """A JSON object, kept as it is."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": description}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        return value
