"""What Grafana's own models would lose of a dashboard: `python -m tests.dashboards.models FILE...`.

The SDK reads a dashboard into its models, which drop what they do not know, and writes it again. What is missing or
changed then, no panel of that version knows. It runs as a process of its own: the SDK of each version of Grafana is a
package of the same name, and PYTHONPATH says which.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# A panel without a model is kept as it is, which would prove nothing.
KINDS = {"stat", "timeseries", "table", "bargauge", "state-timeline"}


def lost(given: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Where `kept` lacks something of `given`, or has another value; what it has more are the models' defaults."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key in kept:
                yield from lost(value, kept[key], f"{path}.{key}")
            elif value not in (None, "", [], {}):
                yield f"{path}.{key} is lost"
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif given != kept or isinstance(given, bool) != isinstance(kept, bool):
        yield f"{path} is {kept!r} instead of {given!r}"


def check(dashboard: dict[str, Any]) -> list[str]:
    """What the models would lose of a dashboard."""
    unknown = {panel["type"] for panel in dashboard["panels"]} - KINDS
    kept = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    return [*(f"no model is known for panels of the type {kind}" for kind in unknown), *lost(dashboard, kept)]


if __name__ == "__main__":
    register_default_plugins()
    json.dump({name: check(json.loads(Path(name).read_text("utf-8"))) for name in sys.argv[1:]}, sys.stdout)
