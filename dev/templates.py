"""The files of the server, rendered from the very templates that the playbook installs, as Ansible renders them."""

import json
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates"

# What Ansible adds to Jinja, as far as these templates use it.
FILTERS = {"to_json": json.dumps, "bool": bool, "dirname": posixpath.dirname}
TESTS = {"match": lambda text, pattern: re.match(pattern, text) is not None}


def role_variables(role: str) -> dict[str, Any]:
    """A role's defaults and its own variables, as they are written: those that are templates stay so."""
    found: dict[str, Any] = {}
    for path in (ROOT / "roles" / role / "defaults" / "main.yml", ROOT / "roles" / role / "vars" / "main.yml"):
        if path.exists():
            found |= yaml.safe_load(path.read_text("utf-8")) or {}
    return found


def render(destination: str, variables: Mapping[str, Any]) -> str:
    """The file that lands at that path of the server. Raises jinja2.UndefinedError where a variable is missing."""
    path = TEMPLATES / f"{destination.lstrip('/')}.j2"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML of strangers
    )
    environment.filters |= FILTERS
    environment.tests |= TESTS
    return environment.get_template(path.name).render({"ansible_managed": "Ansible managed", **variables})
