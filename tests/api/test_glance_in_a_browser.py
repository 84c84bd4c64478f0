"""The page in a real Chromium, at the sizes of frames, phones and walls: nothing scrolls, is cut off or complains."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from app.glance import page
from app.store.overview import DAY, WEEK
from tests.fixtures.browser import OpenPage
from tests.unit.overviews import busy, empty, single, with_silent

CARDS = [(360, 202), (492, 277), (800, 450), (300, 170), (460, 250), (700, 400), (1000, 562)]
LARGER = [(390, 844), (1440, 900), (1920, 1080)]

PAGES = {
    "busy": page.render(busy()),
    "week": page.render(with_silent(busy(WEEK), 12), "dark"),
    "long-names": page.render(busy(agent="agent-with-a-very-long-name-" * 9, host="W" * 255)),
    "single": page.render(single(), "light"),
    "empty": page.render(empty()),
    "away": page.render_away(DAY),
    "stale": page.render(busy(), "dark", away=True),
}

# What can be seen and does not fit: it is wider than its place and not cut with dots, or it sticks out of the window.
CUT_OFF = """() => [...document.body.querySelectorAll("*")].filter(element => {
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    const hidden = element.closest(".ear, svg") || style.display === "none"
        || [...ancestors(element)].some(each => getComputedStyle(each).clipPath !== "none")
        || [...ancestors(element.parentElement)].some(each => getComputedStyle(each).textOverflow === "ellipsis");
    if (hidden || box.width === 0) return false;
    const cut = element.scrollWidth > element.clientWidth + 1 && style.overflowX !== "visible"
        && style.textOverflow !== "ellipsis" && element.tagName !== "BODY";
    return cut || box.right > innerWidth + 0.5 || box.left < -0.5;
    function* ancestors(each) { for (; each; each = each.parentElement) yield each; }
}).map(element => `${element.tagName}.${element.className} ${element.textContent.trim().slice(0, 40)}`)"""
BELOW = """() => [...document.querySelectorAll("header, main > *, footer")].filter(element => {
    const box = element.getBoundingClientRect();
    return getComputedStyle(element).clipPath === "none" && box.height > 1 && box.bottom > innerHeight + 0.5;
}).map(element => element.className || element.tagName)"""


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the pages with the policy that the collector sends."""

    def do_GET(self) -> None:
        body = PAGES.get(self.path[1:].partition("?")[0])
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", page.content_security_policy("'self'"))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        return


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("width", "height"), CARDS + LARGER, ids=str)
def test_every_page_fits(open_page: OpenPage, address: str, width: int, height: int) -> None:
    tab = open_page(width=width, height=height)
    for name in PAGES:
        tab.goto(f"{address}/{name}")
        assert tab.evaluate("document.scrollingElement.scrollWidth - document.documentElement.clientWidth") == 0, name
        assert tab.evaluate(CUT_OFF) == [], name
        if (width, height) in CARDS:
            assert tab.evaluate("document.scrollingElement.scrollHeight") == height, name
            assert tab.evaluate(BELOW) == [], name


def test_the_smallest_card_shows_the_verdict_four_numbers_and_the_decisions(open_page: OpenPage, address: str) -> None:
    tab = open_page(width=360, height=202)
    tab.goto(f"{address}/busy")
    shown = """selector => [...document.querySelectorAll(selector)].filter(element =>
        element.getBoundingClientRect().width > 10 && element.getBoundingClientRect().bottom <= innerHeight
    ).map(element => element.innerText)"""
    assert tab.evaluate(shown, "h1") == ["All is well"]
    assert tab.evaluate(shown, ".label") == ["Events", "Denied", "Errors", "Latency p95"]
    (chart,) = tab.evaluate(
        """() => [...document.querySelectorAll("svg.drawing")].map(svg => svg.getBoundingClientRect())
            .filter(box => box.width > 10).map(box => [box.width, box.height])"""
    )
    assert chart[0] > 300
    assert chart[1] > 50


def test_what_has_no_room_is_still_there_for_a_screen_reader(open_page: OpenPage, address: str) -> None:
    tab = open_page(width=360, height=202)
    tab.goto(f"{address}/busy")
    told = tab.locator("body").aria_snapshot()
    for text in ('heading "All is well"', "Cost today", 'heading "Agents"', 'rowheader "agent0"', "Latency per hour"):
        assert text in told, text


@pytest.mark.parametrize("dark", [False, True])
def test_the_theme_is_the_browsers_unless_asked_for(open_page: OpenPage, address: str, dark: bool) -> None:
    tab = open_page(width=360, height=202)
    tab.emulate_media(color_scheme="dark" if dark else "light")
    grounds = {}
    for name in ("busy", "single", "week"):
        tab.goto(f"{address}/{name}")
        grounds[name] = tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    light, night = "rgb(255, 255, 255)", "rgb(18, 22, 28)"
    assert grounds == {"busy": night if dark else light, "single": light, "week": night}
