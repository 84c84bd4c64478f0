"""The collector's process: waitress with limits that suit it, sockets from systemd or its own, a clean stop."""

import logging
import signal
import socket
import sys
from types import FrameType
from typing import Any

from waitress.server import BaseWSGIServer, create_server

from app import create_app, loop
from app.body import MIB
from app.channel import Channel, Dispatcher
from app.config import ConfigError, Settings
from app.memory import return_large_blocks
from app.metrics_port import MetricsPort
from app.rollup_worker import RollupWorker
from app.store.site import Site
from app.watchdog import Watchdog, notify

log = logging.getLogger(__name__)

FIRST_LISTEN_FD = 3
# Above every route's own limit: a body is read whole and refused in JSON, rather than cut off while it is sent.
BODY_LIMIT = 64 * MIB
RECEIVED_BYTES = 128 * 1024
# So long a thread keeps Python's lock while another wants it: Python's default is longer than a batch takes.
SWITCH_SECONDS = 0.001


def serve(settings: Settings) -> None:
    """Runs the collector until SIGTERM or SIGINT. Raises ConfigError where it cannot listen."""
    sockets = _sockets(settings)
    return_large_blocks()
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(settings)
    here = app.extensions["collector"]
    here.database.open()
    site = Site(settings.time_zone, settings.silent_after_minutes, settings.public_hosts, settings.public_costs)
    rollups = RollupWorker(settings.database_url, site, here.metrics.intake)
    rollups.start()
    dispatcher = Dispatcher(settings.threads, here.metrics)
    connections: dict[int, Any] = {}
    create_server(
        app,
        map=connections,
        _dispatcher=dispatcher,
        sockets=sockets,
        ident=None,
        connection_limit=settings.connections,
        # A batch of a hundred events in one piece, or a few.
        recv_bytes=RECEIVED_BYTES,
        # select() ends at descriptor 1023.
        asyncore_use_poll=True,
        max_request_body_size=BODY_LIMIT,
        max_request_header_size=64 * 1024,
        backlog=1024,
        trusted_proxy=settings.trusted_proxy or None,
        trusted_proxy_count=1,
        trusted_proxy_headers={"x-forwarded-for"},
        clear_untrusted_proxy_headers=True,
    )
    servers = [entry for entry in connections.values() if isinstance(entry, BaseWSGIServer)]
    for server in servers:
        server.channel_class = Channel
        server.pull_trigger = dispatcher.waking.later(server.pull_trigger)  # type: ignore[method-assign]

    def observe() -> None:
        connected = sum(len(server.active_channels) for server in servers)  # type: ignore[arg-type, misc]  # a dict
        here.metrics.observe(queue=dispatcher.waiting, connections=connected)

    if settings.metrics_port:
        MetricsPort(settings.metrics_port, here.metrics, observe).start()

    def stop(number: int, frame: FrameType | None) -> None:
        dispatcher.stopping = True
        servers[0].pull_trigger()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    notify(settings.notify_socket, "READY=1")
    if settings.watchdog_seconds:
        # What waits for the loop goes through the trigger, as every answer does.
        through_loop = servers[0].trigger.pull_trigger  # type: ignore[attr-defined]  # no int, as its types say
        parts = (through_loop, dispatcher.do, dispatcher.do_between_batches, dispatcher.do_between_health_checks)
        Watchdog(settings.notify_socket, settings.watchdog_seconds, parts).start()
    log.info("listening", extra={"fields": {"addresses": [_address(sock) for sock in sockets]}})
    loop.run(servers, connections, lambda: dispatcher.stopping)
    notify(settings.notify_socket, "STOPPING=1")
    loop.drain(servers, connections, settings.shutdown_seconds)
    here.looker.close()
    rollups.stop()
    here.database.close()
    log.info("stopped")


def _sockets(settings: Settings) -> list[socket.socket]:
    """The sockets that systemd hands over (sd_listen_fds(3)), else one of our own."""
    if settings.listen_fds:
        descriptors = range(FIRST_LISTEN_FD, FIRST_LISTEN_FD + settings.listen_fds)
        return [socket.socket(fileno=descriptor) for descriptor in descriptors]
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        own = socket.socket(family, kind, protocol)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(address)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}); set HOST and PORT to a free address."
        ) from error
    return [own]


def _address(sock: socket.socket) -> str:
    name = sock.getsockname()
    return name if isinstance(name, str) else f"{name[0]}:{name[1]}"
