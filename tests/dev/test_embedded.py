"""The embedded PostgreSQL: it starts from nothing and after a crash, lets nobody else in, and ends when told to."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dev.embedded import EmbeddedError, EmbeddedPostgres
from dev.programs import WHEEL, Account, programs_for, server_account, succeeds, tied, wheel_programs
from tests.fixtures.environment import ROOT, environment
from tests.fixtures.postgres import SETTINGS, VERSIONS, connect, embedded

pytestmark = pytest.mark.slow

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user's server")


@pytest.fixture
def folder(postgres_folder: Path) -> Iterator[Path]:
    """A new folder that the server's user may pass through."""
    path = Path(tempfile.mkdtemp(prefix="embedded-", dir=postgres_folder))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def answer(url: str, statement: str) -> object:
    with connect(url) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} has not ended")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_starts_from_nothing(folder: Path, version: int) -> None:
    with embedded(folder / "database", version) as server:
        assert str(answer(server.url(), "SHOW server_version")).startswith(f"{version}.")
        assert answer(server.url(), "SHOW server_encoding") == "UTF8"
        assert answer(server.url(), "SHOW data_checksums") == "on"


def test_the_database_belongs_to_telemetry_which_is_no_superuser(own_postgres: EmbeddedPostgres) -> None:
    url = own_postgres.url()
    assert answer(url, "SELECT current_user || '@' || current_database()") == "telemetry@agent_telemetry"
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'agent_telemetry'"
    assert answer(url, owner) == "telemetry"
    assert answer(url, "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = user") is False
    assert answer(own_postgres.url("postgres", "postgres"), "SHOW is_superuser") == "on"


def test_settings_are_postgresqls(folder: Path) -> None:
    with EmbeddedPostgres(folder / "database", settings={**SETTINGS, "work_mem": "7MB"}) as server:
        assert answer(server.url(), "SHOW work_mem") == "7MB"


def test_it_listens_on_no_tcp_port(own_postgres: EmbeddedPostgres) -> None:
    assert answer(own_postgres.url(), "SHOW listen_addresses") == ""


def test_only_its_user_may_enter_its_folders(own_postgres: EmbeddedPostgres) -> None:
    for path in (own_postgres.directory, own_postgres.directory / "data", own_postgres.directory / "socket"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@needs_root
def test_another_user_cannot_connect(own_postgres: EmbeddedPostgres) -> None:
    psql = own_postgres.binary("psql")
    if not succeeds(server_account(), psql, "--version"):
        pytest.skip(f"other users may not run {psql}")
    stranger = Account("a stranger", 65534, 65534, [])
    assert succeeds(server_account(), psql, own_postgres.url(), "-c", "SELECT 1")
    assert not succeeds(stranger, psql, own_postgres.url(), "-c", "SELECT 1")


def test_folders_above_keep_their_permissions(folder: Path) -> None:
    above = folder / "above"
    above.mkdir()
    above.chmod(0o711)
    with embedded(above / "database", 16):
        pass
    assert stat.S_IMODE(above.stat().st_mode) == 0o711


@needs_root
def test_a_folder_that_the_servers_user_may_not_reach_is_refused_and_left_alone(folder: Path) -> None:
    secret = folder / "secret"
    secret.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=r"may not write to .*: choose a folder"):
        embedded(secret / "database", 16).start()
    assert stat.S_IMODE(secret.stat().st_mode) == 0o700


@needs_root
def test_programs_that_the_servers_user_may_not_reach_are_copied_once(folder: Path) -> None:
    site = folder / "secret"
    wheel = wheel_programs(16)
    shutil.copytree(wheel.parent, site / WHEEL / wheel.parent.name)
    libraries = wheel.parent.parent.parent / f"{WHEEL}.libs"
    if libraries.exists():
        shutil.copytree(libraries, site / libraries.name)
    site.chmod(0o700)
    hidden = site / WHEEL / wheel.parent.name / "bin"

    shelf = folder / "shelf"
    shelf.mkdir()
    shelf.chmod(0o711)
    copied = programs_for(server_account(), hidden, shelf)
    assert copied.is_relative_to(shelf)
    assert succeeds(server_account(), copied / "psql", "--version")
    assert programs_for(server_account(), hidden, shelf) == copied
    assert len(list(shelf.iterdir())) == 1
    with EmbeddedPostgres(folder / "database", binaries=copied, settings=SETTINGS) as server:
        assert answer(server.url(), "SELECT 1") == 1


