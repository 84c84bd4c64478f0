"""`make run`, as a newcomer types it: what it prints works, it keeps what it was given, and leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.embedded import EmbeddedPostgres
from dev.programs import tied
from tests.fixtures.client import Client
from tests.fixtures.collector import HEALTH, free_port
from tests.fixtures.environment import ROOT, environment
from tests.fixtures.postgres import connect

pytestmark = pytest.mark.slow

READY = "From here on, its log:"

RUN = [sys.executable, "-m", "dev"]
# The environment that the tests run in is made by make, and so there is nothing left for it to install.
MAKE_RUN = ["make", "--no-print-directory", "run", f"VENV={os.path.relpath(sys.prefix, ROOT)}"]

ACCEPTED = {"accepted": 1, "duplicates": 0, "rejected": []}
DUPLICATE = {"accepted": 1, "duplicates": 1, "rejected": []}


class Run:
    """A `make run` in a process group of its own, as in a terminal, with a folder and a port of its own."""

    def __init__(self, home: Path, *, command: list[str], **variables: str) -> None:
        self.home = Path(variables.get("AFT_HOME", home))
        self.port = int(variables.get("PORT", free_port()))
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the run is
        env = environment(**{"AFT_HOME": str(home), "PORT": str(self.port), **variables})
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        self._output.seek(0)
        return self._output.read()

    def wait_until_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while READY not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    @property
    def key(self) -> str:
        return self._find(r"^  key +(\S+)")

    @property
    def curl(self) -> str:
        return self._find(r"^(curl .*)$")

    def paste_curl(self) -> object:
        """The answer to the printed command, typed into a shell as it is."""
        return paste(self.curl)

    def postgres_url(self) -> str:
        return EmbeddedPostgres(self.home / "postgresql-16").url()

    def postgres_pid(self) -> int:
        return int((self.home / "postgresql-16" / "data" / "postmaster.pid").read_text().splitlines()[0])

    def collector_pid(self) -> int:
        """The process that serves on our port, found as a child of the one that `make run` became."""
        listing = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            pid, _, command = line.strip().partition(" ")
            if command.endswith("-m app serve") and f"PORT={self.port}" in _environment_of(int(pid)):
                return int(pid)
        raise AssertionError(f"no collector among\n{listing}")

    def press_ctrl_c(self) -> int:
        """Sends SIGINT to the whole process group, as a terminal does; the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(60)

    def leaves_nothing(self) -> bool:
        """Whether its port and its database's folder are free again."""
        with socket.socket() as probe:
            port_is_free = probe.connect_ex(("127.0.0.1", self.port)) != 0
        return port_is_free and not (self.home / "postgresql-16" / "data" / "postmaster.pid").exists()

    def close(self) -> None:
        with self._output:
            if self.process.poll() is None:
                self.process.terminate()
                self.wait()

    def _find(self, pattern: str) -> str:
        found = re.search(pattern, self.output, re.MULTILINE)
        assert found is not None, self.output
        return found[1]


