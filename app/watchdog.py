"""What systemd hears of this process (sd_notify(3)): that it is ready, that it stops, and while it works that it lives.

A request to oneself would prove nothing: processes share a socket, and a sibling might answer. So what is looked at is
this process's own, its main loop and its worker threads: each is given something to do, and only when all have done it
does systemd hear from us. The database is not asked, for a restart of the collector would not bring it back.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

# Takes something to do, and has it done soon by whatever it stands for.
Give = Callable[[Callable[[], None]], None]

# So often within the time that systemd grants.
LOOKS = 4


def notify(address: str, state: str) -> None:
    """Tells systemd a state such as READY=1. An empty `address` means that nobody asked.

    Nobody there to hear it is no reason to stop serving, or to stop less orderly.
    """
    if not address:
        return
    # A name that begins with @ is in the abstract namespace.
    address = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError as error:
            log.warning("NOTIFY_SOCKET: %s could not be told (%s)", state, error.strerror)


class Watchdog:
    """Says WATCHDOG=1 several times within `seconds`, as long as all of `parts` do what they are given."""

    def __init__(self, address: str, seconds: float, parts: Sequence[Give]) -> None:
        self._address = address
        self._pause = seconds / LOOKS
        self._parts = parts

    def start(self) -> None:
        """Begins, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.look()
            notify(self._address, "WATCHDOG=1")
            time.sleep(self._pause)

    def look(self) -> None:
        """Returns when every part has done something; never where one hangs, and systemd ends the process then."""
        for give in self._parts:
            done = threading.Event()
            give(done.set)
            done.wait()
