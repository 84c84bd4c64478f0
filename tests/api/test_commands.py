"""`python -m app COMMAND`: help that reads well, exit codes, and no secret in what is printed."""

import json
import subprocess
import sys

import pytest

from tests.fixtures.environment import ROOT, environment

COMMANDS = [
    ("serve",),
    ("migrate",),
    ("maintain",),
    ("doctor",),
    ("keys",),
    ("keys", "create"),
    ("keys", "list"),
    ("keys", "revoke"),
    ("keys", "rotate"),
]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "app", *arguments],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", [(), *COMMANDS], ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: python -m app {' '.join(command)}".rstrip())
    # A sentence of what it does, and a word on each option.
    assert done.stdout.count("\n") > 5
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", [("nothing",), ("keys", "create"), ("keys", "revoke"), ("serve", "--port", "1")])
def test_wrong_usage_is_2(command: tuple[str, ...]) -> None:
    done = run(*command, DATABASE_URL="postgresql://nowhere")
    assert done.returncode == 2
    assert "Usage: " in done.stderr


@pytest.mark.parametrize("command", [("migrate",), ("maintain",), ("keys", "list"), ("keys", "create", "laptop")])
def test_a_database_that_is_away_is_1_and_one_sentence_without_the_password(command: tuple[str, ...]) -> None:
    done = run(*command, DATABASE_URL="postgresql://telemetry:geheim@127.0.0.1:1/agent_telemetry")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The database cannot be reached")
    assert len(done.stderr.splitlines()) == 1
    assert "geheim" not in done.stderr + done.stdout


def test_doctor_tells_faults_by_its_exit_code_and_in_json(database_url: str) -> None:
    fault = run("doctor", "--json", DATABASE_URL=database_url)
    assert fault.returncode == 1
    assert [check["name"] for check in json.loads(fault.stdout) if not check["ok"]] == ["keys"]
    assert run("keys", "create", "laptop", DATABASE_URL=database_url).returncode == 0
    well = run("doctor", DATABASE_URL=database_url)
    assert well.returncode == 0, well.stdout
    assert all(line.startswith("ok ") for line in well.stdout.splitlines())


def test_maintain_says_what_it_would_do_and_then_does_it(database_url: str) -> None:
    # The tests' template was migrated, and so has its partitions.
    dry = run("maintain", "--dry-run", DATABASE_URL=database_url)
    assert (dry.returncode, dry.stdout) == (0, "nothing to do\n")
    assert run("maintain", DATABASE_URL=database_url).stdout == "nothing to do\n"
