"""Believable events: what a dozen hosts with coding agents would send, the same ones for the same seed.

A working day has its rush hours and a night its build servers. A host works in sessions of about thirty events, in a
folder; an agent judges a tool's call by a model or by a rule, which fixes what the event can hold.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from dev.cast import (
    AGENTS,
    CODE,
    COMMANDS,
    FILES,
    GRANTED,
    HOSTS_BY_HOUR,
    MODELS,
    PATTERNS,
    PROJECTS,
    REFUSED,
    REFUSED_PERCENT,
    Agent,
    Host,
    Model,
)

Event = dict[str, Any]

SATURDAY = 5
# How busy each hour of a working day is, in UTC.
HOURS = (
    *(0.2, 0.2, 0.15, 0.15, 0.2, 0.3, 0.6, 1.2, 2.0, 2.4, 2.4, 2.0),
    *(1.5, 2.0, 2.4, 2.2, 1.8, 1.2, 0.8, 0.8, 0.7, 0.5, 0.4, 0.3),
)
EVENTS_A_SESSION = 30
# So far apart are the events of one session, which gives how many sessions run at once.
SECONDS_BETWEEN = 25
MOST_SESSIONS = 400


class Kind(NamedTuple):
    """One judgement of an agent's: the fields that are always the same with it, and what the others depend on."""

    fields: Event
    tools: tuple[str, ...]
    model: Model | None
    refused: bool


