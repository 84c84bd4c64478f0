"""What happened at the demo's site, and when: told by the calendar from the first day on, so that a later start of the
demo goes on with the same story.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dev.cast import Host
from dev.generate import SATURDAY

# From when to before when.
Span = tuple[datetime, datetime]

# Every four weeks a model is out of service for an afternoon; the morning before, an agent was stuck.
PERIOD_DAYS = 28
OUTAGE_DAY = 27
OUTAGE = timedelta(hours=13), timedelta(hours=16, minutes=40)
OUTAGE_PROVIDER = "anthropic"
STUCK = timedelta(hours=9, minutes=20), timedelta(hours=11, minutes=50)
STUCK_HOST = "devbox-02"

UPGRADE_DAY = 18
UPGRADED = {"2.4.0": "2.5.0", "2.4.1": "2.5.0"}

# It says nothing any more, two days before whatever day it is.
SILENT_HOST = "homelab"
SILENT_FOR = timedelta(days=2)

# Its clock is behind, which shows between an event's time and its receipt.
BEHIND = {"desktop-david": timedelta(seconds=47)}


@dataclass(frozen=True, slots=True)
class Story:
    """The story of a site whose first event is of the day `begun` (UTC)."""

    begun: datetime

    def outage(self, moment: datetime) -> Span:
        """The latest outage that has begun by `moment`; before the first one, that."""
        return self._latest(moment, lambda day: (day + OUTAGE[0], day + OUTAGE[1]))

    def stuck(self, moment: datetime) -> Span:
        """When an agent on STUCK_HOST tried again and again what it may not; which time, is told as for an outage."""

        def span(bad_day: datetime) -> Span:
            day = _working_day(bad_day - timedelta(days=1))
            return day + STUCK[0], day + STUCK[1]

        return self._latest(moment, span)

    def client_version(self, host: Host, moment: datetime) -> str:
        """What that host runs: most are upgraded one after the other, some never."""
        # No two hosts within the same hours, in no order that could be seen through.
        upgrade = self.begun + timedelta(days=UPGRADE_DAY, hours=sum(host.name.encode()) % 90)
        return UPGRADED.get(host.client_version, host.client_version) if moment >= upgrade else host.client_version

    def _latest(self, moment: datetime, span: Callable[[datetime], Span]) -> Span:
        first_day = self.begun.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        period = max(0, (moment - first_day).days // PERIOD_DAYS)
        for number in range(period, -1, -1):
            found = span(_working_day(first_day + timedelta(days=number * PERIOD_DAYS + OUTAGE_DAY)))
            if found[0] <= moment:
                break
        return found


def _working_day(day: datetime) -> datetime:
    """That day, or the Friday before it."""
    return day - timedelta(days=max(0, day.weekday() - SATURDAY + 1))
