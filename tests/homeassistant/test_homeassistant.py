"""A real HomeAssistant with the README's own YAML, in a real Chromium, before a real site: collector, database, Caddy.

Only Grafana is a stand-in (tests/browser/pages.py).
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.api.events import event
from tests.browser.pages import Grafana
from tests.fixtures.browser import OpenPage
from tests.fixtures.collector import Collector, free_port
from tests.fixtures.postgres import connect
from tests.fixtures.proxy import Site, caddies, serve
from tests.homeassistant import home, installed, readme
from tests.homeassistant.home import Home

PATIENCE = 60.0  # seconds
SENSORS = {
    "agent_events": "events",
    "agent_latency": "latencyP95Ms",
    "agent_cost_today": "costToday",
    "silent_agent_hosts": "silentHosts",
}

pytestmark = pytest.mark.skipif(not caddies(), reason="no Caddy here: install one, or name it in CADDY")


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return installed.python()
    except installed.NotHereError as reason:
        pytest.skip(f"NO HOMEASSISTANT: {reason}")


@dataclass
class Stage:
    """A site with a few events, and a HomeAssistant that shows it."""

    home: Home
    site: Site
    collector: Collector
    read_key: str

    def summary(self) -> dict[str, Any]:
        """What the sensors should show, asked for through the proxy."""
        answer = self.site.ask("/api/v1/summary?window=24h", {"X-API-Key": self.read_key})
        assert answer.status == 200, answer.body
        summary: dict[str, Any] = json.loads(answer.body)
        return summary

    def wait_for(self, **numbers: int) -> dict[str, Any]:
        """The summary, once it has these numbers: they may be some seconds old."""
        deadline = time.monotonic() + PATIENCE
        while True:
            summary = self.summary()
            if numbers.items() <= summary.items():
                return summary
            assert time.monotonic() < deadline, f"not {numbers}: {summary}"
            time.sleep(0.5)


@pytest.fixture
def stage(
    python: Path, tmp_path: Path, database_url: str, start_collector: Callable[..., Collector]
) -> Iterator[Stage]:
    port = free_port()
    origin = f"http://{home.HOST}:{port}"
    collector = start_collector(database_url, TELEMETRY_EMBED_ORIGINS=origin)
    read_key = collector.create_key("homeassistant", scope="read")
    send(collector, ["APPROVED"] * 9 + ["DENIED"])
    with serve(
        caddies()[0],
        collector=collector.url.removeprefix("http://"),
        grafana=Grafana,
        telemetry_domain="localhost",
        caddy_embed_origins=[origin],
    ) as site:
        home.write(tmp_path, port, readme.blocks(f"localhost:{site.port}"), read_key)
        with home.run(python, tmp_path, port, site.authority) as running:
            yield Stage(running, site, collector, read_key)


def send(collector: Collector, decisions: list[str]) -> None:
    """Sends events of one host of now with these decisions."""
    timestamp = datetime.now(UTC).isoformat()
    fields = {"timestamp": timestamp, "latencyMs": 120, "cost": 0.01}
    answer = collector.send_events(*(event("laptop", decision=decision, **fields) for decision in decisions))
    assert answer.json()["accepted"] == len(decisions)


def state(page: Page, entity: str) -> dict[str, Any]:
    """What HomeAssistant's own page knows of an entity."""
    known: dict[str, Any] = page.evaluate(f"document.querySelector('home-assistant').hass.states['{entity}']")
    return known


def wait_for_state(page: Page, entity: str, value: object) -> None:
    """Returns when an entity has that state, asking HomeAssistant to look again and again."""
    deadline = time.monotonic() + PATIENCE
    call = "document.querySelector('home-assistant').hass.callService"
    while state(page, entity)["state"] != str(value):
        assert time.monotonic() < deadline, f"{entity} is not {value}: {state(page, entity)}"
        page.evaluate(f"{call}('homeassistant', 'update_entity', {{entity_id: '{entity}'}})")
        page.wait_for_timeout(500)


def notification(page: Page) -> str:
    """The text of the only notification there is."""
    ask = "document.querySelector('home-assistant').hass.callWS({type: 'persistent_notification/get'})"
    notes = [note for note in page.evaluate(ask) if note["notification_id"] == "agents"]
    return str(notes[0]["message"]) if notes else ""


def last_triggered(page: Page) -> object:
    """When the automation ran last."""
    return state(page, "automation.agents_want_to_be_looked_at")["attributes"]["last_triggered"]


def wait_until(condition: Callable[[], object], page: Page) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(200)


def test_the_card_the_sensors_and_the_automation_of_the_readme_work(
    stage: Stage, open_page: OpenPage, complaints: list[str]
) -> None:
    summary = stage.wait_for(events=10, denied=1)
    page = open_page(width=1000, height=760)
    page.goto(f"{stage.home.url}/lovelace/agents", timeout=PATIENCE * 1000)
    page.locator("hui-entities-card").wait_for(timeout=PATIENCE * 1000)

    # The sensors say what the summary says, and the card of them shows it.
    for name, field in SENSORS.items():
        wait_for_state(page, f"sensor.{name}", summary[field])
    wait_for_state(page, "sensor.agent_denial_rate", 10.0)
    expect(page.locator("hui-entities-card")).to_contain_text("10.0%")

    # The card is what HomeAssistant makes it, so it shows the glance, and the whole of it.
    card = next(frame for frame in page.frames if frame.parent_frame)
    expect(card.locator("h1")).to_be_visible(timeout=PATIENCE * 1000)
    assert card.url == f"https://localhost:{stage.site.port}/glance"
    width, height = card.evaluate("[innerWidth, innerHeight]")
    assert 340 <= width <= 492
    assert abs(height - width * 9 / 16) <= 1
    assert card.evaluate("document.documentElement.scrollHeight") <= height

    # A view of its own has room for the dashboard, on a tablet at least.
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{stage.home.url}/lovelace/agents-wall", timeout=PATIENCE * 1000)
    page.wait_for_function("document.querySelector('home-assistant')?.hass?.states", timeout=PATIENCE * 1000)
    wait_until(lambda: len(page.frames) == 2 and "/public-dashboards/" in page.frames[1].url, page)
    expect(page.frames[1].locator("body")).to_have_text(re.compile("the shared dashboard"))
    assert page.frames[1].evaluate("innerWidth > 1000 && innerHeight > 700")

    # The automation is quiet until there is a reason.
    assert last_triggered(page) is None
    send(stage.collector, ["DENIED"] * 10)
    stage.wait_for(denied=11)
    wait_for_state(page, "sensor.agent_denial_rate", 55.0)
    wait_until(lambda: "55.0 % of the decisions were denials. Silent hosts: none." in notification(page), page)
    first = last_triggered(page)
    assert first
    with connect(stage.collector.database_url) as connection:
        connection.execute("UPDATE hosts SET last_seen_at = now() - interval '20 minutes'")
    host = stage.wait_for(silentHosts=1)["silentHostNames"]
    wait_for_state(page, "sensor.silent_agent_hosts", 1)
    wait_until(lambda: f"Silent hosts: {host}." in notification(page), page)
    assert last_triggered(page) != first

    # While the site is away the sensors are so too, and HomeAssistant has nothing to say about their templates.
    stage.collector.stop()
    wait_for_state(page, "sensor.agent_events", "unavailable")
    assert not re.findall(r"^.*(?:[Tt]emplate|Error parsing).*$", stage.home.log(), flags=re.MULTILINE)

    # HomeAssistant may complain, about itself.
    assert not [each for each in complaints if f"localhost:{stage.site.port}" in each]
    complaints.clear()
