"""The overview's address in a real Chromium, through a real Caddy: whoever comes there sees the overview, from whatever
page it is framed by, whatever the browser lets a frame keep, and nobody is asked to log in.

What it goes on to are stand-ins (tests/browser/pages.py); that of Grafana does not start without storage, as Grafana.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Frame, Page, Response, expect

from tests.browser.pages import Glance, Grafana, home
from tests.fixtures.browser import OpenPage
from tests.fixtures.proxy import Site, caddies, serve

TELEMETRY = "telemetry.example.com"
SAME_SITE, OTHER_SITE, PLAIN, STRANGER = "ha.example.com", "home.example.net", "homeassistant.local", "evil.example"

CARD = (360, 202)
WINDOW = (1024, 600)
PATIENCE = 20_000  # ms
SHARED, GLANCE = "the shared dashboard", "the glance"

pytestmark = pytest.mark.skipif(not caddies(), reason="no Caddy here: install one, or name it in CADDY")


@dataclass
class Stage:
    """The site, and dashboards at several addresses that frame it."""

    site: Site
    home_port: int

    @property
    def overview(self) -> str:
        return f"https://{TELEMETRY}:{self.site.port}/grafana/d/agent-overview?orgId=1&refresh=30s&kiosk"

    def home(self, host: str, *sizes: tuple[int, int], hidden: bool = False) -> str:
        """The address of a page at that host with a frame of each size."""
        origin = f"http://{host}:{self.home_port}" if host == PLAIN else f"https://{host}:{self.site.port}"
        words = [("url", self.overview), *(("size", f"{width}x{height}") for width, height in sizes)]
        return f"{origin}/?{urlencode([*words, *([('hidden', '1')] if hidden else [])])}"


@pytest.fixture(scope="module", params=caddies() or ["none"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with home() as port:
        beside = f"{SAME_SITE}, {OTHER_SITE}, {STRANGER} {{\n\ttls internal\n\treverse_proxy 127.0.0.1:{port}\n}}\n"
        origins = [f"https://{SAME_SITE}:*", f"https://{OTHER_SITE}:*", f"http://{PLAIN}:{port}"]
        with serve(
            str(request.param),
            collector=Glance,
            grafana=Grafana,
            beside=beside,
            telemetry_domain=TELEMETRY,
            caddy_embed_origins=origins,
        ) as site:
            yield Stage(site, port)


def visit(page: Page, address: str) -> list[Response]:
    """Opens an address; all answers from then on."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  # Playwright marks what it calls
    page.goto(address)
    return answers


def shows(frame: Frame | Page, text: str) -> None:
    """Waits until the frame shows that text and nothing else."""
    expect(frame.locator("body")).to_have_text(re.compile(rf"^\s*{text}\s*$"), timeout=PATIENCE)


def nothing_asked_for_a_login(answers: list[Response]) -> None:
    assert answers
    assert not [answer.url for answer in answers if "login" in answer.url or answer.status >= 300]


@pytest.mark.parametrize("third_party", ["allowed", "partitioned", "blocked"])
def test_a_card_shows_the_glance_and_a_window_the_dashboard_where_it_can_run(
    stage: Stage, open_page: OpenPage, third_party: str
) -> None:
    page = open_page(third_party=third_party)
    for host in (SAME_SITE, OTHER_SITE, PLAIN):
        answers = visit(page, stage.home(host, CARD, WINDOW))
        card, window = page.frames[1:]
        shows(card, GLANCE)
        shows(window, GLANCE if third_party == "blocked" and host != SAME_SITE else SHARED)
        nothing_asked_for_a_login(answers)


@pytest.mark.parametrize(
    ("size", "text"),
    # The last two are what Grafana has room in, scroll bars or not, and what it has none in either way.
    [
        (WINDOW, SHARED),
        (CARD, GLANCE),
        ((768, 1024), GLANCE),
        ((800, 399), GLANCE),
        ((799, 450), GLANCE),
        ((820, 450), SHARED),
    ],
)
def test_outside_a_frame_the_window_s_size_decides(
    stage: Stage, open_page: OpenPage, size: tuple[int, int], text: str
) -> None:
    page = open_page(width=size[0], height=size[1])
    answers = visit(page, stage.overview)
    shows(page, text)
    nothing_asked_for_a_login(answers)


def test_the_way_there_leaves_no_step_to_go_back_to(stage: Stage, open_page: OpenPage) -> None:
    page = open_page()
    visit(page, stage.overview)
    shows(page, SHARED)
    assert page.evaluate("history.length") == 2  # the empty page, and this one


def test_a_frame_that_is_shown_later_is_measured_then(stage: Stage, open_page: OpenPage) -> None:
    page = open_page()
    visit(page, stage.home(OTHER_SITE, CARD, WINDOW, hidden=True))
    page.wait_for_timeout(300)
    assert [urlsplit(frame.url).path for frame in page.frames[1:]] == ["/grafana/d/agent-overview"] * 2
    page.evaluate("for (const frame of document.querySelectorAll('iframe')) frame.style.display = 'inline'")
    shows(page.frames[1], GLANCE)
    shows(page.frames[2], SHARED)


def test_an_operator_gets_the_dashboard_itself_but_in_a_frame_what_everybody_gets(
    stage: Stage, open_page: OpenPage
) -> None:
    page = open_page()
    page.context.add_cookies([{"name": "grafana_session", "value": "0123", "url": f"https://{TELEMETRY}"}])
    visit(page, stage.overview)
    shows(page, "the dashboard itself")
    # From the same registrable domain the frame's request brings the cookie along; that session may have expired.
    visit(page, stage.home(SAME_SITE, CARD, WINDOW))
    shows(page.frames[1], GLANCE)
    shows(page.frames[2], SHARED)


@pytest.mark.parametrize("framed", [False, True])
def test_without_script_it_is_the_glance(stage: Stage, open_page: OpenPage, *, framed: bool) -> None:
    page = open_page(script=False)
    answers = visit(page, stage.home(PLAIN, WINDOW) if framed else stage.overview)
    shows(page.frames[-1], GLANCE)
    nothing_asked_for_a_login(answers)


def test_an_origin_that_is_not_in_the_inventory_shows_nothing_of_it(
    stage: Stage, open_page: OpenPage, complaints: list[str]
) -> None:
    page = open_page()
    visit(page, stage.home(STRANGER, CARD))
    page.frames[1].wait_for_url(re.compile("^chrome-error:"), wait_until="commit", timeout=PATIENCE)
    assert [complaint for complaint in complaints if "frame-ancestors" in complaint] == complaints != []
    complaints.clear()


def test_while_grafana_is_away_a_visitor_gets_the_glance(open_page: OpenPage) -> None:
    with serve(caddies()[0], collector=Glance, caddy_grafana_upstream="127.0.0.1:9") as site:
        page = open_page()
        answers = visit(page, f"https://{site.domain}:{site.port}/grafana/d/agent-overview?orgId=1&refresh=30s&kiosk")
        shows(page, GLANCE)
        assert not [answer.url for answer in answers if answer.status >= 400]
