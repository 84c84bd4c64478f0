"""Sessions as a site has them: a prompt, a burst of tool calls, each judged by one to three agents, a pause, a prompt.

`events` of generate.py spreads single events evenly, which is what measurements want; the demo wants to look like life.
Both make their events in the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from dev.cast import ANY_TOOL, HOSTS, HOSTS_BY_HOUR, OUTAGE_REASONS, Host
from dev.generate import Event, Kind, all_kinds, make_event, new_session, work
from dev.story import OUTAGE_PROVIDER, SILENT_HOST, STUCK_HOST, Story

# What begins in a usual hour of a working day: some 350 sessions and 14 000 events a day.
SESSIONS_AN_HOUR = 14.0
# While a model is out of service, so many of its calls fail; the others take several times as long.
OUTAGE_FAILURES = 0.45
STUCK_REFUSALS = 0.8
# More than usual, in each hour that it is stuck.
STUCK_SESSIONS = 8

HOUR_MS = 3_600_000


class Call(NamedTuple):
    """One tool call of a session: its time in Unix ms, the tool, what it was given, why it was denied or None."""

    time: int
    tool: str
    tool_input: Event
    denied: str | None


@dataclass(slots=True)
class Session:
    """A session from its beginning to its end; times are Unix ms."""

    fields: Event
    begin: int
    # In the order of their time.
    events: list[tuple[int, Event]] = field(default_factory=list)
    # Turn by turn; what the user asked for is in the transcript.
    turns: list[list[Call]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The time of its last event."""
        return self.events[-1][0] if self.events else self.begin


