"""What a collector counts about itself, in Prometheus' words; together with its siblings where they share a folder.

Labels are of this repository's own making, never a client's: the number of series is bounded, whoever calls.
"""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client import values as value_classes
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from app import __version__
from app.intake import Intake
from app.metrics_folder import MetricsFolder
from app.store import rollups
from app.store.database import Database, DatabaseUnavailable
from app.store.ping import Ping

log = logging.getLogger(__name__)

# From a batch of one on an idle machine to the time at which every request must have been answered, seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4)
# A request that met none of our routes. The path is the client's own, and there is no end of paths.
OTHER = "other"
EVENT_RESULTS = ("stored", "duplicate", "rejected")
TRANSCRIPT_RESULTS = ("stored", "unchanged", "rejected")
# How long a scrape waits for the database, seconds.
PING_SECONDS = 0.8


class Metrics:
    """The counters of this process. Counting never fails and never waits: it writes to memory."""

    def __init__(self, folder: str, database: Database, ping: Ping) -> None:
        """Counts in files in `folder`, together with every process that does; with "", or where that fails, alone."""
        self._database = database
        self._pool = database.pool
        self._ping = ping
        # The same numbers of events, for the database: whoever has no Prometheus sees them too.
        self.intake = Intake()
        self._registry = CollectorRegistry()
        self._folder = _open_folder(folder)
        _use(self._folder)
        self._requests = self._counter("telemetry_requests", "Requests answered.", "route", "status")
        self._bytes = self._counter("telemetry_request_bytes", "Bytes of request bodies, as they were sent.")
        self._seconds = Histogram(
            "telemetry_request_duration_seconds",
            "From the moment when a request was there as a whole to its answer, waiting for a thread included.",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._answered: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._events = self._counter("telemetry_events", "Events, by what became of them.", "result")
        self._transcripts = self._counter("telemetry_transcripts", "Transcripts, by what became of them.", "result")
        self._queue = self._gauge("telemetry_queue_depth", "Requests that wait for a thread.")
        self._connections = self._gauge("telemetry_connections", "Open client connections.")
        self._pool_gauges = {
            "pool_size": self._gauge("telemetry_database_pool_size", "Connections to the database."),
            "pool_available": self._gauge("telemetry_database_pool_available", "Those of them that nobody uses."),
            "requests_waiting": self._gauge("telemetry_database_pool_waiting", "Requests that wait for one of them."),
        }
        build = Gauge(
            "telemetry_build_info",
            "1 for each version that runs.",
            ["version"],
            multiprocess_mode="livemax",
            registry=self._registry,
        )
        build.labels(__version__).set(1)
        # A series that is there from the start shows its first event as a rise.
        self._event_results = [self._events.labels(result) for result in EVENT_RESULTS]
        for result in TRANSCRIPT_RESULTS:
            self._transcripts.labels(result)

    @property
    def shared(self) -> bool:
        """Whether the numbers of `expose` are those of all processes."""
        return self._folder is not None

    def answered(self, route: str, status: int, seconds: float, size: int) -> None:
        """Counts a request for `route`, a rule and never a path, whose body had `size` bytes."""
        series = self._answered.get((route, status))
        if series is None:
            # To look them up by their labels takes longer than to count.
            series = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._answered[route, status] = series
        series[0].inc()
        series[1].observe(seconds)
        self._bytes.inc(size)

    def events(self, *, stored: int, duplicate: int, rejected: int) -> None:
        """Counts what became of a batch's events."""
        self.intake.add(stored, duplicate, rejected)
        for series, number in zip(self._event_results, (stored, duplicate, rejected), strict=True):
            if number:
                series.inc(number)

    def transcript(self, result: str) -> None:
        """Counts what became of a transcript; `result` is one of TRANSCRIPT_RESULTS."""
        self._transcripts.labels(result).inc()

    def observe(self, *, queue: int, connections: int) -> None:
        """Notes what is so at this moment: requests that wait for a thread, open connections, the pool's state."""
        self._queue.set(queue)
        self._connections.set(connections)
        state = self._pool.get_stats()
        for name, gauge in self._pool_gauges.items():
            gauge.set(state.get(name, 0))

    def expose(self) -> bytes:
        """Everything in Prometheus' text format, with one look at the database; takes at most a second."""
        whole = CollectorRegistry()
        whole.register(self._folder or self._registry)
        whole.register(_DatabaseUp(self._ping))
        whole.register(_RollupLag(self._ping, self._database))
        return generate_latest(whole)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self._registry)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, multiprocess_mode="livesum", registry=self._registry)


class _DatabaseUp:
    """Asked by whichever process answers, for the database is the same for all."""

    def __init__(self, ping: Ping) -> None:
        self._ping = ping

    def collect(self) -> Iterator[Metric]:
        alive = self._ping.alive(PING_SECONDS)
        yield GaugeMetricFamily("telemetry_database_up", "1 while the database answers, else 0.", float(alive))


class _RollupLag:
    """As `_DatabaseUp`; not there while the database is away."""

    def __init__(self, ping: Ping, database: Database) -> None:
        self._ping = ping
        self._database = database

    def collect(self) -> Iterator[Metric]:
        if not self._ping.alive(PING_SECONDS):
            return
        try:
            found = self._database.run(rollups.freshness, time.monotonic() + PING_SECONDS)
        except DatabaseUnavailable:
            return
        yield GaugeMetricFamily(
            "telemetry_rollup_lag_seconds", "How long the oldest event waits to be counted.", found.lag_seconds
        )


def _open_folder(folder: str) -> MetricsFolder | None:
    try:
        return MetricsFolder(Path(folder)) if folder else None
    except OSError as error:
        log.warning("metrics: TELEMETRY_METRICS_DIR cannot be used (%s); this process counts for itself", error)
        return None


def _use(folder: MetricsFolder | None) -> None:
    """Tells prometheus_client where numbers live, for all metrics that are made after this."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    if folder is None:
        value_classes.ValueClass = value_classes.MutexValue
        return
    # The library has no other way to learn of the folder than the environment. This is the one place that writes it.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder.path)
    # Files are named after the place in the folder rather than after the process, so that the next process to take
    # the place goes on counting where the last one ended.
    value_classes.ValueClass = value_classes.MultiProcessValue(lambda: folder.place)  # type: ignore[no-untyped-call]
