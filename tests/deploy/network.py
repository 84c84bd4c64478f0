"""The cables between this machine and its test hosts, and their way out: one table of nftables, ours alone.

The hosts see each other by their own addresses; only what leaves for elsewhere takes this machine's.
"""

import ipaddress
import json
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from dev.packages import environment, find
from tests.deploy.needs import HostError
from tests.deploy.record import HOME, Machine

RANGE = "10.213.0.0/16"
TABLE = "agent_framework_telemetry_machines"
RULES = f"""
table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        ip saddr {RANGE} ip daddr != {RANGE} masquerade
    }}
}}
"""

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
# What ip_forward was before us; not there when it was on already.
FORWARD_BEFORE = HOME / ".ip_forward"

LINK_SECONDS = 20.0


class NetworkError(HostError):
    """A host's network could not be set up; the message says where it got stuck."""


def free_number(taken: Collection[int]) -> int:
    """A number whose addresses neither a host of ours nor anything else on this machine uses. Raises NetworkError."""
    routes = json.loads(_run("ip", "-json", "-4", "route", "show", "table", "all"))
    networks = [ipaddress.ip_network(route["dst"]) for route in routes if route["dst"][0].isdigit()]
    # A route to all of 10.0.0.0/8 (a VPN's) loses against ours, which is narrower.
    narrow = [network for network in networks if network.prefixlen >= 24]
    for number in range(1, 255):
        ours = ipaddress.ip_network(f"10.213.{number}.0/24")
        if number not in taken and not any(ours.overlaps(network) for network in narrow):
            return number
    raise NetworkError(f"no network is left in {RANGE}: take down hosts with 'python -m tests.deploy.machines down'")


def connect(machine: Machine) -> None:
    """Gives this machine's end of the cable its address, once systemd-nspawn has made it. Raises NetworkError."""
    deadline = time.monotonic() + LINK_SECONDS
    while not exists(machine):
        if time.monotonic() > deadline:
            raise NetworkError(f"systemd-nspawn made no {machine.interface}")
        time.sleep(0.02)
    _run("ip", "address", "replace", f"{machine.gateway}/24", "dev", machine.interface)
    _run("ip", "link", "set", machine.interface, "up")


def exists(machine: Machine) -> bool:
    """Whether there is an interface of that host's name, whoever made it."""
    return Path("/sys/class/net", machine.interface).exists()


def disconnect(machine: Machine) -> None:
    """Returns when the cable is gone, which the kernel takes away soon after the host's last process."""
    deadline = time.monotonic() + LINK_SECONDS
    while exists(machine):
        if time.monotonic() > deadline:
            subprocess.run([find("ip") or "ip", "link", "delete", machine.interface], timeout=30, check=False)
        time.sleep(0.02)


def open_way_out() -> None:
    """Lets the hosts reach what this machine reaches; safe to do again. To be called under the lock."""
    if FORWARD.read_text().strip() == "0":
        FORWARD_BEFORE.write_text("0\n")
        FORWARD.write_text("1\n")
    _run("nft", "-f", "-", text=RULES)


def close_way_out() -> None:
    """Takes back what `open_way_out` did; safe to do again. To be called under the lock, with no host left."""
    if f"table ip {TABLE}" in _run("nft", "list", "tables").splitlines():
        _run("nft", "delete", "table", "ip", TABLE)
    if FORWARD_BEFORE.exists():
        FORWARD.write_text(FORWARD_BEFORE.read_text())
        FORWARD_BEFORE.unlink()


def _run(program: str, *words: str, text: str | None = None) -> str:
    result = subprocess.run(
        [find(program) or program, *words],
        input=text,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    if result.returncode != 0:
        raise NetworkError(f"'{program} {' '.join(words)}' failed: {result.stderr.strip()}")
    return result.stdout
