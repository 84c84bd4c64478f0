"""What a message of a transcript is: the contract's rules as a marshmallow schema, and a quick way to keep them."""

from typing import Any

import msgspec
from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from app.schemas.fields import Whole

ROLES = ("user", "assistant", "tool_result", "tool", "system")
# Every reader of JSON keeps an integer exactly up to here.
MAX_INDEX = 2**53 - 1

_DECODER = msgspec.json.Decoder()


def is_content(value: object) -> bool:
    """Whether `value` may be a message's content: a string, or a list of JSON objects."""
    return type(value) is str or (type(value) is list and {dict}.issuperset(map(type, value)))


class Content(fields.Field[Any]):
    """A string, or a list of JSON objects, kept as it is."""

    default_error_messages = {"invalid": "Not a string or a list of objects."}  # noqa: RUF012  # marshmallow's own way

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not is_content(value):
            raise self.make_error("invalid")
        return value


class MessageSchema(Schema):
    """One message. Fields that are not listed here are kept."""

    class Meta:
        """What a later client adds is not lost."""

        unknown = INCLUDE

    role = fields.String(required=True, validate=validate.OneOf(ROLES), metadata={"description": "Who or what speaks."})
    content = Content(
        required=True,
        metadata={
            "description": "Text, or blocks.",
            "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}],
        },
    )
    index = Whole(MAX_INDEX, "Its place, from 0; absent or null is where it stands.", allow_none=True)


MESSAGE = MessageSchema()


def load_message(raw: bytes | msgspec.Raw, place: int) -> dict[str, Any]:
    """The message in the JSON text `raw`, its index filled in; `place` is how many stand before it.

    Raises ValidationError with the schema's messages.
    """
    try:
        message: Any = _DECODER.decode(raw)
    except UnicodeDecodeError as error:
        raise ValidationError("Not UTF-8.") from error
    except msgspec.DecodeError as error:
        raise ValidationError("A number is out of range.") from error
    if not surely_right(message):
        message = MESSAGE.load(message)
    assert isinstance(message, dict)
    if message.get("index") is None:
        message["index"] = place
    return message


def messages_of(error: ValidationError) -> Any:
    """The error's messages, when it has been caught; the error itself lets go of everything else.

    marshmallow's errors and the frames that raised them refer to each other, so that a body of many megabytes would
    stay in memory until Python looks for such circles.
    """
    error.__traceback__ = None
    return error.messages


def surely_right(message: Any) -> bool:
    """Whether the schema takes the decoded `message` and leaves it as it is, told in a fiftieth of the schema's time.

    It says so of nearly every message that is right. Where it says no, the schema decides.
    """
    if type(message) is not dict:
        return False
    role, content, index = message.get("role"), message.get("content"), message.get("index")
    return (
        (type(content) is str or is_content(content))
        and (index is None or (type(index) is int and 0 <= index <= MAX_INDEX))
        and role in ROLES
    )
