"""The colours of the dashboards: a thing has the same everywhere, and none needs an eye for red and green."""

from collections.abc import Mapping, Sequence

from grafana.sources.panel import Column, Json, Step

# Outcomes, as /glance colours them, on white and on black.
APPROVED, DENIED, FAILED, OTHER = "#4189cc", "#dd7a1c", "#c9488f", "#848e9e"
LINE = APPROVED
GREEN, VIOLET, LIGHT_BLUE = "#2c9a75", "#9a6bd0", "#9cc5ea"
NOTICE, BAD = "#c98a12", "#d64a41"
# Behind white words.
GOOD_GROUND, NOTICE_GROUND, BAD_GROUND, OTHER_GROUND = "#1f7f5f", "#a06800", "#c23b33", "#5d6674"
OUTCOMES = {
    "approved": APPROVED,
    "confirmed": "#6ba7dd",
    "continued": "#2f6ba6",
    "succeeded": LIGHT_BLUE,
    "denied": DENIED,
    "failed": FAILED,
    "other": OTHER,
    "none": "#5d6674",
}
TIERS = {"haiku": GREEN, "sonnet": LINE, "opus": VIOLET, "no model": OTHER}
# For series that nobody knows beforehand: shades of one colour. Grafana's palettes hold those of outcomes.
DISTINCT: Json = {"mode": "shades", "fixedColor": LINE}
# For a table's column: the text has the colour, not the cell.
COLOUR_TEXT = {"type": "color-text"}


def series(colours: Mapping[str, str]) -> tuple[Column, ...]:
    """Each series of a chart in its colour."""
    return tuple(Column(name, {"color": {"mode": "fixed", "fixedColor": colour}}) for name, colour in colours.items())


def model_series() -> tuple[Column, ...]:
    """Each model's series in the colour of its tier, where its name has it."""
    return tuple(
        Column(f"/{tier}/", {"color": {"mode": "shades", "fixedColor": colour}}, matcher="byRegexp")
        for tier, colour in TIERS.items()
    )


def words(colours: Mapping[str, str]) -> Json:
    """A table's column in which each word has its colour."""
    options = {word: {"color": colour, "index": at} for at, (word, colour) in enumerate(colours.items())}
    return {"custom.cellOptions": COLOUR_TEXT, "mappings": [{"type": "value", "options": options}]}


def numbers(steps: Sequence[Step]) -> Json:
    """A table's column in which numbers stand out from these on."""
    from_there_on = [{"value": step.value, "color": step.colour} for step in steps]
    return {
        "custom.cellOptions": COLOUR_TEXT,
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"value": None, "color": "text"}, *from_there_on]},
    }


def outcome_series() -> tuple[Column, ...]:
    """Each outcome's series; without a decision there is none."""
    return series({outcome: colour for outcome, colour in OUTCOMES.items() if outcome != "none"})


def outcome_numbers() -> list[Json]:
    """Each outcome's word and colour for its place among the outcomes, from 1, as session/timeline.sql has it."""
    options = {
        str(at): {"text": outcome, "color": colour, "index": at}
        for at, (outcome, colour) in enumerate(OUTCOMES.items(), 1)
    }
    return [{"type": "value", "options": options}]


def tier_series() -> tuple[Column, ...]:
    """A colour a tier of models: p95 a full line, p50 a dashed one."""
    return tuple(
        Column(
            f"{tier} {percentile}",
            {
                "color": {"mode": "fixed", "fixedColor": colour},
                "custom.lineStyle": {"fill": "solid"} if percentile == "p95" else {"fill": "dash", "dash": [6, 6]},
                "custom.lineWidth": 2 if percentile == "p95" else 1,
            },
        )
        for tier, colour in TIERS.items()
        for percentile in ("p50", "p95")
    )
