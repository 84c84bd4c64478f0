"""A host with a site is lost, and another one takes its place, with nothing but what backup.yml had brought away."""

import os
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from testinfra.host import Host

from tests.deploy import machines
from tests.deploy.inside import Database
from tests.deploy.outside import Site
from tests.deploy.playbooks import Operator, Run, machine_named
from tests.deploy.record import Machine
from tests.deploy.remote import failed_units, run

testinfra_hosts = ["ansible://proxy"]

BATCH = "/api/v1/telemetry/batch"
OVERVIEW = "/grafana/d/agent-overview?orgId=1&refresh=30s&kiosk"
# What Grafana fills again by itself from its provisioning, or empties as time goes on, is left out.
GRAFANA_TABLES = ("org", "user", "dashboard_public")
COUNTED_SECONDS = 60.0
BATCHES = [
    {
        "events": [
            {
                "hostId": host_id,
                "sessionId": f"session-{number % 7}",
                "eventType": "agent_execution",
                "agentName": f"agent-{number % 3}",
                "timestamp": f"2026-0{1 + number % 9}-15T10:30:00Z",
                "decision": "APPROVED",
                "decisionReason": "Straße, 漢字, \U0001f512",
                "latencyMs": number + 0.25,
                "cost": 0.000000001,
                "toolInput": {"command": "ls", "deep": [1, {"two": None}]},
                "unheardOf": number,
                # Half of them have no id of their own: then the content tells what came before.
                **({"eventId": f"event-{number}"} if number % 2 else {}),
            }
            for number in range(start, start + 50)
        ]
    }
    for host_id, start in (("laptop", 0), ("laptop", 50), ("desktop", 0))
]


@dataclass(frozen=True)
class Picture:
    """What makes a site the one that it is."""

    tables: dict[str, tuple[int, str]]
    certificate: bytes
    authority: bytes
    grafana: dict[str, list[tuple[Any, ...]]]
    visitors_page: bytes
    secrets: dict[str, str]


@dataclass(frozen=True)
class Story:
    """The same site before and after, and what was said in between."""

    before: Picture
    after: Picture
    site: Site
    database: Database
    keys: dict[str, str]
    session: dict[str, str]
    dry_run: Run
    bare_dry_run: Run


def picture(site: Site) -> Picture:
    machine = site.machine
    with closing(sqlite3.connect(f"file:{machine.root}/var/lib/grafana/grafana.db?mode=ro", uri=True)) as opened:
        grafana = {name: opened.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in GRAFANA_TABLES}
    return Picture(
        Database(machine).census(),
        site.certificate(),
        (machine.root / "var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt").read_bytes(),
        grafana,
        site.get(OVERVIEW).body,
        {file.name: file.read_text() for file in (machine.root / "etc/telemetry/secrets").iterdir()},
    )


def wait_until_counted(database: Database) -> None:
    """Until the roll-ups know of all events: what is counted later would differ from what was backed up."""
    deadline = time.monotonic() + COUNTED_SECONDS
    waiting = "SELECT (SELECT count(*) FROM rollup_queue) + (SELECT count(*) FROM rollup_backlog)"
    while database.ask(waiting) != "0":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def fill(site: Site, keys: dict[str, str]) -> None:
    """Gives the site something of everything that hosts send."""
    for batch in BATCHES:
        answer = site.post(BATCH, batch, key=keys[str(batch["events"][0]["hostId"])])
        assert answer.json() == {"accepted": 50, "duplicates": 0, "rejected": []}
    bad = {"events": [{"hostId": "laptop", "agentName": 7}]}
    assert site.post(BATCH, bad, key=keys["laptop"]).status == 400
    for number in range(5):
        transcript = [{"role": "user", "content": f"Fix bug {place}"} for place in range(number + 1)]
        body = {"hostId": "laptop", "sessionId": f"session-{number}", "transcript": transcript}
        assert site.post("/api/v1/transcript", body, key=keys["laptop"]).status == 200


