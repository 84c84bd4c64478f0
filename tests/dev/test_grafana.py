"""The Grafana beside `make demo`, with the stand-in where the real one cannot be had."""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.grafana import GrafanaError, LocalGrafana, installed
from tests.fixtures.collector import free_port
from tests.fixtures.environment import ROOT

PROGRAM = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.deploy.standin import main
main.START_SECONDS = 0
sys.exit(main.main("12.3.3", sys.argv[1:]))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An unpacked Grafana, as far as GRAFANA_HOME is asked."""
    program = tmp_path / "home" / "bin" / "grafana"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (tmp_path / "home" / "public" / "build").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def grafana(home: Path, tmp_path: Path, database_url: str) -> Iterator[LocalGrafana]:
    started = LocalGrafana(home, tmp_path / "data", port=free_port(), database_url=database_url)
    started.wait(time.sleep)
    yield started
    started.stop()


def test_it_shows_and_shares_what_a_server_shows(grafana: LocalGrafana) -> None:
    status, found = grafana.ask("/api/dashboards/uid/agent-decisions")
    assert status == 200
    assert found["dashboard"]["title"] == "Decisions"
    address = grafana.share_overview()
    assert address.startswith(f"{grafana.url}/public-dashboards/")
    assert grafana.share_overview() == address
    assert grafana.complaints() == []


def test_the_one_that_grafana_home_names_comes_before_the_one_that_is_installed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dev.grafana.PACKAGE", tmp_path / "package")
    assert installed({}) is None
    assert installed({"GRAFANA_HOME": str(home)}) == home
    shutil.copytree(home, tmp_path / "package")
    assert installed({}) == tmp_path / "package"
    assert installed({"GRAFANA_HOME": str(home)}) == home


def test_a_folder_without_grafana_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(GrafanaError, match="there is no bin/grafana"):
        installed({"GRAFANA_HOME": str(tmp_path)})


def test_a_port_that_is_taken_is_told_of(grafana: LocalGrafana, home: Path, tmp_path: Path, database_url: str) -> None:
    port = int(grafana.url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(GrafanaError, match="set PORT"):
        LocalGrafana(home, tmp_path / "other", port=port, database_url=database_url)