def test_a_stop_ends_the_server_and_a_start_finds_the_data(own_postgres: EmbeddedPostgres) -> None:
    with connect(own_postgres.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    pid = own_postgres.pid
    assert pid is not None
    own_postgres.stop()
    wait_for_end(pid)
    assert own_postgres.pid is None
    with pytest.raises(psycopg.OperationalError):
        connect(own_postgres.url())
    own_postgres.start()
    assert answer(own_postgres.url(), "SELECT value FROM kept") == 42


def test_it_recovers_from_a_kill(own_postgres: EmbeddedPostgres) -> None:
    with connect(own_postgres.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
        assert own_postgres.pid is not None
        os.kill(own_postgres.pid, signal.SIGKILL)
        # A session is still there, as in a crash: nothing was closed in order.
        own_postgres.stop()
        own_postgres.start()
    assert answer(own_postgres.url(), "SELECT value FROM kept") == 42


def test_it_waits_for_the_last_process_of_a_server_that_was_killed(own_postgres: EmbeddedPostgres) -> None:
    with connect(own_postgres.url()) as connection:
        session = connection.info.backend_pid
        os.kill(session, signal.SIGSTOP)
        assert own_postgres.pid is not None
        os.kill(own_postgres.pid, signal.SIGKILL)
        own_postgres.stop()
        # As long as it lives it could still write what the new server must not see.
        going_on = threading.Timer(1.0, os.kill, [session, signal.SIGCONT])
        going_on.start()
        own_postgres.start()
        going_on.join()
    assert answer(own_postgres.url(), "SELECT 1") == 1


def test_it_recovers_when_another_process_has_its_old_number_by_now(own_postgres: EmbeddedPostgres) -> None:
    assert own_postgres.pid is not None
    os.kill(own_postgres.pid, signal.SIGKILL)
    own_postgres.stop()
    note = own_postgres.directory / "data" / "postmaster.pid"
    account = server_account()
    stranger = subprocess.Popen(["sleep", "60"], user=account.user, group=account.group)
    try:
        note.write_text(note.read_text().replace(note.read_text().splitlines()[0], str(stranger.pid), 1))
        own_postgres.start()
        assert answer(own_postgres.url(), "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


LAUNCHER = """
import sys, time
from pathlib import Path
from dev import embedded
if sys.argv[2] == "untied":
    embedded.tied = lambda name: ()
server = embedded.EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


def orphan(folder: Path, how: str) -> int:
    """A server whose launcher was killed: its process id."""
    command = [sys.executable, "-c", LAUNCHER, str(folder), how]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        pid = int(launcher.stdout.readline())
        launcher.kill()
    return pid


def test_a_server_ends_when_its_launcher_is_killed(folder: Path) -> None:
    if not tied("INT"):
        pytest.skip("this system has no setpriv that ties a process to its parent")
    wait_for_end(orphan(folder / "database", "tied"))


def test_a_server_that_outlived_its_launcher_is_taken_over(folder: Path) -> None:
    pid = orphan(folder / "database", "untied")
    os.kill(pid, 0)
    with EmbeddedPostgres(folder / "database") as server:
        assert answer(server.url(), "SELECT 1") == 1
        assert server.pid != pid
        wait_for_end(pid)


def test_a_folder_with_a_running_server_is_refused(own_postgres: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedError, match=r"Another program, .* stop it first"):
        EmbeddedPostgres(own_postgres.directory).start()
    assert answer(own_postgres.url(), "SELECT 1") == 1


def test_data_of_another_version_is_refused(own_postgres: EmbeddedPostgres) -> None:
    own_postgres.stop()
    with pytest.raises(EmbeddedError, match="belongs to PostgreSQL 16, not 18"):
        EmbeddedPostgres(own_postgres.directory, version=18).start()


def test_an_unfinished_first_start_is_begun_again(folder: Path) -> None:
    half = folder / "database" / "data.new"
    with embedded(folder / "database", 16):
        pass
    shutil.move(folder / "database" / "data", half)
    (half / "PG_VERSION").unlink()
    with embedded(folder / "database", 16) as server:
        assert answer(server.url(), "SELECT 1") == 1
    assert not half.exists()


def test_a_path_too_long_for_a_socket_gets_a_short_one(folder: Path) -> None:
    above = folder / ("long" * 20)
    above.mkdir()
    above.chmod(0o711)
    with embedded(above / "database, and more", 16) as server:
        assert answer(server.url(), "SELECT 1") == 1
        socket = Path(str(conninfo_to_dict(server.url())["host"]))
        assert len(str(socket)) < 40
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert not socket.exists()


def test_a_start_that_fails_shows_the_end_of_the_log(folder: Path) -> None:
    with pytest.raises(EmbeddedError, match='unrecognized configuration parameter "no_such_setting"'):
        EmbeddedPostgres(folder / "database", settings={"no_such_setting": "1"}).start()
    # What was begun is ended: the folder is free.
    with embedded(folder / "database", 16) as server:
        assert answer(server.url(), "SELECT 1") == 1


def test_a_missing_server_is_named(folder: Path) -> None:
    with pytest.raises(EmbeddedError, match=f"There is no PostgreSQL in {folder}"):
        EmbeddedPostgres(folder / "database", binaries=folder).start()
    with pytest.raises(EmbeddedError, match="The wheel has no PostgreSQL 17"):
        wheel_programs(17)


def test_binaries_are_found_by_name(own_postgres: EmbeddedPostgres) -> None:
    command = [str(own_postgres.binary("psql")), own_postgres.url(), "-Atc", "SELECT 42"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"
    with pytest.raises(EmbeddedError, match="There is no nonesuch in"):
        own_postgres.binary("nonesuch")
