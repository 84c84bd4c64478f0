"""Where the time of a batch goes, step by step, each alone: `python -m tests.bench.steps`.

Microseconds an event that comes with 99 others, the best of several runs, on a fresh embedded PostgreSQL 16 set up as
for `make bench`; with PostgreSQL, those of both ends and the way between. The last line is one JSON object.
"""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from app.schemas import batch as batches_of
from app.schemas.event import EVENT, check_depth, complete, outcome
from app.schemas.identity import by_event_id
from app.store import identities
from app.store.database import BoundedConnection
from app.store.events import Delivery, EventStore
from app.store.rows import Event, make_events
from dev.embedded import EmbeddedPostgres
from tests.bench.cases import batches
from tests.bench.server import SETTINGS
from tests.bench.wrk import MARK
from tests.fixtures.postgres import migrate

SIZE = 100
RUNS = 30


def best(work: Callable[[Any], object], given: Sequence[Any]) -> float:
    """Microseconds an event."""
    times = []
    for each in given:
        began = time.perf_counter()
        work(each)
        times.append(time.perf_counter() - began)
    return min(times) / SIZE * 1e6


def in_python(bodies: list[bytes]) -> dict[str, float]:
    """From the body to checked events."""
    contents = [msgspec.json.decode(body)["events"] for body in bodies]
    decoded = [batches_of._QUICK_BODY.decode(body).events for body in bodies]
    completed = [batches_of._QUICK_BODY.decode(body).events for body in bodies]
    for events in completed:
        complete(events)
    named = [(each.host_id, each.event_id) for each in decoded[0]]
    return {
        "by marshmallow, one by one": best(lambda events: [EVENT.load(event) for event in events], contents),
        "decode and check": best(batches_of._QUICK_BODY.decode, bodies),
        "complete": best(lambda events: (complete(events), check_depth(events)), decoded),
        "identity": best(lambda _: [by_event_id(*names) for names in named], bodies),
        "words, and the row as COPY takes it": best(
            lambda events: make_events([""] * SIZE, events, None, outcome), completed
        ),
        "all of these": best(lambda body: batches_of.load_batch(body, "*", SIZE), bodies),
    }


def in_postgresql(connection: BoundedConnection, checked: list[list[Event]]) -> dict[str, float]:
    """From checked events to the commit."""
    store = EventStore()
    for events in checked:
        # Their words are known then.
        store._lines(connection, events)
    found = {"words to numbers": best(lambda events: store._lines(connection, events), checked)}
    with connection.transaction(force_rollback=True):
        found["identities"] = best(
            lambda events: connection.execute(identities.claim_all([event.identity for event in events])),
            checked,
        )
    whole = best(lambda events: store.store(connection, [Delivery(events)]), checked)
    return {**found, "all of it, and the commit": whole}


@click.command(help=__doc__)
def main() -> None:
    """Measures, prints the table and the JSON."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder / "16", settings=SETTINGS) as postgres:
            migrate(postgres.url())
            pool = list(batches(SIZE))
            bodies = [pool[at % len(pool)].replace(MARK, f"{at:08x}").encode() for at in range(2 * RUNS)]
            checked = [batches_of.load_batch(body, "*", SIZE).events for body in bodies]
            with BoundedConnection.connect(postgres.url(), autocommit=True) as connection:
                found = {**in_python(bodies), **in_postgresql(connection, checked)}
    for step, microseconds in found.items():
        click.echo(f"{step:32}{microseconds:8.2f}")
    click.echo(json.dumps({step: round(microseconds, 2) for step, microseconds in found.items()}))


if __name__ == "__main__":
    main()
