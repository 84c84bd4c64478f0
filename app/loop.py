"""waitress' loop, with a fair share of the connections for each process, and an end that answers what was sent."""

import logging
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.server import BaseWSGIServer

from app.channel import Channel

log = logging.getLogger(__name__)

# Who has accepted a connection leaves the next to the others so long, seconds: the one that happens to run would take
# all that come together, and answer them alone while the others rest. So a process accepts a thousand a second at most.
MODESTY_SECONDS = 0.001
# While stopping: how long an idle connection stays, so that what the proxy has just sent on it is still answered.
LINGER_SECONDS = 0.5

# File descriptor -> server, connection or trigger.
Connections = dict[int, Any]


def run(servers: list[BaseWSGIServer], connections: Connections, stopping: Callable[[], bool]) -> None:
    """Serves until `stopping` says so."""
    accept_at, open_before = 0.0, len(connections)
    while not stopping():
        now = time.monotonic()
        if len(connections) > open_before:
            accept_at = now + MODESTY_SECONDS
        open_before = len(connections)
        if now < accept_at:
            # A copy, since a thread may close a connection meanwhile.
            others = {number: entry for number, entry in connections.copy().items() if entry not in servers}
            wasyncore.loop(timeout=MODESTY_SECONDS, use_poll=True, map=others, count=1)
        else:
            wasyncore.loop(timeout=1, use_poll=True, map=connections, count=1)


def drain(servers: list[BaseWSGIServer], connections: Connections, seconds: float) -> None:
    """Accepts nothing more, answers what was sent, at most `seconds` long. New clients wait in the shared socket."""
    for server in servers:
        server.accepting = False
        server.del_channel()
        if server.socket is not None:
            server.socket.close()
    began = time.monotonic()
    while True:
        channels = [entry for entry in connections.copy().values() if isinstance(entry, Channel)]
        elapsed = time.monotonic() - began
        if not channels or elapsed >= seconds:
            break
        for channel in channels:
            busy = channel.requests or channel.request is not None or channel.total_outbufs_len
            if not busy and elapsed >= LINGER_SECONDS:
                channel.will_close = True
        wasyncore.loop(timeout=0.05, use_poll=True, map=connections, count=1)
    if channels:
        log.warning("stopped with requests in hand", extra={"fields": {"connections": len(channels)}})
