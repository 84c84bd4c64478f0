"""The README's commands and examples do what it says: each is run, but `make test`, which is what runs this.

`make demo` is run by test_demo.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.test_run import MAKE_RUN, Run
from tests.fixtures.environment import ROOT
from tests.fixtures.postgres import connect

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
# Told apart by how they begin: what they are is written in the README and nowhere else.
SHELL = [code for language, code in BLOCKS if language == "sh"]
ANSWERS = [json.loads(code) for language, code in BLOCKS if language == "json"]


def code(language: str) -> str:
    """The README's one block in that language."""
    (found,) = [code for name, code in BLOCKS if name == language]
    return found


@pytest.fixture(scope="module")
def run(postgres_folder: Path) -> Iterator[Run]:
    """`make run`, as the README says."""
    assert "make run\n" in SHELL
    started = Run(postgres_folder / "readme", command=MAKE_RUN)
    started.wait_until_ready()
    yield started
    started.close()


@pytest.fixture(scope="module")
def environment(run: Run) -> dict[str, str]:
    """The environment after the lines that `make run` prints for the examples."""
    exports = dict(re.findall(r"^export (\w+)=(\S+)$", run.output, re.MULTILINE))
    named = re.findall(r"^export (\w+)=", README, re.MULTILINE)
    assert list(exports) == named
    return {**os.environ, **exports}


def test_every_shell_block_is_known_to_this_test() -> None:
    known = ("make run", "make demo", "make test", "export TELEMETRY_HOST_ID", "curl ")
    assert [block for block in SHELL if not block.startswith(known)] == []


def test_the_curl_examples_answer_what_the_readme_shows(environment: dict[str, str]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    examples = [block for block in SHELL if block.startswith("curl ")]
    assert len(examples) == len(ANSWERS) == 2
    for example, answer in zip(examples, ANSWERS, strict=True):
        done = subprocess.run(["sh", "-c", example], env=environment, capture_output=True, check=True, timeout=20)
        assert json.loads(done.stdout) == answer


def test_the_python_example_works(environment: dict[str, str]) -> None:
    command = [sys.executable, "-W", "error", "-c", code("python")]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=20)
    assert done.stdout.decode().strip() == "{'accepted': 1, 'duplicates': 0, 'rejected': []}"


def test_the_typescript_example_works(environment: dict[str, str], tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: the README's TypeScript example was not run")
    # It has no type annotations, so it is JavaScript as it stands.
    example = tmp_path / "example.mjs"
    example.write_text(code("typescript"), "utf-8")
    done = subprocess.run([node, example], env=environment, capture_output=True, check=True, timeout=20)
    assert done.stdout.decode().strip() == "200 { accepted: 1, duplicates: 0, rejected: [] }"


def test_the_sql_example_gives_a_key_that_works(run: Run, environment: dict[str, str]) -> None:
    with connect(run.postgres_url()) as connection:
        connection.execute(code("sql").encode())
    event = {"hostId": "laptop", "sessionId": "s", "eventType": "commit", "agentName": "a", "eventId": "by hand"}
    command = ["curl", "-sS", f"{environment['TELEMETRY_ENDPOINT']}/api/v1/telemetry/batch", "-H", "X-API-Key: KEY"]
    command += ["-H", "Content-Type: application/json", "-d", json.dumps({"events": [event]})]
    done = subprocess.run(command, capture_output=True, check=True, timeout=20)
    assert json.loads(done.stdout)["accepted"] == 1


@pytest.mark.parametrize("target", ["run", "demo", "demo-clean", "test", "test-fast", "lint"])
def test_the_targets_that_the_readme_names_exist(target: str) -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert re.search(rf"^make {target} +\S", done.stdout, re.MULTILINE)
