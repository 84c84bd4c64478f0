"""Molecule's scenarios: the playbook on real hosts, from bare to running, and what may happen to a site after that.

By hand, in tests/deploy: `molecule test -s site`, with AFT_DEBIAN=12 for hosts with Debian 12. `molecule converge`
leaves them running; `python -m tests.deploy.machines ssh site-13` opens one.

They take minutes each and most of that is waiting, so two run at a time.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.deploy.scenario import PROGRAMS, Outcome, Scenario, run

pytestmark = [pytest.mark.hosts, pytest.mark.slow]

# The longest first, so that the last to end is a short one. Each Debian has a site that is looked at from all sides.
SCENARIOS = [Scenario("upgrade", "13"), Scenario("cluster", "13"), Scenario("restore", "12"), Scenario("site", "12")]
AT_A_TIME = 2


@pytest.fixture(scope="module")
def runs(
    hosts_here: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Scenario, Future[Outcome]]]:
    """The scenarios that were asked for, under way."""
    if not (PROGRAMS / "molecule").exists():
        pytest.skip("NO SCENARIOS: requirements-deploy.txt is not installed: run 'make .venv/deploy.stamp'")
    parameters = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    wanted = [each.get("scenario") for each in parameters]
    folder = tmp_path_factory.mktemp("scenarios")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {each: pool.submit(run, each, folder / str(each)) for each in SCENARIOS if each in wanted}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario(runs: Mapping[Scenario, Future[Outcome]], request: pytest.FixtureRequest, scenario: Scenario) -> None:
    outcome = runs[scenario].result()
    for title, text in outcome.journals:
        request.node.add_report_section("call", title, text)
    assert outcome.code == 0, f"molecule's output ends with\n{outcome.words}"
    assert outcome.leaks == []
