"""The README's table of variables, from the roles' argument_specs: `python -m dev.variables` writes it anew."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
ROLES = ("base", "certificates", "postgresql", "collector", "grafana", "caddy", "backup")
BEGIN, END = "<!-- variables -->\n", "<!-- end of variables -->\n"


def specification(role: str) -> dict[str, dict[str, Any]]:
    """What a role takes: name to its argument_specs entry."""
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text("utf-8")
    options: dict[str, dict[str, Any]] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def table() -> str:
    """A line a variable, in the order of the roles."""
    lines = ["| Variable | Default | |", "|---|---|---|"]
    # Two roles may want the same value of the site; it is told once.
    entries = {name: entry for role in reversed(ROLES) for name, entry in specification(role).items()}
    for role in ROLES:
        for name in specification(role):
            entry = entries.pop(name, None)
            if entry is None:
                continue
            default = "required" if entry.get("required") else f"`{_spelled(entry.get('default'))}`"
            lines.append(f"| `{name}` | {default} | {_sentence(entry['description'])} |")
    return "\n".join(lines) + "\n"


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _sentence(description: str | list[str]) -> str:
    text = description if isinstance(description, str) else " ".join(description)
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def main() -> None:
    """Puts the table between its marks in the README."""
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not after:
        sys.exit(f"README.md lacks the lines {BEGIN.strip()} and {END.strip()}")
    readme.write_text(f"{before}{BEGIN}{table()}{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
