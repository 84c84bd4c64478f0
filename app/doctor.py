"""Looks at everything that the collector needs, one line each; a fault's line names the remedy.

No check raises, none writes, and none shows a secret.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import conninfo, errors

from app.checks import CHECKS
from app.config import ConfigError, load
from app.store.migrate import MigrationError

SHOWN_LETTERS = 300


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: `ok` is false for a fault, `text` is for people, `data` for programs (JSON)."""

    name: str
    ok: bool
    text: str
    data: dict[str, Any] = field(default_factory=dict)


def run(environ: Mapping[str, str]) -> list[Check]:
    """Every check, in an order in which the first fault explains those after it. Takes some seconds at most."""
    try:
        settings = load(environ)
    except ConfigError as error:
        return [Check("configuration", False, str(error)), *_not_checked(CHECKS, "there is no configuration")]
    checks = [Check("configuration", True, "every setting is known and within its bounds")]
    try:
        connection = _connect(settings.database_url)
    except Exception as error:  # noqa: BLE001  # a line of doctor's, whatever it is
        text = unreachable(error, settings.database_url)
        rest = [name for name in CHECKS if name != "database"]
        return [*checks, Check("database", False, text), *_not_checked(rest, "the database cannot be reached")]
    with connection:
        for name, check in CHECKS.items():
            try:
                ok, text, data = check(connection)
                checks.append(
                    Check(name, ok, text, json.loads(json.dumps(data, default=lambda when: when.isoformat())))
                )
            except Exception as error:  # noqa: BLE001  # as above
                checks.append(Check(name, False, _hide_secrets(_explain(error), settings.database_url)))
    return checks


def _connect(url: str) -> psycopg.Connection:
    connection = psycopg.connect(
        url, autocommit=True, connect_timeout=3, application_name="telemetry-doctor", client_encoding="UTF8"
    )
    connection.execute("SET statement_timeout = '5s'; SET default_transaction_read_only = on; SET TimeZone = 'UTC'")
    return connection


def _not_checked(names: Iterable[str], reason: str) -> list[Check]:
    return [Check(name, False, f"not checked: {reason}") for name in names]


def unreachable(error: Exception, url: str) -> str:
    """Why there is no connection to `url`, and the remedy; without the password, or any part of it."""
    # libpq takes a part of a password with @ or / in it for the host or the port, and its message shows that part.
    secret = url.partition("://")[2].rpartition("@")[0]
    if isinstance(error, psycopg.ProgrammingError) or any(letter in secret for letter in "/@"):
        return (
            "DATABASE_URL is misread, or its server is away; write postgresql://USER:PASSWORD@HOST/DATABASE,"
            " and in the password %40 for @, %2F for / and %25 for %"
        )
    return _hide_secrets(f"cannot be reached: {_one_line(error)}; check DATABASE_URL, and that the server runs", url)


def _explain(error: Exception) -> str:
    if isinstance(error, MigrationError):
        return str(error)
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.UndefinedObject):
        return "the schema is not up to date; run: python -m app migrate"
    if isinstance(error, errors.InsufficientPrivilege):
        return f"{_one_line(error)}; let DATABASE_URL name the owner of the tables"
    if isinstance(error, errors.QueryCanceled):
        return "took over 5 s; try again when the database has less to do"
    return f"could not be checked: {_one_line(error)}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:SHOWN_LETTERS] or type(error).__name__


def _hide_secrets(text: str, url: str) -> str:
    try:
        password = conninfo.conninfo_to_dict(url).get("password")
    except psycopg.ProgrammingError:
        password = None
    if password:
        text = text.replace(str(password), "***")
    return re.sub(r"(://[^\s:@/]*:)[^\s@]*@", r"\1***@", text)
