"""A benchmark runs with the kernel's settings of a server, and leaves them as they were."""

from pathlib import Path

import pytest

from tests.bench.kernel import FOLDER, as_on_a_server, wanted

BEFORE = {"dirty_background_bytes": "1048576", "dirty_expire_centisecs": "3000", "dirty_writeback_centisecs": "500"}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A folder such as /proc/sys/vm."""
    for name, value in {**BEFORE, "dirty_ratio": "20"}.items():
        (tmp_path / name).write_text(f"{value}\n")
    return tmp_path


def values(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in folder.iterdir()}


def test_the_role_names_settings_that_the_kernel_has() -> None:
    assert wanted().keys() == BEFORE.keys()
    assert all((FOLDER / name).exists() and int(value) > 0 for name, value in wanted().items())


def test_they_are_made_and_taken_back(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with as_on_a_server(settings):
        assert values(settings) == {**wanted(), "dirty_ratio": "20"}
    assert values(settings) == {**BEFORE, "dirty_ratio": "20"}
    assert "vm.dirty_expire_centisecs = " in capsys.readouterr().out


def test_they_are_taken_back_after_a_failure(settings: Path) -> None:
    with pytest.raises(ZeroDivisionError), as_on_a_server(settings):
        raise ZeroDivisionError
    assert values(settings) == {**BEFORE, "dirty_ratio": "20"}


def test_where_they_are_there_nothing_is_said(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in wanted().items():
        (settings / name).write_text(value)
    with as_on_a_server(settings):
        pass
    assert capsys.readouterr().out == ""


def test_where_they_may_not_be_made_it_says_how(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (settings / "dirty_background_bytes").unlink()
    # Nobody may write into this one, not even root.
    (settings / "dirty_background_bytes").symlink_to("/proc/version")
    with as_on_a_server(settings):
        pass
    assert "sysctl -w vm.dirty_background_bytes=" in capsys.readouterr().out
    assert (settings / "dirty_expire_centisecs").read_text().strip() == "3000"


def test_where_there_is_no_such_kernel_it_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with as_on_a_server(tmp_path / "nowhere"):
        pass
    assert "sysctl -w vm.dirty_background_bytes=" in capsys.readouterr().out
