"""A PostgreSQL of one's own in a folder, without an installation: for `make run` and for the tests.

The server listens on a Unix socket only, in a folder that no one but its user (and root) may enter, and so it trusts
whoever comes. It runs in a session of its own: Ctrl-C in the terminal does not reach it, `stop` does.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from dev.folder import lock_folder, make_folder, make_private, socket_folder
from dev.leftover import clear_leftover
from dev.programs import Account, EmbeddedError, programs_for, server_account, tied, wheel_programs

__all__ = ["EmbeddedError", "EmbeddedPostgres"]

ROLE = "telemetry"
DATABASE = "agent_telemetry"
SUPERUSER = "postgres"
# As roles/postgresql makes them: who may read, and how many connections each may have.
READERS = {"grafana_public": 5, "grafana_private": 10}

START_SECONDS = 60.0
STOP_SECONDS = 30.0


class EmbeddedPostgres:
    """A server whose data, log and socket live in one folder, which survives it.

    At the first start it makes the role `telemetry` (no superuser), its database `agent_telemetry`, and the roles that
    read the reporting views; the superuser is `postgres`. `binaries` is a bin folder, by default the wheel's for that
    major version; `settings` are PostgreSQL's. `pause` waits for some seconds; what it raises ends a start.
    """

    def __init__(
        self,
        directory: Path,
        *,
        binaries: Path | None = None,
        version: int = 16,
        settings: Mapping[str, str] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.directory = Path(os.path.abspath(directory))  # noqa: PTH100 - a link in the path stays as the caller knows it
        self.log = self.directory / "log"
        self._data = self.directory / "data"
        self._socket = socket_folder(self.directory)
        self._binaries = binaries
        self._version = version
        self._settings = dict(settings or {})
        self._pause = pause
        self._account = Account()
        self._programs = Path()
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The running server's process id; None before its start and after its end."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def url(self, database: str = DATABASE, user: str = ROLE) -> str:
        """A libpq URL of that database through the Unix socket."""
        return (
            f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={quote(str(self._socket), safe='')}"
        )

    def binary(self, name: str) -> Path:
        """The path of one of PostgreSQL's programs, such as psql. Raises EmbeddedError when it is missing."""
        path = (self._binaries or wheel_programs(self._version)) / name
        if not path.exists():
            raise EmbeddedError(f"There is no {name} in {path.parent}.")
        return path

    def last_words(self) -> str:
        """The end of the server's log, for people."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "it left no log."
        return "\n".join(["its log ends with", *lines[-8:]])

    def start(self) -> None:
        """Returns when the server takes connections, and the database is there. Raises EmbeddedError.

        Recovers from whatever a crash left behind, and stops a server whose launcher was killed.
        """
        try:
            self._account = server_account()
            make_folder(self.directory, self._account)
            self._lock = lock_folder(self.directory)
            self._programs = programs_for(
                self._account, self._binaries or wheel_programs(self._version), self.directory.parent
            )
            clear_leftover(self._data, STOP_SECONDS)
            self._initialise()
            self._launch()
            self._create_database()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server that this object started, within a bounded time; does nothing when there is none."""
        if self._process is not None:
            # Fast: sessions are ended, what is committed is written out. Then at once; then without a question.
            for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                self._process.send_signal(how)
                try:
                    self._process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            shutil.rmtree(self._socket, ignore_errors=True)

    def _initialise(self) -> None:
        """Makes the data folder, unless it is there: all of it or nothing."""
        version_file = self._data / "PG_VERSION"
        if version_file.exists():
            has, wants = version_file.read_text().strip(), self._major_version()
            if has != wants:
                raise EmbeddedError(f"{self._data} belongs to PostgreSQL {has}, not {wants}: choose another folder.")
            return
        unfinished = self.directory / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        # The locale C is the only one that every system has; the text is UTF-8 all the same.
        command: list[str | Path] = [
            self._programs / "initdb",
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
            "--locale=C",
            "--auth-local=trust",
            "--auth-host=reject",
            "--data-checksums",
            "--no-instructions",
        ]
        if self._settings.get("fsync") == "off":
            command.append("--no-sync")
        with self._new_log() as log:
            process = self._spawn(command, log)
            deadline = time.monotonic() + START_SECONDS
            try:
                while (code := process.poll()) is None and time.monotonic() < deadline:
                    self._pause(0.02)
            finally:
                process.kill()
                process.wait()
        if code != 0:
            raise EmbeddedError(f"PostgreSQL could not make its data folder in {self.directory}: {self.last_words()}")
        unfinished.rename(self._data)

    def _major_version(self) -> str:
        command = [str(self._programs / "postgres"), "--version"]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return result.stdout.split()[2].split(".")[0]

    def _launch(self) -> None:
        """Starts the server, and returns when it answers."""
        shutil.rmtree(self._socket, ignore_errors=True)
        make_private(self._socket, self._account)
        quoted = str(self._socket).replace('"', '""')
        settings = {
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
            "listen_addresses": "",
            "unix_socket_directories": f'"{quoted}"',
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self._programs / "postgres", "-D", self._data, *options]
        deadline = time.monotonic() + START_SECONDS
        while True:
            with self._new_log() as log:
                self._process = self._spawn(command, log)
            if self._answers(self._process, deadline):
                return
            # A killed server's children notice within a moment that it is gone, and free its memory.
            if "shared memory block" not in self.last_words() or time.monotonic() > deadline:
                raise EmbeddedError(f"PostgreSQL did not start in {self.directory}: {self.last_words()}")
            self._pause(0.2)

    def _answers(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """Waits until the server takes connections; False when it ended instead, or is not ready in time."""
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with psycopg.connect(self.url("postgres", SUPERUSER), connect_timeout=5):
                    return True
            except psycopg.OperationalError:
                self._pause(0.02)
        return False

    def _create_database(self) -> None:
        with psycopg.connect(self.url("postgres", SUPERUSER), autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchall():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
            for reader, connections in READERS.items():
                if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [reader]).fetchall():
                    name, limit = sql.Identifier(reader), sql.Literal(connections)
                    connection.execute(sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT {}").format(name, limit))
                    connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name))
                    connection.execute(sql.SQL("ALTER ROLE {} SET statement_timeout = '15s'").format(name))
            # For pages that the collector gives to anybody, and reads as that role.
            connection.execute(sql.SQL("GRANT grafana_public TO {}").format(sql.Identifier(ROLE)))
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchall():
                names = sql.Identifier(DATABASE), sql.Identifier(ROLE)
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))

    def _spawn(self, command: Sequence[str | Path], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*tied("INT"), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            # Nothing of the caller's: PGDATA and its like mean another server. macOS insists on a locale.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            start_new_session=True,
            user=self._account.user,
            group=self._account.group,
            extra_groups=self._account.extra_groups,
        )

    def _new_log(self) -> IO[bytes]:
        """Opens the log afresh, so that it cannot grow for ever; the run before last is forgotten."""
        if self.log.exists():
            self.log.replace(self.log.with_name("log.old"))
        return self.log.open("xb")
