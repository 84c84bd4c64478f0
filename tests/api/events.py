"""Events as hosts send them, and what became of them, for the tests of the API."""

from typing import Any

from psycopg.rows import dict_row

from tests.fixtures.collector import Collector
from tests.fixtures.postgres import connect

FULL = {
    "eventId": "8e0f3a52-7d0e-4a5e-9b1e-0123456789ab",
    "sessionId": "s-1",
    "eventType": "hook_decision",
    "agentName": "tool-approve",
    "timestamp": "2026-03-04T05:06:07.123456789+02:00",
    "decision": "Denied",
    "decisionReason": "rm -rf is not safe",
    "hookName": "PreToolUse",
    "toolName": "Bash",
    "modelName": "claude-3-haiku-20240307",
    "mode": "lazy",
    "executionType": "llm",
    "modelTier": "haiku",
    "provider": "anthropic",
    "clientVersion": "2.1.0",
    "workingDir": "/home/me/project",
    "latencyMs": 150.25,
    "success": True,
    "errorCount": 0,
    "warningCount": 2,
    "promptTokens": 10**12,
    "completionTokens": 20,
    "totalTokens": 30,
    "cachedTokens": 0,
    "reasoningTokens": 5,
    "cost": 0.123456789,
    "generationId": "gen-1,gen-2",
    "toolInput": {"command": "rm -rf /", "timeout": 1.5},
    "extraData": {"deep": {"list": [1, "two", None]}},
}


def event(host: str, **fields: Any) -> dict[str, Any]:
    """A first-generation event of `host`, with other or further fields."""
    return {
        "hostId": host,
        "sessionId": "abc123",
        "eventType": "agent_execution",
        "agentName": "tool-approve",
        "timestamp": "2024-01-15T10:30:00Z",
        "decision": "APPROVED",
        "decisionReason": "Tool is safe",
        "toolName": "Bash",
        "latencyMs": 150,
        "modelTier": "haiku",
        **fields,
    }


def stored(collector: Collector, host: str) -> list[dict[str, Any]]:
    """The host's events in the database, in the order in which they happened."""
    with connect(collector.database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM reporting.events WHERE host_id = %s ORDER BY occurred_at, received_at", [host]
        ).fetchall()


def quarantined(collector: Collector, word: str) -> list[dict[str, Any]]:
    """The quarantined events whose text holds `word`."""
    with connect(collector.database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM quarantined_events WHERE event LIKE %s ORDER BY id", [f"%{word}%"]
        ).fetchall()


def receipt(accepted: int, duplicates: int = 0) -> dict[str, Any]:
    return {"accepted": accepted, "duplicates": duplicates, "rejected": []}
