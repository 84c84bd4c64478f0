"""GET /api/v1/openapi.json: complete, valid, and true."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from marshmallow import RAISE, Schema

from app import __version__, create_app
from app.config import load
from app.openapi import build
from app.schemas.answers import ErrorSchema, HealthSchema, ReceiptSchema, SummarySchema, TranscriptReceiptSchema
from tests.fixtures.collector import BATCH, HEALTH, TRANSCRIPT, Collector

PATH = "/api/v1/openapi.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOWHERE = {"DATABASE_URL": "postgresql://telemetry@127.0.0.1:1/none", "TELEMETRY_METRICS_PORT": "0"}

# The contract's table: JSON type, least, most, required.
TABLE: dict[str, tuple[str, int | None, int | None, bool]] = {
    **dict.fromkeys(("hostId", "sessionId", "agentName"), ("string", 1, 255, True)),
    "eventType": ("string", 1, 64, True),
    "eventId": ("string", 1, 128, False),
    "timestamp": ("date-time", None, None, False),
    "decision": ("string", 1, 64, False),
    "decisionReason": ("string", None, 65_536, False),
    **dict.fromkeys(("hookName", "toolName", "modelName"), ("string", None, 255, False)),
    **dict.fromkeys(("mode", "executionType", "modelTier", "provider", "clientVersion"), ("string", None, 64, False)),
    "workingDir": ("string", None, 4096, False),
    "latencyMs": ("number", 0, 86_400_000, False),
    "success": ("boolean", None, None, False),
    **dict.fromkeys(("errorCount", "warningCount"), ("integer", 0, 2_147_483_647, False)),
    **dict.fromkeys(
        ("promptTokens", "completionTokens", "totalTokens", "cachedTokens", "reasoningTokens"),
        ("integer", 0, 10**12, False),
    ),
    "cost": ("number", 0, 10**6, False),
    "generationId": ("string", None, 2048, False),
    **dict.fromkeys(("toolInput", "extraData"), ("object", None, None, False)),
}


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(load(NOWHERE))


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    return build(app, load(NOWHERE))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each operation."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def routes(app: Flask) -> set[tuple[str, str]]:
    """Method and path of each view."""
    return {
        (method.lower(), rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_the_collector_serves_it(shared_collector: Collector, document: dict[str, Any]) -> None:
    first, second = shared_collector.get(PATH), shared_collector.get(PATH)
    assert first.status == 200
    assert first.headers["content-type"] == "application/json"
    assert first.json() == json.loads(json.dumps(document))
    assert second.body == first.body


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == __version__
    # The document by the schema that the OpenAPI Initiative publishes, which leaves the schemas in it to JSON Schema.
    schemathesis.openapi.from_dict(document).validate()
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": DIALECT, **schema})


def test_every_reference_in_it_leads_somewhere(document: dict[str, Any]) -> None:
    found = list(references(document))
    assert found
    for reference in found:
        target: Any = document
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]


def references(value: Any) -> Iterator[str]:
    """Every $ref inside `value`."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_a_document_that_is_not_valid_is_told(document: dict[str, Any]) -> None:
    del document["paths"][BATCH]["post"]["responses"]["200"]["description"]
    with pytest.raises(jsonschema_rs.ValidationError, match="description"):
        schemathesis.openapi.from_dict(document).validate()


