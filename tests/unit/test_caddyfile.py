"""The site's front door: a real Caddy with the rendered Caddyfile, who reaches what, and what is kept from whom."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.loop import LINGER_SECONDS
from tests.fixtures.proxy import DOMAIN, TOKEN, Site, caddies, render, serve

OVERVIEW = "/grafana/d/agent-overview?orgId=1&refresh=30s&kiosk"
SESSION = {"Cookie": "theme=dark; grafana_session=0123456789abcdef; grafana_session_expiry=1700000000"}
IN_A_FRAME = {"Sec-Fetch-Dest": "iframe"}
KEY = "aft_secret-of-a-host"

pytestmark = [
    pytest.mark.skipif(not caddies(), reason="no Caddy here: install one, or name it in CADDY"),
    pytest.mark.any_python,
]


@pytest.fixture(scope="module", params=caddies() or ["none"])
def caddy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def site(caddy: str) -> Iterator[Site]:
    with serve(caddy, caddy_embed_origins=["https://ha.example.com"]) as running:
        yield running


VARIANTS: dict[str, dict[str, object]] = {
    "the defaults": {"caddy_tls": "auto"},
    "a certificate of its own": {"caddy_tls": "internal"},
    "another ACME server": {
        "caddy_tls": "auto",
        "caddy_acme_email": "operator@example.com",
        "caddy_acme_ca": "https://acme.example.com/directory",
    },
    "no Grafana": {"caddy_grafana_enabled": False},
    "frames": {"caddy_embed_origins": ["https://ha.example.com", "https://*.example.org:8123"]},
    "several collectors": {"caddy_collector_addresses": ["192.0.2.1:3001", "192.0.2.2:3001"]},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_caddy_takes_every_variant_of_the_file(caddy: str, variant: str, tmp_path: Path) -> None:
    text = render("/etc/caddy/Caddyfile", **VARIANTS[variant]).replace("/var/log/", f"{tmp_path}/")
    (tmp_path / "Caddyfile").write_text(text, "utf-8")
    command = [caddy, "validate", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    environment = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    checked = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert not re.findall(r'"level":"(?:warn|error)".*', checked.stderr)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_file_looks_as_caddy_would_write_it(caddy: str, variant: str, tmp_path: Path) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(render("/etc/caddy/Caddyfile", **VARIANTS[variant]), "utf-8")
    subprocess.run([caddy, "fmt", "--overwrite", str(file)], check=True, capture_output=True)
    assert file.read_text("utf-8") == render("/etc/caddy/Caddyfile", **VARIANTS[variant])


def test_plain_http_goes_to_https(site: Site) -> None:
    answer = site.ask_in_the_open("/glance")
    assert answer.status == 308
    assert answer.headers["Location"].startswith(f"https://{DOMAIN}")


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/telemetry/batch?x=1", "/api/", "/glance?window=7d"])
def test_the_api_and_the_glance_are_the_collectors(site: Site, path: str) -> None:
    answer = site.ask(path)
    assert answer.status == 200
    assert answer.seen["name"] == "collector"
    assert answer.seen["path"] == path


def test_a_batch_arrives_whole_with_its_key(site: Site) -> None:
    answer = site.ask("/api/v1/telemetry/batch", {"X-Api-Key": KEY}, method="POST", body=b"x" * 9_000_000)
    assert answer.seen["length"] == 9_000_000
    assert answer.seen["headers"]["x-api-key"] == KEY


def test_a_body_beyond_all_limits_is_refused_as_the_collector_would(caddy: str) -> None:
    with serve(caddy, caddy_body_limit="1KiB") as site:
        answer = site.ask("/api/v1/transcript", {"X-Api-Key": KEY}, method="POST", body=b"x" * 2000)
    assert answer.status == 413
    assert set(json.loads(answer.body)) == {"error", "details"}


def test_idle_connections_to_the_collector_end_before_it_closes_them() -> None:
    idle = re.search(r"keepalive (\d+)ms", render("/etc/caddy/Caddyfile"))
    assert idle
    assert int(idle[1]) / 1000 <= LINGER_SECONDS / 2


@pytest.mark.parametrize("path", ["/api/v1/health", "/grafana/login"])
def test_a_client_cannot_choose_its_address(site: Site, path: str) -> None:
    sent = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "X-Forwarded-Proto": "http"}
    headers = site.ask(path, sent).seen["headers"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    if path.startswith("/grafana"):
        assert "x-real-ip" not in headers


@pytest.mark.parametrize("path", ["/grafana/", "/grafana/login", f"/grafana/public-dashboards/{TOKEN}", "/grafana/d/x"])
def test_grafana_gets_its_path_whole(site: Site, path: str) -> None:
    answer = site.ask(path)
    assert answer.seen["name"] == "grafana"
    assert answer.seen["path"] == path


def test_grafana_without_its_slash_redirects(site: Site) -> None:
    answer = site.ask("/grafana")
    assert (answer.status, answer.headers["Location"]) == (302, "/grafana/")


def test_the_root_redirects_to_the_overview(site: Site) -> None:
    answer = site.ask("/")
    assert (answer.status, answer.headers["Location"]) == (302, OVERVIEW)


@pytest.mark.parametrize(
    "headers", [{}, IN_A_FRAME, {**SESSION, **IN_A_FRAME}, {"Cookie": "grafana_session_expiry=1700000000"}]
)
@pytest.mark.parametrize("path", [OVERVIEW, "/grafana/d/agent-overview", "/grafana/d/agent-overview/agent-overview"])
def test_a_visitor_of_the_overview_gets_the_page_that_goes_on(site: Site, path: str, headers: dict[str, str]) -> None:
    answer = site.ask(path, headers)
    assert answer.status == 200
    assert f"/grafana/public-dashboards/{TOKEN}".encode() in answer.body
    assert b"/glance" in answer.body
    # The same address shows an operator something else.
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Vary"] == "Cookie, Sec-Fetch-Dest"


@pytest.mark.parametrize("headers", [SESSION, {**SESSION, "Sec-Fetch-Dest": "document"}])
def test_an_operator_outside_a_frame_gets_the_dashboard_itself(site: Site, headers: dict[str, str]) -> None:
    answer = site.ask(OVERVIEW, headers)
    assert answer.seen["name"] == "grafana"
    assert answer.seen["path"] == OVERVIEW


def test_the_pages_script_is_a_file_and_nothing_else_may_run(site: Site) -> None:
    page, script = site.ask(OVERVIEW), site.ask("/overview.js")
    assert "default-src 'none'; script-src 'self'" in page.policies()
    assert re.findall(rb"<script.*?>", page.body) == [b'<script src="/overview.js">']
    assert not re.findall(rb"\son\w+=|<style|style=|javascript:", page.body)
    assert script.headers["Content-Type"].startswith(("text/javascript", "application/javascript"))


def test_no_icon_is_no_error(site: Site) -> None:
    assert site.ask("/favicon.ico").status == 204


@pytest.mark.parametrize("path", ["/overview.html", "/overview.js/", "/srv/telemetry/overview.html", "/Caddyfile"])
def test_no_other_file_can_be_had(site: Site, path: str) -> None:
    assert site.ask(path).status == 404


@pytest.mark.parametrize("headers", [{}, SESSION])
@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/metrics/", "/METRICS", "/%6detrics", "//metrics", "/./metrics", "/x/../metrics"),
        *("/grafana/metrics", "/grafana/metrics/", "/grafana/Metrics", "/grafana/%6detrics", "/grafana//metrics"),
        *("//grafana/metrics", "/grafana/./metrics", "/grafana/x/../metrics", "/grafana/metrics?x"),
    ],
)  # fmt: skip
def test_metrics_are_nobodys(site: Site, path: str, headers: dict[str, str]) -> None:
    assert site.ask(path, headers).status == 404


@pytest.mark.parametrize("path", ["/glance", OVERVIEW, "/grafana/", "/api/v1/health", "/nothing"])
def test_only_the_inventorys_origins_may_show_the_site_in_a_frame(site: Site, path: str) -> None:
    ancestors = [policy for policy in site.ask(path).policies() if "frame-ancestors" in policy]
    assert ancestors == ["frame-ancestors 'self' https://ha.example.com"]


@pytest.mark.parametrize("path", ["/glance", OVERVIEW, "/overview.js", "/grafana/", "/api/v1/health", "/nothing", "/"])
def test_every_answer_has_the_headers_of_a_careful_site(site: Site, path: str) -> None:
    headers = site.ask(path).headers
    assert headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert headers.get_all("Referrer-Policy") == ["same-origin"]
    assert headers["X-Robots-Tag"] == "noindex, nofollow"
    assert headers["Server"] is None


def test_pages_are_compressed(site: Site) -> None:
    # Too short to gain by it, the stub's answer is let be unless it grows.
    answer = site.ask("/grafana/x", {"Accept-Encoding": "gzip", "X-Long": "x" * 2000})
    assert answer.headers["Content-Encoding"] == "gzip"


def test_no_log_has_a_secret(caddy: str) -> None:
    secrets = {
        "X-Api-Key": KEY,
        "Authorization": "Basic c2VjcmV0LW9mLWFkbWlu",
        "Cookie": "grafana_session=secret-of-a-session",
    }
    with serve(caddy, caddy_body_limit="1KiB") as site:
        for path in ("/api/v1/health", "/grafana/api/org", OVERVIEW, "/metrics"):
            site.ask(path, secrets)
        # A fault is logged apart, with the request that met it.
        site.ask("/api/v1/transcript", secrets, method="POST", body=b"x" * 2000)
        logs, requests = site.logs(), [json.loads(line) for line in site.access_log.read_text("utf-8").splitlines()]
    assert {"/api/v1/health", "/grafana/api/org", "/api/v1/transcript"} <= {line["request"]["uri"] for line in requests}
    assert "secret" not in logs
    assert "c2VjcmV0" not in logs


def test_a_collector_that_is_away_is_answered_for_in_its_own_shape(caddy: str) -> None:
    with serve(caddy, caddy_collector_addresses=["192.0.2.1:3001"]) as site:
        answer = site.ask("/api/v1/telemetry/batch", {"X-Api-Key": KEY}, method="POST", body=b"{}")
        logs = site.logs()
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Content-Type"] == "application/json"
    assert set(json.loads(answer.body)) == {"error", "details"}
    assert "collectors.sock" in logs
    assert KEY not in logs


@pytest.mark.parametrize(("path", "grafana"), [("/glance", True), (OVERVIEW, False)])
def test_an_overview_that_is_away_comes_again_by_itself(caddy: str, path: str, grafana: bool) -> None:
    away = ["192.0.2.1:3001"]
    with serve(caddy, caddy_collector_addresses=away, caddy_grafana_enabled=grafana) as site:
        answer = site.ask(path, IN_A_FRAME)
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert b'<meta http-equiv="refresh" content="10">' in answer.body
    assert sorted(answer.policies()) == ["default-src 'none'", "frame-ancestors 'self'"]


def test_an_overview_without_its_grafana_is_the_glance(caddy: str) -> None:
    with serve(caddy, caddy_grafana_upstream="127.0.0.1:9") as site:
        answer = site.ask(OVERVIEW, SESSION)
        other = site.ask("/grafana/login")
    assert (answer.status, answer.headers["Location"]) == (302, "/glance")
    assert other.status == 502


@pytest.fixture(scope="module")
def bare_site(caddy: str) -> Iterator[Site]:
    with serve(caddy, caddy_grafana_enabled=False) as running:
        yield running


@pytest.mark.parametrize("headers", [{}, IN_A_FRAME, SESSION])
def test_without_grafana_the_overviews_address_shows_the_glance(bare_site: Site, headers: dict[str, str]) -> None:
    seen = bare_site.ask(OVERVIEW, headers).seen
    assert seen["name"] == "collector"
    assert seen["path"].startswith("/glance")


@pytest.mark.parametrize("path", ["/grafana", "/grafana/", "/grafana/login", "/grafana/metrics", "/overview.js"])
def test_without_grafana_nothing_else_of_it_is_there(bare_site: Site, path: str) -> None:
    assert bare_site.ask(path).status == 404


def test_without_grafana_the_rest_is_the_same(bare_site: Site) -> None:
    assert bare_site.ask("/api/v1/health").seen["name"] == "collector"
    assert bare_site.ask("/").headers["Location"] == OVERVIEW
    assert bare_site.ask("/metrics").status == 404