def events(seed: int, count: int, start: datetime, end: datetime, *, full: bool = False) -> Iterator[Event]:
    """`count` second-generation events in the order of their time, spread from `start` to before `end` (with offsets).

    What a rule decided has no model, no tokens and no cost; with `full` a small model decides in the rules' place, so
    that every event has every field of the contract.
    """
    random = Random(seed)  # noqa: S311  # no secrets, but the same events for the same seed
    kinds = all_kinds(full=full)
    open_sessions: list[Event] = []
    minute, prefix = -1, ""
    for moment, rate in _moments(random, count, start, end):
        if moment // 60_000 != minute:
            minute = moment // 60_000
            prefix = datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:")
            wanted = max(1, min(MOST_SESSIONS, round(rate * SECONDS_BETWEEN)))
        while len(open_sessions) < wanted:
            host = random.choice(HOSTS_BY_HOUR[moment // 3_600_000 % 24])
            open_sessions.append(new_session(random, host))
        place = int(random.random() * len(open_sessions))
        kind = kinds[int(random.random() * len(kinds))]
        time = f"{prefix}{moment // 1000 % 60:02d}.{moment % 1000:03d}Z"
        yield make_event(random, open_sessions[place], kind, time)
        if random.random() * EVENTS_A_SESSION < 1:
            # As the night falls, sessions end and are not followed by new ones.
            open_sessions[place] = open_sessions[-1]
            open_sessions.pop()


def _moments(random: Random, count: int, start: datetime, end: datetime) -> Iterator[tuple[int, float]]:
    """Times as Unix milliseconds, none before the one that precedes it, each with the events a second around it."""
    begin, length = start.timestamp(), (end - start).total_seconds()
    hours = [min(3600.0, length - second) for second in range(0, int(-(-length // 1)), 3600)]
    busy = [seconds * _busy(begin + 3600.0 * hour) for hour, seconds in enumerate(hours)]
    total = sum(busy)
    hour, before = 0, 0.0
    for number in range(count):
        # The share of all work that is done by then. It grows evenly from event to event, and time does not.
        done = (number + random.random()) / count * total
        while done > before + busy[hour] and hour < len(busy) - 1:
            before += busy[hour]
            hour += 1
        second = min(1.0, (done - before) / busy[hour]) * hours[hour]
        moment = int((begin + 3600.0 * hour + second) * 1000)
        yield min(moment, int((begin + length) * 1000) - 1), busy[hour] / hours[hour] * count / total


def work(start: datetime, end: datetime) -> float:
    """How much is going on in that time, an hour of a usual working day being 3600."""
    begin, finish, total = start.timestamp(), end.timestamp(), 0.0
    while begin < finish:
        hour = min(finish, (begin // 3600 + 1) * 3600)
        total += (hour - begin) * _busy(begin)
        begin = hour
    return total


def _busy(unix_seconds: float) -> float:
    """How much is going on in that hour, 1 being a usual one of a working day."""
    moment = datetime.fromtimestamp(unix_seconds, UTC)
    return HOURS[moment.hour] * (0.3 if moment.weekday() >= SATURDAY else 1.0)


def new_session(random: Random, host: Host) -> Event:
    """The fields that all events of a new session share."""
    return {
        "hostId": host.name,
        "sessionId": _uuid(random),
        "workingDir": f"{host.folder}/{random.choice(PROJECTS)}",
        "clientVersion": host.client_version,
    }


def all_kinds(*, full: bool = False) -> list[Kind]:
    """Every agent's judgements, each as often as it is likely; `full` as in `events`."""
    return [kind for agent in AGENTS for kind in _kinds(agent, agent.tier or ("haiku" if full else ""))]


def _kinds(agent: Agent, tier: str) -> list[Kind]:
    model = MODELS.get(tier)
    made_by = {"executionType": "typescript"}
    if model:
        made_by = {
            "executionType": "llm",
            "modelTier": tier,
            "modelName": model.name,
            "provider": model.provider,
        }
    granted, refused = (
        Kind(
            {
                "eventType": agent.event_type,
                "agentName": agent.name,
                "hookName": agent.hook,
                "mode": agent.mode,
                **made_by,
                "decision": decision,
                "success": decision != "ERROR",
                "errorCount": int(decision == "ERROR"),
            },
            agent.tools,
            model,
            decision != agent.decisions[0],
        )
        for decision in agent.decisions
    )
    return [granted] * (agent.weight * (100 - REFUSED_PERCENT)) + [refused] * (agent.weight * REFUSED_PERCENT)


def make_event(random: Random, session: Event, kind: Kind, time: str) -> Event:
    """An event of a session's (what all of its events share), of that kind, at that time in ISO 8601."""
    chance = random.random
    file = FILES[int(chance() * len(FILES))]
    tool = kind.tools[int(chance() * len(kind.tools))]
    before, after = (REFUSED if kind.refused else GRANTED)[int(chance() * 5)]
    event = {
        "eventId": _uuid(random),
        **session,
        "timestamp": time,
        **kind.fields,
        "toolName": tool,
        "decisionReason": f"{before}{file}{after}",
        "warningCount": int(chance() * 1.2),
        "toolInput": INPUTS[tool](random, session["workingDir"], file),
        "extraData": {
            "turn": 1 + int(chance() * 40),
            "attempt": 1 + int(chance() * 1.05),
            "cacheHit": chance() < 0.4,
            "hookVersion": 3,
            "transcriptLines": 20 + int(chance() * 900),
        },
    }
    # Most answers come soon, a few take several times as long.
    wait = 0.6 + 0.6 * chance() + 3.0 * chance() ** 8
    if kind.model is None:
        event["latencyMs"] = round(4.0 * wait, 3)
        return event
    prompt, completion = 900 + int(chance() ** 2 * 9000), 30 + int(chance() ** 2 * 400)
    cached = int(prompt * 0.8 * chance())
    event["latencyMs"] = round(kind.model.latency_ms * wait, 1)
    event["promptTokens"] = prompt
    event["completionTokens"] = completion
    event["totalTokens"] = prompt + completion
    event["cachedTokens"] = cached
    event["reasoningTokens"] = int(completion * 0.3 * chance())
    event["cost"] = round((prompt - 0.9 * cached) * kind.model.price_in + completion * kind.model.price_out, 8)
    event["generationId"] = f"gen-{1_700_000_000 + prompt * 7919}-{random.getrandbits(80):020x}"
    return event


def _uuid(random: Random) -> str:
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _read(random: Random, folder: str, file: str) -> Event:
    return {"file_path": f"{folder}/{file}", "offset": int(random.random() * 300), "limit": 120}


def _edit(random: Random, folder: str, file: str) -> Event:
    old, new = (CODE[int(random.random() * len(CODE))] for _ in "on")
    return {"file_path": f"{folder}/{file}", "old_string": old, "new_string": new}


def _write(random: Random, folder: str, file: str) -> Event:
    content = "\n\n".join(CODE[int(random.random() * len(CODE))] for _ in range(2))
    return {"file_path": f"{folder}/{file}", "content": content}


def _grep(random: Random, folder: str, file: str) -> Event:
    pattern = PATTERNS[int(random.random() * len(PATTERNS))]
    return {"pattern": pattern, "path": f"{folder}/{file.split('/', 1)[0]}", "output_mode": "files_with_matches"}


def _bash(random: Random, folder: str, file: str) -> Event:
    command, description = COMMANDS[int(random.random() * len(COMMANDS))]
    return {"command": f"cd {folder} && {command}", "description": description, "timeout": 120_000}


def _fetch(random: Random, folder: str, file: str) -> Event:
    address = f"https://docs.example.com/{file.split('.', 1)[0]}?page={int(random.random() * 30)}"
    return {"url": address, "prompt": "What changed between the last two versions?"}


def _task(random: Random, folder: str, file: str) -> Event:
    return {"description": f"Review {file}", "prompt": f"Look for mistakes in {folder}/{file} and list them by weight."}


INPUTS: dict[str, Callable[[Random, str, str], Event]] = {
    "Read": _read,
    "Edit": _edit,
    "Write": _write,
    "Grep": _grep,
    "Bash": _bash,
    "WebFetch": _fetch,
    "Task": _task,
}
