"""The ratios of `make bench` are those of each pass, and their median; its rows have the figures of every process."""

import pytest

from tests.bench.figures import HEADS, TARGETS, Pass, Row, middle, print_row, ratios, remaining
from tests.bench.wrk import Load


def row(rate: float, *, size: int = 1, slow: float = 2.0) -> Row:
    return Row(
        name=f"events, {size} a batch",
        requests_per_second=rate,
        events_per_second=rate * size,
        p50_ms=1.0,
        p99_ms=slow,
        failed=0,
        cpu_collector=1.1,
        cpu_postgresql=0.5,
        cpu_client=0.2,
        memory_mb=[50.0, 54.0],
        memory_postgresql_mb=400.0,
        wal_bytes=1000.0,
        p99_against_p50=slow,
    )


def one_pass(speed: float, at_ten: float) -> Pass:
    """On a machine of that speed."""
    bare = {size: Load(round(1000 * speed), 1.0, 0, 1.0, 2.0) for size in (1, 10)}
    rows = {1: row(600 * speed), 10: row(at_ten * speed, size=10), 100: row(50 * speed, size=100)}
    return Pass(10_000 * speed, bare, rows)


def test_how_fast_the_machine_was_in_a_pass_does_not_matter() -> None:
    passes = [one_pass(1.0, 300), one_pass(0.5, 400), one_pass(2.0, 500)]
    rows = [middle([each.rows[size] for each in passes]) for size in (1, 10, 100)]
    assert list(ratios(rows, passes, 0.7, 1.5).values()) == [0.5, 0.4, 0.6, 2.0, 54.0, 0.7, 1.5]


def test_only_what_was_measured_is_a_ratio() -> None:
    found = ratios([row(1.0, slow=2.5)], [Pass(10_000)], 0.7, 1.5)
    names = list(TARGETS)
    assert found == {names[3]: 2.5, names[4]: 54.0, names[5]: 0.7, names[6]: 1.5}


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_the_middle_is_the_round_of_median_speed_and_the_median_of_the_slowest(order: tuple[int, ...]) -> None:
    found = middle([row(100.0 * number, slow=4.0 - number) for number in order])
    assert (found.requests_per_second, found.p99_against_p50) == (200.0, 2.0)


def test_what_bare_answered_before_and_after_counts_together() -> None:
    both = Load(1000, 1.0, 0, 2.0, 4.0) + Load(800, 1.0, 1, 4.0, 8.0)
    assert (both.per_second, both.failed, both.p50_ms, both.p99_against_p50) == (900.0, 1, 3.0, 2.0)


def test_a_row_stands_below_its_heads_and_has_the_figures_of_each_process(capsys: pytest.CaptureFixture[str]) -> None:
    print_row(row(1234.0, size=10))
    line = capsys.readouterr().out.rstrip()
    assert len(line) == len(f"{'':46}{HEADS}")
    assert line.split()[-8:] == ["0", "1.10", "0.50", "0.20", "50", "54", "400", "1000"]


def test_what_is_left_beside_stored_events_is_the_median_of_the_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [(row(1000), row(800)), (row(500), row(450)), (row(2000), row(1000))]
    single = [[(row(100, size=size), row(rate, size=size))] for size, rate in ((10, 84.99), (100, 85.0))]
    assert remaining([pairs, *single]) == {
        "events, 1 a batch": 0.8,
        "events, 10 a batch": 0.8499,
        "events, 100 a batch": 0.85,
    }
    lines = capsys.readouterr().out.splitlines()
    assert "0.800 of 0.80, 0.90, 0.50" in lines[0]
    assert ["MISSED" in line for line in lines] == [True, True, False]
