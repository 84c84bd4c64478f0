"""What makes an unpacked image one particular host: its name, its address, its ssh keys."""

import os
import shutil
import subprocess
import uuid

from dev.packages import environment, find
from tests.deploy import outer
from tests.deploy.record import Machine

USERS = ("root", "home/debian")

# As on a provider's host: a fixed address. systemd-networkd is told, so units that wait for the network wait for it.
NETWORK = """[Match]
Name=host0

[Network]
Address={machine.address}/24
Gateway={machine.gateway}
LinkLocalAddressing=no
LLDP=no
"""


def personalise(machine: Machine) -> None:
    """Writes into the host's file system what it alone has. To be called before its first boot."""
    etc = machine.root / "etc"
    (etc / "hostname").write_text(f"{machine.name}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {machine.name}\n::1 localhost ip6-localhost\n")
    # Without one systemd takes this for a first boot, and asks questions.
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    (etc / "systemd/network/10-host0.network").write_text(NETWORK.format(machine=machine))
    (machine.root / outer.CA_BUNDLE_INSIDE.lstrip("/")).write_bytes(outer.ca_bundle())
    # The lists are empty: their date must not say that apt has just fetched them.
    os.utime(machine.root / "var/lib/apt/lists", (0, 0))
    renew_resolvers(machine)
    _make_keys(machine)


def renew_resolvers(machine: Machine) -> None:
    """Tells it the name servers that this machine asks now."""
    path = machine.root / "etc/resolv.conf"
    path.unlink(missing_ok=True)
    path.write_text(outer.resolv_conf())


def _make_keys(machine: Machine) -> None:
    """One key for who comes in, and the host's own, which is known from then on: nobody has to trust at first use."""
    machine.key.unlink(missing_ok=True)
    _keygen("-q", "-t", "ed25519", "-N", "", "-C", "test host", "-f", str(machine.key))
    for home in USERS:
        folder = machine.root / home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(machine.key.with_suffix(".pub"), folder / "authorized_keys")
        owner = folder.parent.stat()
        for path in (folder, folder / "authorized_keys"):
            shutil.chown(path, owner.st_uid, owner.st_gid)
    _keygen("-q", "-A", "-f", str(machine.root))
    kind, key, *_ = (machine.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    machine.known_hosts.write_text(f"{machine.address} {kind} {key}\n")


def _keygen(*words: str) -> None:
    command = [find("ssh-keygen") or "ssh-keygen", *words]
    subprocess.run(command, stdout=subprocess.DEVNULL, env=environment(), check=True, timeout=60)
