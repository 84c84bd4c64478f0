"""A stand-in for Grafana's server and its command line, for tests where the real one cannot be had.

    grafana server --config=FILE [cfg:default.SECTION.KEY=VALUE...]
    grafana cli [--config=FILE] [--configOverrides='cfg:...'] admin reset-admin-password --password-from-stdin

It keeps the real one's paths, port, settings, refusals and answers as far as this project relies on them.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from tests.deploy.standin.api import Site
from tests.deploy.standin.provisioning import ProvisioningError, providers, provision, provision_dashboards
from tests.deploy.standin.settings import Settings, SettingsError
from tests.deploy.standin.store import Store
from tests.deploy.standin.web import Server

# The real one answers 1 to 3 s after its start: whoever does not wait for it shall fail here too.
START_SECONDS = 1.0

PASSWORD_LENGTH = 4

log = logging.getLogger("server")


def main(version: str, words: list[str]) -> int:
    """Runs one of the two commands; the exit code."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="logger=%(name)s level=%(levelname)s %(message)s")
    if words[:1] == ["cli"]:
        return cli(words[1:])
    if words[:1] == ["server"]:
        return serve(version, words[1:])
    sys.stdout.write(f"stand-in for grafana version {version}\n")
    return 0 if words in (["--version"], ["-v"]) else 1


def serve(version: str, words: list[str]) -> int:
    """Runs the server until SIGTERM. It ends with 1 where Grafana would not start."""
    parser = argparse.ArgumentParser(add_help=False)
    for name in ("--config", "--homepath", "--pidfile", "--packaging", "--configOverrides"):
        parser.add_argument(name, default="")
    options, rest = parser.parse_known_args(words)
    try:
        settings = Settings(Path(options.config), [*options.configOverrides.split(), *rest])
        store = Store(settings.data)
        store.prepare(settings.text("security", "admin_user"), settings.text("security", "admin_password"))
        folder = Path(settings.text("paths", "provisioning"))
        provision(folder, store)
        time.sleep(START_SECONDS)
        server = Server(Site(settings, store, version, lambda: provision(folder, store)))
    except (SettingsError, ProvisioningError, OSError) as error:
        log.error("Failed to start the stand-in for Grafana: %s", error)  # noqa: TRY400
        return 1
    threading.Thread(target=_watch, args=(folder, store), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    log.info("HTTP Server Listen address=%s:%s, a stand-in for Grafana %s", *server.server_address[:2], version)
    server.serve_forever()
    server.server_close()
    return 0


def _watch(folder: Path, store: Store) -> None:
    """Takes in what changes in the dashboards' folders, as often as the shortest interval says."""
    while True:
        intervals = [provider.get("updateIntervalSeconds") or 10 for provider in providers(folder)]
        time.sleep(max(1, min(intervals, default=10)))
        try:
            provision_dashboards(folder, store)
        except (ProvisioningError, OSError):
            log.exception("dashboards cannot be read")


def cli(words: list[str]) -> int:
    """The one command that this project uses: it sets the administrator's password while the server runs."""
    parser = argparse.ArgumentParser(prog="grafana cli")
    for name in ("--config", "--homepath", "--pluginsDir", "--configOverrides"):
        parser.add_argument(name, default="")
    parser.add_argument("admin", choices=["admin"])
    parser.add_argument("command", choices=["reset-admin-password"])
    parser.add_argument("password", nargs="?")
    parser.add_argument("--password-from-stdin", action="store_true")
    options = parser.parse_args(words)
    password = sys.stdin.readline().rstrip("\n") if options.password_from_stdin else options.password
    if not password or len(password) < PASSWORD_LENGTH:
        sys.stderr.write("Error: new password is too short\n")
        return 1
    try:
        settings = Settings(Path(options.config or "/etc/grafana/grafana.ini"), options.configOverrides.split())
    except SettingsError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    database = Store(settings.data)
    if not database.path.exists() or not os.access(database.path, os.W_OK) or not database.set_password(password):
        sys.stderr.write(f"Error: could not read user from database {database.path}. Error: user not found\n")
        return 1
    sys.stdout.write("Admin password changed successfully\n")
    return 0
