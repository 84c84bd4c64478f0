"""How hosts come to their keys: keys.yml, and hosts.yml for the machines of the inventory."""

import re

import pytest

from tests.deploy.inside import Database
from tests.deploy.outside import Site
from tests.deploy.playbooks import Operator, machine_named
from tests.deploy.record import Machine
from tests.deploy.remote import run

testinfra_hosts = ["ansible://proxy"]

# What an agent's hook does on its host, with what hosts.yml has left there.
REPORT = """
set -a
. /etc/telemetry-host.env
set +a
python3 - <<'END'
import json, os, ssl, urllib.request
event = {"hostId": os.environ["TELEMETRY_HOST_ID"], "sessionId": "s", "eventType": "commit", "agentName": "a",
         "eventId": "reported"}
request = urllib.request.Request(
    os.environ["TELEMETRY_ENDPOINT"] + "/api/v1/telemetry/batch",
    data=json.dumps({"events": [event]}).encode(),
    headers={"X-API-Key": os.environ["AGENT_FRAMEWORK_API_KEY"], "Content-Type": "application/json"},
)
with urllib.request.urlopen(request, timeout=5, context=ssl.create_default_context(cafile="/root/ca.crt")) as answer:
    print(json.load(answer)["accepted"])
END
"""


def status(site: Site, key: str, host_id: str) -> int:
    """How a batch of that host is answered."""
    event = {"hostId": host_id, "sessionId": "s", "eventType": "commit", "agentName": "a", "eventId": "again"}
    return site.post("/api/v1/telemetry/batch", {"events": [event]}, key=key).status


def test_a_key_is_made_listed_rotated_and_revoked(site: Site, operator: Operator, machine: Machine) -> None:
    first = operator.make_key("desktop", key_description="the one below the desk")
    assert (status(site, first, "desktop"), status(site, first, "laptop")) == (200, 403)

    listed = operator.run("keys.yml", key_action="list")
    numbers = re.findall(r"- (\d+) desktop ingest active ", listed.said)
    assert numbers, listed.output
    assert "the one below the desk" in listed.said
    number = int(numbers[-1])

    file = operator.folder / f"rotated-{number}.key"
    operator.run("keys.yml", key_action="rotate", key_id=number, key_file=str(file), key_overlap="1h")
    second = file.read_text().strip()
    assert [status(site, key, "desktop") for key in (first, second)] == [200, 200]
    there = operator.attempt("keys.yml", key_action="rotate", key_id=number, key_file=str(file))
    assert there.code != 0
    assert "Choose another key_file" in there.said

    operator.run("keys.yml", key_action="revoke", key_id=number)
    # A process may know a key for 5 s more.
    run(machine, "sleep", "6")
    assert [status(site, key, "desktop") for key in (first, second)] == [403, 200]


@pytest.fixture
def laptop(operator: Operator, variables: dict[str, str], machine: Machine, site: Site) -> Machine:
    """The host that reports, which finds the site by its name and knows the test's authority."""
    found = machine_named(machine.name.replace("site", "laptop"))
    entry = f"{machine.address} {site.name}\n"
    hosts = found.root / "etc/hosts"
    if entry not in hosts.read_text():
        hosts.write_text(hosts.read_text() + entry)
    (found.root / "root/ca.crt").write_text(site.ca)
    return found


def test_a_host_of_the_inventory_can_report(operator: Operator, laptop: Machine, database: Database) -> None:
    assert operator.run("hosts.yml").changed > 0
    file = "/etc/telemetry-host.env"
    assert run(laptop, "stat", "-c", "%U %a", file) == "root 600\n"
    assert run(laptop, "sh", text=REPORT) == "1\n"
    assert database.events(laptop.name) == {"reported": 1}
    content = run(laptop, "cat", file)

    assert operator.run("hosts.yml").changed == 0
    assert run(laptop, "cat", file) == content

    # One whose key was revoked gets another.
    database.ask(f"UPDATE api_keys SET revoked_at = now() WHERE host_id = '{laptop.name}'")
    run(laptop, "sleep", "6")
    assert operator.run("hosts.yml").changed > 0
    assert run(laptop, "cat", file) != content
    assert run(laptop, "sh", text=REPORT) == "1\n"


def test_the_host_that_reports_has_nothing_of_the_site(laptop: Machine) -> None:
    assert run(laptop, "sh", "-c", "ls -d /opt/telemetry /etc/telemetry /etc/caddy 2>/dev/null || true") == ""
