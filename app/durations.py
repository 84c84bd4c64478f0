"""Durations as people type them: 90d, 24h, 30m."""

import re
from datetime import timedelta

UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def parse(text: str) -> timedelta:
    """90d, 24h or 30m as a timedelta; raises ValueError with what would be right."""
    match = re.fullmatch(r"([0-9]{1,6})([dhm])", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration; write 90d, 24h or 30m.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})
