"""The calls of Grafana's HTTP API that the stand-in answers, with Grafana's answers and codes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.deploy.standin import postgres, sharing
from tests.deploy.standin.settings import Settings
from tests.deploy.standin.sharing import Answer
from tests.deploy.standin.store import Store

# In place of a user's id.
ANONYMOUS = -1
WRONG = 0


def _error(status: int, name: str, message: str) -> Answer:
    return status, {"message": message, "messageId": name, "statusCode": status, "traceID": ""}


UNAUTHORIZED = _error(401, "auth.unauthorized", "Unauthorized")
WRONG_PASSWORD = _error(401, "password-auth.failed", "Invalid username or password")
NOT_FOUND: Answer = (404, {"message": "Not found"})
SECRETS = ("secureJsonData", "password", "basicAuthPassword")


@dataclass(frozen=True)
class Site:
    """What all requests share; `reload` reads the provisioning files again."""

    settings: Settings
    store: Store
    version: str
    reload: Callable[[], None]


def call(site: Site, method: str, path: str, wish: dict[str, Any], user: int | None) -> Answer:
    """Status and JSON of a call, by a user's id, ANONYMOUS, None for nobody, WRONG for a wrong password."""
    store = site.store
    if path == "/api/health":
        return 200, {"database": "ok", "version": site.version, "commit": "stand-in"}
    shared = re.fullmatch(r"/api/public/dashboards/([^/]+)", path)
    if shared and method == "GET":
        return sharing.view(store, shared[1])
    if user == WRONG:
        return WRONG_PASSWORD
    if user is None:
        return UNAUTHORIZED
    if method in ("GET", "HEAD"):
        return _read(store, path, user)
    if user == ANONYMOUS:
        return _error(403, "accesscontrol.forbidden", "You'll need additional permissions to perform this action.")
    return _write(site, method, path, wish)


def _read(store: Store, path: str, user: int) -> Answer:
    if path == "/api/org":
        return 200, {**store.organisations()[0], "address": {}}
    if path == "/api/orgs":
        return (200, store.organisations()) if user != ANONYMOUS else UNAUTHORIZED
    if path == "/api/user":
        return 200, {"id": user, "login": "admin", "orgId": 1, "isGrafanaAdmin": user == 1}
    if path == "/api/datasources":
        return 200, [_without_secrets(row) for row in store.documents("data_source")]
    if path == "/api/search":
        rows = store.documents("dashboard")
        return 200, [{"uid": row["uid"], "title": row["title"], "type": "dash-db"} for row in rows]
    if path == "/api/dashboards/public-dashboards":
        rows = [row["data"] for row in store.documents("dashboard_public")]
        return 200, {"publicDashboards": rows, "totalCount": len(rows), "page": 1, "perPage": 1000}
    found = re.fullmatch(r"/api/v1/provisioning/(alert-rules|contact-points|policies)", path)
    if found:
        rows = store.documents("alerting", kind=found[1].replace("alert-rules", "rules"))
        return 200, rows[0]["data"] if rows else []
    found = re.fullmatch(r"/api/dashboards/uid/([^/]+)/public-dashboards", path)
    if found:
        return sharing.read(store, found[1])
    return _read_one(store, path)


def _read_one(store: Store, path: str) -> Answer:
    found = re.fullmatch(r"/api/dashboards/uid/([^/]+)", path)
    if found:
        rows = store.documents("dashboard", uid=found[1])
        if not rows:
            return 404, {"message": "Dashboard not found"}
        meta = {"provisioned": True, "canSave": False, "folderTitle": rows[0]["folder"]}
        return 200, {"meta": meta, "dashboard": rows[0]["data"]}
    found = re.fullmatch(r"/api/datasources/uid/([^/]+)(/health)?", path)
    if found:
        rows = store.documents("data_source", uid=found[1])
        if not rows:
            return 404, {"message": "Data source not found"}
        return _health(rows[0]["data"]) if found[2] else (200, _without_secrets(rows[0]))
    return NOT_FOUND


def _write(site: Site, method: str, path: str, wish: dict[str, Any]) -> Answer:
    store = site.store
    found = re.fullmatch(r"/api/dashboards/uid/([^/]+)/public-dashboards(?:/([^/]+))?", path)
    if found and method == "POST" and found[2] is None:
        return sharing.create(store, found[1], wish)
    if found and method == "PATCH" and found[2]:
        return sharing.change(store, found[1], found[2], wish)
    if found and method == "DELETE" and found[2]:
        return sharing.delete(store, found[1], found[2])
    if re.fullmatch(r"/api/admin/provisioning/(dashboards|datasources|alerting)/reload", path) and method == "POST":
        site.reload()
        return 200, {"message": "Config reloaded"}
    return NOT_FOUND


def _without_secrets(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row["data"].items() if name not in SECRETS}
    return {"uid": row["uid"], "readOnly": True, "orgId": 1, **shown}


def _health(source: dict[str, Any]) -> Answer:
    try:
        postgres.check(source)
    except postgres.PostgresError as error:
        return 400, {"status": "ERROR", "message": str(error)}
    return 200, {"status": "OK", "message": "Database Connection OK"}
