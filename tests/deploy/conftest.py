"""Test hosts for tests: `make_host(suite)` boots one that goes with the test.

These tests are skipped, and say so, unless they are asked for by name, `pytest -m hosts`, as `make test` does once.
They take minutes, need root on Linux and the distribution's mirror, and gain nothing from a second Python. Where hosts
cannot be had they say why, and what would help.
When one fails, the end of the journal of each host that runs is shown.
"""

import itertools
import os
from collections.abc import Callable, Generator, Iterator

import pytest

from tests.deploy import machines, record, remote
from tests.deploy.machines import Machine
from tests.deploy.needs import NotHereError, require

# Those tests are molecule's: they look at hosts that its scenarios have made.
collect_ignore = [] if "MOLECULE_FILE" in os.environ else ["molecule"]

MakeHost = Callable[..., Machine]

_numbers = itertools.count(1)

UNASKED = pytest.mark.skip(
    reason="NOT RUN, boots hosts: make .venv/deploy.stamp && .venv/bin/pytest tests/deploy -m hosts"
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "hosts" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("hosts"):
                item.add_marker(UNASKED)


@pytest.fixture(scope="session")
def hosts_here() -> Iterator[None]:
    """Whatever needs hosts: skips where there can be none, and takes away what killed runs have left."""
    try:
        require()
        machines.sweep()
    except NotHereError as reason:
        pytest.skip(f"NO TEST HOSTS: {reason}")
    yield
    for machine in _ours():
        machines.destroy(machine.name)


@pytest.fixture
def make_host(hosts_here: None) -> Iterator[MakeHost]:
    """Makes running hosts, each gone at the end of the test."""
    made: list[str] = []

    def make(suite: str = "trixie", name: str = "") -> Machine:
        made.append(name or f"t{os.getpid()}-{next(_numbers)}")
        try:
            return machines.create(made[-1], suite, owner=os.getpid())
        except NotHereError as reason:
            pytest.skip(f"NO TEST HOSTS: {reason}")

    yield make
    for name in made:
        machines.destroy(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("hosts"):
        report.sections += [(f"journal of {machine.name}", remote.journal(machine)) for machine in _ours()]
    return report


def _ours() -> list[Machine]:
    """The hosts of this run."""
    return [machine for machine in record.read_all() if machine.owner and machine.owner.pid == os.getpid()]
