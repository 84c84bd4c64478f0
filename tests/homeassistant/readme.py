"""The YAML that the README gives to whoever has a HomeAssistant."""

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
# What the reader puts the own site's domain for.
DOMAIN = "telemetry.example.com"


@dataclass(frozen=True)
class Blocks:
    """The README's blocks, as they stand there but for the domain."""

    card: str
    view: str
    entities: str
    configuration: str
    automation: str


def blocks(domain: str) -> Blocks:
    """Those of the README's chapter, in its order, for a site with that domain (and port)."""
    chapter = re.split(r"^## ", README.read_text("utf-8"), flags=re.MULTILINE)
    (text,) = (each for each in chapter if each.startswith("HomeAssistant\n"))
    found = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return Blocks(*(block.replace(DOMAIN, domain) for block in found))
