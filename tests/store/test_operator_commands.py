"""maintain and doctor as an operator types them: what they print, and with what they exit."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import psycopg

from app.checks import CHECKS
from app.store import keys, rollups
from tests.fixtures.environment import ROOT, environment
from tests.store.history import events, store, utc


def command(url: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m app` with these words."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "app", *words],
        cwd=ROOT,
        env=environment(DATABASE_URL=url, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_maintain_says_what_it_would_do_and_then_does_it(database_url: str, connection: psycopg.Connection) -> None:
    store(connection, "old", utc("2020-01-01T00:00"), utc("2020-01-01T00:00"))
    dry = command(database_url, "maintain", "--dry-run")
    assert "would delete 1 rows of telemetry_events_default\n" in dry.stdout
    assert events(connection) == {"old": "telemetry_events_default"}
    done = command(database_url, "maintain")
    assert done.stdout == dry.stdout.replace("would delete", "deleted")
    assert events(connection) == {}
    again = command(database_url, "maintain")
    assert again.stdout == "nothing to do\n"
    assert [run.returncode for run in (dry, done, again)] == [0, 0, 0]
    assert [run.stderr for run in (dry, done, again)] == ["", "", ""]


def test_maintain_keeps_for_as_long_as_it_is_told(database_url: str, connection: psycopg.Connection) -> None:
    store(connection, "old", utc("2020-01-01T00:00"), utc("2020-01-01T00:00"))
    assert command(database_url, "maintain", TELEMETRY_EVENT_RETENTION_DAYS="0").returncode == 0
    assert events(connection) == {"old": "telemetry_events_202001"}


def test_maintain_makes_roll_ups_anew_where_it_is_asked_to(database_url: str, connection: psycopg.Connection) -> None:
    """Given roll-ups that somebody spoilt, a rehearsal leaves them, and the real thing mends them."""
    now = datetime.now(UTC)
    store(connection, "new", now, now)
    rollups.catch_up(connection)
    connection.execute("UPDATE rollup_agent_days SET events = 1000")
    dry = command(database_url, "maintain", "--rebuild-rollups", "--dry-run")
    assert dry.stdout.splitlines()[-1] == "would count 1 days anew"
    assert connection.execute("SELECT sum(events) FROM reporting.agent_days").fetchone() == (1000,)
    done = command(database_url, "maintain", "--rebuild-rollups")
    assert done.stdout.splitlines()[-2:] == [
        f"counted {now.date()} anew, 0 days to go",
        "the roll-ups of 1 days are made anew",
    ]
    assert connection.execute("SELECT sum(events) FROM reporting.agent_days").fetchone() == (1,)
    assert [run.returncode for run in (dry, done)] == [0, 0]
    assert dry.stderr == done.stderr == ""


def test_doctor_prints_a_line_for_each_check_and_fails_on_a_fault(
    database_url: str, connection: psycopg.Connection
) -> None:
    sick = command(database_url, "doctor")
    assert sick.returncode == 1
    assert len(sick.stdout.splitlines()) == 1 + len(CHECKS)
    assert [line for line in sick.stdout.splitlines() if line.startswith("FAULT")] == [
        line for line in sick.stdout.splitlines() if "python -m app keys create HOST" in line
    ]
    keys.add(connection, "0" * 64, "laptop")
    well = command(database_url, "doctor")
    assert well.returncode == 0
    assert sick.stderr == well.stderr == ""


def test_doctor_tells_programs_the_same(database_url: str) -> None:
    run = command(database_url, "doctor", "--json")
    found = {check["name"]: check for check in json.loads(run.stdout)}
    assert run.returncode == 1
    assert list(found) == ["configuration", *CHECKS]
    assert found["keys"]["ok"] is False
    assert found["storage"]["data"]["events"] == 0


def test_doctor_survives_a_wrong_setting_and_a_server_that_is_away(database_url: str) -> None:
    for run in (
        command(database_url, "doctor", TELEMETRY_TREADS="1"),
        command("postgresql://me:Sesame@127.0.0.1:1/x", "doctor"),
    ):
        assert run.returncode == 1
        assert run.stderr == ""
        assert len(run.stdout.splitlines()) == 1 + len(CHECKS)
        assert "Sesame" not in run.stdout
