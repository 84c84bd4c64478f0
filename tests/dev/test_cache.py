"""The cached events: filled once, and from then on brought up to date."""

from datetime import timedelta
from pathlib import Path

import pytest

from dev import cache, fill
from dev.cache import CacheError, cached_events
from dev.embedded import EmbeddedPostgres
from tests.fixtures.postgres import connect

pytestmark = [pytest.mark.slow, pytest.mark.any_python]

DAYS = 20


@pytest.fixture
def home(postgres_folder: Path) -> Path:
    return postgres_folder / "cache"


def count(server: EmbeddedPostgres) -> int:
    with connect(server.url()) as connection:
        row = connection.execute("SELECT count(*) FROM telemetry_events").fetchone()
    assert row is not None
    return int(row[0])


def test_it_is_filled_once_goes_on_and_is_made_anew_for_another_recipe(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    with cached_events(home, count=2000, days=DAYS, report=lines.append) as server:
        assert count(server) == 2000
        with connect(server.url()) as connection:
            connection.execute("DELETE FROM telemetry_events WHERE occurred_at > now() - interval '1 day'")
            connection.execute("TRUNCATE event_identities")
            kept = count(server)
            last = connection.execute("SELECT max(occurred_at) FROM telemetry_events").fetchone()
    assert any(line.startswith("filled it in ") for line in lines)
    assert kept < 2000

    lines.clear()
    monkeypatch.setattr(cache, "CHUNK", 10)
    with cached_events(home, count=2000, days=DAYS, report=lines.append) as server:
        assert kept + 80 < count(server) < kept + 120
        with connect(server.url()) as connection:
            row = connection.execute("SELECT now() - max(occurred_at) FROM telemetry_events").fetchone()
    assert lines[0].startswith("adding ")
    assert last is not None
    assert f"since {last[0]:%Y-%m-%d %H:%M}" in lines[0]
    assert row is not None
    assert row[0] < timedelta(hours=2)

    lines.clear()
    monkeypatch.setattr(fill, "SEED", 2)
    with cached_events(home, count=2000, days=DAYS, report=lines.append) as server:
        assert count(server) == 2000
    assert lines[0].startswith("filling ")


def test_too_little_room_is_told_before_anything_is_filled(home: Path) -> None:
    sentence = r"^1,000,000,000,000 events take about 1300000 GB, and .* with AFT_HOME\.$"
    with pytest.raises(CacheError, match=sentence), cached_events(home, count=10**12):
        pass
