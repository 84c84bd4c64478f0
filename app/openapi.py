"""openapi.json: put together from what each view says of itself, and from the marshmallow schemas."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema, fields

from app import __version__
from app.body import MIB
from app.config import Settings
from app.schemas.answers import ErrorSchema
from app.schemas.event import EventSchema

View = TypeVar("View", bound=Callable[..., Any])

DESCRIPTION = """
Takes in what AI agents did and decided, from many hosts: events, and the transcripts of their sessions.

An answer of 200 means stored: it is given after the commit. Whoever is in doubt, after a time-out say, sends the same
again, for what is stored already is recognised and counted as a duplicate. To send again is of use after 429, 502, 503
and 504, not before `Retry-After` seconds, and after time-outs; after any other refusal the same would be refused again.

Bodies are JSON in UTF-8, as they are or compressed with gzip (`Content-Encoding: gzip`). JSON's types are taken
strictly: `"150"` and `true` are no numbers; but `150.0` is an integer, since JSON knows one kind of number only.
Every request is answered within 4 seconds. Every answer has an `X-Request-Id` under which the collector's log has the
request; a client that sends this header chooses the id.
"""

KEY_DESCRIPTION = (
    "A key made with `telemetryctl keys create HOST`. It writes for its own host only, one made for `*` for any."
)
REQUEST_ID = {
    "description": "The request's id, as it stands in the collector's log.",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
}
RETRY_AFTER = {
    "description": "How many seconds to wait before sending the same again.",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
}

# What every view with a key, and every view with a body, refuses in the same way.
KEY_REFUSALS = {
    401: "There is no `X-API-Key`.",
    403: "The key is unknown, revoked or expired, or may not do this.",
    429: "The key is over its rate. Wait, and send the same again.",
    503: "The database is away or slow, or the collector is full or stopping. Nothing was acknowledged: wait, and send"
    " the same again.",
}
BODY_REFUSALS = {
    400: "The body is no JSON, or not of this shape.",
    415: "The body is of another type or encoding.",
}
WAIT = (429, 503)


@dataclass(frozen=True, slots=True)
class Body:
    """The JSON that a view takes: a schema that may depend on the settings, examples by name, at most `limit` bytes."""

    schema: Callable[[Settings], type[Schema]]
    examples: Mapping[str, Any]
    limit: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """An optional parameter of the query: text, or one of `values`."""

    name: str
    description: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """A view in words. `answers` gives, by status, a description and a schema, beyond the usual refusals.

    What has no schema is a page of HTML.
    """

    summary: str
    description: str
    answers: Mapping[int, tuple[str, type[Schema] | None]]
    body: Body | None = None
    parameters: tuple[Parameter, ...] = ()
    key: bool = False

    def all_answers(self) -> dict[int, tuple[str, type[Schema] | None]]:
        """The answers and the usual refusals, by status."""
        usual = KEY_REFUSALS if self.key else {}
        if self.body:
            usual = {**usual, **BODY_REFUSALS, 413: f"The body is over {self.body.limit // MIB} MiB, decompressed."}
        answers: dict[int, tuple[str, type[Schema] | None]] = {
            status: (text, ErrorSchema) for status, text in usual.items()
        }
        answers.update(self.answers)
        return dict(sorted(answers.items()))


def describes(operation: Operation) -> Callable[[View], View]:
    """A view with its description: every view has one, says a test."""

    def decorate(view: View) -> View:
        view.operation = operation  # type: ignore[attr-defined]
        return view

    return decorate


def build(app: Flask, settings: Settings) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all views of `app` that are described."""
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="Agent Framework Telemetry",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={"description": DESCRIPTION.strip()},
        servers=[{"url": "/"}],
    )
    assert plugin.converter is not None
    plugin.converter.add_attribute_function(_null_is_absent)  # type: ignore[no-untyped-call]
    spec.components.security_scheme(
        "ApiKey", {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": KEY_DESCRIPTION}
    )
    spec.components.header("RequestId", REQUEST_ID)
    spec.components.header("RetryAfter", RETRY_AFTER)
    for rule in app.url_map.iter_rules():
        operation = getattr(app.view_functions[rule.endpoint], "operation", None)
        if isinstance(operation, Operation):
            method = next(iter((rule.methods or set()) - {"HEAD", "OPTIONS"})).lower()
            spec.path(rule.rule, operations={method: _operation(operation, rule.endpoint, settings)})
    return spec.to_dict()


def _operation(operation: Operation, endpoint: str, settings: Settings) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": endpoint.rpartition(".")[2],
        "summary": operation.summary,
        "description": operation.description,
        "security": [{"ApiKey": []}] if operation.key else [],
        "responses": {
            str(status): _answer(status, description, schema)
            for status, (description, schema) in operation.all_answers().items()
        },
    }
    if operation.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body:
        content = {
            "schema": operation.body.schema(settings),
            "examples": {name: {"value": value} for name, value in operation.body.examples.items()},
        }
        # No parameter, which a generated client would set and then send the body as it is.
        described["requestBody"] = {
            "description": f"At most {operation.body.limit // MIB} MiB, after decompression where it comes with"
            " `Content-Encoding: gzip`.",
            "required": True,
            "content": {"application/json": content},
        }
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = {"type": "string", "enum": list(parameter.values)} if parameter.values else {"type": "string"}
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema}


def _answer(status: int, description: str, schema: type[Schema] | None) -> dict[str, Any]:
    headers = {"X-Request-Id": "RequestId"}
    if status in WAIT and schema in (ErrorSchema, None):
        headers["Retry-After"] = "RetryAfter"
    content = (
        {"text/html": {"schema": {"type": "string"}}} if schema is None else {"application/json": {"schema": schema}}
    )
    return {"description": description, "headers": headers, "content": content}


def _null_is_absent(_: Any, described: fields.Field[Any], *, ret: dict[str, Any], **others: Any) -> dict[str, Any]:
    """An event's optional fields may be null, which is the same as absent."""
    if not isinstance(described.parent, EventSchema) or described.required:
        return {}
    if "format" not in ret:
        return {"type": [ret["type"], "null"]}
    # Beside null a format is lost on tools, so the string has it alone.
    return {"anyOf": [{"type": ret.pop("type"), "format": ret.pop("format")}, {"type": "null"}]}
