"""Files and Grafana's database: out and back, owners and modes included, and nothing but them."""

import os
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from telemetry_backup import files
from telemetry_backup.errors import BackupError

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away: run the tests with sudo")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Some of a host's files."""
    folder = tmp_path / "etc" / "telemetry"
    (folder / "secrets").mkdir(parents=True)
    (folder / "secrets").chmod(0o700)
    (folder / "secrets" / "token").write_text("hidden")
    (folder / "secrets" / "token").chmod(0o600)
    (folder / "plain").write_text("old")
    (folder / "link").symlink_to("plain")
    return folder


def pack(paths: list[Path], archive: Path) -> list[str]:
    return files.pack(paths, archive)


def test_files_come_back_with_their_modes_and_others_stay(host: Path, tmp_path: Path) -> None:
    archive = tmp_path / "files.tar.gz"
    assert pack([host, tmp_path / "nowhere"], archive) == [str(tmp_path / "nowhere")]
    (host / "secrets" / "token").unlink()
    (host / "plain").write_text("newer")
    (host / "link").unlink()
    (host / "link").write_text("no link")
    (host / "later").write_text("stays")

    states = {Path(path).name: state for path, state in files.differences(archive).items()}
    assert states == {"token": "new", "plain": "changed"}
    files.unpack(archive, [host])

    assert (host / "secrets" / "token").read_text() == "hidden"
    assert (host / "secrets" / "token").stat().st_mode & 0o777 == 0o600
    assert (host / "secrets").stat().st_mode & 0o777 == 0o700
    assert (host / "plain").read_text() == "old"
    assert (host / "link").readlink() == Path("plain")
    assert (host / "later").read_text() == "stays"
    assert set(files.differences(archive).values()) == {"same"}


@root_only
def test_owners_are_known_by_name(host: Path, tmp_path: Path) -> None:
    shutil.chown(host / "plain", "daemon", "daemon")
    files.pack([host], tmp_path / "files.tar.gz")
    shutil.chown(host / "plain", "root", "root")
    files.unpack(tmp_path / "files.tar.gz", [host])
    assert (host / "plain").owner() == (host / "plain").group() == "daemon"


def test_a_socket_in_a_folder_is_left_out(host: Path, tmp_path: Path) -> None:
    os.mkfifo(host / "fifo")
    files.pack([host], tmp_path / "files.tar.gz")
    assert str(host / "fifo") not in files.members(tmp_path / "files.tar.gz")
    assert str(host / "plain") in files.members(tmp_path / "files.tar.gz")


@pytest.mark.parametrize("name", ["etc/passwd", "../etc/passwd", "{host}/../../passwd", "{host}x/y"])
def test_an_archive_that_reaches_elsewhere_is_refused_before_anything_is_written(
    host: Path, tmp_path: Path, name: str
) -> None:
    archive = tmp_path / "files.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(host / "plain", f"{host}/written".lstrip("/"))
        tar.add(host / "plain", name.format(host=str(host).lstrip("/")))
    with pytest.raises(BackupError, match="not among this host's paths"):
        files.unpack(archive, [host])
    assert not (host / "written").exists()


def test_a_hard_link_is_refused(host: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "files.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo(f"{host}/hard".lstrip("/"))
        member.type, member.linkname = tarfile.LNKTYPE, "etc/shadow"
        tar.addfile(member)
    with pytest.raises(BackupError, match="not among"):
        files.unpack(tmp_path / "files.tar.gz", [host])


def test_a_torn_archive_is_noticed(host: Path, tmp_path: Path) -> None:
    archive = tmp_path / "files.tar.gz"
    (host / "large").write_bytes(os.urandom(100_000))
    files.pack([host], archive)
    os.truncate(archive, 50_000)
    with pytest.raises(BackupError, match="use another"):
        files.members(archive)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_sqlite_database_is_copied_while_it_is_written(tmp_path: Path, mode: str) -> None:
    database = tmp_path / "grafana.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute(f"PRAGMA journal_mode = {mode}")
        writer.execute("CREATE TABLE dashboard (title text)")
        writer.execute("INSERT INTO dashboard VALUES ('committed')")
        writer.execute("BEGIN")
        writer.execute("INSERT INTO dashboard VALUES ('not yet')")
        files.copy_sqlite(database, tmp_path / "grafana.db.gz")
        writer.execute("COMMIT")
    with files.unpacked_sqlite(tmp_path / "grafana.db.gz") as copy, closing(sqlite3.connect(copy)) as opened:
        assert opened.execute("SELECT title FROM dashboard").fetchall() == [("committed",)]


@root_only
def test_a_sqlite_database_is_put_back_without_the_journal_of_the_one_before(tmp_path: Path) -> None:
    database = tmp_path / "grafana.db"
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("CREATE TABLE dashboard (title text)")
    files.copy_sqlite(database, tmp_path / "grafana.db.gz")
    database.write_text("broken")
    database.with_name("grafana.db-wal").write_text("of another database")
    files.put_sqlite(tmp_path / "grafana.db.gz", database, "daemon")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grafana.db", "grafana.db.gz"]
    assert (database.owner(), database.stat().st_mode & 0o777) == ("daemon", 0o640)
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("SELECT count(*) FROM dashboard").fetchone() == (0,)


def test_a_missing_or_broken_sqlite_database_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="start Grafana once"):
        files.copy_sqlite(tmp_path / "grafana.db", tmp_path / "grafana.db.gz")
    (tmp_path / "grafana.db").write_text("this is no database, however long it may be")
    with pytest.raises(BackupError, match="cannot be copied"):
        files.copy_sqlite(tmp_path / "grafana.db", tmp_path / "grafana.db.gz")
