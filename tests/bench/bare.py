"""What Flask and waitress cost by themselves: a view that reads the body and answers, on the socket handed over."""

import logging
import socket

from flask import Flask, request
from waitress.server import create_server

from app.body import MIB
from app.server import FIRST_LISTEN_FD


def create_app() -> Flask:
    """An application without a database, without a key, without a look at what was sent."""
    app = Flask(__name__, static_folder=None)

    @app.post("/")
    def take() -> dict[str, int]:
        return {"received": len(request.get_data())}

    return app


def main() -> None:
    """Serves until it is ended."""
    # It warns of each request that has to wait for a thread, which all of a load's do.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    # Never tuned: what makes the collector read faster counts for it.
    create_server(
        create_app(),
        sockets=[socket.socket(fileno=FIRST_LISTEN_FD)],
        threads=8,
        connection_limit=1000,
        asyncore_use_poll=True,
        max_request_body_size=64 * MIB,
        ident=None,
    ).run()


if __name__ == "__main__":
    main()
