"""What can be said of the roles without a host: what they take is written down once, and every template lands once."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from dev.variables import ROLES, specification, table

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
README = (ROOT / "README.md").read_text("utf-8")


def test_every_role_is_known() -> None:
    assert sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir()) == sorted(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_takes_is_specified_with_the_default_that_counts(role: str) -> None:
    options = specification(role)
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text("utf-8")) or {}
    optional = {name: entry.get("default") for name, entry in options.items() if not entry.get("required")}
    assert optional == defaults
    for name, entry in options.items():
        assert entry["description"], name
        assert entry["type"], name


def test_the_readme_has_the_table_of_variables() -> None:
    assert table() in README, "run: python -m dev.variables"


def test_the_three_variables_without_a_default() -> None:
    required = {name for role in ROLES for name, entry in specification(role).items() if entry.get("required")}
    assert required == {"telemetry_domain", "postgres_password", "grafana_admin_password"}


def landings() -> Counter[str]:
    """How often each template is named in what Ansible reads, by the path at which it lands."""
    files = [*(ROOT / "roles").rglob("*.yml"), *(ROOT / "ansible").rglob("*.yml")]
    text = "\n".join(path.read_text("utf-8") for path in files)
    # The one folder whose name is known on the host only.
    text = text.replace("{{ _postgresql_configuration }}", "/etc/postgresql/VERSION/main")
    named = re.findall(r"dest: ['\"]?(/[\w./@-]+)", text)
    named += re.findall(r"templates_root(?: ~ '| \}\})(/[\w./@-]+)\.j2", text)
    wanted = {f"/{path.relative_to(TEMPLATES)}".removesuffix(".j2") for path in TEMPLATES.rglob("*.j2")}
    return Counter({path: named.count(path) for path in wanted})


def test_every_template_is_used_exactly_once() -> None:
    assert {path: count for path, count in landings().items() if count != 1} == {}


def test_templates_are_templates() -> None:
    assert [path for path in TEMPLATES.rglob("*") if path.is_file() and path.suffix != ".j2"] == []


def test_the_source_of_a_template_is_computed_from_its_destination() -> None:
    for path in (*(ROOT / "roles").rglob("*.yml"), *(ROOT / "ansible").rglob("*.yml")):
        for source in re.findall(r"^\s*src: (.*\.j2.*)$", path.read_text("utf-8"), re.MULTILINE):
            assert "templates_root" in source, f"{path}: {source}"
