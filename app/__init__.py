"""The collector of Agent Framework Telemetry: takes events and transcripts in, stores each exactly once."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Settings

__version__ = "0.1.0"


def create_app(settings: "Settings") -> "Flask":
    """Wires the collector together; the database is not touched before `Database.open`."""
    from flask import Flask

    from app import answers, logs
    from app.auth import KeyRing
    from app.context import Collector
    from app.glance.cache import Overviews, Pages
    from app.metrics import Metrics
    from app.routes import glance, health, ingest, openapi, summary, telemetry, transcripts
    from app.store.database import Database
    from app.store.events import EventStore
    from app.store.looking import Looker
    from app.store.ping import Ping

    app = Flask(__name__, static_folder=None)
    database = Database(settings.database_url, settings.pool_size)
    events = EventStore()
    database.on_connect.append(events.forget)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's own provider has it
    ping = Ping(settings.database_url)
    metrics = Metrics(settings.metrics_dir if settings.metrics_port else "", database, ping)
    looker = Looker(settings.database_url)
    overviews = Overviews(looker.look)
    here = app.extensions["collector"] = Collector(
        settings, database, KeyRing(database), events, ping, metrics, looker, overviews, Pages(overviews)
    )
    # Flask runs these in reverse: the line is written last, when the answer is complete.
    app.after_request(logs.log_request)
    answers.install(app)
    for module in (telemetry, transcripts, health, summary, openapi, *((glance,) if settings.glance else ())):
        app.register_blueprint(module.blueprint)
    app.wsgi_app = ingest.in_front_of(app.wsgi_app, here)  # type: ignore[assignment, method-assign]  # Flask's own way
    return app
