"""What the test hosts need of this machine's network is given back when the last of them goes."""

from pathlib import Path

import pytest

from tests.deploy import network


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that would have changed this machine; its switch is a file of the test's."""
    said: list[str] = []

    def run(program: str, *words: str, text: str | None = None) -> str:
        said.append(f"{program} {' '.join(words)}")
        return f"table ip {network.TABLE}\n" if words == ("list", "tables") else ""

    monkeypatch.setattr(network, "_run", run)
    monkeypatch.setattr(network, "FORWARD", tmp_path / "ip_forward")
    monkeypatch.setattr(network, "FORWARD_BEFORE", tmp_path / "before")
    return said


@pytest.mark.parametrize("before", ["0\n", "1\n"])
def test_forwarding_is_as_it_was_before_the_first_host(commands: list[str], before: str) -> None:
    network.FORWARD.write_text(before)
    network.open_way_out()
    network.open_way_out()
    assert network.FORWARD.read_text().strip() == "1"

    network.close_way_out()

    assert network.FORWARD.read_text() == before
    assert not network.FORWARD_BEFORE.exists()
    assert commands[-1] == f"nft delete table ip {network.TABLE}"


def test_a_network_that_this_machine_is_in_is_none_for_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = '[{"dst": "default"}, {"dst": "10.0.0.0/8"}, {"dst": "10.213.1.0/24"}, {"dst": "10.213.3.7"}]'
    monkeypatch.setattr(network, "_run", lambda *_: routes)
    assert network.free_number([2]) == 4
