"""Writes the dashboards' JSON: `make dashboards`."""

import json
from pathlib import Path

from grafana.sources import DASHBOARDS

FOLDER = Path(__file__).parent.parent / "dashboards"


def text(dashboard: object) -> str:
    """As the file is committed."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Writes every dashboard, and removes the files of those that are no more."""
    files = {folder / f"{dashboard.uid}.json": text(dashboard.json()) for dashboard in (make() for make in DASHBOARDS)}
    for path in folder.glob("*.json"):
        if path not in files:
            path.unlink()
    for path, content in files.items():
        path.write_text(content, "utf-8")


if __name__ == "__main__":
    write()
