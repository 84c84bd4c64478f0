"""API keys: made by hand or by command, refused soon after they end."""

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.api.events import event
from tests.fixtures.collector import BATCH, Collector
from tests.fixtures.environment import ROOT, environment

# The contract's bound on what the collector remembers of a key.
STALE_SECONDS = 10.0


def keys(database_url: str, *arguments: str, status: int = 0) -> str:
    """What `python -m app keys ...` prints; on its standard error where it is to fail."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "keys", *arguments],
        cwd=ROOT,
        env=environment(DATABASE_URL=database_url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return (done.stderr if status else done.stdout).strip()


def within_bound(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true in the contract's 10 s."""
    deadline = time.monotonic() + STALE_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def status_with(collector: Collector, key: str) -> int:
    return collector.send_events(event("laptop"), key=key).status


def test_the_contracts_sql_gives_a_key_that_works(collector: Collector, connection: psycopg.Connection) -> None:
    # Refused before, so that the collector remembers it as unknown.
    assert status_with(collector, "my own key") == 403
    connection.execute(
        "INSERT INTO api_keys (key_hash, host_id, description)"
        " VALUES (encode(sha256('my own key'::bytea), 'hex'), 'laptop', 'Laptop host')"
    )
    assert within_bound(lambda: status_with(collector, "my own key") == 200)
    assert collector.send_events(event("desktop"), key="my own key").status == 403


def test_without_a_key_401_with_an_unknown_one_403(shared_collector: Collector) -> None:
    assert shared_collector.post(BATCH, {"events": [event("laptop")]}).status == 401
    assert status_with(shared_collector, "aft_unknown") == 403
    assert status_with(shared_collector, "\xe9\x00".encode("latin-1").decode("latin-1").replace("\x00", "")) == 403


def test_a_key_of_another_scope_may_not_write(shared_collector: Collector) -> None:
    answer = shared_collector.send_events(event("laptop"), key=shared_collector.create_key("*", scope="read"))
    assert answer.status == 403
    assert "scope read" in answer.json()["error"]


def test_a_revoked_key_is_refused_within_ten_seconds(collector: Collector, database_url: str) -> None:
    key = keys(database_url, "create", "laptop")
    assert status_with(collector, key) == 200
    keys(database_url, "revoke", "1")
    assert within_bound(lambda: status_with(collector, key) == 403)
    assert "revoked" in collector.send_events(event("laptop"), key=key).json()["error"]


def test_a_key_ends_when_it_expires(collector: Collector, connection: psycopg.Connection) -> None:
    key = collector.create_key("laptop")
    connection.execute("UPDATE api_keys SET expires_at = now() + interval '2 seconds'")
    assert status_with(collector, key) == 200
    # No look-up is needed for that: the remembered row knows its end.
    assert within_bound(lambda: status_with(collector, key) == 403)
    assert "expired" in collector.send_events(event("laptop"), key=key).json()["error"]


def test_rotation_gives_a_new_key_and_lets_the_old_one_overlap(
    collector: Collector, database_url: str, connection: psycopg.Connection
) -> None:
    old = keys(database_url, "create", "laptop", "--description", "mine", "--expires", "90d")
    new = keys(database_url, "rotate", "1", "--overlap", "2h")
    assert status_with(collector, old) == 200
    assert status_with(collector, new) == 200

    first, second = json.loads(keys(database_url, "list", "--json"))
    assert (second["host_id"], second["scope"], second["description"]) == ("laptop", "ingest", "mine")
    now = datetime.now(UTC)
    assert timedelta(hours=1.9) < datetime.fromisoformat(first["expires_at"]) - now < timedelta(hours=2.1)
    assert timedelta(days=89.9) < datetime.fromisoformat(second["expires_at"]) - now < timedelta(days=90.1)
    # An overlap never lengthens a key's life.
    connection.execute("UPDATE api_keys SET expires_at = now() + interval '1 minute' WHERE id = 1")
    keys(database_url, "rotate", "1")
    (first, *_) = json.loads(keys(database_url, "list", "--json"))
    assert datetime.fromisoformat(first["expires_at"]) - now < timedelta(minutes=2)


def test_only_a_hash_is_stored_and_a_scanner_knows_a_key_when_it_sees_one(
    database_url: str, connection: psycopg.Connection
) -> None:
    key = keys(database_url, "create", "laptop")
    assert re.fullmatch(r"aft_[0-9A-Za-z]{40}", key)
    row = connection.execute("SELECT api_keys::text FROM api_keys").fetchone()
    assert row is not None
    assert key not in row[0]
    assert hashlib.sha256(key.encode()).hexdigest() in row[0]
    assert key not in keys(database_url, "list")
    assert key not in keys(database_url, "list", "--json")


def test_last_used_at_is_kept_without_a_write_per_request(collector: Collector, connection: psycopg.Connection) -> None:
    key = collector.create_key("laptop")
    versions = set()
    for number in range(30):
        assert collector.send_events(event("laptop", toolName=f"t{number}"), key=key).status == 200
        versions.add(connection.execute("SELECT xmin::text, last_used_at FROM api_keys").fetchone())
    assert len(versions) == 1
    (version,) = versions
    assert version is not None
    assert abs(datetime.now(UTC) - version[1]) < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("revoke", "77"), 1, "There is no key 77"),
        (("rotate", "77"), 1, "There is no key 77"),
        (("create", "laptop", "--expires", "soon"), 2, "write 90d"),
        (("create", "laptop", "--scope", "admin"), 2, "ingest"),
        (("create", ""), 2, "1 to 255"),
        (("revoke", "x"), 2, "integer"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    database_url: str, arguments: tuple[str, ...], status: int, words: str
) -> None:
    assert words in keys(database_url, *arguments, status=status)


def test_a_database_without_tables_names_the_remedy(empty_database_url: str) -> None:
    assert "python -m app migrate" in keys(empty_database_url, "list", status=1)
