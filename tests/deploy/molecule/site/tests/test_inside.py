"""What root sees on a host that runs the whole site."""

from testinfra.host import Host


def test_no_unit_has_failed(host: Host) -> None:
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""
