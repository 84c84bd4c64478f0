"""What the collector answers, for openapi.json; the tests hold the real answers against it."""

from marshmallow import EXCLUDE, Schema, fields, validate


class Open(Schema):
    """An object that may have more fields than are listed: a later release may say more."""

    class Meta:
        """Unknown fields are no error."""

        unknown = EXCLUDE


class RejectedSchema(Open):
    """An event of a batch that was not accepted."""

    index = fields.Integer(
        required=True, validate=validate.Range(min=0), metadata={"description": "Its place in the batch, from 0."}
    )
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        required=True,
        metadata={
            "description": "What is wrong, by field; `_schema` is the event as a whole.",
            "example": {"latencyMs": ["Not a valid number."]},
        },
    )


class ReceiptSchema(Open):
    """What became of a batch."""

    accepted = fields.Integer(
        required=True,
        validate=validate.Range(min=0),
        metadata={"description": "Events that are stored, now or before: the client may forget them."},
    )
    duplicates = fields.Integer(
        required=True,
        validate=validate.Range(min=0),
        metadata={"description": "How many of the accepted were stored before."},
    )
    rejected = fields.List(
        fields.Nested(RejectedSchema),
        required=True,
        metadata={"description": "The others. To send them again as they are is no use."},
    )


class ErrorSchema(Open):
    """A refusal."""

    error = fields.String(
        required=True, validate=validate.Length(min=1), metadata={"description": "One sentence for people."}
    )
    details = fields.Raw(
        required=True,
        allow_none=True,
        metadata={"description": "More for the developer, where there is more; the receipt where a batch was refused."},
    )


class HealthSchema(Open):
    """Whether the collector can take events in."""

    status = fields.String(required=True, validate=validate.OneOf(["healthy", "unhealthy"]))
    database = fields.String(required=True, validate=validate.OneOf(["connected", "disconnected"]))
    version = fields.String(required=True, metadata={"description": "The collector's release.", "example": "1.2.3"})


class DocumentSchema(Open):
    """An OpenAPI document."""

    openapi = fields.String(required=True, metadata={"example": "3.1.0"})
    info = fields.Dict(required=True)
    paths = fields.Dict(required=True)


class TranscriptReceiptSchema(Open):
    """What became of a transcript."""

    success = fields.Boolean(required=True, metadata={"description": "true: it is stored, whole."})
    messages = fields.Integer(
        required=True, validate=validate.Range(min=0), metadata={"description": "How many messages were sent."}
    )
    unchanged = fields.Boolean(
        required=True,
        metadata={"description": "Whether nothing was written, for it equals what is stored or is its beginning."},
    )
