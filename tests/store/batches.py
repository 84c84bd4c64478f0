"""Events as clients send them, checked as the collector checks them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.schemas.batch import load_batch
from app.store.database import BoundedConnection
from app.store.events import Delivery, EventStore, Stored
from app.store.rows import Event

PLAIN = {"hostId": "laptop", "sessionId": "abc123", "eventType": "agent_execution", "agentName": "tool-approve"}


def load(*events: dict[str, Any]) -> Sequence[Event]:
    """The events, each with the four required fields where it has none; every one must be valid."""
    body = msgspec.json.encode({"events": [{**PLAIN, **event} for event in events]})
    batch = load_batch(body, "*", len(events))
    assert batch.rejected == []
    return batch.events


def store_events(event_store: EventStore, connection: BoundedConnection, events: Sequence[Event]) -> Stored:
    """Stores the events as one delivery; what became of it."""
    (stored,) = event_store.store(connection, [Delivery(events)])
    return stored
