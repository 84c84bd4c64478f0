"""Files of the host, and Grafana's SQLite database: packed, read back, put back."""

import gzip
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from telemetry_backup.errors import BackupError


def pack(paths: Sequence[Path], archive: Path) -> list[str]:
    """Writes files and folders with owners (by name) and modes; returns the paths that do not exist."""
    missing = [str(path) for path in paths if not path.exists()]
    with archive.open("xb") as target, tarfile.open(fileobj=target, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for path in paths:
            if str(path) not in missing:
                tar.add(path, str(path).lstrip("/"), filter=_wanted)
    return missing


def members(archive: Path) -> list[str]:
    """The absolute paths in an archive, having read it to its end. Raises BackupError when it is torn."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            names = []
            for member in tar:
                if member.isfile():
                    _drain(tar, member)
                names.append(f"/{member.name}")
            return names
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupError(f"{archive} cannot be read ({error}): use another backup.") from error


def differences(archive: Path, root: Path = Path("/")) -> dict[str, str]:
    """Each file of an archive: new, changed or same, compared with what the host has."""
    states = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            path = root / member.name
            if member.isfile():
                source = tar.extractfile(member)
                assert source is not None
                content = source.read()
                same = path.is_file() and path.read_bytes() == content
                states[f"/{member.name}"] = "same" if same else "changed" if path.exists() else "new"
    return states


def unpack(archive: Path, allowed: Sequence[Path], root: Path = Path("/")) -> None:
    """Puts files back over what is there; others stay. Raises BackupError before it writes anything elsewhere."""
    with tarfile.open(archive, "r:gz") as tar:
        found = tar.getmembers()
        for member in found:
            _check(member, allowed)
        # The check above is stricter than any of tarfile's own, which differ from version to version.
        tar.extraction_filter = _as_checked
        for member in found:
            path = root / member.name
            # A program that has the file open keeps the old one; a symlink is replaced, not followed.
            if path.is_symlink() or (path.exists() and not member.isdir()):
                path.unlink()
            tar.extract(member, root, numeric_owner=False)


def copy_sqlite(database: Path, archive: Path) -> None:
    """Writes a compressed, consistent copy of a database that may be in use."""
    if not database.exists():
        raise BackupError(
            f"There is no {database}: start Grafana once, or set backup_grafana to false where it has none."
        )
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="sqlite-") as folder:
        copy = Path(folder) / "copy.db"
        try:
            with (
                closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            with copy.open("rb") as whole, archive.open("xb") as out, gzip.open(out, "wb") as packed:
                shutil.copyfileobj(whole, packed)
        except sqlite3.Error as error:
            raise BackupError(
                f"{database} cannot be copied ({error}): see whether Grafana itself can read it."
            ) from error


@contextmanager
def unpacked_sqlite(archive: Path, folder: Path | None = None) -> Iterator[Path]:
    """The database of an archive as a file for a while, found sound. Raises BackupError."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-sqlite-") as scratch:
        copy = Path(scratch) / "copy.db"
        try:
            with gzip.open(archive) as packed, copy.open("xb") as target:
                shutil.copyfileobj(packed, target)
            with closing(sqlite3.connect(copy)) as opened:
                said = opened.execute("PRAGMA integrity_check").fetchone()[0]
        except (OSError, EOFError, sqlite3.Error) as error:
            raise BackupError(f"{archive} cannot be read ({error}): use another backup.") from error
        if said != "ok":
            raise BackupError(f"{archive} holds a damaged database ({said}): use another backup.")
        yield copy


def put_sqlite(archive: Path, database: Path, user: str) -> None:
    """Replaces a database that nobody has open."""
    with unpacked_sqlite(archive, database.parent) as copy:
        copy.chmod(0o640)
        shutil.chown(copy, user, user)
        for suffix in ("-wal", "-shm", "-journal"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        copy.replace(database)


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Sockets and devices are made again by whoever needs them."""
    return member if member.isfile() or member.isdir() or member.issym() else None


def _as_checked(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    return member


def _check(member: tarfile.TarInfo, allowed: Sequence[Path]) -> None:
    path = Path("/") / member.name
    below = any(path == one or one in path.parents for one in allowed)
    if ".." in path.parts or not below or not (member.isfile() or member.isdir() or member.issym()):
        raise BackupError(f"The backup holds {path}, which is not among this host's paths: see paths in backup.toml.")


def _drain(tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    source = tar.extractfile(member)
    assert source is not None
    while source.read(1 << 20):
        pass
