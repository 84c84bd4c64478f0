"""Where a click leads. Every dashboard keeps the time that was looked at; the addresses are relative to Grafana's own.

From the overview a new tab opens: it is shown in frames too, where no login would hold.
"""

from grafana.sources.panel import Json, Link

RANGE = "${__url_time_range}"

# Above each dashboard behind the login: the way to the others.
DASHBOARDS: tuple[Json, ...] = (
    {
        "title": "Go to",
        "type": "dashboards",
        "tags": ["telemetry"],
        "asDropdown": True,
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    },
)


def denied_decisions() -> Link:
    """To what was denied, and why."""
    return Link("What was denied, and why", f"/d/agent-decisions?{RANGE}&var-outcome=denied", new_tab=True)


def failed_decisions() -> Link:
    """To what failed."""
    return Link("What failed", f"/d/agent-decisions?{RANGE}&var-outcome=failed", new_tab=True)


def decisions_of_agent() -> Link:
    """To all that the agent of a table's row decided."""
    agent = "${__data.fields.Agent:percentencode}"
    return Link("Its decisions", f"/d/agent-decisions?{RANGE}&var-outcome=$__all&var-agent={agent}", new_tab=True)


def decisions_of_host() -> Link:
    """To all that the host of a table's row asked."""
    host = "${__data.fields.Host:percentencode}"
    return Link("Its decisions", f"/d/agent-decisions?{RANGE}&var-outcome=$__all&var-host={host}")


def session_of_row() -> Link:
    """To the session of a table's row, which has the columns Host, Session, from and to."""
    span = "from=${__data.fields.from}&to=${__data.fields.to}"
    host, session = "${__data.fields.Host:percentencode}", "${__data.fields.Session:percentencode}"
    return Link("The session and its transcript", f"/d/agent-session?{span}&var-host={host}&var-session={session}")
