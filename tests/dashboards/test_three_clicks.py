"""From a red number to what is behind it, as an operator goes: by the data links of a real Grafana, in Chromium.

The third of the three clicks that it may take is not needed: a session's page has its transcript below its events.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

from dev import chromium
from grafana.sources.colours import BAD, DENIED
from tests.fixtures.browser import OpenPage
from tests.fixtures.collector import Collector
from tests.fixtures.grafana import StartGrafana

PATIENCE = 30_000  # ms

# Names that no address may hold as they are.
HOST, SESSION = "build & test", "fix/login #7"
REASON = "Removes a folder outside of the project: rm -rf /srv/www"
QUESTION, ANSWER = "Make room on the disk, please.", "I remove /srv/www, which is the largest folder."

# What Grafana's own pages say of themselves: Chromium draws without a graphics card here, and the page asks whether a
# dashboard is shared, which most are not.
OF_GRAFANA = re.compile(r"software WebGL|404 \(Not Found\) \(http://[^ ]+/public-dashboards\)$")


def event(**fields: Any) -> dict[str, Any]:
    """A decision of a moment ago."""
    return {
        "hostId": "laptop",
        "sessionId": SESSION,
        "eventType": "hook_decision",
        "agentName": "tool-approve",
        "hookName": "PreToolUse",
        "decision": "APPROVED",
        "decisionReason": "Reads a file",
        "toolName": "Read",
        "latencyMs": 150,
        **fields,
    }


def store(collector: Collector) -> None:
    """Two sessions of one name, of which one asked for something that was denied; returns when they are counted."""
    denied = event(hostId=HOST, toolName="Bash", decision="DENIED", decisionReason=REASON)
    answer = collector.send_events(denied, event(hostId=HOST), event(decisionReason="Another session of that name"))
    assert answer.json()["accepted"] == 3
    for host, question in ((HOST, QUESTION), ("laptop", "Something else")):
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": ANSWER}]
        sent = collector.send_transcript({"hostId": host, "sessionId": SESSION, "transcript": messages})
        assert sent.json()["messages"] == 2
    collector.wait_until_counted()


def log_in(page: Page, url: str) -> None:
    """Opens a page of Grafana's, and gives the operator's name and password where it asks for them."""
    page.goto(url)
    page.get_by_label("Email or username").fill("admin")
    page.get_by_label("Password", exact=True).fill("admin")
    page.get_by_role("button", name="Log in").click()
    # Would rather have another password than admin, which only this one has.
    page.get_by_role("button", name="Skip").click(timeout=PATIENCE)


def panel(page: Page, title: str) -> Locator:
    """The panels of that title, as far as the window has come near them."""
    return page.locator(f"section[data-testid='data-testid Panel header {title}']")


def scroll_to(page: Page, found: Locator) -> Locator:
    """Goes down the page, panels of which are made as one comes near, until that is there."""
    for _ in range(50):
        if found.count():
            break
        page.mouse.wheel(0, 300)
        page.wait_for_timeout(100)
    found.scroll_into_view_if_needed(timeout=PATIENCE)
    return found


def row(table: Locator, *cells: str) -> Locator:
    """The only row of a table that has these cells."""
    found = table.get_by_role("row")
    for cell in cells:
        found = found.filter(has_text=cell)
    expect(found).to_have_count(1, timeout=PATIENCE)
    return found


def test_no_more_than_three_clicks_lead_from_a_red_denial_rate_to_what_was_said(
    start_grafana: StartGrafana, collector: Collector, tmp_path: Path, open_page: OpenPage, complaints: list[str]
) -> None:
    store(collector)
    grafana = start_grafana(collector.database_url, tmp_path)
    page = open_page(width=1400, height=900)
    log_in(page, f"{grafana.url}/d/agent-overview?orgId=1&refresh=30s")

    rate = panel(page, "Denial rate").get_by_text("33.3").first
    expect(rate).to_be_visible(timeout=PATIENCE)
    expect(rate).to_have_css("color", rgb(BAD))

    with page.context.expect_page() as opened:
        rate.click()
    page = opened.value
    chromium.listen(page, complaints)
    decisions = panel(page, "Decisions")
    expect(decisions.get_by_role("row")).to_have_count(2, timeout=PATIENCE)  # with the one of the columns' names
    denied = row(decisions, "denied", "tool-approve", "Bash", REASON, HOST)
    expect(denied.get_by_text(REASON)).to_be_visible()
    expect(denied.get_by_text("denied", exact=True)).to_have_css("color", rgb(DENIED))
    assert chosen(page)["var-outcome"] == ["denied"]

    denied.get_by_role("link", name=SESSION).click()
    page.wait_for_url("**/d/agent-session/**", timeout=PATIENCE)
    expect(panel(page, "Denials").get_by_text("1", exact=True)).to_be_visible(timeout=PATIENCE)
    assert (chosen(page)["var-host"], chosen(page)["var-session"]) == ([HOST], [SESSION])
    events = panel(page, "Events").last
    row(events, "approved", "Read")
    row(events, "denied", REASON)

    transcript = scroll_to(page, panel(page, "Transcript"))
    row(transcript, "user", QUESTION)
    said = row(transcript, "assistant", ANSWER)
    expect(said.get_by_text(ANSWER)).to_be_in_viewport()
    expect(transcript.get_by_text("Something else")).to_have_count(0)

    assert grafana.complaints() == []
    complaints[:] = [complaint for complaint in complaints if not OF_GRAFANA.search(complaint)]


def chosen(page: Page) -> dict[str, list[str]]:
    """What the address says of the time and the variables."""
    return parse_qs(urlsplit(page.url).query)


def rgb(colour: str) -> str:
    """A colour as a browser tells it."""
    return "rgb({}, {}, {})".format(*bytes.fromhex(colour.removeprefix("#")))
