"""The files for alerts that the stand-in for Grafana takes: rules, contact points, the routing tree."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

# Only what this project may use; another type is refused.
RECEIVERS = {"webhook": ("url",), "email": ("addresses",)}


class AlertingError(Exception):
    """Grafana would not start with these files; the message says why."""


def check(files: Iterable[Mapping[str, Any]], datasources: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """The rules, contact points and policies of all files. Raises AlertingError where they do not fit together."""
    rules: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    policies: list[dict[str, Any]] = []
    for content in files:
        if content.get("apiVersion") != 1:
            raise AlertingError("apiVersion 1 is missing")
        for group in content.get("groups") or []:
            _need(group, "a rule group", "name", "folder", "interval", "rules")
            rules += [{**rule, "ruleGroup": group["name"], "folder": group["folder"]} for rule in group["rules"]]
        points += content.get("contactPoints") or []
        policies += content.get("policies") or []
    _check_rules(rules, datasources)
    names = _check_points(points)
    if len(policies) > 1:
        raise AlertingError("an organisation has one tree of policies only")
    for policy in policies:
        _check_policy(policy, {*names, "grafana-default-email"})
    return {"rules": rules, "contact-points": points, "policies": policies}


def _check_rules(rules: Iterable[dict[str, Any]], datasources: Collection[str]) -> None:
    seen: set[str] = set()
    for rule in rules:
        _need(rule, "a rule", "uid", "title", "condition", "data")
        if rule["uid"] in seen:
            raise AlertingError(f"there are two rules {rule['uid']}")
        seen.add(rule["uid"])
        if rule["condition"] not in [query.get("refId") for query in rule["data"]]:
            raise AlertingError(f"rule {rule['uid']}: condition {rule['condition']} does not exist")
        for query in rule["data"]:
            _need(query, f"a query of rule {rule['uid']}", "refId", "datasourceUid", "model")
            if query["datasourceUid"] not in datasources:
                raise AlertingError(f"rule {rule['uid']}: data source not found: {query['datasourceUid']}")


def _check_points(points: Iterable[dict[str, Any]]) -> set[str]:
    names = set()
    for point in points:
        _need(point, "a contact point", "name", "receivers")
        names.add(str(point["name"]))
        for receiver in point["receivers"]:
            _need(receiver, f"a receiver of {point['name']}", "uid", "type", "settings")
            if receiver["type"] not in RECEIVERS:
                raise AlertingError(f"contact point {point['name']}: invalid type {receiver['type']}")
            _need(receiver["settings"], f"the settings of {point['name']}", *RECEIVERS[receiver["type"]])
    return names


def _check_policy(policy: Mapping[str, Any], names: Collection[str]) -> None:
    if "receiver" in policy and policy["receiver"] not in names:
        raise AlertingError(f"receiver '{policy['receiver']}' does not exist")
    for route in policy.get("routes") or []:
        _check_policy(route, names)


def _need(content: Mapping[str, Any], what: str, *names: str) -> None:
    for name in names:
        if not content.get(name):
            raise AlertingError(f"{what} has no {name}")
