"""What POST /api/v1/telemetry/batch does: a WSGI application of its own, in front of Flask, in two steps.

Nearly every request is this one, and what Flask does for each costs as much as storing an event. Called, it checks who
sends and what; what it gives stores when it is iterated, and answers. So the server can call it for all requests that
wait, have `commit` store them together, and then iterate: one statement and one commit for all. Any other WSGI server
may iterate at once, and each is stored alone.
"""

import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from app import answers, logs
from app.body import MIB, read_body
from app.context import Collector
from app.deadline import deadline
from app.errors import ApiError, BadRequest, Forbidden
from app.routes.access import find_key, require
from app.schemas.batch import Batch, Rejected, load_batch
from app.store.database import DatabaseUnavailable
from app.store.events import Delivery, Stored
from app.store.quarantine import Quarantined

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from app.store.keys import StoredKey

PATH = "/api/v1/telemetry/batch"
BODY_LIMIT = 8 * MIB
_ENCODER = json.JSONEncoder(separators=(",", ":"))


class Ingestion:
    """One request on its way. Iterated, it stores unless `commit` did, and answers."""

    def __init__(self, here: Collector, environ: "WSGIEnvironment", start_response: "StartResponse") -> None:
        self.here = here
        self.until = deadline()
        # The body's bytes, and what is to be stored of it.
        self.size = 0
        self.delivery: Delivery | None = None
        self._stored: Stored | None = None
        self._failure: Exception | None = None
        self._environ = environ
        self._start_response = start_response
        self._request_id = answers.request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        self._key: StoredKey | None = None
        try:
            self._batch = self._receive()
        except Exception as error:  # noqa: BLE001  # whatever it is, the client gets an answer
            self.fail(error)
        else:
            kept = [self._quarantined(item.raw, item.errors) for item in self._batch.rejected if not item.foreign]
            if self._batch.events or kept:
                self.delivery = Delivery(self._batch.events, kept)

    @property
    def waits(self) -> bool:
        """Whether there is something to store still."""
        return self.delivery is not None and self._stored is None and self._failure is None

    def succeed(self, stored: Stored) -> list[Quarantined]:
        """Takes note of what became of the delivery; gives what PostgreSQL refused, for quarantine."""
        self._stored = stored
        refused = []
        for position, reason in stored.refused.items():
            place, errors = self._batch.places[position], {"_schema": [reason]}
            self._batch.rejected.append(Rejected(place, errors, b""))
            refused.append(self._quarantined(self._batch.raw(place), errors))
        return refused

    def fail(self, error: Exception) -> None:
        """Takes note of why there is no receipt."""
        if isinstance(error, ApiError | DatabaseUnavailable):
            # The frames hold this object, and the body with it; only a bug's are of use.
            error.__traceback__ = None
        self._failure = error

    def __iter__(self) -> Iterator[bytes]:
        if self.waits:
            commit((self,))
        status, headers, answer, fields = self._outcome()
        body = _ENCODER.encode(answer).encode("ascii")
        logs.answered(
            self.here.metrics,
            self._environ,
            route=PATH,
            status=status,
            request_id=self._request_id,
            key=self._key,
            fields=fields,
        )
        lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), "X-Request-Id": self._request_id}
        self._start_response(answers.STATUS_LINES[status], [*lines.items(), *headers.items()])
        yield body

    def _outcome(self) -> tuple[int, dict[str, str], Any, dict[str, Any]]:
        """Status, headers, the answer's JSON, and what the log is told."""
        failure, fields = self._failure, {}
        # It may hold this object.
        self._failure = None
        if failure is None:
            receipt = self._receipt()
            fields = {"host": _hosts(self._batch), **receipt, "rejected": len(receipt["rejected"])}
            if receipt["accepted"]:
                return 200, {}, receipt, fields
            failure = self._all_rejected(receipt)
        refusal = answers.as_refusal(failure, self._request_id)
        if refusal is not failure:
            fields["reason"] = str(failure)
        return refusal.status, refusal.headers(), refusal.body(), fields

    def _receive(self) -> Batch:
        self._key = find_key(self.here.keys, self._environ.get("HTTP_X_API_KEY", ""))
        require(self._key, "ingest")
        body = read_body(self._environ, BODY_LIMIT)
        self.size = len(body)
        return load_batch(body, self._key.host_id, self.here.settings.max_batch_events)

    def _quarantined(self, raw: bytes, errors: dict[str, Any]) -> Quarantined:
        assert self._key is not None
        return Quarantined(raw, self._key.host_id, errors)

    def _receipt(self) -> dict[str, Any]:
        stored = self._stored or Stored()
        rejected = sorted(self._batch.rejected, key=lambda item: item.index)
        self.here.metrics.events(
            stored=stored.accepted - stored.duplicates, duplicate=stored.duplicates, rejected=len(rejected)
        )
        return {
            "accepted": stored.accepted,
            "duplicates": stored.duplicates,
            "rejected": [{"index": item.index, "errors": item.errors} for item in rejected],
        }

    def _all_rejected(self, receipt: dict[str, Any]) -> ApiError:
        if all(item.foreign for item in self._batch.rejected):
            return Forbidden("This key may not write for the host of any event.", receipt)
        return BadRequest("Every event was rejected.", receipt)


def commit(group: Sequence[Ingestion]) -> None:
    """Stores what each of the group brings, in one commit; never raises."""
    now = time.monotonic()
    waiting = []
    for one in group:
        if one.waits and one.until <= now:
            # It must not cost the others their time.
            one.fail(DatabaseUnavailable("too late before the work began"))
        elif one.waits:
            waiting.append(one)
    if not waiting:
        return
    here, until = waiting[0].here, min(one.until for one in waiting)
    deliveries = [one.delivery for one in waiting if one.delivery]
    try:
        found = here.database.run(lambda connection: here.events.store(connection, deliveries), until)
        refused = [item for one, stored in zip(waiting, found, strict=True) for item in one.succeed(stored)]
        if refused:
            here.database.run(lambda connection: here.events.store(connection, [Delivery((), refused)]), until)
    except Exception as error:  # noqa: BLE001  # a bug has its answer too
        for one in waiting:
            one.fail(error)


def in_front_of(inner: "WSGIApplication", here: Collector) -> "WSGIApplication":
    """`inner`, but for this one request."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Any:
        if environ["PATH_INFO"] == PATH and environ["REQUEST_METHOD"] == "POST":
            return Ingestion(here, environ, start_response)
        return inner(environ, start_response)

    return application


def _hosts(batch: Batch) -> str | None:
    """The batch's hosts for the log, a few of them where a key writes for all."""
    hosts = sorted({series.words[0] or "" for series in {event.series for event in batch.events}})
    return ",".join(hosts[:3]) + (",..." if len(hosts) > 3 else "") or None
