"""The stand-in for Grafana: what it has in common with the real one, as far as this project relies on it."""

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import MakeHost
from tests.deploy.remote import attempt, run
from tests.deploy.standin.build import build
from tests.fixtures.client import Client, Response
from tests.fixtures.environment import ROOT

PASSWORD = "correct7horse"
TOKEN = "0123456789abcdef0123456789abcdef"
SHARE = "/grafana/api/dashboards/uid/agent-overview/public-dashboards"
WISH = {"uid": "shared", "accessToken": TOKEN, "isEnabled": True, "timeSelectionEnabled": False, "share": "public"}

DATASOURCES = """
apiVersion: 1
prune: true
datasources:
  - {name: public, uid: public, type: grafana-postgresql-datasource, url: "127.0.0.1:1", user: grafana_public,
     jsonData: {database: agent_telemetry}, secureJsonData: {password: "$__file{%s}"}}
"""
DASHBOARD: dict[str, Any] = {
    "uid": "agent-overview",
    "title": "Agents",
    "panels": [{"datasource": {"uid": "public"}, "targets": [{"rawSql": "SELECT secret", "refId": "A"}]}],
}
ALERTS = """
apiVersion: 1
groups:
  - orgId: 1
    name: hosts
    folder: Alerts
    interval: 1m
    rules:
      - {uid: silent, title: Silent, condition: A, data: [{refId: A, datasourceUid: public, model: {refId: A}}]}
contactPoints:
  - {orgId: 1, name: page, receivers: [{uid: page, type: webhook, settings: {url: "http://127.0.0.1:1/"}}]}
policies:
  - {orgId: 1, receiver: page}
"""


PROGRAM = """
import sys
from tests.deploy.standin import main
main.START_SECONDS = 0
sys.exit(main.main(sys.argv[1], sys.argv[2:]))
"""


