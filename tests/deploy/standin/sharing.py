"""Sharing one dashboard with everybody, as Grafana's own calls for it answer (tried on a real 12.3.3)."""

import copy
import re
import secrets
from typing import Any

from tests.deploy.standin.store import Store

FLAGS = ("isEnabled", "timeSelectionEnabled", "annotationsEnabled", "share")

Answer = tuple[int, Any]


def refusal(status: int, name: str, message: str) -> Answer:
    """An error in the shape that these calls have it."""
    return status, {"message": message, "messageId": f"publicdashboards.{name}", "statusCode": status, "traceID": ""}


NOT_FOUND = refusal(404, "notFound", "Public dashboard not found")


def read(store: Store, dashboard: str) -> Answer:
    """GET: how that dashboard is shared."""
    rows = store.documents("dashboard_public", dashboard_uid=dashboard)
    return (200, rows[0]["data"]) if rows else NOT_FOUND


def create(store: Store, dashboard: str, wish: dict[str, Any]) -> Answer:
    """POST: shares it; the second time it is refused."""
    if not store.documents("dashboard", uid=dashboard):
        return refusal(404, "dashboardNotFound", "Dashboard not found")
    if store.documents("dashboard_public", dashboard_uid=dashboard):
        return refusal(400, "dashboardIsPublic", "Dashboard is already public")
    uid = str(wish.get("uid") or secrets.token_hex(7))
    token = str(wish.get("accessToken") or secrets.token_hex(16))
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid):
        return refusal(400, "invalidUid", "Invalid Uid")
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        return refusal(400, "invalidAccessToken", "Invalid access token")
    if store.documents("dashboard_public", uid=uid) or store.documents("dashboard_public", access_token=token):
        return refusal(400, "badRequest", "Uid or access token is taken")
    shared = {
        "uid": uid,
        "dashboardUid": dashboard,
        "accessToken": token,
        "isEnabled": False,
        "timeSelectionEnabled": False,
        "annotationsEnabled": False,
        "share": "public",
        **{name: wish[name] for name in FLAGS if name in wish},
    }
    store.put("dashboard_public", uid=uid, dashboard_uid=dashboard, access_token=token, data=shared)
    return 200, shared


def change(store: Store, dashboard: str, uid: str, wish: dict[str, Any]) -> Answer:
    """PATCH: changes the flags, never the token."""
    rows = store.documents("dashboard_public", dashboard_uid=dashboard, uid=uid)
    if not rows:
        return NOT_FOUND
    row = rows[0]
    row["data"] |= {name: wish[name] for name in FLAGS if wish.get(name) is not None}
    store.put("dashboard_public", **row)
    return 200, row["data"]


def delete(store: Store, dashboard: str, uid: str) -> Answer:
    """DELETE: shares it no more."""
    if not store.documents("dashboard_public", dashboard_uid=dashboard, uid=uid):
        return NOT_FOUND
    store.delete("dashboard_public", uid)
    return 200, {}


def view(store: Store, token: str) -> Answer:
    """What a visitor with the token gets of the dashboard: all but its queries."""
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        return refusal(400, "invalidAccessToken", "Invalid access token")
    rows = store.documents("dashboard_public", access_token=token)
    if not rows:
        return NOT_FOUND
    shared = rows[0]["data"]
    if not shared["isEnabled"]:
        return refusal(403, "notEnabled", "Public dashboard paused")
    dashboards = store.documents("dashboard", uid=shared["dashboardUid"])
    if not dashboards:
        return refusal(404, "dashboardNotFound", "Dashboard not found")
    dashboard = copy.deepcopy(dashboards[0]["data"])
    for panel in dashboard.get("panels", []):
        for target in panel.get("targets", []):
            target.pop("rawSql", None)
    meta = {"publicDashboardEnabled": True, "canEdit": False, "canSave": False}
    return 200, {"meta": meta, "dashboard": dashboard}
