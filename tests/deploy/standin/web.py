"""The HTTP side of the stand-in for Grafana: whom it lets in, and where requests go."""

import base64
import binascii
import json
import logging
import re
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.deploy.standin import api, pages, sharing
from tests.deploy.standin.api import Site

COOKIE = "grafana_session"

log = logging.getLogger("context")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: Site) -> None:
        self.site = site
        host, port = site.settings.text("server", "http_addr"), int(site.settings.text("server", "http_port"))
        super().__init__((host, port), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "stand-in-for-grafana"
    timeout = 30

    @property
    def site(self) -> Site:
        assert isinstance(self.server, Server)
        return self.server.site

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, 1 << 20))
        prefix, path = self.site.settings.path, unquote(urlsplit(self.path).path)
        if self.site.settings.flag("server", "serve_from_sub_path") and prefix:
            if path == prefix or path.startswith(f"{prefix}/"):
                path = path.removeprefix(prefix) or "/"
            elif not path.startswith("/api"):
                url = self.site.settings.text("server", "root_url").rstrip("/")
                return self._answer(301, b"", {"Location": f"{url}{self.path}"})
        user = self._user()
        if path.startswith("/api/") or path in ("/metrics", "/login", "/logout"):
            return self._serve_call(path, body, user)
        return self._serve_page(path, user)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - the names are the library's

    def _serve_call(self, path: str, body: bytes, user: int | None) -> None:
        if path == "/metrics":
            if self.site.settings.flag("metrics", "enabled"):
                return self._answer(200, b"grafana_stand_in 1\n", {"Content-Type": "text/plain"})
            return self._serve_page(path, user)
        if path == "/login":
            if self.command != "POST":
                return self._page(200, "Log in", "POST a user and a password as JSON here.")
            return self._log_in(body)
        if path == "/logout":
            self.site.store.end_session(self._token())
            cookie = f"{COOKIE}=; Path={self.site.settings.path or '/'}; Max-Age=0"
            return self._answer(302, b"", {"Location": f"{self.site.settings.path}/login", "Set-Cookie": cookie})
        wish = _object(body)
        if wish is None:
            return self._json(400, {"message": "bad request data"})
        status, answer = api.call(self.site, self.command, path, wish, user)
        return self._json(status, answer)

    def _serve_page(self, path: str, user: int | None) -> None:
        shared = re.fullmatch(r"/public-dashboards/([^/]+)", path)
        if shared:
            status, answer = sharing.view(self.site.store, shared[1])
            if status == 200:
                return self._page(200, str(answer["dashboard"]["title"]), "A shared dashboard.")
            return self._page(404, "Not found", "No dashboard is shared under this address.")
        if not user:
            return self._answer(302, b"", {"Location": f"{self.site.settings.path}/login"})
        dashboard = re.fullmatch(r"/d/([^/]+)(?:/.*)?", path)
        if dashboard:
            found = self.site.store.documents("dashboard", uid=dashboard[1])
            if not found:
                return self._page(404, "Not found", "There is no such dashboard.")
            return self._page(200, found[0]["title"], "A dashboard.")
        return self._page(200, "Home", "You are logged in.")

    def _log_in(self, body: bytes) -> None:
        wish = _object(body) or {}
        user = self._check(str(wish.get("user", "")), str(wish.get("password", "")))
        if user is None:
            return self._json(*api.WRONG_PASSWORD)
        settings = self.site.settings
        secure = "; Secure" if settings.flag("security", "cookie_secure") else ""
        same = settings.text("security", "cookie_samesite").capitalize()
        cookie = f"{COOKIE}={self.site.store.start_session(user)}; Path={settings.path or '/'}; HttpOnly{secure}"
        answer = {"message": "Logged in", "redirectUrl": f"{settings.path}/"}
        return self._json(200, answer, {"Set-Cookie": f"{cookie}; SameSite={same}"})

    def _user(self) -> int | None:
        """Who asks, by session or password; 0 for a wrong password, None for nobody."""
        kind, _, word = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                name, _, password = base64.b64decode(word, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return 0
            return self._check(name, password) or 0
        token = self._token()
        user = self.site.store.session_user(token) if token else None
        if user is None and self.site.settings.flag("auth.anonymous", "enabled"):
            return api.ANONYMOUS
        return user

    def _check(self, name: str, password: str) -> int | None:
        security = self.site.settings
        # Locking addresses instead of users came with 12.3.
        newer = tuple(int(part) for part in re.findall(r"\d+", self.site.version)[:2]) >= (12, 3)
        subject = name
        if security.flag("security", "disable_brute_force_login_protection"):
            subject = ""
        elif newer and security.flag("security", "disable_username_login_protection"):
            locks = not security.flag("security", "disable_ip_address_login_protection")
            subject = self._address() if locks else ""
        return self.site.store.log_in(name, password, subject)

    def _address(self) -> str:
        """Who asks, as Grafana has it: it believes X-Real-IP before X-Forwarded-For."""
        forwarded = self.headers.get("X-Forwarded-For", "").split(",")[0].strip()
        return self.headers.get("X-Real-IP") or forwarded or str(self.client_address[0])

    def _token(self) -> str:
        try:
            morsel = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        return morsel.value if morsel else ""

    def _page(self, status: int, title: str, text: str) -> None:
        content = pages.page(self.site.settings.path, self.site.version, title, text)
        self._answer(status, content, {"Content-Type": "text/html; charset=UTF-8"})

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(value, indent=2).encode()
        self._answer(status, content, {"Content-Type": "application/json; charset=UTF-8", **(headers or {})})

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not self.site.settings.flag("security", "allow_embedding"):
            self.send_header("X-Frame-Options", "deny")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        log.info(format, *args)


def _object(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a body, an empty one where there is no body; None for anything else."""
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
