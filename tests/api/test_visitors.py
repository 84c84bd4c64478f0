"""What anybody may have of the collector without a key: the whole list, and nothing private in any of it.

What the proxy lets through of Grafana is in tests/unit/test_caddyfile.py, what the reading roles see in
tests/store/test_readers.py.
"""

from datetime import UTC, datetime

from app import create_app
from app.config import load
from tests.api.events import event
from tests.api.test_overview_numbers import fill
from tests.fixtures.collector import Collector

OPEN = {"/glance", "/api/v1/health", "/api/v1/openapi.json"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# What an event, a transcript and a key hold that is not counted by.
PRIVATE = {
    "sessionId": "private-session",
    "decisionReason": "private-reason",
    "workingDir": "/home/private-path",
    "generationId": "private-generation",
    "eventId": "private-event",
    "toolInput": {"command": "private-input"},
    "extraData": {"private-extra": 1},
    "unknownField": "private-field",
}


def test_nothing_private_can_be_had_without_a_key(collector: Collector) -> None:
    """Given an event, a transcript and a rejected event with private words, every address in every way shows none."""
    now = datetime.now(UTC).isoformat()
    fill(collector, [event("laptop", timestamp=now, **PRIVATE)])
    message = {"role": "user", "content": "private-message"}
    transcript = {"hostId": "laptop", "sessionId": "private-session", "transcript": [message]}
    assert collector.send_transcript(transcript).status == 200
    assert collector.send_events(event("laptop", latencyMs="private-latency")).status == 400
    rules = create_app(load({"DATABASE_URL": collector.database_url})).url_map.iter_rules()
    paths = {rule.rule for rule in rules} | {"/", "/metrics", "/static/x", "/api/v1", "/api/v1/events"}
    answered = set()
    for path in sorted(paths):
        for method in METHODS:
            for query in ("", "?range=7d&window=7d&theme=dark"):
                answer = collector.request(method, f"{path}{query}")
                assert b"private" not in answer.body, (method, path)
                assert "private" not in str(answer.headers), (method, path)
                if answer.status == 200 and method == "GET":
                    answered.add(path)
                assert path in OPEN or method == "OPTIONS" or answer.status in (401, 404, 405)
    assert answered == OPEN
    # It was there to be seen.
    assert "tool-approve" in collector.get("/glance").body.decode()
