"""Which backups stay, which go, and which are no backups at all."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telemetry_backup import copies
from telemetry_backup.copies import Copy
from telemetry_backup.errors import BackupError

NOW = datetime(2024, 3, 1, 3, 15, tzinfo=UTC)


def copy(age_days: float, root: Path = Path("/backups")) -> Copy:
    return Copy(root / (NOW - timedelta(days=age_days)).strftime("%Y%m%dT%H%M%SZ"))


def sealed(folder: Path, **contents: str) -> Path:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_text(content)
    copies.seal(folder)
    return folder


def test_a_copy_goes_when_it_is_too_old_and_enough_newer_ones_are_there() -> None:
    nightly = [copy(age) for age in range(30)]
    assert copies.outlived(nightly, keep=7, keep_days=14, now=NOW) == nightly[15:]


def test_many_backups_of_one_day_do_not_push_out_those_of_the_days_before() -> None:
    found = [*(copy(hour / 24) for hour in range(24)), copy(1), copy(2)]
    assert copies.outlived(found, keep=7, keep_days=14, now=NOW) == []


def test_when_backups_have_failed_for_long_the_old_ones_stay() -> None:
    found = [copy(age) for age in range(100, 110)]
    assert copies.outlived(found, keep=7, keep_days=14, now=NOW) == found[7:]


@given(
    ages=st.lists(st.integers(-5, 5000), unique=True, min_size=1, max_size=40),
    keep=st.integers(-1, 50),
    keep_days=st.integers(0, 400),
)
def test_the_newest_never_goes(ages: list[int], keep: int, keep_days: int) -> None:
    found = [copy(age) for age in ages]
    left = set(found) - set(copies.outlived(found, keep=keep, keep_days=keep_days, now=NOW))
    assert copy(min(ages)) in left
    assert len(left) >= min(keep, len(found))
    assert all(one in left for one in found if NOW - one.taken_at <= timedelta(days=keep_days))


def test_what_is_sealed_is_checked_with_coreutils_too(tmp_path: Path) -> None:
    folder = sealed(tmp_path / "one", a="1", b="2")
    copies.check_sums(folder)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, stdout=subprocess.PIPE)


@pytest.mark.parametrize("harm", ["changed", "missing", "added", "no sums", "sums cut off", "sums repeated", "empty"])
def test_a_backup_that_was_harmed_does_not_verify(tmp_path: Path, harm: str) -> None:
    folder = sealed(tmp_path / "one", a="1", b="2")
    sums = folder / "SHA256SUMS"
    match harm:
        case "changed":
            (folder / "a").write_text("2")
        case "missing":
            (folder / "a").unlink()
        case "added":
            (folder / "c").write_text("3")
        case "no sums":
            sums.write_text("nothing\n")
        case "sums cut off":
            sums.write_text(sums.read_text()[:-10])
        case "sums repeated":
            sums.write_text(sums.read_text() * 2)
        case "empty":
            sums.write_text("")
    with pytest.raises(BackupError, match="use another"):
        copies.check_sums(folder)


def test_only_finished_backups_are_found_the_newest_first(tmp_path: Path) -> None:
    for name in (
        "20240101T000000Z",
        "20240201T000000Z",
        ".unfinished-20240301T000000Z",
        "before-restore-x",
        "lost+found",
    ):
        sealed(tmp_path / name, a="1")
    assert [one.name for one in copies.everything(tmp_path)] == ["20240201T000000Z", "20240101T000000Z"]
    assert copies.find(tmp_path, None).name == "20240201T000000Z"
    assert copies.find(tmp_path, "20240101T000000Z").taken_at == datetime(2024, 1, 1, tzinfo=UTC)
    with pytest.raises(BackupError, match="no finished backup"):
        copies.find(tmp_path, "20230101T000000Z")
    with pytest.raises(BackupError, match="take one"):
        copies.find(tmp_path / "nowhere", None)


def test_two_at_once_are_refused_and_leftovers_of_a_killed_one_go(tmp_path: Path) -> None:
    sealed(tmp_path / ".unfinished-20240301T000000Z", a="1")
    with copies.locked(tmp_path):
        assert not list(tmp_path.glob(".unfinished-*"))
        with pytest.raises(BackupError, match="wait"), copies.locked(tmp_path):
            pass
    with copies.locked(tmp_path):
        pass
