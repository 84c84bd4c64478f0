"""The page: numbers in, HTML out. No script, no cookie, nothing loaded from anywhere, at most 60 kB."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.glance import charts, verdict, words
from app.glance.verdict import Level, Verdict
from app.store.overview import DAY, WEEK, Agent, Host, Overview, Window, share

FOLDER = Path(__file__).parent
STYLE = (FOLDER / "style.css").read_text("utf-8")
THEMES = ("light", "dark")
REFRESH_SECONDS = 30
# By their name in the address.
RANGES = {"24h": DAY, "7d": WEEK}

# Outcomes of which the legend tells even when there are none.
ALWAYS = ("approved", "denied")

_environment = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A number with its name, and how it compares with the time before, for the eye and for the ear."""

    label: str
    value: words.Value
    change: str
    spoken: str


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent's line; a rate is "" where there is nothing to tell, `last` where that is now."""

    name: str
    events: str
    denied: str
    denial_rate: str
    errors: str
    error_rate: str
    p95: str
    last: str
    last_iso: str
    silent: bool = False


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host's line."""

    name: str
    client: str
    last: str
    last_iso: str
    silent: bool


def content_security_policy(embed_origins: str) -> str:
    """What the page may do: have its own style, and stand in frames of these origins, separated by spaces."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none';"
        f" frame-ancestors {embed_origins}"
    )


def render(overview: Overview, theme: str = "", *, away: bool = False) -> bytes:
    """The page of `overview`; `theme` is one of THEMES, or "" for the browser's own wish.

    With `away` it says that the database is, and that these are the last numbers.
    """
    # A machine may lack the zones' names, and yet knows this one.
    zone = UTC if overview.time_zone == "UTC" else ZoneInfo(overview.time_zone)
    window = overview.window
    at = overview.at.astimezone(zone)
    judged = verdict.judge(overview)
    if away:
        judged = Verdict(Level.BAD, "The database is away", f"These are the numbers of {at:%H:%M, %d %B}.")
    outcomes = [(outcome, getattr(overview.now, outcome)) for outcome in charts.OUTCOMES]
    return _render(
        judged,
        window,
        theme,
        at=f"{at:%H:%M}",
        at_iso=at.isoformat(timespec="seconds"),
        zone=overview.time_zone,
        spelt=verdict.spelt(window),
        period=_period(window),
        empty=overview.last_event_at is None,
        tiles=tiles(overview),
        decisions=charts.decisions(overview.steps, zone, window),
        outcomes=[(name, words.count(number).text) for name, number in outcomes if number or name in ALWAYS],
        latency=charts.latencies(overview.steps, zone, window),
        step="hour" if window is DAY else "6 hours",
        agents=[_agent(agent, overview.at) for agent in overview.agents],
        more_agents=max(0, overview.now.agents - len(overview.agents)),
        hosts=[_host(host, overview.at) for host in overview.hosts],
        more_hosts=max(0, overview.known_hosts - len(overview.hosts)),
    )


def render_away(shown: Window, theme: str = "") -> bytes:
    """The page for when the database is away and no number is known."""
    return _render(Verdict(Level.BAD, "The database is away", "No numbers are known yet."), shown, theme)


def tiles(overview: Overview) -> list[Tile]:
    """The tiles, those that matter most first: the smallest frame shows the first four."""
    now, before, period = overview.now, overview.before, _period(overview.window)

    def tile(label: str, value: words.Value, change: str, since: str = period) -> Tile:
        return Tile(label, value, change, words.spoken_change(change, since))

    return [
        tile("Events", words.count(now.events), words.change(now.events, before.events)),
        tile("Denied", words.percent(now.denial_rate), words.points(now.denial_rate, before.denial_rate)),
        tile("Errors", words.percent(now.error_rate), words.points(now.error_rate, before.error_rate)),
        tile("Latency p95", words.latency(now.p95_ms), words.change(now.p95_ms, before.p95_ms)),
        tile("Approved", words.percent(now.approval_rate), words.points(now.approval_rate, before.approval_rate)),
        tile(
            "Cost today",
            words.dollars(overview.cost_today),
            words.change(_number(overview.cost_today), _number(overview.cost_yesterday)),
            "same hours of yesterday",
        ),
        tile("Sessions", words.count(now.sessions), words.change(now.sessions, before.sessions)),
        tile("Hosts", words.count(now.hosts), words.difference(now.hosts, before.hosts)),
        tile("Agents", words.count(now.agents), words.difference(now.agents, before.agents)),
    ]


def _render(judged: Verdict, shown: Window, theme: str, **values: object) -> bytes:
    themed = f"&theme={theme}" if theme else ""
    ranges = [(_label(each), f"?range={name}{themed}", each is shown) for name, each in RANGES.items()]
    text = _environment.get_template("page.html.j2").render(
        style=STYLE,
        theme=theme,
        refresh=REFRESH_SECONDS,
        verdict=judged,
        ranges=ranges,
        known=bool(values),
        **values,
    )
    return text.encode("utf-8", "replace")


def _label(window: Window) -> str:
    return f"24{words.NARROW}h" if window is DAY else f"7{words.NARROW}d"


def _period(window: Window) -> str:
    return f"{verdict.spelt(window)} before"


def _agent(agent: Agent, now: datetime) -> AgentRow:
    return AgentRow(
        name=words.short(agent.name),
        events=words.whole(agent.events),
        denied=words.whole(agent.denied) if agent.denied else words.NOTHING,
        denial_rate=words.percent(share(agent.denied, agent.decisions)).text if agent.denied else "",
        errors=words.whole(agent.errors) if agent.errors else words.NOTHING,
        error_rate=words.percent(share(agent.errors, agent.events)).text if agent.errors else "",
        p95=words.latency(agent.p95_ms).text,
        last=words.span(now - agent.last_seen_at),
        last_iso=agent.last_seen_at.isoformat(timespec="seconds"),
    )


def _host(host: Host, now: datetime) -> HostRow:
    return HostRow(
        name=words.short(host.name),
        client=words.short(host.client_version or words.NOTHING),
        last=words.span(now - host.last_seen_at),
        last_iso=host.last_seen_at.isoformat(timespec="seconds"),
        silent=host.silent,
    )


def _number(cost: Decimal | None) -> float | None:
    return None if cost is None else float(cost)
