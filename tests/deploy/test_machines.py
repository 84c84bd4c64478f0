"""What a test may expect of a test host, and a machine of whoever runs such tests."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dev.packages import environment
from tests.deploy import guest, image, machines, network, outer, record, remote
from tests.deploy.conftest import MakeHost
from tests.deploy.image import SUITES
from tests.deploy.needs import NotHereError, require
from tests.deploy.outer import pip_environment
from tests.deploy.record import Machine, Process
from tests.deploy.remote import run
from tests.fixtures.environment import ROOT

pytestmark = [pytest.mark.hosts, pytest.mark.slow]


def tables() -> str:
    """The tables of nftables on this machine."""
    command = ["nft", "list", "tables"]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), check=True).stdout


def gone(pid: int) -> bool:
    """Whether that process ends; this machine's PID 1 may be a moment late to notice that it has."""
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("suite", SUITES)
def test_a_host_is_a_debian_that_has_booted_and_reaches_its_packages(make_host: MakeHost, suite: str) -> None:
    host = make_host(suite)

    assert f"VERSION_CODENAME={suite}" in run(host, "cat", "/etc/os-release")
    assert remote.wait_until_up(host) == "running"
    assert run(host, "hostname").strip() == host.name
    run(host, "apt-get", "update", "-qq")
    run(host, "apt-get", "install", "-qq", "--no-install-recommends", "python3-venv")
    run(host, "python3", "-m", "venv", "/opt/venv")
    settings = [f"{name}={value}" for name, value in pip_environment().items()]
    run(host, "env", *settings, "/opt/venv/bin/pip", "install", "--quiet", "itsdangerous")
    assert "ssh.service" in run(host, "systemctl", "list-units", "--state=running", "--plain")


@pytest.mark.parametrize("suite", SUITES)
def test_a_host_has_a_firewall_of_its_own(make_host: MakeHost, suite: str) -> None:
    host = make_host(suite)
    assert run(host, "nft", "list", "ruleset") == ""
    run(host, "nft", "add", "table", "inet", "its_own")
    assert "its_own" not in tables()


def test_who_comes_in_as_debian_becomes_root_by_sudo(make_host: MakeHost) -> None:
    host = make_host()
    command = [*remote.ssh(host, user="debian"), "sudo -n id -un"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout == "root\n"


@pytest.mark.parametrize("suite", SUITES)
def test_a_host_comes_up_again_with_its_disk_after_a_shutdown_and_after_a_power_cut(
    make_host: MakeHost, suite: str
) -> None:
    host = make_host(suite)
    run(host, "sh", "-c", "echo kept > /root/file")
    boot_id = "/proc/sys/kernel/random/boot_id"
    boots = [run(host, "cat", boot_id)]
    for turn_off in (machines.power_off, machines.cut_power):
        turn_off(host)
        assert not guest.running(host)
        assert not network.exists(host)
        assert machines.boot(host) == "running"
        assert run(host, "cat", "/root/file") == "kept\n"
        boots.append(run(host, "cat", boot_id))
    assert len(set(boots)) == 3


def test_hosts_have_addresses_of_their_own_and_see_each_other_by_them(make_host: MakeHost) -> None:
    first, second = make_host("bookworm"), make_host("trixie")
    assert first.address != second.address
    listen = "import socket; s = socket.create_server(('', 7000)); print('up', flush=True); print(s.accept()[1][0])"
    call = "import socket, sys; socket.create_connection((sys.argv[1], 7000), 5)"
    command = [*remote.ssh(second), shlex.join(["timeout", "60", "python3", "-c", listen])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "up\n"
        run(first, "python3", "-c", call, second.address)
        # The one that is called sees who calls: no address is translated between hosts.
        assert listener.stdout.read() == f"{first.address}\n"


def test_nothing_is_left_of_a_host_that_was_destroyed(make_host: MakeHost) -> None:
    forward = network.FORWARD.read_text()
    alone = not record.read_all()
    host = make_host()
    leader = guest.leader(host)
    assert leader is not None

    machines.destroy(host.name)

    assert not host.folder.exists()
    assert not guest.group(host).exists()
    assert not network.exists(host)
    assert gone(leader)
    assert record.read(host.name) is None
    machines.destroy(host.name)
    if alone:  # else other hosts of this machine, which are no business of this test, need them
        tables = subprocess.run(
            ["nft", "list", "tables"], capture_output=True, text=True, env=environment(), check=True
        )
        assert network.TABLE not in tables.stdout
        assert network.FORWARD.read_text() == forward
        assert not record.HOME.exists()


# Counted from its record: during the unpacking, about the boot, and when all is done.
@pytest.mark.parametrize("seconds", [0.1, 1.2, 2.0, 6.0])
def test_what_a_killed_run_leaves_is_taken_away_by_the_next(make_host: MakeHost, seconds: float) -> None:
    name = f"k{os.getpid()}"
    program = f"import os; from tests.deploy.machines import create; create('{name}', owner=os.getpid()); input()"
    killed = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)
    assert killed.stdin is not None
    deadline = time.monotonic() + 60
    while record.read(name) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stdin.close()
    left = record.read(name)
    assert left is not None

    if seconds < 2:
        host = make_host(name=name)
        assert remote.wait_until_up(host) == "running"
        machines.destroy(name)
    else:
        assert left.abandoned
        machines.sweep()

    assert not left.folder.exists()
    assert not guest.group(left).exists()
    assert not network.exists(left)


def test_a_host_of_a_run_that_goes_on_is_not_taken_away(make_host: MakeHost) -> None:
    host = make_host()
    with pytest.raises(machines.MachineError, match="belongs to a test run that is going on"):
        machines.create(host.name)
    machines.sweep()
    assert remote.wait_until_up(host) == "running"


def test_an_interface_of_somebody_else_is_left_alone(hosts_here: None) -> None:
    ip = ["ip", "link"]
    subprocess.run([*ip, "add", "ve-notours", "type", "veth", "peer", "name", "notours"], env=environment(), check=True)
    try:
        with pytest.raises(machines.MachineError, match="somebody else's"):
            machines.create("notours")
        assert network.exists(Machine("notours", "", 0))
    finally:
        subprocess.run([*ip, "delete", "ve-notours"], env=environment(), check=True)


def test_the_journal_of_a_dead_host_can_be_read(make_host: MakeHost) -> None:
    host = make_host()
    run(host, "sh", "-c", "echo a last word | systemd-cat; journalctl --sync")
    machines.cut_power(host)
    assert "a last word" in remote.journal(host)


def test_who_is_not_root_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotHereError, match="root: run the same command with sudo"):
        require()


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    ours = Process.of(os.getpid())
    assert ours is not None
    assert ours.alive()
    assert not Process(ours.pid, ours.started - 1).alive()


def test_without_a_network_the_reason_says_so(
    hosts_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "IMAGES", tmp_path)
    monkeypatch.setattr(outer, "apt_sources", lambda suite: [f"deb http://127.0.0.1:9/debian {suite} main"])
    with pytest.raises(NotHereError, match=r"the mirror http://127\.0\.0\.1:9/debian is out of reach"):
        image.image("trixie")
    assert not list(tmp_path.glob("*.tar"))
