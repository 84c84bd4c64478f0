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


def _number(description: str) -> fields.Integer:
    return fields.Integer(required=True, validate=validate.Range(min=0), metadata={"description": description})


def _rate(description: str) -> fields.Float:
    return fields.Float(
        required=True,
        allow_none=True,
        validate=validate.Range(min=0, max=1),
        metadata={"description": f"{description}, from 0 to 1."},
    )


def _milliseconds(description: str) -> fields.Float:
    return fields.Float(
        required=True,
        allow_none=True,
        validate=validate.Range(min=0),
        metadata={"description": f"{description} in ms, at most 5 % off."},
    )


def _dollars(description: str) -> fields.Float:
    return fields.Float(
        required=True, validate=validate.Range(min=0), metadata={"description": f"{description}, in US dollars."}
    )


def _moment(description: str, *, allow_none: bool = True) -> fields.AwareDateTime:
    return fields.AwareDateTime(
        required=True, allow_none=allow_none, format="iso", metadata={"description": description}
    )


class SummarySchema(Open):
    """The site's numbers."""

    window = fields.String(required=True, metadata={"description": "How far back, as it was asked.", "example": "24h"})
    at = _moment("When these were the numbers.", allow_none=False)
    verdict = fields.String(required=True, metadata={"description": "All in all, in words.", "example": "All is well"})
    verdictLevel = fields.String(  # noqa: N815  # the API's names
        required=True,
        validate=validate.OneOf(["good", "notice", "bad", "empty"]),
        metadata={"description": "How much that wants to be looked at."},
    )
    events = _number("Events in the window.")
    sessions = _number("Different sessions with an event; of whole days where the window is longer than 15 days.")
    hosts = _number("Different hosts with an event.")
    agents = _number("Different agents with an event.")
    decisions = _number("Events with a decision.")
    approved = _number("Decisions that approved, confirmed, continued or succeeded.")
    denied = _number("Decisions that denied.")
    errors = _number("Events that failed, or have `success: false`.")
    approvalRate = _rate("Approved over decisions")  # noqa: N815
    denialRate = _rate("Denied over decisions")  # noqa: N815
    errorRate = _rate("Errors over events")  # noqa: N815
    latencyP50Ms = _milliseconds("The median latency")  # noqa: N815
    latencyP95Ms = _milliseconds("The latency that 95 of 100 stay within")  # noqa: N815
    totalTokens = _number("Tokens, of events that tell them.")  # noqa: N815
    cost = _dollars("Cost in the window")
    costToday = _dollars("Cost since midnight, by the site's time zone")  # noqa: N815
    knownHosts = _number("Hosts that were heard of within a week.")  # noqa: N815
    silentHosts = _number("Those of them that are silent now.")  # noqa: N815
    silentHostNames = fields.String(  # noqa: N815
        required=True, metadata={"description": "The first fifteen of these, with commas between them."}
    )
    lastEventAt = _moment("When an event came last.")  # noqa: N815
    lastDenialAt = _moment("When something was denied last.")  # noqa: N815
