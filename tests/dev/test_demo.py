"""`make demo`, as a newcomer types it: a history, a trickle, a second start that goes on, and removal."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev import bulk
from dev.cast import HOSTS
from dev.history import bring_up_to_date
from dev.stopping import Stopped
from dev.story import SILENT_HOST, Story
from dev.trickle import Trickle
from tests.dev.test_run import MAKE_RUN, Run
from tests.fixtures.collector import Collector
from tests.fixtures.environment import ROOT, environment
from tests.fixtures.postgres import connect

pytestmark = [pytest.mark.slow, pytest.mark.any_python]

MAKE_DEMO = [word if word != "run" else "demo" for word in MAKE_RUN]
DEMO = [sys.executable, "-m", "dev", "demo"]
# Thirty days take ten seconds where nothing else is going on.
HISTORY_SECONDS = 400
# Two days before the demo's present, whatever day it is, nothing special has happened yet.
DAYS = 2


def ask(url: str, query: str) -> Any:
    """The one value that it answers."""
    with connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def remove(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, "--remove"],
        cwd=ROOT,
        env=environment(AFT_HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def home(postgres_folder: Path) -> Iterator[Path]:
    """AFT_HOME."""
    folder = Path(tempfile.mkdtemp(prefix="home-", dir=postgres_folder))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def begin(home: Path, **variables: str) -> Run:
    started = Run(home, command=MAKE_DEMO, **variables)
    started.home = home / "demo"
    return started


def test_a_newcomer_sees_a_history_that_goes_on_and_removes_it(home: Path) -> None:
    (home / "key").write_text("of make run")
    first = begin(home)
    try:
        first.wait_until_ready(HISTORY_SECONDS)
        counted = re.search(r"^make demo: ([0-9,]+) events and ([0-9,]+) transcripts in", first.output, re.MULTILINE)
        assert counted is not None
        events, transcripts = (int(text.replace(",", "")) for text in counted.groups())
        assert 150_000 < events < 500_000
        assert transcripts > 300
        assert "To remove it, and nothing else: make demo-clean" in first.output
        url, key = first.postgres_url(), first.key
        assert events <= ask(url, "SELECT count(*) FROM telemetry_events") < events + 1000
        assert ask(url, "SELECT bool_and(attributes->>'demo' = 'true') FROM telemetry_events") is True
        assert ask(url, "SELECT count(DISTINCT host_id) FROM series") == len(HOSTS)
        age = ask(url, "SELECT now() - min(occurred_at) FROM telemetry_events")
        assert timedelta(days=29) < age < timedelta(days=31)
        wait_for(lambda: ask(url, "SELECT now() - max(occurred_at) FROM telemetry_events") < timedelta(seconds=10))
        wait_for(lambda: ask(url, "SELECT count(*) FROM telemetry_events") > events + 10)
        # A newcomer's own event is taken too, and the trickle's requests do not fill the terminal.
        first.paste_curl()
        wait_for(lambda: '"accepted":1,' in first.output)
        assert 1 <= first.output.partition("From here on, its log:")[2].count('"message":"request"') <= 2

        running = remove(home)
        assert running.returncode == 1
        assert running.stderr == f"make demo-clean: The demo in {home}/demo is running: stop it first.\n"
        first.press_ctrl_c()
        assert "Traceback" not in first.output
        assert first.leaves_nothing()
    finally:
        first.close()

    second = begin(home)
    try:
        second.wait_until_ready(HISTORY_SECONDS)
        assert second.key == key
        more = re.search(r"^make demo: ([0-9,]+) events and", second.output, re.MULTILINE)
        assert more is not None
        assert int(more[1].replace(",", "")) < 2000
        assert ask(url, "SELECT count(*) - count(DISTINCT event_id) FROM telemetry_events") <= 1
    finally:
        second.close()

    done = remove(home)
    assert (done.returncode, done.stdout) == (0, f"Removed {home}/demo.\n")
    assert [path.name for path in home.iterdir()] == ["key"]
    assert remove(home).stdout == f"There is no demo in {home}/demo.\n"


def test_it_never_goes_into_the_database_of_database_url(home: Path, database_url: str) -> None:
    started = begin(home, DATABASE_URL=database_url)
    try:
        assert started.wait() != 0
        assert "make demo: The demo never goes into the database of DATABASE_URL" in started.output
        assert ask(database_url, "SELECT count(*) FROM telemetry_events") == 0
        assert not (home / "demo").exists()
    finally:
        started.close()


def test_a_history_that_was_ended_halfway_is_finished_by_the_next(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A weekend brings fewer than one transaction takes otherwise.
    monkeypatch.setattr(bulk, "CHUNK", 500)

    def give_up(seconds: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        bring_up_to_date(database_url, days=DAYS, pause=give_up)
    half = ask(database_url, "SELECT max(occurred_at) FROM telemetry_events")
    assert ask(database_url, "SELECT count(*) FROM telemetry_events") > 0
    rest = bring_up_to_date(database_url, days=DAYS)
    assert rest.events > 0
    assert ask(database_url, "SELECT max(occurred_at) FROM telemetry_events") > half
    assert rest.story.begun == ask(database_url, "SELECT min(occurred_at) FROM telemetry_events")
    assert timedelta(0) < datetime.now(UTC) - ask(database_url, "SELECT max(occurred_at) FROM telemetry_events")


def test_a_history_has_transcripts_and_a_quarantine_of_its_days(database_url: str) -> None:
    # Two of them are no weekend, which brings too little.
    added = bring_up_to_date(database_url, days=2 * DAYS)
    assert ask(database_url, "SELECT count(*) FROM session_transcripts") == added.transcripts > 50
    assert ask(
        database_url, "SELECT bool_and(created_at <= updated_at AND updated_at < now()) FROM session_transcripts"
    )
    # The way from a denial to its transcript.
    assert ask(
        database_url,
        "SELECT count(*) FROM reporting.events e JOIN session_transcripts t USING (host_id, session_id)"
        " WHERE e.outcome = 'denied' AND position(e.decision_reason IN t.messages::text) > 0",
    )
    assert ask(database_url, "SELECT count(*) FROM quarantined_events WHERE last_seen_at < now()") > 1
    delay = "SELECT min(received_at - occurred_at) FROM reporting.events WHERE host_id = 'desktop-david'"
    assert ask(database_url, delay) >= timedelta(seconds=47)
    assert ask(database_url, "SELECT count(*) FROM telemetry_events WHERE received_at > now()") == 0


def test_the_trickle_sends_over_http_and_sends_again_what_was_not_acknowledged(collector: Collector) -> None:
    address = "127.0.0.1", int(collector.url.rsplit(":", 1)[1])
    url = collector.database_url
    trickle = Trickle(address, collector.key, Story(datetime.now(UTC)))
    with connect(url) as connection:
        # Nothing can be stored for a while.
        connection.execute("ALTER TABLE telemetry_events RENAME TO gone")
        trickle.start()
        try:
            wait_for(lambda: '"status":5' in collector.log_text(), 60)
            connection.execute("ALTER TABLE gone RENAME TO telemetry_events")
            wait_for(lambda: ask(url, "SELECT count(*) FROM telemetry_events") > 20, 90)
            wait_for(lambda: ask(url, "SELECT count(*) FROM session_transcripts") > 0, 90)
        finally:
            trickle.stop()
    assert ask(url, "SELECT bool_and(attributes->>'demo' = 'true') FROM telemetry_events") is True
    assert ask(url, "SELECT count(DISTINCT host_id) FROM series") > 3
    assert ask(url, f"SELECT count(*) FROM series WHERE host_id = '{SILENT_HOST}'") == 0