def test_every_route_is_in_it(app: Flask, document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == routes(app)


def test_a_route_that_does_not_describe_itself_is_missed() -> None:
    app = create_app(load(NOWHERE))
    app.add_url_rule("/new", view_func=lambda: "")
    described = {(method, path) for method, path, _ in operations(build(app, load(NOWHERE)))}
    assert routes(app) - described == {("get", "/new")}


def test_everything_is_described_in_words(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        assert operation["summary"].endswith("."), path
        assert operation["description"].endswith("."), path
        assert all(answer["description"].endswith(".") for answer in operation["responses"].values()), path
        assert all(parameter["description"].endswith(".") for parameter in operation.get("parameters", ())), path
    for name in ("Event", "Receipt", "Rejected", "Error", "Message", "Transcript", "TranscriptReceipt", "Summary"):
        for field, described in document["components"]["schemas"][name]["properties"].items():
            assert described.get("description", "").endswith("."), f"{name}.{field}"


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_an_event_is_what_the_contract_says(document: dict[str, Any]) -> None:
    event = document["components"]["schemas"]["Event"]
    assert event.get("additionalProperties", True) is True
    assert {name: described(name, event) for name in event["properties"]} == TABLE


def described(name: str, event: dict[str, Any]) -> tuple[str, Any, Any, bool]:
    """A field as the contract's table has it; an optional one may be null."""
    field, required = event["properties"][name], name in event["required"]
    kinds = field.get("anyOf") or [{"type": kind} for kind in [field["type"]] if isinstance(kind, str)]
    kinds = kinds or [{"type": kind} for kind in field["type"]]
    assert required == ({"type": "null"} not in kinds), name
    kind = kinds[0].get("format") or kinds[0]["type"]
    low = field.get("minLength", field.get("minimum"))
    return kind, low, field.get("maxLength", field.get("maximum")), required


def test_the_size_of_a_batch_is_the_setting(app: Flask) -> None:
    for setting in ("100", "1000"):
        document = build(app, load({**NOWHERE, "TELEMETRY_MAX_BATCH_EVENTS": setting}))
        events = document["components"]["schemas"]["Batch"]["properties"]["events"]
        assert (events["minItems"], events["maxItems"]) == (1, int(setting))


@pytest.mark.parametrize("path", [BATCH, TRANSCRIPT])
def test_what_hosts_call_tells_every_status_of_the_contract(document: dict[str, Any], path: str) -> None:
    operation = document["paths"][path]["post"]
    assert set(operation["responses"]) == {"200", "400", "401", "403", "413", "415", "429", "503"}
    assert "gzip" in operation["requestBody"]["description"]
    assert operation["security"] == [{"ApiKey": []}]
    for status, answer in operation["responses"].items():
        schema = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert (schema == "Error") == (status != "200")
        assert set(answer["headers"]) == {"X-Request-Id"} | ({"Retry-After"} if status in ("429", "503") else set())
    key = document["components"]["securitySchemes"]["ApiKey"]
    assert (key["type"], key["in"], key["name"]) == ("apiKey", "header", "X-API-Key")


def test_the_examples_are_accepted(shared_collector: Collector, document: dict[str, Any]) -> None:
    taking = [(path, operation) for _, path, operation in operations(document) if "requestBody" in operation]
    for path, operation in taking:
        examples = operation["requestBody"]["content"]["application/json"]["examples"]
        assert examples
        for example in examples.values():
            answer = shared_collector.post(path, example["value"], key=shared_collector.key)
            assert answer.status == 200, answer.body


def test_a_key_is_asked_for_where_it_says_so(shared_collector: Collector, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        answer = shared_collector.request(method.upper(), path)
        assert (answer.status == 401) == bool(operation["security"]), path


def test_answers_hold_what_it_says_and_nothing_else(shared_collector: Collector, host: str) -> None:
    def strict(schema: Callable[..., Schema], answer: Any) -> None:
        schema(unknown=RAISE).load(answer)

    event = {"hostId": host, "sessionId": "s", "eventType": "error", "agentName": "a"}
    receipt = shared_collector.send_events(event, {**event, "cost": -1}).json()
    assert receipt["rejected"]
    strict(ReceiptSchema, receipt)
    strict(ErrorSchema, shared_collector.send_events({}).json())
    strict(ErrorSchema, shared_collector.get("/nowhere").json())
    transcript = {"hostId": host, "sessionId": "s", "transcript": []}
    strict(TranscriptReceiptSchema, shared_collector.send_transcript(transcript).json())
    strict(HealthSchema, shared_collector.get(HEALTH).json())
    key = shared_collector.create_key("*", "read")
    strict(SummarySchema, shared_collector.get("/api/v1/summary", {"X-API-Key": key}).json())
    strict(ErrorSchema, shared_collector.get("/api/v1/summary?window=1y", {"X-API-Key": key}).json())
