"""The house as docs/design.md draws it: data flows one way, and what is written down is true."""

import ast
import re
from dataclasses import MISSING
from pathlib import Path

import pytest

from app.config import table

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "app"
# A module of each layer may import from its own and from those after it.
LAYERS = ("routes", "schemas", "glance", "store")


def imports(path: Path) -> set[str]:
    """The names of the modules that a file imports, whole."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_a_lower_layer_never_imports_a_higher_one(layer: str) -> None:
    higher = LAYERS[: LAYERS.index(layer)]
    for path in (APP / layer).glob("*.py"):
        assert not [name for name in imports(path) if name.startswith(tuple(f"app.{one}" for one in higher))], path


def test_schemas_store_and_glance_know_no_flask_and_schemas_no_sql() -> None:
    for path in (path for folder in ("schemas", "store", "glance") for path in (APP / folder).glob("*.py")):
        assert not [name for name in imports(path) if name.split(".")[0] in ("flask", "werkzeug", "waitress")], path
    for path in (APP / "schemas").glob("*.py"):
        assert not [name for name in imports(path) if name.startswith("psycopg")], path


def test_only_config_reads_the_environment() -> None:
    readers = {
        path.name for path in APP.rglob("*.py") if re.search(r"\bos\.(environ|getenv)\b", path.read_text("utf-8"))
    }
    # The commands hand the environment to config.load; nobody else looks at it.
    assert readers <= {"config.py", "cli.py"} | METRICS


# prometheus_client takes the folder that processes share from the environment only.
METRICS = {"metrics.py"}


def test_modules_are_small() -> None:
    long = {
        path.relative_to(ROOT): lines
        for path in (*APP.rglob("*.py"), *(ROOT / "dev").rglob("*.py"))
        if (lines := len(path.read_text("utf-8").splitlines())) > 300
    }
    assert long == {}


def test_the_readme_lists_every_setting_with_its_default() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    documented = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", readme, re.MULTILINE)
    assert documented == [
        (entry.metadata["variable"], _default(entry.default), entry.metadata["help"]) for entry in table()
    ]


def _default(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "required" if value is MISSING else str(value) if value != "" else "empty"


def test_the_readme_links_to_files_that_exist() -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "design.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), target
