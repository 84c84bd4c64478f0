"""GET /glance: a page for strangers' frames. What is on it is tests/unit's; here, how it is served."""

import re
import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from dev.embedded import EmbeddedPostgres
from tests.api.events import event
from tests.fixtures.client import Response
from tests.fixtures.collector import HEALTH, Collector
from tests.fixtures.postgres import connect, migrate

GLANCE = "/glance"
StartCollector = Callable[..., Collector]


def title(answer: Response) -> str:
    found = re.search(r"<h1>(.*?)</h1>", answer.body.decode())
    assert found
    return found[1]


def test_it_is_there_for_anybody_and_asks_for_nothing(collector: Collector) -> None:
    answer = collector.get(GLANCE)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert title(answer) == "Nothing here yet"
    assert not {"set-cookie", "x-frame-options", "refresh", "link"} & set(answer.headers)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_frames_are_let_in_from_the_settings_origins_only(
    database_url: str, start_collector: StartCollector, shared_collector: Collector
) -> None:
    origins = "https://ha.example.com http://homeassistant.local:8123"
    framed = start_collector(database_url, TELEMETRY_EMBED_ORIGINS=origins)
    policy = framed.get(GLANCE).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith(f"frame-ancestors 'self' {origins}")
    assert shared_collector.get(GLANCE).headers["content-security-policy"].endswith("frame-ancestors 'self'")


def test_whatever_is_asked_for_there_is_a_page(shared_collector: Collector) -> None:
    for query in (
        "range=7d",
        "range=24h&theme=dark",
        "range=1y",
        "theme=%22%3E%3Cscript%3E",
        "range=&theme=&x=1",
        "%FF=%FF",
    ):
        answer = shared_collector.get(f"{GLANCE}?{query}")
        assert answer.status == 200
        assert b"<script" not in answer.body
    assert b'<html lang="en" class="dark">' in shared_collector.get(f"{GLANCE}?theme=dark").body
    assert b'<html lang="en">' in shared_collector.get(f"{GLANCE}?theme=pink").body


def test_what_did_not_change_is_not_sent_again(collector: Collector) -> None:
    first = collector.get(GLANCE)
    assert first.headers["cache-control"] == "no-cache"
    again = collector.get(GLANCE, {"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    assert collector.get(f"{GLANCE}?theme=dark", {"If-None-Match": first.headers["etag"]}).status == 200
    head = collector.request("HEAD", GLANCE)
    assert (head.status, head.headers["etag"], head.body) == (200, first.headers["etag"], b"")


def test_it_can_be_switched_off(database_url: str, start_collector: StartCollector) -> None:
    off = start_collector(database_url, TELEMETRY_GLANCE="false")
    assert off.get(GLANCE).status == 404
    assert GLANCE not in off.get("/api/v1/openapi.json").json()["paths"]


def test_however_many_look_the_database_is_asked_once(
    own_postgres: EmbeddedPostgres, start_collector: StartCollector
) -> None:
    """The server itself counts: its log has a line for each statement."""
    migrate(own_postgres.url())
    with connect(own_postgres.url("postgres", "postgres")) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
    crowded = start_collector(own_postgres.url())
    answers: list[Response] = []

    def watch(theme: str) -> None:
        answers.extend(crowded.get(f"{GLANCE}?theme={theme}") for _ in range(5))

    crowd = [threading.Thread(target=watch, args=[theme]) for theme in ("light", "dark", "") * 10]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert [answer.status for answer in answers] == [200] * 150
    log = own_postgres.log.read_text()
    assert log.count("FROM reporting.site") == 1


def test_those_who_store_do_not_wait_for_those_who_look(database_url: str, start_collector: StartCollector) -> None:
    """A lock holds every look up until it is given up; batches are stored all the while."""
    busy = start_collector(database_url, TELEMETRY_THREADS="2", TELEMETRY_POOL_SIZE="1")
    busy.send_events(event("laptop"))
    looking = [threading.Thread(target=lambda: busy.get(GLANCE)) for _ in range(10)]
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE reporting_settings IN ACCESS EXCLUSIVE MODE")
        for each in looking:
            each.start()
        time.sleep(0.2)
        began = time.monotonic()
        for number in range(20):
            assert busy.send_events(event("laptop", eventId=str(number))).status == 200
        assert time.monotonic() - began < 1.5
        assert busy.get(HEALTH).status == 200
    for each in looking:
        each.join()


@pytest.mark.slow
def test_a_database_that_is_away_is_told_on_the_page(
    own_postgres: EmbeddedPostgres, start_collector: StartCollector
) -> None:
    migrate(own_postgres.url())
    fragile = start_collector(own_postgres.url())
    assert title(fragile.get(GLANCE)) == "Nothing here yet"
    own_postgres.stop()
    # Known numbers are shown for as long as they are fresh, then with a word on how old they are.
    answer = wait_for(fragile, lambda answer: title(answer) == "The database is away")
    assert answer.status == 200
    assert b"These are the numbers of" in answer.body
    # Of the other window nothing is known.
    unknown = fragile.get(f"{GLANCE}?range=7d")
    assert unknown.status == 503
    assert int(unknown.headers["retry-after"]) >= 1
    assert b"No numbers are known yet" in unknown.body
    assert "etag" in unknown.headers
    own_postgres.start()
    assert wait_for(fragile, lambda answer: title(answer) != "The database is away").status == 200


def wait_for(collector: Collector, found: Callable[[Response], bool]) -> Response:
    """The page, once it is as wanted; every answer comes in time meanwhile."""
    deadline = time.monotonic() + 25
    while True:
        began = time.monotonic()
        answer = collector.get(GLANCE)
        assert time.monotonic() - began < 4
        if found(answer):
            return answer
        assert time.monotonic() < deadline
        time.sleep(0.3)
