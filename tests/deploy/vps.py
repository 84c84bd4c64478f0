"""`make vps-up` and `make vps-down`: a fresh test host with the whole site on it, left running for a person.

It is deployed as an operator would, from an inventory of its own, and differs from a real one where a test host has to:
the distribution's PostgreSQL and Caddy, a stand-in for Grafana, and a certificate of Caddy's own authority.
"""

import json
import os
import secrets
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.deploy import machines, outer, remote
from tests.deploy.needs import HostError
from tests.deploy.outside import INTERNAL_CA
from tests.deploy.record import Machine

ROOT = Path(__file__).resolve().parents[2]
NAME = "vps"
DOMAIN = "telemetry.test"
GROUPS = ("database", "collectors", "proxy", "grafana")


def main() -> int:
    """Does what the one argument says, up or down; the exit code."""
    try:
        if sys.argv[1:] == ["up"]:
            up()
        elif sys.argv[1:] == ["down"]:
            machines.destroy(NAME)
        else:
            print("usage: python -m tests.deploy.vps up|down", file=sys.stderr)
            return 2
    except (HostError, subprocess.CalledProcessError) as error:
        print(f"make vps-{sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    return 0


def up() -> None:
    """A new host in place of the former one, the site on it, and how to reach it."""
    began = time.monotonic()
    print(f"Booting {NAME}", flush=True)
    machine = machines.create(NAME)
    inventory = write_inventory(machine)
    print("Deploying the site", flush=True)
    playbook(inventory, "site.yml")
    key_file = machine.folder / "laptop.key"
    playbook(inventory, "keys.yml", "-e", "key_action=create", "-e", "key_host=laptop", "-e", f"key_file={key_file}")
    ca = machine.folder / "ca.crt"
    ca.write_bytes((machine.root / INTERNAL_CA).read_bytes())
    print(farewell(machine, inventory, ca, key_file.read_text().strip(), time.monotonic() - began), flush=True)


def write_inventory(machine: Machine) -> Path:
    """An inventory as inventory/example has it; passwords are made up, and stay where root alone can read them."""
    folder = machine.folder / "inventory"
    folder.mkdir(mode=0o700)
    package = subprocess.run(
        [sys.executable, "-m", "tests.deploy.standin.build", machine.folder],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    ).stdout.strip()
    ssh_options = f"-F none -o UserKnownHostsFile={machine.known_hosts} -o IdentitiesOnly=yes"
    host = {
        "ansible_host": machine.address,
        "ansible_user": "debian",
        "ansible_ssh_private_key_file": str(machine.key),
        "ansible_ssh_common_args": ssh_options,
    }
    values = {
        "telemetry_domain": DOMAIN,
        "postgres_password": secrets.token_hex(16),
        "grafana_admin_password": secrets.token_hex(16),
        "grafana_deb": package,
        "caddy_tls": "internal",
        "caddy_source": "distribution",
        "postgresql_source": "distribution",
        "collector_pip_environment": outer.pip_environment(),
    }
    groups = {group: {"hosts": {NAME: host}} for group in GROUPS}
    # JSON is YAML.
    file = folder / "hosts.yml"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"all": {"children": groups, "vars": values}}, indent=2))
    return folder


def playbook(inventory: Path, name: str, *arguments: str) -> None:
    """Runs one of ansible/, from the repository's root as an operator does."""
    program = Path(sys.executable).parent / "ansible-playbook"
    environ = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    subprocess.run([program, "-i", inventory, f"ansible/{name}", *arguments], cwd=ROOT, env=environ, check=True)


def farewell(machine: Machine, inventory: Path, ca: Path, key: str, seconds: float) -> str:
    """What a person wants to know of the running site; the address stands last."""
    event = {
        "hostId": "laptop",
        "sessionId": "first-steps",
        "eventType": "agent_execution",
        "agentName": "tool-approve",
        "timestamp": datetime.now(UTC).isoformat(),
        "decision": "APPROVED",
    }
    reach = f"--cacert {ca} --resolve {DOMAIN}:443:{machine.address}"
    body = shlex.quote(json.dumps({"events": [event]}))
    return f"""
The site is up after {seconds:.0f} s. Grafana is a stand-in: no package of it can be had for a test host.
  site       https://{DOMAIN}/ (an entry in /etc/hosts makes a browser find it)
  CA         {ca}
  key        {key}  (for the host laptop)
  inventory  {inventory} (passwords included)
  shell      {shlex.join(remote.ssh(machine))}

curl -sS {reach} -H 'Content-Type: application/json' -H 'X-API-Key: {key}' \\
  -d {body} \\
  https://{DOMAIN}/api/v1/telemetry/batch

make vps-down takes it away.
{machine.address}"""


if __name__ == "__main__":
    sys.exit(main())
