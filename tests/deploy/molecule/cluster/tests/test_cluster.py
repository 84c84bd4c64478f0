"""The site on four hosts: who reaches whom and how, and that a collector's host may go and nobody loses an event."""

import collections
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.deploy import machines
from tests.deploy.outside import Site, open_ports
from tests.deploy.record import Machine
from tests.deploy.remote import attempt, failed_units, run

# On a host of the site: what another host's port says to a request with the given certificate, or to one in the clear.
ASK = r"""
import socket, ssl, sys
address, certificate = sys.argv[1:]
try:
    connection = socket.create_connection((address, 3001), timeout=3)
    if certificate != "plain":
        context = ssl.create_default_context(cafile="/etc/telemetry/tls/ca.crt")
        if certificate != "none":
            context.load_cert_chain(f"/etc/telemetry/tls/{certificate}.crt", f"/etc/telemetry/tls/{certificate}.key")
        connection = context.wrap_socket(connection, server_hostname=address)
    connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    print(connection.recv(12).decode(errors="replace"))
except OSError as error:
    print(type(error).__name__)
"""

# What the client of the contract does: it waits 5 s for an answer, and sends the same again after these.
RETRIED = {429, 502, 503, 504}
ATTEMPTS = 4
SENDERS = 8
SECONDS = 16.0

# Events of another run on the same hosts are other events.
RUN = uuid.uuid4().hex[:8]


def psql(database: Machine, statement: str) -> Any:
    """What a statement that gives one JSON value answers."""
    words = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", "-U", "telemetry", "-d", "agent_telemetry")
    return json.loads(run(database, *words, text=statement))


def batch(*event_ids: str) -> dict[str, Any]:
    event = {"hostId": "laptop", "sessionId": "cluster", "eventType": "hook_decision", "agentName": "cluster"}
    return {"events": [{**event, "eventId": f"{RUN}-{event_id}", "decision": "APPROVED"} for event_id in event_ids]}


def stored_by(collector: Machine) -> float:
    """How many events a collector's host has stored, by its own count."""
    fetch = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9464/metrics').read().decode())"
    lines = run(collector, "python3", "-c", fetch).splitlines()
    counted = [line.split() for line in lines if line.startswith('telemetry_events_total{result="stored"}')]
    return sum(float(value) for _, value in counted)


def stored(database: Machine) -> dict[str, int]:
    """How often each event of this run is stored, by the name that `batch` was given."""
    names = f"SELECT split_part(event_id, '{RUN}-', 2) AS name FROM reporting.events WHERE event_id LIKE '{RUN}-%'"
    counted = f"SELECT name, count(*) AS often FROM ({names}) AS named GROUP BY name"
    found: dict[str, int] = psql(database, f"SELECT json_object_agg(name, often) FROM ({counted}) AS counted")
    return found


def test_the_certificate_is_the_acme_servers(site: Site, proxy: Machine) -> None:
    answer = site.get("/api/v1/health")
    assert (answer.status, answer.json()["status"]) == (200, "healthy")
    assert answer.json()["database"] == "connected"
    folders = run(proxy, "ls", "/var/lib/caddy/.local/share/caddy/certificates").split()
    assert folders == ["localhost-14000-dir"]


def test_no_unit_has_failed(proxy: Machine, collectors: list[Machine], database: Machine) -> None:
    assert {host.name: failed_units(host) for host in (proxy, *collectors, database)} == {
        host.name: [] for host in (proxy, *collectors, database)
    }


def test_nothing_is_open_but_ssh_and_the_proxy(proxy: Machine, collectors: list[Machine], database: Machine) -> None:
    hosts = [proxy, *collectors, database]
    # No other port can be open than one on which something listens, whoever is meant to reach it.
    listening = "".join(run(host, "ss", "--no-header", "--listening", "--tcp", "--numeric") for host in hosts)
    ports = {int(line.split()[3].rpartition(":")[2]) for line in listening.splitlines()}
    assert ports >= {22, 80, 443, 3001, 5432, 9464}
    assert [open_ports(host.address, sorted(ports)) for host in hosts] == [[22, 80, 443], [22], [22], [22]]


def test_both_collectors_store_what_comes(site: Site, key: str, collectors: list[Machine], database: Machine) -> None:
    before = [stored_by(host) for host in collectors]
    with ThreadPoolExecutor(SENDERS) as pool:
        answers = list(
            pool.map(lambda number: site.post("/api/v1/telemetry/batch", batch(f"both-{number}"), key=key), range(60))
        )
    assert [answer.status for answer in answers] == [200] * 60
    gained = [stored_by(host) - count for host, count in zip(collectors, before, strict=True)]
    assert sum(gained) == 60
    assert min(gained) > 0
    assert sum(often for event_id, often in stored(database).items() if event_id.startswith("both-")) == 60


def test_the_way_to_the_database_is_encrypted(collectors: list[Machine], database: Machine) -> None:
    connections = psql(
        database,
        "SELECT json_agg(DISTINCT jsonb_build_array(host(client_addr), usename, version)) FROM pg_stat_ssl "
        "JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL",
    )
    assert sorted(connections) == sorted([host.address, "telemetry", "TLSv1.3"] for host in collectors)


def test_nobody_comes_to_the_database_in_the_clear(collectors: list[Machine], database: Machine) -> None:
    program = (
        "import psycopg, sys\n"
        "try: psycopg.connect(sys.argv[1], connect_timeout=3)\n"
        "except psycopg.Error as error: print(error)"
    )
    url = f"postgresql://telemetry@{database.address}/agent_telemetry?sslmode=disable"
    python = "/opt/telemetry/current/venv/bin/python"
    said = run(collectors[0], "env", "PGPASSFILE=/etc/telemetry/collector.pgpass", python, "-c", program, url)
    assert "no pg_hba.conf entry" in said
    assert "no encryption" in said


