"""Alerts as a real Grafana fires and sends them to a webhook on loopback, by the rules that the playbook installs."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.grafana import LocalGrafana
from tests.fixtures.collector import Collector
from tests.fixtures.grafana import StartGrafana
from tests.fixtures.postgres import connect
from tests.store.batches import PLAIN

# Grafana looks at its rules every 10 s, and no more often; and once a minute at where to send what they say.
TICK = "10s"
CONTACT_POINTS = "GF_UNIFIED_ALERTING_ALERTMANAGER_CONFIG_POLL_INTERVAL"
FIRED_SECONDS = 60.0
# Two looks and the second that an alert waits for others of its kind.
QUIET_SECONDS = 22.0

# A dollar sign is what a file of Grafana's would put a variable for.
PATH = "/alerts/$HOME"

# How each alert is worded, and which dashboard it leads to.
EXPECTED = {
    "Host silent": ("The host o'neil's laptop, which should never be silent, is.", "agent-hosts"),
    "Error rate": ("In the last hour 20% of all events failed.", "agent-overview"),
    "Denial spike": ("In the last hour 60% of all decisions were denials.", "agent-decisions"),
    "Cost of the day": ("The models have cost 12.5 dollars since midnight.", "agent-costs"),
    "Quarantine growing": ("In the last hour 3 different events were rejected.", "agent-collector"),
    "Disk full soon": (
        "The database's disk is full in 0 days; with 0, less than 5 % of it are free.",
        "agent-collector",
    ),
    "Backup too old": ("The newest backup is 40 hours old, or there is none since then.", "agent-collector"),
}
LIMITS = {"grafana_alert_daily_cost": 5, "grafana_alert_rejected_events": 2}


class Webhook(ThreadingHTTPServer):
    """Takes whatever is posted to it, and keeps it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), Receiver)

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """All that was sent, by the rule's title."""
        found: dict[str, list[dict[str, Any]]] = {}
        for _, message in list(self.received):
            for alert in message["alerts"]:
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Webhook)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append((self.path, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def trouble(database_url: str, start_collector: Callable[..., Collector]) -> str:
    """A database in which there is a reason for every alert."""
    collector = start_collector(database_url)
    decisions = [*["DENIED"] * 30, *["APPROVED"] * 10, *["ERROR"] * 10]
    events = [{**PLAIN, "decision": each, "cost": 0.25, "eventId": f"{at}"} for at, each in enumerate(decisions)]
    events[30]["hostId"] = "o'neil's laptop"
    rejected = [{**PLAIN, "latencyMs": f"{at} ms"} for at in range(3)]
    answer = collector.send_events(*events, *rejected).json()
    assert (answer["accepted"], len(answer["rejected"])) == (50, 3)
    collector.wait_until_counted()
    # Else it would go on noting how its own disk is.
    assert collector.stop() == 0
    with connect(database_url) as owner:
        silence(owner.execute, "o'neil's laptop")
        owner.execute("INSERT INTO status_backups (taken_at, bytes, copied) VALUES (now() - interval '40 h', 1, false)")
        owner.execute(
            "INSERT INTO status_samples (start, stored, duplicates, rejected, disk_bytes, disk_free_bytes)"
            " VALUES (now(), 0, 0, 0, 100, 4)"
        )
    return database_url


def silence(execute: Callable[..., Any], host: str) -> None:
    """Lets that host not be heard of for 20 minutes."""
    execute("UPDATE hosts SET last_seen_at = now() - interval '20 minutes' WHERE host_id = %s", [host])


def hurry(grafana: LocalGrafana, folder: Path) -> None:
    """Lets it look at its rules as often as it can, and send what fires at once; all else stays as it is."""
    path = folder / "provisioning" / "alerting" / "telemetry.yaml"
    alerts = yaml.safe_load(path.read_text("utf-8"))
    alerts["policies"][0] |= {"group_wait": "1s", "group_interval": TICK}
    for group in alerts["groups"]:
        group["interval"] = TICK
        for rule in group["rules"]:
            rule["for"] = "0s"
    path.write_text(yaml.safe_dump(alerts), "utf-8")
    status, answer = grafana.ask("/api/admin/provisioning/alerting/reload", {})
    assert status == 200, answer


def test_alerts_reach_the_contact_point_and_nothing_is_sent_without_one(
    start_grafana: StartGrafana, trouble: str, webhook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTACT_POINTS, "1s")
    settings = {"url": f"http://127.0.0.1:{webhook.server_port}{PATH}"}
    grafana = start_grafana(
        trouble,
        tmp_path,
        telemetry_domain="telemetry.example.com",
        grafana_contact_point={"type": "webhook", "settings": settings},
        grafana_alert_silent_hosts=["o'neil's laptop", "laptop"],
        **LIMITS,
    )
    hurry(grafana, tmp_path)
    deadline = time.monotonic() + FIRED_SECONDS
    while webhook.alerts().keys() != EXPECTED.keys():
        assert time.monotonic() < deadline, f"{webhook.received}\n{grafana.last_words()}"
        time.sleep(0.1)
    for title, alerts in webhook.alerts().items():
        words, dashboard = EXPECTED[title]
        link = f"https://telemetry.example.com/grafana/d/{dashboard}"
        assert [alert["annotations"] for alert in alerts] == [{"summary": words, "link": link}]
        assert [alert["status"] for alert in alerts] == ["firing"]
    assert {path for path, _ in webhook.received} == {PATH}
    assert grafana.complaints() == []
    grafana.stop()

    # The operator takes the contact point away; the next host that is silent would be told of within those seconds.
    webhook.received.clear()
    with connect(trouble) as owner:
        silence(owner.execute, "laptop")
    grafana = start_grafana(trouble, tmp_path)
    time.sleep(QUIET_SECONDS)
    assert webhook.received == []
    assert grafana.complaints() == []
