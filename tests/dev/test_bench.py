"""The benchmarks run, and say what they are to say: on a few thousand events, so that no number means anything."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.store import questions
from grafana.sources import DASHBOARDS
from tests.bench import dashboards, raw, reporting, steps

pytestmark = [pytest.mark.slow, pytest.mark.any_python]


def test_bench_reporting_measures_every_question_and_prints_one_json_object_last(
    postgres_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AFT_HOME", str(postgres_folder / "bench"))
    monkeypatch.setattr(sys, "argv", ["reporting", "--events", "3000", "--days", "10"])
    monkeypatch.setattr(reporting, "STALE_SECONDS", 0.0)
    monkeypatch.setattr(reporting, "COLD_ROUNDS", 1)
    monkeypatch.setattr(reporting, "WARM_RUNS", 3)
    code = reporting.main()
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert code == bool(result["missed"])
    assert result["events"] == 3000
    assert result["missed"] == [name for name, target in reporting.TARGETS.items() if result[name] > target]
    for window in reporting.WINDOWS:
        asked = [row for row in result["questions"] if row["window"] == window]
        assert {row["question"].partition(",")[0] for row in asked} == questions.QUESTIONS.keys()
        assert all(row["ms"] > 0 for row in asked)
        assert {row["question"] for row in asked if row["factor"] is None} == {"site"}
    assert result["question"] == max(row["ms"] for row in result["questions"])
    assert result["storage"] == pytest.approx(sum(result["bytes"].values()) / result_json_bytes(lines), abs=0.01)


def result_json_bytes(lines: list[str]) -> float:
    """From the table: 3,000 events, of 1081 bytes as compact JSON."""
    return float(lines[0].split()[3])


def test_every_question_but_that_for_the_site_has_its_counterpart() -> None:
    assert raw.RAW.keys() == questions.QUESTIONS.keys() - {"site"}


def test_bench_dashboards_measures_every_panel_and_prints_one_json_object_last(
    postgres_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AFT_HOME", str(postgres_folder / "bench"))
    monkeypatch.setattr(sys, "argv", ["dashboards", "--events", "3000", "--days", "10"])
    monkeypatch.setattr(dashboards, "RUNS", 1)
    code = dashboards.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == bool(result["missed"])
    panels = {
        (made["uid"], panel["title"]) for made in (make().json() for make in DASHBOARDS) for panel in made["panels"]
    }
    for span in dashboards.SPANS:
        rows = [row for row in result["panels"] if row["span"] == span and not row.get("text")]
        assert {(row["dashboard"], row["panel"]) for row in rows} == panels
        assert all(row["factor"] is not None for row in rows if row["dashboard"] == "agent-overview")
    assert result["overview"] == pytest.approx(
        sum(row["ms"] for row in result["panels"] if (row["dashboard"], row["span"]) == ("agent-overview", "90d")),
        abs=1,
    )


def test_the_steps_of_a_batch_are_measured_and_printed_as_one_json_object_last() -> None:
    result = CliRunner().invoke(steps.main)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output.splitlines()[-1])
    assert len(found) == 9
    assert all(microseconds > 0 for microseconds in found.values())
