"""One sentence on how the agents are doing. The first rule that holds is the verdict; the README tells them too.

What is unusual is judged by the last hour against the week before, whatever window the page shows: a verdict is
about now, and should neither outlive a bad hour by a day nor come a day late.
"""

from dataclasses import dataclass
from enum import StrEnum

from app.glance import words
from app.store.overview import Overview, Window

# So many events or decisions must there be before a rate says anything, and so many of the bad kind.
ENOUGH = 20
ENOUGH_BAD = 5
# A rate is high from here on where it is also UNUSUAL times what it was in the week before.
ERRORS_HIGH = 0.05
DENIALS_HIGH = 0.10
UNUSUAL = 2.0
# From here on errors are high even where they always were.
ERRORS_ALWAYS_HIGH = 0.25


class Level(StrEnum):
    """How much it wants to be looked at."""

    GOOD = "good"
    NOTICE = "notice"
    BAD = "bad"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A headline of a few words, and a sentence below it."""

    level: Level
    headline: str
    detail: str


def judge(overview: Overview) -> Verdict:
    """The verdict on what is shown."""
    if overview.last_event_at is None:
        return Verdict(Level.EMPTY, "Nothing here yet", "No host has sent an event.")
    for rule in (_nothing, _errors, _denials, _silence):
        verdict = rule(overview)
        if verdict is not None:
            return verdict
    return Verdict(Level.GOOD, "All is well", _summary(overview))


def spelt(window: Window) -> str:
    """A window's length in words."""
    days, seconds = divmod(int(window.length.total_seconds()), 86_400)
    if not seconds and days > 1:
        return f"{days} days"
    minutes = int(window.length.total_seconds()) // 60
    return words.plural(minutes // 60, "hour") if minutes % 60 == 0 else words.plural(minutes, "minute")


def _nothing(overview: Overview) -> Verdict | None:
    if overview.now.events or overview.last_event_at is None:
        return None
    when = words.ago(overview.last_event_at, overview.at)
    return Verdict(Level.NOTICE, f"No events in {spelt(overview.window)}", f"The last one came {when}.")


def _errors(overview: Overview) -> Verdict | None:
    recent, usual = overview.recent, overview.usual.error_rate or 0.0
    rate = recent.error_rate
    if rate is None or recent.events < ENOUGH or recent.errors < ENOUGH_BAD:
        return None
    if rate >= ERRORS_ALWAYS_HIGH or (rate >= ERRORS_HIGH and rate >= UNUSUAL * usual):
        return Verdict(Level.BAD, "Errors are high", _compared(rate, "of the last hour's events", usual))
    return None


def _denials(overview: Overview) -> Verdict | None:
    recent, usual = overview.recent, overview.usual.denial_rate or 0.0
    rate = recent.denial_rate
    if rate is None or recent.decisions < ENOUGH or recent.denied < ENOUGH_BAD:
        return None
    if rate >= DENIALS_HIGH and rate >= UNUSUAL * usual:
        return Verdict(Level.BAD, "Denials are high", _compared(rate, "of the last hour's decisions", usual))
    return None


def _silence(overview: Overview) -> Verdict | None:
    """Silent hosts; `overview.hosts` begins with them, the one that was heard of last first."""
    number, known = overview.silent_hosts, overview.known_hosts
    if not number or not overview.hosts:
        return None
    names = [host.name for host in overview.hosts if host.silent]
    since = words.span(overview.at - overview.hosts[0].last_seen_at)
    if number == 1:
        return Verdict(Level.NOTICE, "A host is silent", f"Nothing from {words.short(names[0])} for {since}.")
    if number == known:
        return Verdict(Level.NOTICE, "All hosts are silent", f"Nothing from any of them for {since}.")
    # Two long names and more are all that the smallest card has room for.
    detail = f"{'Nothing from ' if number == 2 else ''}{words.listed(names, number)}."
    return Verdict(Level.NOTICE, f"{number} of {known} hosts are silent", detail)


def _summary(overview: Overview) -> str:
    denial = overview.last_denial_at
    last = f"last denial {words.ago(denial, overview.at)}" if denial else "never a denial"
    return f"{words.plural(overview.now.decisions, 'decision')} in {spelt(overview.window)}, {last}."


def _compared(rate: float, what: str, usual: float) -> str:
    return f"{words.percent(rate).text} {what}, usually {words.percent(usual).text}."
