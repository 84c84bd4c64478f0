"""What the stand-in for Grafana takes from the provisioning folder, and what it refuses, as Grafana does at its start.

It is stricter than Grafana where that helps a test: a dashboard of an unknown datasource, which Grafana would show full
of errors, is not taken. Everything that was not taken is in the log at the level `error` or `warn`.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.standin import alerting
from tests.deploy.standin.settings import SettingsError, expand_provisioned
from tests.deploy.standin.store import Store

BUILT_IN = ("-- Grafana --", "-- Mixed --", "-- Dashboard --", "grafana", "__expr__", "-100")

log = logging.getLogger("provisioning")


class ProvisioningError(Exception):
    """Grafana would not start with these files; the message says why."""


def provision(folder: Path, store: Store) -> None:
    """Takes in all files of the folder. Raises ProvisioningError where Grafana would stop its start."""
    organisations = {organisation["id"] for organisation in store.organisations()}
    for name, content in files(folder):
        for each in _with_organisation(content):
            if each["orgId"] not in organisations:
                raise ProvisioningError(f"{name}: organization not found: {each['orgId']}")
    provision_datasources(folder, store)
    provision_dashboards(folder, store)
    known = {*BUILT_IN, *(source["uid"] for source in store.documents("data_source"))}
    try:
        found = alerting.check([content for _, content in files(folder / "alerting")], known)
    except alerting.AlertingError as error:
        raise ProvisioningError(f"alerting: {error}") from error
    for kind, data in found.items():
        store.put("alerting", kind=kind, data=data)


def files(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every provisioning file below a folder, read and expanded. Raises ProvisioningError when one is no YAML."""
    for path in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.yml"))):
        try:
            content = expand_provisioned(yaml.safe_load(path.read_text("utf-8")))
        except (OSError, yaml.YAMLError, SettingsError) as error:
            raise ProvisioningError(f"{path}: {error}") from error
        if content is not None and not isinstance(content, dict):
            raise ProvisioningError(f"{path}: it is no mapping")
        yield str(path), content or {}


def _with_organisation(content: object) -> Iterator[dict[str, Any]]:
    if isinstance(content, dict):
        if isinstance(content.get("orgId"), int):
            yield content
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            yield from _with_organisation(each)


def provision_datasources(folder: Path, store: Store) -> None:
    """Takes the datasources in; with `prune` those that no file has any more go. Raises ProvisioningError."""
    found = list(files(folder / "datasources"))
    wanted = _datasources_wanted(found)
    prune = any(content.get("prune") is True for _, content in found)
    deleted = {each.get("name") for _, content in found for each in content.get("deleteDatasources") or []}
    for row in store.documents("data_source"):
        if (prune and row["uid"] not in wanted) or row["data"]["name"] in deleted:
            store.delete("data_source", row["uid"])
    for uid, source in wanted.items():
        store.put("data_source", uid=uid, provisioned=1, data=source)


def _datasources_wanted(found: list[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The datasources of all files by uid."""
    wanted: dict[str, dict[str, Any]] = {}
    for name, content in found:
        if content.get("apiVersion") != 1:
            raise ProvisioningError(f"{name}: apiVersion 1 is missing")
        for source in content.get("datasources") or []:
            if not source.get("name") or not source.get("type"):
                raise ProvisioningError(f"{name}: a datasource needs a name and a type")
            uid = str(source.get("uid") or source["name"])
            if uid in wanted or source["name"] in [each["name"] for each in wanted.values()]:
                raise ProvisioningError(f"{name}: there are two datasources {source['name']} ({uid})")
            wanted[uid] = source
    if sum(source.get("isDefault") is True for source in wanted.values()) > 1:
        raise ProvisioningError("Only one datasource per organization can be marked as default")
    return wanted


def providers(folder: Path) -> list[dict[str, Any]]:
    """The folders of dashboards that the files name. Raises ProvisioningError."""
    found: dict[str, dict[str, Any]] = {}
    for name, content in files(folder / "dashboards"):
        if content.get("apiVersion") != 1:
            raise ProvisioningError(f"{name}: apiVersion 1 is missing")
        for provider in content.get("providers") or []:
            if provider.get("type", "file") != "file":
                raise ProvisioningError(f"{name}: there is no provider of the type {provider['type']}")
            if not isinstance((provider.get("options") or {}).get("path"), str):
                raise ProvisioningError(f"{name}: failed to load dashboards, path param is not a string")
            if provider.get("name") in found:
                raise ProvisioningError(f"{name}: dashboard name '{provider.get('name')}' is not unique")
            found[str(provider.get("name"))] = provider
    return list(found.values())


def provision_dashboards(folder: Path, store: Store) -> None:
    """Takes the dashboards in, and forgets those whose file is gone, unless their provider says otherwise."""
    known = {*BUILT_IN, *(source["uid"] for source in store.documents("data_source"))}
    for provider in providers(folder):
        name = str(provider.get("name"))
        path = Path(provider["options"]["path"])
        if not path.is_dir():
            log.error("failed to search for dashboards: provider=%s path=%s is missing", name, path)
            continue
        found = _dashboards(path, known)
        doubled = [each for field in ("uid", "title") for each, n in Counter(d[field] for d in found).items() if n > 1]
        if doubled:
            log.warning("the same UID or title is used more than once, provider %s is read-only: %s", name, doubled)
            continue
        kept = {dashboard["uid"] for dashboard in found}
        for row in store.documents("dashboard", provider=name):
            if row["uid"] not in kept and not provider.get("disableDeletion"):
                store.delete("dashboard", row["uid"])
        for dashboard in found:
            place = str(provider.get("folder") or "")
            title = str(dashboard["title"])
            store.put("dashboard", uid=dashboard["uid"], title=title, folder=place, provider=name, data=dashboard)


def _dashboards(path: Path, known: set[str]) -> list[dict[str, Any]]:
    found = []
    for file in sorted(path.rglob("*.json")):
        try:
            dashboard = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            log.error("failed to load dashboard from file=%s: %s", file, error)  # noqa: TRY400
            continue
        unknown = {uid for uid in _datasources(dashboard) if uid not in known and "$" not in uid}
        if not isinstance(dashboard, dict) or not dashboard.get("title"):
            log.error("failed to load dashboard from file=%s: Dashboard title cannot be empty", file)
        elif unknown:
            log.error("failed to load dashboard from file=%s: unknown datasource %s", file, ", ".join(sorted(unknown)))
        else:
            found.append({"uid": file.stem, **dashboard})
    return found


def _datasources(content: object) -> Iterator[str]:
    """The uid of each datasource that a dashboard names, however deep."""
    if isinstance(content, dict):
        source = content.get("datasource")
        if isinstance(source, dict) and isinstance(source.get("uid"), str):
            yield source["uid"]
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            yield from _datasources(each)
