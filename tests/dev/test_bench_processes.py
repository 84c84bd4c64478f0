"""What a benchmark sees of processes that have ended."""

import subprocess
import sys

import pytest

from tests.bench.processes import cpu_of_ended, family_memory_mb, memory_mb


def test_a_process_that_has_ended_has_used_time_and_is_not_looked_at_for_memory() -> None:
    before = cpu_of_ended()
    busy = subprocess.Popen([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"])
    busy.wait()
    assert cpu_of_ended() - before >= 0.3
    assert family_memory_mb(busy.pid) == 0.0
    with pytest.raises(FileNotFoundError):
        memory_mb(busy.pid)
