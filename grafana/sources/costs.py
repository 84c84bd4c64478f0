"""Costs: tokens and dollars, by time, model, agent and host."""

from grafana.sources import links
from grafana.sources.colours import DISTINCT, LIGHT_BLUE, LINE, VIOLET, model_series, series
from grafana.sources.dashboard import Dashboard, Row
from grafana.sources.panel import Column, Panel
from grafana.sources.panels import COUNT, DOLLARS, bars, ranking, table, tile

NOTHING = (
    "Nothing cost anything in this time. Clients of the second generation send tokens and costs with their events."
)


def costs() -> Dashboard:
    """Costs."""
    return Dashboard(
        uid="agent-costs",
        title="Costs",
        description="What the models cost, in tokens and US dollars.",
        datasource="telemetry-private",
        links=links.DASHBOARDS,
        since="now-30d",
        refresh="5m",
        rows=(
            Row(2, ((cost(), 4), (today(), 4), (month(), 4), (projection(), 4), (tokens(), 4), (cache(), 4))),
            Row(8, ((over_time(), 14), (by_agent(), 10))),
            Row(8, ((tokens_over_time(), 14), (by_host(), 10))),
            Row(9, ((details(), 24),)),
        ),
    )


def cost() -> Panel:
    """Of the span."""
    return tile("Cost", "US dollars in the span.", "costs/cost", unit=DOLLARS, decimals=2)


def today() -> Panel:
    """Since midnight."""
    return tile("Today", "Since midnight in the site's time zone.", "costs/today", unit=DOLLARS, decimals=2)


def month() -> Panel:
    """Since the first."""
    return tile(
        "This month",
        "Since the first of the month in the site's time zone.",
        "costs/month",
        unit=DOLLARS,
        decimals=2,
    )


def projection() -> Panel:
    """What the month will cost."""
    return tile(
        "By the month's end",
        "This month so far, and for each day that is left what a day of the last seven cost.",
        "costs/projection",
        unit=DOLLARS,
        decimals=2,
    )


def tokens() -> Panel:
    """All tokens."""
    return tile("Tokens", "All tokens in the span.", "costs/tokens", unit="short")


def cache() -> Panel:
    """Cached over prompt tokens."""
    return tile(
        "Cache hit rate",
        "Prompt tokens that the provider had in its cache, of all prompt tokens.",
        "costs/cache",
        unit="percentunit",
        decimals=1,
    )


def over_time() -> Panel:
    """Dollars by model."""
    return bars(
        "Cost by model",
        "US dollars by the hour up to 15 days, else by the day.",
        "costs/over_time",
        unit="currencyUSD",
        empty=NOTHING,
        defaults={"color": DISTINCT},
        columns=model_series(),
    )


def tokens_over_time() -> Panel:
    """Tokens by kind."""
    return bars(
        "Tokens by kind",
        "Prompt tokens, those of them that were cached, and completion tokens.",
        "costs/tokens_over_time",
        unit="short",
        empty=NOTHING,
        columns=series({"prompt": LINE, "cached prompt": LIGHT_BLUE, "completion": VIOLET}),
    )


def by_agent() -> Panel:
    """The dearest agents."""
    return _by("Cost by agent", "US dollars by the agent that asked.", "costs/by_agent")


def by_host() -> Panel:
    """The dearest hosts."""
    return _by("Cost by host", "US dollars by the host that asked.", "costs/by_host")


def _by(title: str, description: str, sql: str) -> Panel:
    return ranking(title, description, sql, unit=DOLLARS, decimals=2, colour=LINE)


def details() -> Panel:
    """A row an agent and model."""
    return table(
        "Agents and models",
        "Tokens and US dollars of each agent with each model, the dearest first.",
        "costs/list",
        empty=NOTHING,
        columns=(
            Column("Agent", {"custom.minWidth": 130}),
            Column("Model", {"custom.minWidth": 170}),
            Column("Events", {"unit": COUNT, "custom.width": 90}),
            Column("Cost", {"unit": DOLLARS, "decimals": 2, "custom.width": 90}),
            Column("Cost an event", {"unit": DOLLARS, "decimals": 5, "custom.width": 110}),
            Column("Prompt", {"unit": "short", "custom.width": 80}),
            Column("Cached", {"unit": "percentunit", "decimals": 0, "custom.width": 75}),
            Column("Completion", {"unit": "short", "custom.width": 95}),
            Column("Reasoning", {"unit": "short", "custom.width": 90}),
        ),
    )