@pytest.fixture(scope="module")
def story(host: Host, operator: Operator) -> Story:
    """The disaster, from the filling of the site to its coming back."""
    machine = machine_named(host.backend.get_pytest_id().removeprefix("ansible://"))
    variables = host.ansible.get_variables()
    site = Site(machine, variables["telemetry_domain"])
    keys = {host_id: operator.make_key(host_id) for host_id in ("laptop", "desktop", "revoked")}
    Database(machine).ask("UPDATE api_keys SET revoked_at = now() WHERE host_id = 'revoked'")
    fill(site, keys)
    session = site.log_in(variables["grafana_admin_password"])
    backups = operator.folder / "backups"
    wait_until_counted(Database(machine))

    operator.run("backup.yml", backup_fetch_to=str(backups))
    before = picture(site)
    # So that a dry run has something to tell.
    late = {**BATCHES[0]["events"][0], "eventId": "after the backup"}
    assert site.post(BATCH, {"events": [late]}, key=keys["laptop"]).status == 200
    dry_run = operator.run("restore.yml", restore_dry_run=True)
    assert Database(machine).census() != before.tables

    machines.destroy(machine.name)
    machine = another(machine)
    operator.moved(machine)
    bare_dry_run = operator.attempt("restore.yml", restore_dry_run=True, restore_upload=str(backups))
    operator.run("restore.yml", restore_upload=str(backups))

    # The authority is the one that everybody knows from before.
    site = Site(machine, site.name, ca=site.ca)
    return Story(before, picture(site), site, Database(machine), keys, session, dry_run, bare_dry_run)


def another(machine: Machine) -> Machine:
    """A bare host in place of one that is gone."""
    owner = os.environ.get("AFT_HOSTS_OWNER")
    return machines.create(machine.name, machine.suite, owner=int(owner) if owner else None)


def test_a_dry_run_tells_what_a_restore_would_change(story: Story) -> None:
    assert "live: would be renamed" in story.dry_run.output
    tables = re.findall(r"backup: (\d+)\n +live: (\d+)\n +same: (true|false)\n +table: (\S+)", story.dry_run.output)
    said = {table: (int(backup), int(live), same) for backup, live, same, table in tables}
    assert said["public.telemetry_events"] == (150, 151, "false")
    assert said["public.session_transcripts"] == (5, 5, "true")
    # The backup could not know of itself.
    assert said["public.status_backups"][2] == "false"
    assert {table for table in said if not table.startswith("public.status_")} == story.before.tables.keys()


def test_a_dry_run_on_a_bare_host_says_that_it_needs_a_site(story: Story) -> None:
    assert story.bare_dry_run.code != 0
    assert (
        "Nothing is here yet that a dry run could compare with: run ansible/site.yml first" in story.bare_dry_run.said
    )


def test_every_row_is_back(story: Story) -> None:
    assert story.after.tables == story.before.tables
    rows = {table: count for table, (count, _) in story.after.tables.items()}
    assert rows["public.telemetry_events"] == 150
    assert rows["public.session_transcripts"] == 5
    assert rows["public.quarantined_events"] == 1
    assert rows["public.api_keys"] == 3


def test_the_backup_was_for_its_owner_alone(story: Story, operator: Operator) -> None:
    folder = operator.folder / "backups"
    (sums,) = folder.rglob("SHA256SUMS")
    assert [
        path for path in (sums.parent, sums.parent.parent, *sums.parent.iterdir()) if path.stat().st_mode & 0o077
    ] == []


def test_certificates_and_secrets_are_the_same(story: Story) -> None:
    assert story.after.authority == story.before.authority
    assert story.after.certificate == story.before.certificate
    assert story.after.secrets == story.before.secrets


def test_keys_count_as_they_did(story: Story) -> None:
    batches = {"laptop": BATCHES[0], "desktop": BATCHES[2]}
    # Whoever did not hear of the receipt sends again, and is not counted twice.
    for host_id, batch in batches.items():
        answer = story.site.post(BATCH, batch, key=story.keys[host_id])
        assert answer.json() == {"accepted": 50, "duplicates": 50, "rejected": []}
    assert story.site.post(BATCH, BATCHES[0], key=story.keys["desktop"]).status == 403
    revoked = {"events": [{**BATCHES[0]["events"][0], "hostId": "revoked"}]}
    assert story.site.post(BATCH, revoked, key=story.keys["revoked"]).status == 403
    new = {"events": [{**BATCHES[0]["events"][0], "eventId": "after the restore"}]}
    assert story.site.post(BATCH, new, key=story.keys["laptop"]).json()["duplicates"] == 0


def test_grafana_is_the_one_that_it_was(story: Story) -> None:
    assert story.after.grafana == story.before.grafana
    assert b"/grafana/public-dashboards/" in story.before.visitors_page
    assert story.after.visitors_page == story.before.visitors_page
    # An operator does not even have to log in again, and its datasources have the passwords that the database knows.
    assert b"A dashboard." in story.site.get(OVERVIEW, story.session).body
    for uid in ("telemetry-public", "telemetry-private"):
        answer = story.site.get(f"/grafana/api/datasources/uid/{uid}/health", story.session)
        assert (answer.status, answer.json()["status"]) == (200, "OK")


def test_the_new_host_is_in_good_order(story: Story) -> None:
    assert failed_units(story.site.machine) == []
    run(story.site.machine, "telemetryctl", "doctor")
