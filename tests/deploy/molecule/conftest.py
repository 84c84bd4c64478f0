"""For what molecule verifies: `host` is testinfra's, from inside; `site` is the same one from outside."""

import pytest
from testinfra.host import Host

from tests.deploy import record
from tests.deploy.outside import Site
from tests.deploy.record import Machine


@pytest.fixture(scope="module")
def host(_testinfra_host: Host) -> Host:
    """Testinfra's own; other tests here have a fixture of that name."""
    return _testinfra_host


@pytest.fixture
def machine(host: Host) -> Machine:
    """The test host that is being looked at."""
    found = record.read(host.backend.get_pytest_id().removeprefix("ansible://"))
    assert found is not None
    return found


@pytest.fixture
def variables(host: Host) -> dict[str, str]:
    """The inventory's variables of that host."""
    return dict(host.ansible.get_variables())


@pytest.fixture
def site(machine: Machine, variables: dict[str, str]) -> Site:
    """The site that the host serves, under its name."""
    return Site(machine, variables["telemetry_domain"])
