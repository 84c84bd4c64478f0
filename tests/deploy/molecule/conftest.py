"""For what molecule verifies: `host` is testinfra's, from inside; `site` is the same one from outside.

`operator` runs playbooks on the scenario's hosts, and `database` shows what the site has stored.
"""

import os
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.deploy.inside import Database
from tests.deploy.outside import Site
from tests.deploy.playbooks import Operator, machine_named
from tests.deploy.record import Machine


@pytest.fixture(scope="module")
def host(_testinfra_host: Host) -> Host:
    """Testinfra's own; other tests here have a fixture of that name."""
    return _testinfra_host


@pytest.fixture
def machine(host: Host) -> Machine:
    """The test host that is being looked at."""
    return machine_named(host.backend.get_pytest_id().removeprefix("ansible://"))


@pytest.fixture
def variables(host: Host) -> dict[str, str]:
    """The inventory's variables of that host."""
    return dict(host.ansible.get_variables())


@pytest.fixture
def site(machine: Machine, variables: dict[str, str]) -> Site:
    """The site that the host serves, under its name."""
    return Site(machine, variables["telemetry_domain"])


@pytest.fixture(scope="session")
def operator() -> Operator:
    """Whoever deploys the scenario's site."""
    return Operator(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]))


@pytest.fixture
def database(machine: Machine) -> Database:
    """The site's database."""
    return Database(machine)
