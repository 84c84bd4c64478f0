"""The browser that other tests rely on: it is what it says, it hears what pages say, and nothing gets out of it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dev import chromium, packages
from tests.fixtures.browser import OpenPage

PAGE = b"""<!doctype html><title>outer</title>
<iframe src="http://framed.example:PORT/framed"></iframe>
<script>console.error("one", 2); setTimeout(() => { throw new Error("three"); });</script>"""
FRAMED = b"""<!doctype html><script>
try { localStorage.setItem("a", "b"); document.title = "keeps"; } catch { document.title = "refused"; }
</script>"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = FRAMED if self.path == "/framed" else PAGE.replace(b"PORT", str(self.server.server_port).encode())  # type: ignore[attr-defined]
        self.send_response(204 if self.path == "/favicon.ico" else 200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.path != "/favicon.ico":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://outer.example:{server.server_port}/"
        server.shutdown()


def test_a_page_has_the_size_the_theme_and_the_density_asked_for(open_page: OpenPage) -> None:
    page = open_page(width=360, height=202, theme="dark", scale=2)
    dark = 'matchMedia("(prefers-color-scheme: dark)").matches'
    assert page.evaluate(f"[innerWidth, innerHeight, devicePixelRatio, {dark}]") == [360, 202, 2, True]


@pytest.mark.parametrize(
    ("third_party", "seen"), [("allowed", "keeps"), ("partitioned", "keeps"), ("blocked", "refused")]
)
def test_a_frame_of_another_site_keeps_what_the_browser_lets_it(
    open_page: OpenPage, complaints: list[str], address: str, third_party: str, seen: str
) -> None:
    page = open_page(third_party=third_party)
    page.goto(address)
    assert page.frames[1].title() == seen
    complaints.clear()


def test_what_a_page_complains_about_is_heard(open_page: OpenPage, complaints: list[str], address: str) -> None:
    page = open_page()
    page.goto(address)
    page.wait_for_timeout(50)
    assert complaints == [f"error: one 2 ({address})", "exception: three"]
    complaints.clear()


def test_every_name_and_address_is_this_machine(open_page: OpenPage, complaints: list[str], address: str) -> None:
    page = open_page()
    page.goto(address.replace("outer.example", "192.0.2.1"))
    assert page.title() == "outer"
    complaints.clear()


def test_without_a_chromium_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "PROGRAMS", ("no-such-browser",))

    def refuse(wanted: tuple[str, ...], purpose: str) -> None:
        raise packages.InstallError("no network; install them by hand: chromium")

    monkeypatch.setattr(chromium, "install", refuse)
    monkeypatch.setattr(chromium, "_is_debian", lambda: True)
    with pytest.raises(chromium.NoChromiumError, match="install"):
        chromium.program()
