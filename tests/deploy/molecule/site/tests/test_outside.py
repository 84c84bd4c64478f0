"""What the world sees of a host that runs the whole site."""

from tests.deploy.outside import Site, open_ports
from tests.deploy.record import Machine


def test_the_collector_answers_with_a_valid_certificate(site: Site) -> None:
    answer = site.get("/api/v1/health")
    assert (answer.status, answer.json()["status"]) == (200, "healthy")


def test_nothing_is_open_but_ssh_and_the_proxy(machine: Machine) -> None:
    assert open_ports(machine.address) == [22, 80, 443]