def test_only_the_proxy_comes_to_a_collector(proxy: Machine, collectors: list[Machine]) -> None:
    one, two = collectors

    def ask(host: Machine, certificate: str) -> str:
        return run(host, "python3", "-", two.address, certificate, text=ASK).strip()

    assert ask(proxy, "collectors") == "HTTP/1.1 200"
    # In TLS 1.3 a client hears of its refusal when it has begun to talk: as an alert, or as the end of the connection.
    assert ask(proxy, "none").startswith(("SSL", "ConnectionReset"))
    assert not ask(proxy, "plain").startswith("HTTP")
    # Its firewall lets nobody else in,
    assert ask(one, "host") in ("TimeoutError", "ConnectionRefusedError")
    # and behind it a certificate of the site's does not suffice, if it is no proxy's.
    port = {"tcp", "dport", "3001", "accept"}
    assert port <= set(run(two, "nft", "list", "table", "inet", "telemetry").split())
    rule = f"insert rule inet telemetry input ip saddr {one.address} tcp dport 3001 accept"
    run(two, "nft", *rule.split())
    try:
        assert not ask(one, "host").startswith("HTTP")
    finally:
        run(two, "nft", "--file", "/etc/nftables.d/telemetry.nft")


def test_a_collector_knows_the_visitors_address(
    site: Site, key: str, collectors: list[Machine], proxy: Machine
) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9"}
    for number in range(8):
        site.post("/api/v1/telemetry/batch", batch(f"address-{number}"), key=key, headers=headers)
    for host in collectors:
        journal = run(host, "journalctl", "--output=cat", "--unit=telemetry-collector@*", "--lines=200")
        entries = [json.loads(line) for line in journal.splitlines() if line.startswith("{")]
        assert {
            entry["client"] for entry in entries if entry.get("path") == "/api/v1/telemetry/batch" and entry["key_id"]
        } == {proxy.gateway}


def test_metrics_are_nobodys(site: Site, proxy: Machine, collectors: list[Machine]) -> None:
    assert site.get("/metrics").status == 404
    fetch = f"import urllib.request as r; r.urlopen('http://{collectors[0].address}:9464/metrics', timeout=3)"
    assert attempt(proxy, "python3", "-c", fetch).returncode != 0


def test_doctor_is_content(key: str, collectors: list[Machine]) -> None:
    for host in collectors:
        checks = attempt(host, "telemetryctl", "doctor")
        assert checks.returncode == 0, checks.stdout


def test_each_host_that_keeps_something_is_backed_up(proxy: Machine, database: Machine) -> None:
    for host, kept in ((proxy, "var/lib/caddy"), (database, "authority.key")):
        taken = json.loads(run(host, "telemetry-backup", "--json", "take"))
        assert kept in run(host, "tar", "--list", "--gzip", "--file", f"{taken['path']}/files.tar.gz")


class Sender:
    """A host that sends an event after the other, each until it is told that it may forget it."""

    def __init__(self, name: int, site: Site, key: str) -> None:
        self.name = name
        self.site = site
        self.key = key
        self.done: list[str] = []
        self.given_up: list[str] = []
        self.said: list[str] = []

    def send(self) -> None:
        ends = time.monotonic() + SECONDS
        number = 0
        while time.monotonic() < ends:
            event_id = f"cut-{self.name}-{number}"
            (self.done if self._deliver(event_id) else self.given_up).append(event_id)
            number += 1
            time.sleep(0.05)

    def _deliver(self, event_id: str) -> bool:
        for _ in range(ATTEMPTS):
            try:
                answer = self.site.post("/api/v1/telemetry/batch", batch(event_id), key=self.key)
            except OSError as error:
                self.said.append(repr(error))
                continue
            if answer.status == 200:
                return bool(answer.json()["accepted"] == 1)
            self.said.append(f"{answer.status} {answer.body.decode()}")
            assert answer.status in RETRIED, self.said
            time.sleep(0.2)
        return False


def test_a_collectors_host_may_go_at_any_moment(
    site: Site, key: str, collectors: list[Machine], database: Machine
) -> None:
    senders = [Sender(number, site, key) for number in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        under_way = [pool.submit(sender.send) for sender in senders]
        time.sleep(SECONDS / 4)
        machines.cut_power(collectors[0])
        for each in under_way:
            each.result()
    done = sorted(event_id for sender in senders for event_id in sender.done)
    print(f"{len(done)} events; {collections.Counter(words for sender in senders for words in sender.said)}")
    assert [event_id for sender in senders for event_id in sender.given_up] == []
    assert len(done) > SENDERS * SECONDS
    found = {event_id: often for event_id, often in stored(database).items() if event_id.startswith("cut-")}
    assert found == dict.fromkeys(done, 1)


def test_it_serves_again_when_it_is_back(site: Site, key: str, collectors: list[Machine]) -> None:
    assert machines.boot(collectors[0]) == "running"
    deadline = time.monotonic() + 30
    number = 0
    while stored_by(collectors[0]) == 0:
        assert time.monotonic() < deadline
        assert site.post("/api/v1/telemetry/batch", batch(f"back-{number}"), key=key).status == 200
        number += 1


def test_the_database_listens_to_the_collectors_after_a_reboot(site: Site, database: Machine) -> None:
    machines.power_off(database)
    assert site.get("/api/v1/health").status == 503
    assert machines.boot(database) == "running"
    deadline = time.monotonic() + 30
    while site.get("/api/v1/health").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
