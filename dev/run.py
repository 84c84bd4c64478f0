"""`make run`: from a bare checkout to a collector that takes events, until Ctrl-C.

The database is an embedded PostgreSQL 16 in a folder that survives: AFT_HOME, by default
/var/lib/agent-framework-telemetry for root and ~/.local/share/agent-framework-telemetry for others. With DATABASE_URL
it is that one, and none is started. HOST and PORT say where to listen.
"""

import json
import os
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import psycopg

from dev.collector import CommandError, ServedCollector, run_command
from dev.embedded import EmbeddedError, EmbeddedPostgres
from dev.folder import home_folder, make_parents
from dev.key import file_name, kept_key, works_for
from dev.stopping import Stopped, StopSignals

VERSION = 16
# Nothing that was acknowledged may be lost here either.
SETTINGS = {"fsync": "on", "synchronous_commit": "on"}


class RunError(Exception):
    """It cannot go on; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class Running:
    """A collector that takes events, the address that one reaches it by, its database, and a key for this machine."""

    address: tuple[str, int]
    settings: Mapping[str, str]
    machine: str
    key: str
    key_file: Path
    collector: ServedCollector
    # None where the database is that of DATABASE_URL.
    postgres: EmbeddedPostgres | None

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def main() -> int:
    """Runs until it is told to stop. The exit code: 0 after that, 1 when it could not start or go on."""

    def run(pause: Callable[[float], None], started: ExitStack) -> NoReturn:
        running = start(os.environ, home_folder(os.environ), pause, started)
        print(greeting(running), flush=True)
        running.collector.show_log()
        watch(running, pause)

    return until_stopped("make run", run)


def until_stopped(name: str, run: Callable[[Callable[[float], None], ExitStack], NoReturn]) -> int:
    """Calls `run` with a pause that ends with a signal; what it puts on the stack is ended. The exit code."""
    signals = StopSignals()
    try:
        with ExitStack() as started:
            run(signals.pause, started)
    except Stopped:
        return 0
    except (RunError, EmbeddedError, CommandError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1


def start(
    environ: Mapping[str, str],
    home: Path,
    pause: Callable[[float], None],
    started: ExitStack,
    prepare: Callable[[str], None] = lambda _: None,
) -> Running:
    """Starts everything; `prepare` gets the database's URL when the schema is there, and no collector yet."""
    host, port = _address(environ)
    given_url = environ.get("DATABASE_URL") or None
    postgres = None
    if given_url is None:
        postgres = EmbeddedPostgres(home / f"postgresql-{VERSION}", version=VERSION, settings=SETTINGS, pause=pause)
        started.callback(postgres.stop)
        postgres.start()
        url = postgres.url()
    else:
        url = given_url
        _check_database(url)
        make_parents(home / "key")
    settings = {**environ, "DATABASE_URL": url, "HOST": host, "PORT": str(port)}
    run_command(settings, pause, "migrate")
    prepare(url)

    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - not listened on here
    collector = ServedCollector(settings, address)
    started.callback(collector.stop)
    if not collector.healthy(pause):
        raise RunError(f"The collector did not start. It said:\n{collector.last_words()}")
    machine = socket.gethostname().lower()[:255] or "localhost"
    key_file = home / file_name(given_url)
    key = key_for(machine, key_file, settings, address, pause=pause, description="make run")
    return Running(address, settings, machine, key, key_file, collector, postgres)


def watch(running: Running, pause: Callable[[float], None]) -> NoReturn:
    """Waits for a signal; raises RunError when the collector or its database ends by itself."""
    collector, postgres = running.collector, running.postgres
    while True:
        pause(0.2)
        if collector.exit_code is not None:
            ending = f"The collector ended by itself with exit code {collector.exit_code}."
            raise RunError(f"{ending} It said:\n{collector.last_words()}")
        if postgres is not None and postgres.pid is None:
            raise RunError(f"PostgreSQL ended by itself: {postgres.last_words()}")


def key_for(
    host: str,
    file: Path,
    settings: Mapping[str, str],
    address: tuple[str, int],
    *,
    pause: Callable[[float], None],
    description: str,
) -> str:
    """A key that may write for that host ("*" for all), the same at each start: it is kept in the file."""
    works = works_for(host, settings["DATABASE_URL"], address)
    try:
        return kept_key(
            file, works, lambda: run_command(settings, pause, "keys", "create", host, "--description", description)
        )
    except OSError as error:
        raise RunError(f"The key cannot be kept in {file} ({error}): choose another folder with AFT_HOME.") from error


def _address(environ: Mapping[str, str]) -> tuple[str, int]:
    """HOST and PORT, on which it can be listened."""
    host, text = environ.get("HOST") or "127.0.0.1", environ.get("PORT") or "3001"
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise RunError(f"PORT is {text}: it must be a number from 1 to 65535.")
    port = int(text)
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise RunError(
            f"Nothing can listen on {host}, port {port} ({error.strerror}): end what listens there, "
            "or choose another address, as in 'make run PORT=3002' or 'make run HOST=127.0.0.1'."
        ) from error
    return host, port


def _check_database(url: str) -> None:
    """Raises RunError where DATABASE_URL is of no use; its password is never shown."""
    remedy = "correct it, or unset it for the embedded PostgreSQL."
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0].removeprefix("connection is bad: ")
        raise RunError(f"The database of DATABASE_URL does not answer ({reason}): {remedy}") from error
    except psycopg.Error as error:
        raise RunError(f"DATABASE_URL is no URL such as postgresql://USER@HOST/DATABASE: {remedy}") from error


def greeting(running: Running, more: str = "") -> str:
    """What a newcomer is told; `more` is paragraphs between the examples and the end."""
    machine, key, url, postgres = running.machine, running.key, running.url, running.postgres
    # Its own moment makes this event new at each start; the same again is a duplicate.
    event = {
        "hostId": machine,
        "sessionId": "first-steps",
        "eventType": "agent_execution",
        "agentName": "tool-approve",
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "decision": "APPROVED",
        "decisionReason": "Tool is safe",
        "toolName": "Bash",
        "latencyMs": 150,
        "modelTier": "haiku",
    }
    headers = f"-H 'Content-Type: application/json' -H {shlex.quote(f'X-API-Key: {key}')}"
    body = shlex.quote(json.dumps({"events": [event]}))
    database = "that of DATABASE_URL"
    if postgres is not None:
        psql = shlex.join([str(postgres.binary("psql")), postgres.url()])
        database = f"PostgreSQL {VERSION} in {postgres.directory}\n  psql      {psql}"
    return f"""
The overview, for any browser: {url}/glance

The collector is at {url}
  key       {key}  (for the host {machine}; kept in {running.key_file})
  database  {database}

Send it an event. The first time it is accepted, the same again is a duplicate:

curl -sS {headers} -d {body} {url}/api/v1/telemetry/batch

For the README's examples, and for clients on this machine:

export TELEMETRY_HOST_ID={shlex.quote(machine)}
export TELEMETRY_ENDPOINT={url}
export AGENT_FRAMEWORK_API_KEY={key}
{more}
Ctrl-C stops it. From here on, its log:
"""
