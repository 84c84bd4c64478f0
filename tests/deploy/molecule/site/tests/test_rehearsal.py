"""What the playbook would do on a host where all is done; on a bare one molecule's `check` has asked it before."""

from tests.deploy.playbooks import Operator

testinfra_hosts = ["ansible://proxy"]


def test_one_more_run_would_change_nothing(operator: Operator) -> None:
    assert operator.run("site.yml", "--check", "--diff").changed == 0
