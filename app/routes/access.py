"""Which key a view asks for."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from flask import g, request

from app.auth import KeyRing
from app.context import collector
from app.errors import Forbidden, Unauthorized
from app.store.keys import StoredKey

P = ParamSpec("P")
R = TypeVar("R")


def requires(scope: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A view that only a key of `scope` may call; the key is `g.key` then."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            # For the log even where it is refused: who was refused matters as much as who was let in.
            g.key = find_key(collector().keys, request.headers.get("X-API-Key", ""))
            require(g.key, scope)
            return view(*args, **kwargs)

        return checked

    return decorate


def find_key(ring: KeyRing, sent: str) -> StoredKey:
    """The key that was sent; raises Unauthorized without one, Forbidden where it is unknown."""
    if not sent:
        raise Unauthorized("Send your API key in the header X-API-Key.")
    key = ring.find(sent)
    if key is None:
        raise Forbidden("The API key is unknown.")
    return key


def require(key: StoredKey, scope: str) -> None:
    """Raises Forbidden unless the key is active and of that scope."""
    state = key.state(datetime.now(UTC))
    if state != "active":
        raise Forbidden(f"The API key is {state}.")
    if key.scope != scope:
        raise Forbidden(f"The API key has the scope {key.scope}; this needs {scope}.")