class StandIn(Client):
    """A configuration in a folder, and a server that runs with it."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        super().__init__(f"http://127.0.0.1:{port}")
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        (folder / "password").write_text(f"{PASSWORD}\n")
        self.ini = {
            "server": {
                "http_addr": "127.0.0.1",
                "http_port": port,
                "root_url": "https://site.test/grafana/",
                "serve_from_sub_path": "true",
            },
            "security": {"admin_password": f"$__file{{{folder}/password}}", "cookie_secure": "true"},
            "paths": {"data": folder, "provisioning": folder / "provisioning"},
            "metrics": {"enabled": "false"},
        }
        self.provision("datasources/site.yaml", DATASOURCES % (folder / "password"))
        provider = {"name": "site", "type": "file", "updateIntervalSeconds": 1, "options": {"path": f"{folder}/json"}}
        self.provision("dashboards/site.yaml", json.dumps({"apiVersion": 1, "providers": [provider]}))
        self.provision("../json/overview.json", json.dumps(DASHBOARD))

    def provision(self, name: str, text: str) -> None:
        path = self.folder / "provisioning" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def command(self, version: str, *words: str) -> list[str]:
        lines = [f"[{s}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()) for s, values in self.ini.items()]
        (self.folder / "grafana.ini").write_text("".join(lines))
        return [sys.executable, "-c", PROGRAM, version, *words]

    def start(self, version: str = "11.6.0") -> None:
        command = self.command(version, "server", f"--config={self.folder}/grafana.ini")
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(200):
            assert self.process.poll() is None, self.log()
            try:
                if self.get("/grafana/api/health").status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.log())

    def refusal(self) -> str:
        """What it says when it does not start."""
        command = self.command("11.6.0", "server", f"--config={self.folder}/grafana.ini")
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert result.returncode == 1
        return result.stdout

    def log(self) -> str:
        """Stops it; all that it has logged."""
        if self.process is None:
            return ""
        self.process.terminate()
        text, _ = self.process.communicate(timeout=20)
        self.process = None
        return text

    def admin(self, method: str, path: str, value: object = None, password: str = PASSWORD) -> Response:
        word = base64.b64encode(f"admin:{password}".encode()).decode()
        body = None if value is None else json.dumps(value).encode()
        return self.request(method, path, body, {"Authorization": f"Basic {word}"})


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandIn]:
    made = StandIn(tmp_path)
    yield made
    made.log()


def test_it_says_what_it_is(standin: StandIn) -> None:
    standin.start()
    assert b"This is a stand-in for Grafana 11.6.0" in standin.get("/grafana/login").body
    health = standin.get("/grafana/api/health").json()
    assert (health["version"], health["database"], health["commit"]) == ("11.6.0", "ok", "stand-in")


def test_nobody_gets_in_without_the_password(standin: StandIn) -> None:
    standin.start()
    for path in ("/grafana/api/org", "/grafana/api/orgs", "/grafana/api/datasources", SHARE):
        assert standin.get(path).status == 401
    assert standin.admin("GET", "/grafana/api/org", password="wrong").status == 401
    for path in ("/grafana/", "/grafana/d/agent-overview/x", "/grafana/metrics"):
        answer = standin.get(path)
        assert (answer.status, answer.headers["location"]) == (302, "/grafana/login")
    assert standin.admin("GET", "/grafana/api/org").json()["name"] == "Main Org."
    assert standin.admin("GET", "/grafana/api/orgs").json() == [{"id": 1, "name": "Main Org."}]


def test_a_login_gives_a_cookie_that_opens_the_pages(standin: StandIn) -> None:
    standin.start()
    answer = standin.post("/grafana/login", {"user": "admin", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert answer.json()["redirectUrl"] == "/grafana/"
    assert "; Path=/grafana; HttpOnly; Secure; SameSite=Lax" in cookie
    page = standin.get("/grafana/d/agent-overview/x", {"Cookie": cookie.split(";")[0]})
    assert (page.status, page.headers["x-frame-options"]) == (200, "deny")
    assert standin.post("/grafana/login", {"user": "admin", "password": "wrong"}).status == 401


def test_what_is_not_below_the_sub_path_is_sent_there_but_for_the_api(standin: StandIn) -> None:
    standin.start()
    answer = standin.get("/login")
    assert (answer.status, answer.headers["location"]) == (301, "https://site.test/grafana/login")
    assert standin.get("/api/health").status == 200


def test_sharing_a_dashboard_answers_as_the_real_one_and_outlives_a_restart(standin: StandIn) -> None:
    standin.start()
    assert standin.admin("GET", SHARE).json()["messageId"] == "publicdashboards.notFound"
    assert standin.get(f"/grafana/api/public/dashboards/{TOKEN}").status == 404
    first = standin.admin("POST", SHARE, WISH)
    assert (first.status, first.json()["accessToken"]) == (200, TOKEN)
    again = standin.admin("POST", SHARE, WISH)
    assert (again.status, again.json()["messageId"]) == (400, "publicdashboards.dashboardIsPublic")
    changed = standin.admin("PATCH", f"{SHARE}/shared", {"accessToken": "f" * 32, "annotationsEnabled": True}).json()
    assert (changed["accessToken"], changed["annotationsEnabled"], changed["isEnabled"]) == (TOKEN, True, True)
    standin.log()

    standin.start()

    assert standin.admin("GET", SHARE).json() == changed
    assert standin.get(f"/grafana/public-dashboards/{TOKEN}").status == 200
    shown = standin.get(f"/grafana/api/public/dashboards/{TOKEN}").json()["dashboard"]
    assert shown["title"] == "Agents"
    assert "SELECT secret" not in json.dumps(shown)
    assert standin.get("/grafana/d/agent-overview/x").status == 302


def test_the_password_in_the_file_counts_at_the_first_start_only(standin: StandIn) -> None:
    standin.start()
    standin.log()
    (standin.folder / "password").write_text("another1\n")
    standin.start()
    assert standin.admin("GET", "/grafana/api/org", password="another1").status == 401
    words = ["cli", f"--config={standin.folder}/grafana.ini", "admin", "reset-admin-password", "--password-from-stdin"]
    subprocess.run(standin.command("11.6.0", *words), cwd=ROOT, input="another1\n", text=True, check=True, timeout=30)
    assert standin.admin("GET", "/grafana/api/org", password="another1").status == 200
    assert standin.admin("GET", "/grafana/api/org").status == 401


def test_five_wrong_passwords_lock_the_user_out(standin: StandIn) -> None:
    standin.start()
    for _ in range(5):
        assert standin.admin("GET", "/grafana/api/org", password="wrong").status == 401
    assert standin.admin("GET", "/grafana/api/org").status == 401


def test_from_12_3_on_they_can_lock_an_address_instead(standin: StandIn) -> None:
    standin.ini["security"] |= {
        "disable_username_login_protection": "true",
        "disable_ip_address_login_protection": "false",
    }
    standin.start("12.3.0")
    right, wrong = {"user": "admin", "password": PASSWORD}, {"user": "admin", "password": "wrong"}
    for _ in range(5):
        assert standin.post("/grafana/login", wrong, headers={"X-Forwarded-For": "192.0.2.1"}).status == 401
    assert standin.post("/grafana/login", right, headers={"X-Forwarded-For": "192.0.2.1"}).status == 401
    assert standin.post("/grafana/login", right, headers={"X-Forwarded-For": "192.0.2.2"}).status == 200


def test_a_dashboard_whose_file_changes_or_goes_is_noticed(standin: StandIn) -> None:
    standin.start()
    standin.provision("../json/second.json", json.dumps({"uid": "second", "title": "Second"}))
    (standin.folder / "json/overview.json").unlink()
    for _ in range(60):
        found = [each["uid"] for each in standin.admin("GET", "/grafana/api/search").json()]
        if found == ["second"]:
            return
        time.sleep(0.1)
    raise AssertionError(found)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "datasources/site.yaml",
            DATASOURCES.replace("name: public", "name: public, orgId: 7") % "/dev/null",
            "organization not found",
        ),
        ("datasources/site.yaml", DATASOURCES % "/missing", "failed to expand"),
        ("datasources/site.yaml", "datasources: [}", "datasources/site.yaml"),
        ("alerting/site.yaml", ALERTS.replace("datasourceUid: public", "datasourceUid: none"), "data source not found"),
        ("alerting/site.yaml", ALERTS.replace("receiver: page", "receiver: none"), "does not exist"),
        ("alerting/site.yaml", ALERTS.replace("condition: A", "condition: B"), "condition B does not exist"),
    ],
)
def test_it_does_not_start_where_grafana_would_not(standin: StandIn, name: str, text: str, words: str) -> None:
    standin.provision(name, text)
    assert words in standin.refusal()


def test_alerts_that_fit_together_are_taken(standin: StandIn) -> None:
    standin.provision("alerting/site.yaml", ALERTS)
    standin.start()
    rules = standin.admin("GET", "/grafana/api/v1/provisioning/alert-rules").json()
    assert [(rule["uid"], rule["ruleGroup"]) for rule in rules] == [("silent", "hosts")]


def test_a_dashboard_of_an_unknown_datasource_and_doubled_ones_are_not_taken(standin: StandIn) -> None:
    unknown = json.dumps({**DASHBOARD, "uid": "x", "title": "x"}).replace('"public"', '"none"')
    standin.provision("../json/unknown.json", unknown)
    standin.start()
    assert [each["uid"] for each in standin.admin("GET", "/grafana/api/search").json()] == ["agent-overview"]
    assert "unknown datasource none" in standin.log()

    standin.provision("../json/unknown.json", json.dumps(DASHBOARD))
    standin.start()
    assert "provider site is read-only" in standin.log()


def test_a_datasource_that_does_not_answer_is_said_to_be_unhealthy(standin: StandIn) -> None:
    standin.start()
    answer = standin.admin("GET", "/grafana/api/datasources/uid/public/health")
    assert (answer.status, answer.json()["status"]) == (400, "ERROR")


@pytest.mark.hosts
@pytest.mark.slow
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_its_package_installs_where_grafana_s_does(make_host: MakeHost, tmp_path: Path, suite: str) -> None:
    host = make_host(suite)
    for version in ("11.6.0", "12.3.0"):
        package = build(tmp_path, version)
        (host.root / "root" / package.name).write_bytes(package.read_bytes())
        run(host, "apt-get", "update", "-qq")
        run(host, "apt-get", "install", "-y", "-qq", f"/root/{package.name}")
        assert "stand-in" in run(host, "dpkg-query", "--show", "--showformat=${Description}", "grafana")
        run(host, "systemctl", "start", "grafana-server")
        fetch = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:3000/api/health').read().decode())"
        for _ in range(100):
            answer = attempt(host, "python3", "-c", fetch)
            if version in answer.stdout:
                break
            time.sleep(0.1)
        assert version in answer.stdout
    assert run(host, "stat", "-c", "%U:%G %a", "/etc/grafana/grafana.ini") == "root:grafana 640\n"
    assert run(host, "stat", "-c", "%U:%G", "/var/lib/grafana/grafana.db") == "grafana:grafana\n"
    reset = "admin reset-admin-password --password-from-stdin"
    run(host, "sh", "-c", f"echo another1 | grafana cli --homepath /usr/share/grafana {reset}")