def sessions(seed: int, start: datetime, end: datetime, story: Story, silent_from: datetime) -> Iterator[Session]:
    """The sessions that begin from `start` to before `end`, in that order and the same ones for the same seed.

    Those of a stretch that is asked for in parts are the same ones. SILENT_HOST has none from `silent_from` on.
    """
    first, last = int(start.timestamp() * 1000), int(end.timestamp() * 1000)
    for hour in range(first // HOUR_MS, (last - 1) // HOUR_MS + 1):
        random = Random(seed * 10**9 + hour)  # noqa: S311  # no secrets, but the same sessions for the same seed
        moment = datetime.fromtimestamp(hour * 3600, UTC)
        expected = SESSIONS_AN_HOUR * work(moment, datetime.fromtimestamp(hour * 3600 + 3600, UTC)) / 3600
        hosts = [random.choice(HOSTS_BY_HOUR[hour % 24]) for _ in range(_about(random, expected))]
        stuck = _ms(story.stuck(moment + timedelta(hours=1)))
        if stuck[0] < (hour + 1) * HOUR_MS and hour * HOUR_MS < stuck[1]:
            hosts += [host for host in HOSTS if host.name == STUCK_HOST] * STUCK_SESSIONS
        for begin, host in sorted((hour * HOUR_MS + int(random.random() * HOUR_MS), host) for host in hosts):
            session = new_session_of(random, host, begin, story)
            if first <= begin < last and not (host.name == SILENT_HOST and begin >= silent_from.timestamp() * 1000):
                yield session


def history(found: Iterator[Session], end: datetime) -> Iterator[Event]:
    """The events of these sessions before `end`, in the order of their time."""
    last = int(end.timestamp() * 1000)
    waiting: list[tuple[int, str, Event]] = []
    for session in found:
        while waiting and waiting[0][0] < session.begin:
            yield heappop(waiting)[2]
        for time, event in session.events:
            if time < last:
                heappush(waiting, (time, event["eventId"], event))
    while waiting:
        yield heappop(waiting)[2]


def new_session_of(random: Random, host: Host, begin: int, story: Story) -> Session:
    """A whole session of that host from `begin` (Unix ms) on."""
    moment = datetime.fromtimestamp(begin / 1000, UTC)
    fields = {**new_session(random, host), "clientVersion": story.client_version(host, moment), "demo": True}
    session = Session(fields, begin)
    # Whatever happens while it goes on has begun by then.
    later = moment + timedelta(hours=3)
    outage, stuck = _ms(story.outage(later)), _ms(story.stuck(later))
    time = begin
    for _ in range(1 + int(random.random() ** 2 * 9)):
        calls = []
        for _ in range(2 + int(random.random() * 9)):
            # Most calls follow at once; a test run or a long answer takes a while.
            time += 1500 + int(random.random() * 6000 + random.random() ** 6 * 60_000)
            is_stuck = host.name == STUCK_HOST and stuck[0] <= time < stuck[1]
            calls.append(_call(random, session, time, is_stuck=is_stuck, outage=outage))
            time = session.end
        _judge(random, session, random.choice(_AT_STOP), time + 900, outage=outage)
        session.turns.append(calls)
        time += 15_000 + int(random.random() ** 3 * 500_000)
    return session


def _call(random: Random, session: Session, time: int, *, is_stuck: bool, outage: tuple[int, int]) -> Call:
    """One call with its judgements: the first that denies it is the last."""
    tool = "Bash" if is_stuck else ANY_TOOL[int(random.random() * len(ANY_TOOL))]
    judges = [_BEFORE[tool]] * (1 + int(random.random() * 2)) + [_AFTER[tool]] * int(random.random() * 1.3)
    tool_input, denied, now = None, None, time
    for kinds in judges:
        if not kinds:
            continue
        kind = kinds[int(random.random() * len(kinds))]
        if is_stuck and random.random() < STUCK_REFUSALS:
            kind = _REFUSALS[int(random.random() * len(_REFUSALS))]
        event = _judge(random, session, kind, now, outage=outage)
        # All judge the same call.
        tool_input = tool_input or event["toolInput"]
        event["toolInput"] = tool_input
        if kind.refused:
            denied = event["decisionReason"]
            break
        now += 150 + int(random.random() * 900)
    return Call(time, tool, tool_input or {}, denied)


def _judge(random: Random, session: Session, kind: Kind, time: int, *, outage: tuple[int, int]) -> Event:
    moment = datetime.fromtimestamp(time // 1000, UTC)
    event = make_event(random, session.fields, kind, f"{moment:%Y-%m-%dT%H:%M:%S}.{time % 1000:03d}Z")
    if outage[0] <= time < outage[1] and event.get("provider") == OUTAGE_PROVIDER:
        _spoil(random, event)
    session.events.append((time, event))
    return event


def _spoil(random: Random, event: Event) -> None:
    """Makes it what it is while the model is out of service: failed, or slow."""
    if random.random() < OUTAGE_FAILURES:
        event.update(decision="ERROR", success=False, errorCount=1 + int(random.random() * 3))
        event["decisionReason"] = random.choice(OUTAGE_REASONS)
        event["latencyMs"] = round(30_000 + random.random() * 900, 1)
        event.update(completionTokens=0, totalTokens=event["promptTokens"], reasoningTokens=0, cost=0.0)
    else:
        event["latencyMs"] = round(event["latencyMs"] * (2 + 6 * random.random()), 1)


def _about(random: Random, expected: float) -> int:
    """A whole number around `expected`, more scattered than evenly."""
    return int(expected * (0.7 + 0.6 * random.random()) + random.random())


def _ms(span: tuple[datetime, datetime]) -> tuple[int, int]:
    return int(span[0].timestamp() * 1000), int(span[1].timestamp() * 1000)


def _kinds(hook: str) -> dict[str, list[Kind]]:
    """By tool, the judgements on that hook, each as often as it is likely."""
    return {
        tool: [
            kind._replace(tools=(tool,))
            for kind in all_kinds()
            if kind.fields["hookName"] == hook and tool in kind.tools
        ]
        for tool in ANY_TOOL
    }


_BEFORE, _AFTER = _kinds("PreToolUse"), _kinds("PostToolUse")
_AT_STOP = [kind for kind in all_kinds() if kind.fields["hookName"] == "Stop"]
_REFUSALS = [kind for kind in _BEFORE["Bash"] if kind.refused]
