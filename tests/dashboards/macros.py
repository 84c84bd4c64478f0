"""A panel's SQL as Grafana sends it: its macros and variables put in."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

POINTS = 500


def expand(sql: str, since: datetime, until: datetime, variables: Mapping[str, Sequence[str]] | None = None) -> str:
    """The statement for that span. A variable that is not given stands at "All", or is empty where it is a text.

    Raises ValueError where anything is left that Grafana would put in.
    """
    for macro, moment in (("$__timeFrom()", since), ("$__timeTo()", until)):
        sql = sql.replace(macro, f"'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'")
    # A point for every other pixel or so of a chart.
    sql = sql.replace("$__interval_ms", str(int((until - since).total_seconds() * 1000 / POINTS)))
    chosen = dict(variables or {})

    def value(match: re.Match[str]) -> str:
        given = chosen.get(match["name"])
        if given is None:
            return "''" if match["name"] == "text" else "'*'"
        return ",".join("'" + each.replace("'", "''") + "'" for each in given)

    sql = re.sub(r"\$\{(?P<name>[a-z]+):sqlstring\}", value, sql)
    if "$" in re.sub(r"'[^']*'", "", sql):
        raise ValueError(f"Grafana's macros are left: {sql}")
    return sql
