"""The overview in Grafana says of the last hour what /glance says of it, whatever happened."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app.glance.verdict import judge
from app.store import rollups
from app.store.database import BoundedConnection
from app.store.events import EventStore
from app.store.overview import DAY, look
from grafana.sources import overview_tiles
from tests.store.batches import load, store_events

# Minutes ago: within the last hour, and within what is usual.
NOW, USUAL = 10, 3 * 24 * 60
DECISION = {"decision": "APPROVED"}
DENIAL = {"decision": "DENY"}
ERROR = {"success": False}


@pytest.mark.parametrize(
    ("events", "silent", "said"),
    [
        ([], 0, "Nothing here yet"),
        ([(30 * 60, 5, DECISION)], 0, "No events in 24 hours"),
        ([(NOW, 40, DECISION)], 0, "All is well"),
        # A quarter is always too many, but five of less than twenty say nothing.
        ([(NOW, 15, {}), (NOW, 5, ERROR), (USUAL, 10, ERROR)], 0, "Errors are high"),
        ([(NOW, 14, {}), (NOW, 5, ERROR)], 0, "All is well"),
        # Five of a hundred are too many where two are usual, and four never are.
        ([(NOW, 95, {}), (NOW, 5, ERROR), (USUAL, 98, {}), (USUAL, 2, ERROR)], 0, "Errors are high"),
        ([(NOW, 95, {}), (NOW, 5, ERROR), (USUAL, 97, {}), (USUAL, 3, ERROR)], 0, "All is well"),
        ([(NOW, 20, {}), (NOW, 4, ERROR)], 0, "All is well"),
        ([(NOW, 36, DECISION), (NOW, 4, DENIAL)], 0, "All is well"),
        ([(NOW, 45, DECISION), (NOW, 5, DENIAL), (USUAL, 95, DECISION), (USUAL, 5, DENIAL)], 0, "Denials are high"),
        ([(NOW, 45, DECISION), (NOW, 5, DENIAL), (USUAL, 94, DECISION), (USUAL, 6, DENIAL)], 0, "All is well"),
        # What is worse is said first.
        ([(NOW, 40, {**DENIAL, **ERROR})], 1, "Errors are high"),
        ([(NOW, 40, DECISION)], 1, "A host is silent"),
        ([(NOW, 40, DECISION)], 2, "2 of 3 hosts are silent"),
        ([(NOW, 40, DECISION)], 3, "All hosts are silent"),
    ],
)
def test_both_say(
    connection: psycopg.Connection,
    database_url: str,
    events: list[tuple[int, int, dict[str, object]]],
    silent: int,
    said: str,
) -> None:
    with BoundedConnection.connect(database_url, autocommit=True) as writer:
        for ago, count, event in events:
            when = (datetime.now(UTC) - timedelta(minutes=ago)).isoformat()
            sent = [{**event, "timestamp": when, "hostId": f"host-{number % 3}"} for number in range(count)]
            store_events(EventStore(), writer, load(*sent))
    rollups.catch_up(connection)
    connection.execute(
        "UPDATE hosts SET last_seen_at = now() - interval '1 hour'"
        " WHERE host_key IN (SELECT host_key FROM hosts ORDER BY host_key LIMIT %s)",
        [silent],
    )
    with psycopg.connect(database_url, user="grafana_public") as visitor:
        tile = visitor.execute(overview_tiles.verdict().statement().encode()).fetchone()
    assert tile == (judge(look(connection, DAY)).headline,) == (said,)
