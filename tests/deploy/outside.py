"""A site as the rest of the world sees it: over HTTPS by its name, and by its open ports."""

import http.client
import resource
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.deploy.record import Machine
from tests.fixtures.client import Client

# The authority that Caddy is itself, with `caddy_tls: internal`.
INTERNAL_CA = Path("var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt")

# A firewall that drops costs each closed port all of that time, so there are many at once.
PORT_SECONDS = 1.0
PORTS_AT_ONCE = 4000


class _Connection(http.client.HTTPSConnection):
    """Goes to an address, and believes only a certificate of that name."""

    def __init__(self, name: str, address: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(name, timeout=timeout, context=context)
        self._address = address
        self._context = context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, 443), timeout=self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class Site(Client):
    """Sends requests to https://NAME on a test host, a connection each; a chain to another CA is an error."""

    def __init__(self, machine: Machine, name: str, ca: str | None = None, timeout: float = 10.0) -> None:
        super().__init__(f"https://{name}", timeout)
        self.machine = machine
        self.name = name
        self.ca = ca or (machine.root / INTERNAL_CA).read_text()
        self._context = ssl.create_default_context(cadata=self.ca)

    def _connection(self) -> _Connection:
        return _Connection(self.name, self.machine.address, self._context, self._timeout)

    def certificate(self) -> bytes:
        """The certificate that it shows, as DER."""
        connection = self._connection()
        connection.connect()
        with connection.sock as encrypted:
            assert isinstance(encrypted, ssl.SSLSocket)
            return encrypted.getpeercert(binary_form=True) or b""

    def log_in(self, password: str) -> dict[str, str]:
        """The headers of a session of Grafana's admin."""
        answer = self.post("/grafana/login", {"user": "admin", "password": password})
        assert answer.status == 200
        cookie, *attributes = answer.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "Secure"} <= set(attributes)
        return {"Cookie": cookie}


def open_ports(address: str, ports: Sequence[int] = range(1, 65536)) -> list[int]:
    """Those TCP ports of a test host that take a connection from this machine."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, 2 * PORTS_AT_ONCE)), most))
    batches = (ports[start : start + PORTS_AT_ONCE] for start in range(0, len(ports), PORTS_AT_ONCE))
    return [port for batch in batches for port in _open_ports(address, batch)]


def _open_ports(address: str, ports: Sequence[int]) -> list[int]:
    with ExitStack() as stack:
        knocks = {port: stack.enter_context(socket.socket()) for port in ports}
        for port, knock in knocks.items():
            knock.setblocking(False)
            knock.connect_ex((address, port))
        # The kernel does the rest, however busy this machine is; only the last one has no more time than this.
        time.sleep(PORT_SECONDS)
        return [port for port, knock in knocks.items() if _connected(knock)]


def _connected(knock: socket.socket) -> bool:
    try:
        knock.getpeername()
    except OSError:
        return False
    return True
