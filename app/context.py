"""What the views work with: made once by create_app, found through Flask's current application."""

from dataclasses import dataclass

from flask import current_app

from app.auth import KeyRing
from app.config import Settings
from app.glance.cache import Overviews, Pages
from app.metrics import Metrics
from app.store.database import Database
from app.store.events import EventStore
from app.store.looking import Looker
from app.store.ping import Ping


@dataclass(frozen=True, slots=True)
class Collector:
    """The settings and the services of one process."""

    settings: Settings
    database: Database
    keys: KeyRing
    events: EventStore
    ping: Ping
    metrics: Metrics
    looker: Looker
    overviews: Overviews
    pages: Pages


def collector() -> Collector:
    """The running collector."""
    found = current_app.extensions["collector"]
    assert isinstance(found, Collector)
    return found
