"""A Grafana on loopback with this site's dashboards, where one is installed, or GRAFANA_HOME names an unpacked one.

Its settings, datasources and dashboards are rendered from the templates that the playbook installs, so what one sees
here is what a server shows; only addresses and folders are others. Its own database lies in a folder that survives.
"""

import base64
import json
import os
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from dev.service import Service

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = "/etc/grafana/"
# Where Debian's package of Grafana has its program and pages.
PACKAGE = Path("/usr/share/grafana")

START_SECONDS = 120.0
STOP_SECONDS = 10.0


class GrafanaError(Exception):
    """It cannot be started; the message says why, and what to do."""


def installed(environ: Mapping[str, str]) -> Path | None:
    """The folder of Grafana's program and pages: GRAFANA_HOME's, else the package's; None where there is neither.

    Raises GrafanaError where GRAFANA_HOME names another folder.
    """
    given = environ.get("GRAFANA_HOME")
    home = Path(given) if given else PACKAGE
    if (home / "bin" / "grafana").is_file() and (home / "public" / "build").is_dir():
        return home
    if given:
        raise GrafanaError(
            f"GRAFANA_HOME must name an unpacked Grafana: there is no bin/grafana and public/build in {home}."
        )
    return None


def render(folder: Path, database_url: str, variables: Mapping[str, Any] | None = None) -> Path:
    """Writes the settings and the provisioning files below `folder`, for a database on a Unix socket that trusts
    whoever comes; gives the settings' path. `variables` are the role's, where they are not at their defaults. Raises
    GrafanaError where the URL names no such database.
    """
    from dev import templates  # noqa: PLC0415 - needs more than make run does

    socket_folder, database = _place(database_url)
    credentials = folder / "credentials"
    credentials.mkdir(parents=True, exist_ok=True)
    for name in ("secret-key", "admin-password"):
        if not (credentials / name).exists():
            (credentials / name).write_text(secrets.token_hex(20) if name == "secret-key" else "admin")
    for reader in ("grafana_public", "grafana_private"):
        (credentials / reader).write_text("trusted")
    known = {
        **templates.role_variables("grafana"),
        "ansible_managed": "Rendered anew at each start",
        "telemetry_domain": "127.0.0.1",
        "grafana_database": socket_folder,
        "_grafana_database_name": database,
        "_grafana_credentials": str(credentials),
        "_grafana_dashboards_folder": str(ROOT / "grafana" / "dashboards"),
        **(variables or {}),
    }
    for path in (templates.TEMPLATES / SETTINGS.lstrip("/")).rglob("*.j2"):
        destination = "/" + str(path.relative_to(templates.TEMPLATES).with_suffix(""))
        target = folder / destination.removeprefix(SETTINGS)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(templates.render(destination, known), "utf-8")
    return folder / "grafana.ini"


class LocalGrafana(Service):
    """A running Grafana; the user admin has the password admin, for nobody but this machine can come.

    `pause` waits for some seconds; what it raises ends a start. `variables` are those of `render`.
    """

    def __init__(
        self,
        home: Path,
        folder: Path,
        *,
        port: int,
        database_url: str,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}/grafana"
        settings = render(folder, database_url, variables)
        # The package has these two, empty; Grafana takes it for an error when one is missing.
        for name in ("data", "plugins", "provisioning/plugins"):
            (folder / name).mkdir(exist_ok=True)
        _check_port(port)
        command = [str(home / "bin" / "grafana"), "server", f"--homepath={home}", f"--config={settings}"]
        environ = {**os.environ, **_overrides(folder, port, self.url)}
        super().__init__(command, environ, home, lines=200, stop_seconds=STOP_SECONDS)

    def wait(self, pause: Callable[[float], None]) -> None:
        """Waits until it answers and knows the overview. Raises GrafanaError, or what `pause` raises."""
        if not self.ready(self._knows_the_overview, pause, START_SECONDS):
            said = "\n".join(list(self.lines)[-15:])
            raise GrafanaError(f"Grafana did not start. It said:\n{said}")

    def share_overview(self) -> str:
        """Shares the overview as the playbook does, where it is not yet; gives its address."""
        path = "/api/dashboards/uid/agent-overview/public-dashboards"
        status, shared = self.ask(path)
        if status == 404:
            wish = {
                "accessToken": secrets.token_hex(16),
                "isEnabled": True,
                "timeSelectionEnabled": False,
                "annotationsEnabled": False,
                "share": "public",
            }
            status, shared = self.ask(path, wish)
        if status != 200:
            raise GrafanaError(f"Grafana does not share the overview: {shared}")
        return f"{self.url}/public-dashboards/{shared['accessToken']}"

    def ask(self, path: str, body: object = None) -> tuple[int, Any]:
        """Status and answer of its API, as the user admin; 0 while it does not answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data)  # noqa: S310 - http on loopback
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", "Basic " + base64.b64encode(b"admin:admin").decode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (OSError, ValueError):
            return 0, None

    def complaints(self) -> list[str]:
        """The lines of its log that are errors."""
        return [line for line in self.lines if "level=error" in line]

    def _knows_the_overview(self) -> bool:
        status, _ = self.ask("/api/dashboards/uid/agent-overview")
        return status == 200


def _overrides(folder: Path, port: int, url: str) -> dict[str, str]:
    """What is not as on a server: folders, the port, and no TLS before it."""
    return {
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "logs"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_SERVER_ROOT_URL": f"{url}/",
        "GF_SECURITY_COOKIE_SECURE": "false",
    }


def _place(database_url: str) -> tuple[str, str]:
    """The folder of the Unix socket, and the database's name."""
    try:
        known = conninfo_to_dict(database_url)
    except ProgrammingError:
        known = {}
    host, name = str(known.get("host", "")), str(known.get("dbname", ""))
    if not host.startswith("/") or not name:
        raise GrafanaError(
            "The URL must name a database and the folder of its Unix socket, as in"
            " postgresql:///agent_telemetry?host=/run/postgresql."
        )
    return host, name


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise GrafanaError(f"Grafana cannot listen on 127.0.0.1:{port} ({error.strerror}): set PORT.") from None


def main(arguments: list[str]) -> int:
    """`python -m dev.grafana DATABASE_URL FOLDER PORT`: runs until Ctrl-C; prints the overview's address."""
    home = installed(os.environ)
    if home is None or len(arguments) != 3:
        print("Usage: GRAFANA_HOME=/opt/grafana python -m dev.grafana DATABASE_URL FOLDER PORT", file=sys.stderr)
        return 2
    url, folder, port = arguments
    with ExitStack() as started:
        try:
            grafana = LocalGrafana(home, Path(folder), port=int(port), database_url=url)
            started.callback(grafana.stop)
            grafana.wait(time.sleep)
            print(f"{grafana.url}/ (admin, admin), shared: {grafana.share_overview()}", flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
        except GrafanaError as error:
            print(f"dev.grafana: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