def paste(command: str) -> object:
    """Types a curl command into a shell; the JSON that it answers."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    result = subprocess.run(command, shell=True, capture_output=True, check=True, timeout=20)
    return json.loads(result.stdout)


def _environment_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return []


@pytest.fixture
def home(postgres_folder: Path) -> Iterator[Path]:
    """Where `make run` keeps its data: a folder that does not exist yet."""
    folder = Path(tempfile.mkdtemp(prefix="home-", dir=postgres_folder))
    folder.chmod(0o711)
    yield folder / "agent-framework-telemetry"
    shutil.rmtree(folder)


@pytest.fixture
def begin(home: Path) -> Iterator[Callable[..., Run]]:
    """Begins a run, and does not wait for it."""
    runs: list[Run] = []

    def begin(*, command: list[str] = RUN, **variables: str) -> Run:
        runs.append(Run(home, command=command, **variables))
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


@pytest.fixture
def run(begin: Callable[..., Run]) -> Callable[..., Run]:
    """Begins a run, and waits until it has printed everything."""

    def run(**options: str) -> Run:
        begun = begin(**options)
        begun.wait_until_ready()
        return begun

    return run


def test_the_printed_command_works_twice_and_everything_outlives_a_restart(run: Callable[..., Run]) -> None:
    first = run(command=MAKE_RUN)
    assert f"The collector is at http://127.0.0.1:{first.port}" in first.output
    assert first.paste_curl() == ACCEPTED
    assert first.paste_curl() == DUPLICATE
    key, command = first.key, first.curl
    assert (first.home / "key").read_text() == f"{key}\n"
    assert stat.S_IMODE((first.home / "key").stat().st_mode) == 0o600
    assert Client(f"http://127.0.0.1:{first.port}").get(HEALTH).json()["database"] == "connected"
    first.press_ctrl_c()

    second = run(PORT=str(first.port))
    assert second.key == key
    # The event of the first run is still there; the newly printed one is new.
    assert paste(command) == DUPLICATE
    assert second.paste_curl() == ACCEPTED


def test_ctrl_c_stops_all_that_it_started_and_nothing_else(
    run: Callable[..., Run], own_postgres: EmbeddedPostgres
) -> None:
    started = run(command=MAKE_RUN)
    postgres, collector = started.postgres_pid(), started.collector_pid()
    started.press_ctrl_c()
    assert started.leaves_nothing()
    for pid in (postgres, collector):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert "Traceback" not in started.output
    with connect(own_postgres.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_is_no_failure(run: Callable[..., Run], number: signal.Signals) -> None:
    started = run()
    started.process.send_signal(number)
    assert started.wait() == 0
    assert started.leaves_nothing()
    assert "Traceback" not in started.output


@pytest.mark.parametrize("sign", ["postgresql-16/lock", "postgresql-16/data.new", "postgresql-16/data/postmaster.pid"])
def test_ctrl_c_during_the_start_leaves_nothing_either(begin: Callable[..., Run], sign: str) -> None:
    started = begin()
    deadline = time.monotonic() + 60
    while not (started.home / sign).exists():
        assert time.monotonic() < deadline, started.output
        time.sleep(0.001)
    assert started.press_ctrl_c() == 0
    assert started.leaves_nothing()
    assert started.output == ""


def test_the_database_writes_through_to_the_disk(run: Callable[..., Run]) -> None:
    with connect(run().postgres_url()) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute("SELECT current_setting(%s)", [setting]).fetchone() == ("on",)


def test_a_port_in_use_is_one_sentence(begin: Callable[..., Run]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = begin(PORT=str(port))
        assert started.wait() == 1
    assert started.output == (
        f"make run: Nothing can listen on 127.0.0.1, port {port} (Address already in use): end what listens there, "
        "or choose another address, as in 'make run PORT=3002' or 'make run HOST=127.0.0.1'.\n"
    )
    assert not started.home.exists()


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_one_sentence(begin: Callable[..., Run], home: Path, port: str) -> None:
    command = [*RUN]
    started = begin(command=["env", f"PORT={port}", *command])
    assert started.wait() == 1
    assert started.output == f"make run: PORT is {port}: it must be a number from 1 to 65535.\n"


def test_a_second_run_is_refused_and_leaves_the_first_alone(run: Callable[..., Run], begin: Callable[..., Run]) -> None:
    first = run()
    second = begin()
    assert second.wait() == 1
    assert second.output == (
        f"make run: Another program, such as a second 'make run', runs the PostgreSQL in {first.home}/postgresql-16: "
        "stop it first.\n"
    )
    assert first.paste_curl() == ACCEPTED


def test_a_collector_that_dies_ends_the_run(run: Callable[..., Run]) -> None:
    started = run()
    os.kill(started.collector_pid(), signal.SIGKILL)
    assert started.wait() == 1
    assert "make run: The collector ended by itself with exit code -9. It said:" in started.output
    assert '"listening"' in started.output
    assert started.leaves_nothing()


def test_a_database_that_dies_ends_the_run(run: Callable[..., Run]) -> None:
    started = run()
    os.kill(started.postgres_pid(), signal.SIGKILL)
    assert started.wait() == 1
    assert "make run: PostgreSQL ended by itself" in started.output
    assert "Traceback" not in started.output
    # The next one recovers.
    assert run().paste_curl() == ACCEPTED


def test_the_next_run_works_after_a_kill(run: Callable[..., Run]) -> None:
    if not tied("TERM"):
        pytest.skip("this system has no setpriv that ties a process to its parent")
    first = run()
    first.process.kill()
    deadline = time.monotonic() + 30
    while not first.leaves_nothing():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run(PORT=str(first.port)).key == first.key


def test_a_setting_that_the_collector_refuses_ends_the_run(begin: Callable[..., Run]) -> None:
    started = begin(TELEMETRY_THREADS="many")
    assert started.wait() == 1
    assert "TELEMETRY_THREADS" in started.output
    assert "Traceback" not in started.output
    assert started.leaves_nothing()


def test_with_database_url_it_uses_that_database_and_starts_none(
    run: Callable[..., Run], empty_database_url: str
) -> None:
    started = run(DATABASE_URL=empty_database_url)
    assert started.paste_curl() == ACCEPTED
    with connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM telemetry_events").fetchone() == (1,)
    assert not (started.home / "postgresql-16").exists()
    assert empty_database_url not in started.output
    key = started.key
    assert started.press_ctrl_c() == 0
    assert run(DATABASE_URL=empty_database_url).key == key


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM api_keys",
        "UPDATE api_keys SET revoked_at = now()",
        "UPDATE api_keys SET expires_at = now()",
        "UPDATE api_keys SET host_id = 'elsewhere'",
    ],
)
def test_a_key_that_does_not_work_any_more_is_replaced(
    run: Callable[..., Run], empty_database_url: str, change: str
) -> None:
    first = run(DATABASE_URL=empty_database_url)
    first.press_ctrl_c()
    with connect(empty_database_url) as connection:
        connection.execute(change)
    second = run(DATABASE_URL=empty_database_url)
    assert second.key != first.key
    assert second.paste_curl() == ACCEPTED


def test_each_database_has_a_key_of_its_own(
    run: Callable[..., Run], empty_database_url: str, database_url: str
) -> None:
    keys = []
    for url in (empty_database_url, database_url, empty_database_url):
        started = run(DATABASE_URL=url)
        keys.append(started.key)
        started.press_ctrl_c()
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "postgresql://telemetry:hunter2@127.0.0.1:1/agent_telemetry",
            "make run: The database of DATABASE_URL does not answer (",
        ),
        ("postgresql:///agent_telemetry?host=/nonexistent", "make run: The database of DATABASE_URL does not answer ("),
        (
            "postgresql//telemetry:hunter2@127.0.0.1",
            "make run: DATABASE_URL is no URL such as postgresql://USER@HOST/DATABASE: ",
        ),
        (
            "postgresql://telemetry:hunter2@127.0.0.1/x?nonsense=1",
            "make run: DATABASE_URL is no URL such as postgresql://USER@HOST/DATABASE: ",
        ),
    ],
)
def test_a_broken_database_url_is_one_sentence(begin: Callable[..., Run], url: str, sentence: str) -> None:
    started = begin(DATABASE_URL=url)
    assert started.wait() == 1
    assert started.output.startswith(sentence)
    assert started.output.endswith("correct it, or unset it for the embedded PostgreSQL.\n")
    assert started.output.count("\n") == 1
    assert "hunter2" not in started.output


def test_a_database_without_rights_is_one_sentence(begin: Callable[..., Run], own_postgres: EmbeddedPostgres) -> None:
    with connect(own_postgres.url("postgres", "postgres")) as connection:
        connection.execute("CREATE ROLE guest LOGIN")
    started = begin(DATABASE_URL=own_postgres.url(user="guest"))
    assert started.wait() == 1
    assert started.output.startswith("make run: ")
    assert "permission denied" in started.output
    assert started.output.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_one_sentence(begin: Callable[..., Run]) -> None:
    started = begin(AFT_HOME="/proc/nonexistent/telemetry")
    assert started.wait() == 1
    assert re.fullmatch(
        r"make run: The folder /proc/nonexistent cannot be made \(.*\): choose .* with AFT_HOME.\n", started.output
    )
