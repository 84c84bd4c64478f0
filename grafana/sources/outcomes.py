"""What several dashboards show alike."""

from grafana.sources.panels import OUTCOME_COLOURS, Column, Json


def outcome_series() -> tuple[Column, ...]:
    """Each outcome's series in the colour that the outcome has everywhere."""
    return tuple(
        Column(outcome, {"color": {"mode": "fixed", "fixedColor": colour}})
        for outcome, colour in OUTCOME_COLOURS.items()
        if outcome != "none"
    )


def outcome_mappings() -> list[Json]:
    """Each outcome's word in its colour."""
    options = {outcome: {"color": colour, "index": at} for at, (outcome, colour) in enumerate(OUTCOME_COLOURS.items())}
    return [{"type": "value", "options": options}]


def numbered_outcome_mappings() -> list[Json]:
    """Each outcome's word and colour for its place among the outcomes, from 1, as session/timeline.sql has it."""
    options = {
        str(at): {"text": outcome, "color": colour, "index": at}
        for at, (outcome, colour) in enumerate(OUTCOME_COLOURS.items(), 1)
    }
    return [{"type": "value", "options": options}]
