"""The cluster's hosts by name, its site as the world sees it, and a key for it."""

import pytest

from tests.deploy import record
from tests.deploy.outside import Site
from tests.deploy.record import Machine
from tests.deploy.remote import run

DOMAIN = "telemetry.test"
COLLECTORS = ("cl-one", "cl-two")

# Pebble makes itself a root at each start, and shows it where only its own host comes.
ROOT = """
import ssl, urllib.request
context = ssl.create_default_context(cafile="/etc/pebble/pebble.crt")
print(urllib.request.urlopen("https://localhost:15000/roots/0", context=context).read().decode())
"""


def machine(name: str) -> Machine:
    """The scenario's host of that name."""
    found = record.read(name)
    assert found is not None, f"there is no host {name}"
    return found


@pytest.fixture(scope="session")
def proxy() -> Machine:
    return machine("cl-proxy")


@pytest.fixture(scope="session")
def collectors() -> list[Machine]:
    return [machine(name) for name in COLLECTORS]


@pytest.fixture(scope="session")
def database() -> Machine:
    return machine("cl-data")


@pytest.fixture(scope="session")
def site(proxy: Machine) -> Site:
    """The site under its name; only a chain to the ACME server's root is believed. Clients give up after 5 s."""
    return Site(proxy, DOMAIN, run(proxy, "python3", "-", text=ROOT), timeout=5.0)


@pytest.fixture(scope="session")
def key(collectors: list[Machine]) -> str:
    """May write for any host; made on the second collector's host, and good on both."""
    return run(collectors[1], "telemetryctl", "keys", "create", "*").strip()
