"""What the world sees of a host that runs the whole site."""

import re
import secrets
import socket

import pytest

from tests.deploy.inside import Database
from tests.deploy.outside import Site, open_ports
from tests.deploy.playbooks import Operator
from tests.deploy.record import Machine
from tests.deploy.remote import run

testinfra_hosts = ["ansible://proxy"]

OVERVIEW = "/grafana/d/agent-overview?orgId=1&refresh=30s&kiosk"


@pytest.fixture(scope="module")
def visitors_page() -> re.Pattern[str]:
    """The page that goes on to the shared dashboard, or to /glance where the browser cannot run it."""
    return re.compile(r'data-dashboard="(/grafana/public-dashboards/[0-9a-f]{32})"')


def test_the_collector_answers_with_a_valid_certificate(site: Site) -> None:
    answer = site.get("/api/v1/health")
    assert (answer.status, answer.json()["status"]) == (200, "healthy")


def test_who_comes_without_tls_is_sent_to_it(site: Site, machine: Machine) -> None:
    with socket.create_connection((machine.address, 80), 5) as plain:
        plain.sendall(f"GET / HTTP/1.1\r\nHost: {site.name}\r\nConnection: close\r\n\r\n".encode())
        answer = plain.makefile("rb").read().decode()
    assert re.match(r"HTTP/1\.1 308 ", answer)
    assert f"Location: https://{site.name}/\r\n" in answer


def test_a_batch_that_is_posted_is_stored(site: Site, operator: Operator, database: Database) -> None:
    host_id = f"outside-{secrets.token_hex(4)}"
    key = operator.make_key(host_id)
    event = {"hostId": host_id, "sessionId": "s", "eventType": "commit", "agentName": "a", "eventId": "first"}
    batch = {"events": [event, {**event, "eventId": "second"}]}
    for duplicates in (0, 2):
        answer = site.post("/api/v1/telemetry/batch", batch, key=key)
        assert answer.json() == {"accepted": 2, "duplicates": duplicates, "rejected": []}
    assert database.events(host_id) == {"first": 1, "second": 1}
    other = {"events": [{**event, "hostId": "other"}]}
    assert site.post("/api/v1/telemetry/batch", other, key=key).status == 403
    assert site.post("/api/v1/telemetry/batch", batch, key="aft_unknown").status == 403
    assert site.post("/api/v1/telemetry/batch", batch).status == 401


def test_grafana_lives_below_its_path_and_asks_who_comes(site: Site) -> None:
    for path in ("/grafana/", "/grafana/dashboards", "/grafana/d/another"):
        answer = site.get(path)
        assert (answer.status, answer.headers["location"]) == (302, "/grafana/login")
    page = site.get("/grafana/login")
    assert page.status == 200
    assert b'<base href="/grafana/">' in page.body
    answer = site.get("/grafana")
    assert (answer.status, answer.headers["location"]) == (302, "/grafana/")


def test_the_overview_shows_a_visitor_the_shared_dashboard(site: Site, visitors_page: re.Pattern[str]) -> None:
    start = site.get("/")
    assert (start.status, start.headers["location"]) == (302, OVERVIEW)
    page = site.get(OVERVIEW)
    dashboard = visitors_page.search(page.body.decode())
    assert page.status == 200
    assert dashboard
    assert b"location.replace" in site.get("/overview.js").body
    assert b"A shared dashboard." in site.get(dashboard[1]).body


def test_the_overview_shows_an_operator_the_dashboard_itself_but_not_in_a_frame(
    site: Site, variables: dict[str, str], visitors_page: re.Pattern[str]
) -> None:
    session = site.log_in(variables["grafana_admin_password"])
    page = site.get(OVERVIEW, session)
    assert (page.status, b"A dashboard." in page.body) == (200, True)
    framed = site.get(OVERVIEW, {**session, "Sec-Fetch-Dest": "iframe"})
    assert visitors_page.search(framed.body.decode())


def test_the_overview_needs_neither_grafana_nor_script(site: Site) -> None:
    page = site.get("/glance")
    assert (page.status, page.headers["content-type"].lower()) == (200, "text/html; charset=utf-8")
    assert b"<script" not in page.body


def test_only_the_inventorys_origins_may_frame_it(site: Site) -> None:
    for path in (OVERVIEW, "/api/v1/health", "/grafana/login", "/nothing"):
        headers = site.get(path).headers
        assert "frame-ancestors 'self' https://home.test" in headers["content-security-policy"]
        assert headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/metrics", "/grafana/metrics", "/grafana/metrics/x", "/anything"])
def test_metrics_are_for_the_host_alone(site: Site, path: str) -> None:
    assert site.get(path).status == 404


def test_the_proxy_begins_its_log_anew_and_serves_on(site: Site, machine: Machine) -> None:
    def files() -> set[str]:
        return set(run(machine, "ls", "/var/log/caddy").split())

    before = files()
    # Every request is logged with its headers, and a log has 20 MiB at the most.
    for _ in range(450):
        assert site.get("/nothing", {"X-Long": "x" * 50_000}).status == 404
    assert files() - before
    assert site.get("/api/v1/health").status == 200
    assert run(machine, "systemctl", "show", "--property=NRestarts", "caddy") == "NRestarts=0\n"


def test_nothing_is_open_but_ssh_and_the_proxy(machine: Machine) -> None:
    assert open_ports(machine.address) == [22, 80, 443]
