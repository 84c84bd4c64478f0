"""Other releases than the one that is checked out, each a checkout of its own as an operator would have it."""

import re
import shutil
from pathlib import Path

from tests.fixtures.environment import ROOT

# What an operator's checkout needs to deploy.
PARTS = ("ansible", "ansible.cfg", "app", "grafana", "requirements.txt", "roles", "templates")


def checkout(folder: Path, version: str) -> Path:
    """A new checkout in that folder, of a release that differs by its version alone."""
    folder.mkdir(parents=True)
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    change(folder / "app/__init__.py", r'__version__ = "[^"]+"', f'__version__ = "{version}"')
    return folder


def change(file: Path, pattern: str, replacement: str) -> None:
    """Replaces the one place of a file that matches. Fails where there is none: the test would test nothing."""
    text, count = re.subn(pattern, replacement, file.read_text("utf-8"))
    assert count == 1, f"{pattern} is {count} times in {file}"
    file.write_text(text, "utf-8")


def add_migration(folder: Path, number: int, sql: str) -> None:
    """Gives a checkout one more migration."""
    (folder / f"app/migrations/{number:04}_of_a_test.sql").write_text(sql, "utf-8")
