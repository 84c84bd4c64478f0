"""A running HomeAssistant whose dashboard and configuration are the README's."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any
from urllib.parse import urlencode

from tests.fixtures.client import Client
from tests.homeassistant.readme import Blocks

HOST = "homeassistant.local"
START_SECONDS = 120

# Everything on this machine is logged in: there is one user, made below.
CONFIGURATION = """
homeassistant:
  name: Home
  auth_providers:
    - type: trusted_networks
      trusted_networks: [127.0.0.1/32]
      allow_bypass_login: true
    - type: homeassistant
http:
  server_host: 127.0.0.1
  server_port: {port}
frontend:
config:
lovelace:
  mode: yaml
"""


@dataclass
class Home:
    """A HomeAssistant that answers."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Its address in the tests' browser, where every name is this machine."""
        return f"http://{HOST}:{self.port}"

    def log(self) -> str:
        """What it has logged."""
        return (self.folder / "output").read_text("utf-8")


def write(folder: Path, port: int, blocks: Blocks, key: str) -> None:
    """Writes its configuration: the README's blocks, each where the README says that it goes."""
    configuration = CONFIGURATION.format(port=port) + blocks.configuration + blocks.automation
    dashboard = f"title: Home\nviews:\n  - title: Agents\n    path: agents\n    cards:\n{_item(blocks.card, 6)}"
    dashboard += _item(blocks.entities, 6) + _item(blocks.view, 2)
    for name, text in {
        "configuration.yaml": configuration,
        "secrets.yaml": f"telemetry_read_key: {key}\n",
        "ui-lovelace.yaml": dashboard,
    }.items():
        (folder / name).write_text(text, "utf-8")


@contextmanager
def run(python: Path, folder: Path, port: int, authorities: Path) -> Iterator[Home]:
    """Starts it with what `write` has written, and answers its first questions. `authorities`: whom it trusts."""
    command = [str(python), "-m", "homeassistant", "--config", str(folder), "--skip-pip", "--log-no-color"]
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(authorities), "HOME": str(folder)}
    home = Home(folder, port)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _onboard(home, process)
        yield home
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _item(block: str, spaces: int) -> str:
    """The block as an item of a list."""
    item = indent(block, " " * (spaces + 2))
    return f"{' ' * spaces}- {item.lstrip()}"


def _onboard(home: Home, process: subprocess.Popen[bytes]) -> None:
    client = Client(f"http://127.0.0.1:{home.port}", timeout=60)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if client.get("/api/onboarding").status == 200:
                break
        except OSError:
            pass
        broken = "Activating recovery mode" in home.log()
        if broken or process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"HomeAssistant does not answer:\n{home.log()}")
        time.sleep(0.2)
    user = {"name": "Test", "username": "test", "password": "test-test", "language": "en", "client_id": f"{home.url}/"}
    code = _post(client, "/api/onboarding/users", user)["auth_code"]
    form = urlencode({"grant_type": "authorization_code", "code": code, "client_id": f"{home.url}/"}).encode()
    answer = client.request("POST", "/auth/token", form, {"Content-Type": "application/x-www-form-urlencoded"})
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    for step in ("core_config", "analytics"):
        _post(client, f"/api/onboarding/{step}", {}, bearer)
    ours = {"client_id": f"{home.url}/", "redirect_uri": f"{home.url}/"}
    _post(client, "/api/onboarding/integration", ours, bearer)


def _post(client: Client, path: str, value: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    answer = client.post(path, value, headers=headers)
    assert answer.status == 200, (path, answer.status, answer.body)
    return json.loads(answer.body or b"null")
