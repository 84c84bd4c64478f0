"""Numbers, times and changes as people read them at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

# Between a number and its unit, and within a number: no line ends there.
NARROW = "\u202f"
NOTHING = "\u2013"
SAME = "\u00b10"
UNITS = (("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12))
# A name may be 255 characters of anything; the page stays small and its columns narrow.
NAME_LENGTH = 48
JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class Value:
    """A number for the eye, its unit, which is set smaller, and both for the ear."""

    number: str
    unit: str = ""
    spoken: str = ""

    @property
    def text(self) -> str:
        """Number and unit."""
        return f"{self.number}{NARROW}{self.unit}" if self.unit else self.number


def whole(number: int) -> str:
    """1 234 567: every digit."""
    return f"{number:,}".replace(",", NARROW)


def count(number: int) -> Value:
    """A count in at most five characters: 9 999, 12.3k, 4.57M."""
    if number < 10_000:
        return Value(whole(number))
    for unit, size in UNITS:
        # What would be rounded up to 1000 of one unit is 1 of the next.
        if number < size * 999.5:
            return Value(_three_digits(number / size), unit, whole(number))
    return Value("many", spoken=whole(number))


def percent(rate: float | None) -> Value:
    """A rate from 0 to 1. Only nothing is shown as 0 %, and only everything as 100 %."""
    if rate is None:
        return Value(NOTHING, spoken="none")
    hundredths = rate * 100
    if 0 < hundredths < 0.1:
        return Value("<0.1", "%")
    if 99.9 < hundredths < 100:
        return Value(">99.9", "%")
    digits = 1 if 0 < hundredths < 9.95 or 99 < hundredths < 100 else 0
    return Value(f"{hundredths:.{digits}f}", "%")


def latency(milliseconds: float | None) -> Value:
    """Milliseconds in the unit that suits them."""
    if milliseconds is None:
        return Value(NOTHING, spoken="none")
    if milliseconds < 9.95:
        return Value(f"{milliseconds:.1f}".removesuffix(".0"), "ms")
    if milliseconds < 999.5:
        return Value(f"{milliseconds:.0f}", "ms")
    seconds = milliseconds / 1000
    if seconds < 99.5:
        return Value(_three_digits(seconds), "s")
    if seconds < 5970:
        return Value(f"{seconds / 60:.0f}", "min")
    return Value(f"{seconds / 3600:.0f}", "h")


def count_scale(number: float) -> str:
    """A round count at a chart's edge: 500, 16 k."""
    if number < 10_000:
        return whole(round(number))
    unit, size = next((each for each in UNITS if number < each[1] * 1000), UNITS[-1])
    return f"{number / size:g}{NARROW}{unit}"


def latency_scale(milliseconds: float) -> str:
    """A round latency at a chart's edge: 500 ms, 2 s."""
    if milliseconds < 1000:
        return f"{milliseconds:g}{NARROW}ms"
    return f"{milliseconds / 1000:g}{NARROW}s"


def dollars(cost: Decimal | None) -> Value:
    """US dollars."""
    if cost is None:
        return Value(NOTHING, spoken="hidden")
    if 0 < cost < Decimal("0.01"):
        return Value("<$0.01")
    if cost < 1000:
        return Value(f"${cost:.2f}")
    if cost < 10_000:
        return Value(f"${whole(round(cost))}")
    short = count(round(cost))
    return Value(f"${short.number}", short.unit, f"${whole(round(cost))}")


def change(now: float | None, before: float | None) -> str:
    """By how much something grew or shrank, in percent or in times; a dash where there is nothing to compare with."""
    if now is None or before is None or before == 0:
        return "new" if now and not before else NOTHING
    ratio = now / before
    if ratio >= 10:
        return f"\u25b2{NARROW}\u00d7{min(ratio, 999):.0f}"
    hundredths = round((ratio - 1) * 100)
    return _arrow(hundredths, f"{abs(hundredths)}{NARROW}%")


def points(now: float | None, before: float | None) -> str:
    """By how many percentage points a rate rose or fell."""
    if now is None or before is None:
        return NOTHING
    tenths = round((now - before) * 1000)
    return _arrow(tenths, f"{abs(tenths) / 10:.1f}{NARROW}pt")


def difference(now: int, before: int) -> str:
    """By how many something rose or fell, where there are few of it."""
    return _arrow(now - before, whole(abs(now - before)))


def spoken_change(text: str, period: str) -> str:
    """A change for the ear."""
    if text == NOTHING:
        return f"nothing to compare with in the {period}"
    if text == "new":
        return f"none in the {period}"
    if text == SAME:
        return f"as in the {period}"
    direction = "more" if text.startswith("\u25b2") else "less"
    amount = text[2:].replace(NARROW, " ").replace("pt", "percentage points").replace("\u00d7", "times ")
    return f"{amount} {direction} than in the {period}"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago that was: now, 3 min ago, 5 h ago, 2 d ago."""
    passed = span(now - moment)
    return f"{passed} ago" if passed else "now"


def span(duration: timedelta) -> str:
    """A duration in its largest unit; "" if it is less than a minute."""
    minutes = int(duration.total_seconds() // 60)
    if minutes < 1:
        return ""
    if minutes < 60:
        return f"{minutes}{NARROW}min"
    if minutes < 48 * 60:
        return f"{minutes // 60}{NARROW}h"
    return f"{minutes // (24 * 60)}{NARROW}d"


def short(name: str) -> str:
    """A name that is not too long. What cannot be seen shows as a sign, but for what joins letters and emoji."""
    clean = "".join(each if each.isprintable() or each in JOINERS else "\ufffd" for each in name)
    return clean if len(clean) <= NAME_LENGTH else f"{clean[: NAME_LENGTH - 1]}\u2026"


def listed(names: Sequence[str], number: int) -> str:
    """The first two of `number` names: `laptop and desktop`, `laptop, desktop and 3 more`."""
    first = [short(name) for name in names[:2]]
    return " and ".join(first) if number <= 2 else f"{', '.join(first)} and {number - 2} more"


def plural(number: int, noun: str) -> str:
    """`1 host`, `2 hosts`."""
    return f"{whole(number)} {noun}{'' if number == 1 else 's'}"


def _three_digits(number: float) -> str:
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{digits}f}"


def _arrow(amount: int, text: str) -> str:
    if amount == 0:
        return SAME
    return f"{chr(0x25B2) if amount > 0 else chr(0x25BC)}{NARROW}{text}"
