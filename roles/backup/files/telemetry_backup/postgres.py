"""PostgreSQL through its own programs, run as the server's own user: the standard library has no driver."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any, Self

from telemetry_backup.config import Database
from telemetry_backup.errors import BackupError

# What makes a row's text the same on every server, whatever its settings are.
STEADY = """\
SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1;
SET bytea_output = 'hex'; SET xmloption = 'content'; SET search_path = pg_catalog;
SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
"""


class Postgres:
    """The server of this host."""

    def __init__(self, settings: Database) -> None:
        self.settings = settings
        self.version = 0
        self._folder = settings.programs
        self.version = int(self.query("postgres", "SHOW server_version_num"))
        distribution = Path(f"/usr/lib/postgresql/{self.version // 10000}/bin")
        # Debian's wrappers would choose among versions by rules of their own.
        if not self._folder and (distribution / "pg_dump").exists():
            self._folder = str(distribution)

    def query(self, database: str, statement: str, /, **variables: str) -> str:
        """What one or several statements print, unaligned. A variable is `:"name"` or `:'name'` in them."""
        command = [*self._psql(), *(f"--set={name}={value}" for name, value in variables.items())]
        result = self._run(command, database, input=statement.encode(), timeout=self.settings.timeout)
        return result.stdout.decode().strip()

    def query_as(self, role: str, database: str, statement: str, /, **variables: str) -> str:
        """As `query`, as another role of the server than the settings' own."""
        command = [*self._psql(), f"--username={role}", *(f"--set={name}={value}" for name, value in variables.items())]
        result = self._run(command, database, input=statement.encode(), timeout=self.settings.timeout)
        return result.stdout.decode().strip()

    def objects(self, database: str, statement: str, /, **variables: str) -> Any:
        """What a statement gives as one JSON value."""
        return json.loads(self.query(database, statement, **variables) or "null")

    def run_file(self, database: str, path: Path, /, **variables: str) -> None:
        """Runs a file of SQL, whole or not at all."""
        command = [*self._psql(), "--single-transaction"]
        command += [f"--set={name}={value}" for name, value in variables.items()]
        with path.open("rb") as source:
            self._run(command, database, stdin=source, timeout=self.settings.timeout)

    def dump(self, database: str, snapshot: str, to: Path) -> None:
        """Writes the database as that snapshot shows it."""
        command = ["pg_dump", "--format=custom", f"--snapshot={snapshot}", "--lock-wait-timeout=60s"]
        # Through a pipe: into a file that is its standard output pg_dump 16 writes the table of contents twice, and
        # the folder is closed to the server's user.
        with (
            tempfile.TemporaryFile() as errors,
            to.open("xb") as target,
            subprocess.Popen(
                self._words(command), stdout=subprocess.PIPE, stderr=errors, **self._circumstances(database)
            ) as process,
        ):
            assert process.stdout is not None
            try:
                shutil.copyfileobj(process.stdout, target, 1 << 20)
            except BaseException:
                process.kill()
                raise
            if process.wait() != 0:
                errors.seek(0)
                raise BackupError(f"pg_dump failed: {_reason(errors.read())}")

    def restore(self, dump: Path, database: str) -> None:
        """Fills an empty database from a dump; stops at the first error."""
        with dump.open("rb") as source:
            self._run(["pg_restore", "--exit-on-error", f"--dbname={database}"], database, stdin=source)

    def analyze(self, database: str) -> None:
        """Lets the planner know a database that was just filled."""
        self._run(self._psql(), database, input=b"ANALYZE;")

    def drop(self, database: str) -> None:
        """Drops a database, whoever is connected, if there is one."""
        self.query("postgres", 'DROP DATABASE IF EXISTS :"name" WITH (FORCE);', name=database)

    def exists(self, database: str) -> bool:
        """Whether the server has it."""
        return self.query("postgres", "SELECT count(*) FROM pg_database WHERE datname = :'name'", name=database) == "1"

    def has_role(self, role: str) -> bool:
        """Whether the server knows that role."""
        return self.query("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = :'name'", name=role) == "1"

    def listing(self, dump: Path) -> str:
        """A dump's table of contents; reads the dump to its end, so a torn one raises BackupError."""
        with dump.open("rb") as source:
            listing = self._run(["pg_restore", "--list"], "", stdin=source).stdout.decode()
        with dump.open("rb") as source:
            self._run(["pg_restore", "--file=-"], "", stdin=source, stdout=subprocess.DEVNULL)
        return listing

    def session(self, database: str) -> "Session":
        """A session to use in a with statement."""
        return Session(self._start(database))

    def _psql(self) -> list[str]:
        return ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--file=-"]

    def _run(self, command: list[str], database: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        options.setdefault("stdout", subprocess.PIPE)
        try:
            result = subprocess.run(
                self._words(command), stderr=subprocess.PIPE, check=False, **self._circumstances(database), **options
            )
        except subprocess.TimeoutExpired as error:
            raise BackupError(f"{command[0]} had no answer from PostgreSQL in {error.timeout:g} s.") from None
        if result.returncode != 0:
            raise BackupError(f"{command[0]} failed: {_reason(result.stderr)}")
        return result

    def _start(self, database: str) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the session
        process = subprocess.Popen(
            self._words(self._psql()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            **self._circumstances(database),
        )
        return process, errors

    def _words(self, command: list[str]) -> list[str]:
        program = shutil.which(command[0], path=self._folder or None)
        if program is None:
            raise BackupError(f"There is no {command[0]} here: install the package postgresql-client.")
        return [program, *command[1:]]

    def _circumstances(self, database: str) -> dict[str, Any]:
        settings = self.settings
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "PGHOST": settings.socket_folder,
            "PGPORT": str(settings.port),
            "PGUSER": settings.role,
            "PGDATABASE": database,
            "PGCONNECT_TIMEOUT": "10",
            "PGAPPNAME": "telemetry-backup",
        }
        circumstances: dict[str, Any] = {"env": environment, "cwd": "/"}
        if os.geteuid() == 0 and settings.system_user:
            try:
                user = pwd.getpwnam(settings.system_user)
            except KeyError:
                raise BackupError(f"There is no user {settings.system_user}: is PostgreSQL installed here?") from None
            circumstances |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        return circumstances


class Session:
    """One connection that stays open, for what must be seen through one snapshot."""

    def __init__(self, started: tuple[subprocess.Popen[bytes], IO[bytes]]) -> None:
        self._process, self._errors = started

    def __enter__(self) -> Self:
        self.tell(STEADY)
        return self

    def __exit__(self, *_: object) -> None:
        # The end of its input is the end of psql.
        self._process.communicate()
        self._errors.close()

    def tell(self, statement: str) -> None:
        """Runs what prints nothing."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(statement.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def ask(self, statement: str) -> str:
        """The one line that a statement prints."""
        assert self._process.stdout is not None
        self.tell(statement)
        line = self._process.stdout.readline()
        if not line:
            raise self._failure()
        return line.decode().rstrip("\n")

    def _failure(self) -> BackupError:
        self._process.wait(timeout=10)
        self._errors.seek(0)
        return BackupError(f"psql failed: {_reason(self._errors.read())}")


def _reason(errors: bytes) -> str:
    """The first error, in one line, without the statement: that may hold a verifier."""
    lines = errors.decode(errors="replace").splitlines()
    told = [line for line in lines if "error:" in line.lower() or "fatal:" in line.lower()] or lines
    return (told or ["it gave no reason"])[0].strip()
