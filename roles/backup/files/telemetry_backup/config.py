"""What the playbook wrote into /etc/telemetry/backup.toml."""

import tomllib
import types
import typing
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from telemetry_backup.errors import BackupError

T = TypeVar("T")


@dataclass(frozen=True)
class Database:
    """The PostgreSQL database of this host."""

    name: str
    # Whom to become for it, and whom to connect as: the server's superuser, for a restore makes roles and databases.
    system_user: str = "postgres"
    role: str = "postgres"
    socket_folder: str = "/run/postgresql"
    port: int = 5432
    # Empty: Debian's folder of the server's own version, else whatever PATH has.
    programs: str = ""
    # Seconds for a single small statement; dumps and restores may take as long as they need.
    timeout: int = 60


@dataclass(frozen=True)
class Grafana:
    """Grafana's SQLite database."""

    database: Path
    user: str = "grafana"


@dataclass(frozen=True)
class Target:
    """Where copies go off this host: rsync's [USER@HOST:]FOLDER."""

    address: str
    key: Path | None = None
    known_hosts: Path | None = None
    port: int = 22
    # Whether what is deleted here is deleted there too.
    mirror: bool = False


@dataclass(frozen=True)
class Config:
    """All of it. A part that is None is not of this host."""

    folder: Path
    # A copy goes when it is older than so many days, and at least so many newer ones are kept.
    keep: int = 7
    keep_days: int = 14
    # What a backup must leave free on the disk, MB: the database needs it more.
    minimum_free_mb: int = 512
    paths: tuple[Path, ...] = ()
    database: Database | None = None
    grafana: Grafana | None = None
    target: Target | None = None


def load(path: Path) -> Config:
    """Reads the file; raises BackupError when it is missing, or holds what is not understood."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BackupError(f"There is no {path}: run the playbook with --tags backup, or name another file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BackupError(f"{path} is no TOML ({error}): run the playbook with --tags backup.") from error
    config = _read(Config, values, str(path))
    if config.keep < 1 or config.keep_days < 0:
        raise BackupError(f"{path}: keep must be at least 1 and keep_days at least 0.")
    if not config.folder.is_absolute() or len(config.folder.parts) < 3:
        raise BackupError(f"{path}: folder must be a path such as /var/backups/telemetry.")
    return config


def _read(kind: type[T], values: dict[str, Any], where: str) -> T:
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(values.keys() - known.keys())
    missing = [name for name, field in known.items() if field.default is MISSING and name not in values]
    if unknown or missing:
        raise BackupError(f"{where}: unknown {', '.join(unknown) or '-'}; missing {', '.join(missing) or '-'}.")
    return kind(**{name: _value(hints[name], value, f"{where}: {name}") for name, value in values.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, types.UnionType):
        kind = next(one for one in typing.get_args(kind) if one is not types.NoneType)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_value(Path, one, where) for one in value)
    if isinstance(value, dict) and kind in (Database, Grafana, Target):
        return _read(kind, value, where)
    if type(value) is not kind:
        raise BackupError(f"{where} is {value!r}, which has the wrong type.")
    return value
