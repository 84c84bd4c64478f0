"""What stands around the overview's page in its tests: a dashboard that frames it, and the two that it goes on to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# As HomeAssistant's iframe card has it.
FRAME = """<iframe title="Agents" src="{url}" style="border: 0; width: {width}px; height: {height}px; {style}"
 sandbox="allow-forms allow-popups allow-pointer-lock allow-same-origin allow-scripts allow-modals allow-downloads"
 allow="fullscreen"></iframe>"""

# As Grafana does: its first look at a storage that it may not have ends it.
SHARED = """<!doctype html><title>stand-in for Grafana</title><body><script>
try { localStorage.getItem("x"); document.body.append("the shared dashboard"); }
catch { document.body.append("failed to load its application files"); }
</script>"""

GLANCE = "<!doctype html><title>stand-in for the glance</title><p>the glance"


class Page(BaseHTTPRequestHandler):
    """Answers with a page; knows no favicon."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":
            self.answer(204, "")
        else:
            self.show()

    def show(self) -> None:
        raise NotImplementedError

    def answer(self, status: int, text: str, **headers: str) -> None:
        """Sends a page of HTML."""
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "proxy"

    def log_message(self, *arguments: object) -> None:
        pass


class Glance(Page):
    """Stands in for the collector's /glance."""

    def show(self) -> None:
        self.answer(200, GLANCE)


class Grafana(Page):
    """Stands in for Grafana with one shared dashboard: all else needs a session, or is the login."""

    def show(self) -> None:
        if self.path.startswith("/grafana/public-dashboards/"):
            self.answer(200, SHARED)
        elif "grafana_session=" in self.headers.get("Cookie", ""):
            self.answer(200, "<!doctype html><p>the dashboard itself")
        elif self.path.startswith("/grafana/login"):
            self.answer(200, "<!doctype html><p>the login")
        else:
            self.answer(302, "", Location="/grafana/login")


class Home(Page):
    """Stands in for HomeAssistant: /?url=URL&size=360x202&size=1024x600 shows that address in frames of those sizes."""

    def show(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        style = "display: none" if "hidden" in query else ""
        frames = [
            FRAME.format(url=query["url"][0], width=width, height=height, style=style)
            for width, height in (size.split("x") for size in query["size"])
        ]
        self.answer(200, f"<!doctype html><title>home</title>{''.join(frames)}")


@contextmanager
def home() -> Iterator[int]:
    """A running Home; its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Home) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
