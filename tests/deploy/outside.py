"""A site as the rest of the world sees it: over HTTPS by its name, and by its open ports."""

import asyncio
import http.client
import resource
import socket
import ssl
from collections.abc import Iterable
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

    def _connection(self) -> http.client.HTTPConnection:
        return _Connection(self.name, self.machine.address, self._context, self._timeout)


def open_ports(address: str, ports: Iterable[int] = range(1, 65536)) -> list[int]:
    """Those TCP ports of a test host that take a connection from this machine."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, 2 * PORTS_AT_ONCE)), most))
    return asyncio.run(_open_ports(address, ports))


async def _open_ports(address: str, ports: Iterable[int]) -> list[int]:
    slots = asyncio.Semaphore(PORTS_AT_ONCE)

    async def is_open(port: int) -> bool:
        async with slots:
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), PORT_SECONDS)
            except OSError:
                return False
            writer.close()
            return True

    wanted = list(ports)
    found = await asyncio.gather(*(is_open(port) for port in wanted))
    return [port for port, is_one in zip(wanted, found, strict=True) if is_one]
