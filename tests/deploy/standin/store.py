"""What the stand-in for Grafana keeps over its restarts: a SQLite database where Grafana has its own."""

import hashlib
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS org (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS user (id INTEGER PRIMARY KEY, login TEXT UNIQUE NOT NULL, password TEXT, salt TEXT);
CREATE TABLE IF NOT EXISTS user_auth_token (token TEXT PRIMARY KEY, user_id INTEGER NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS login_attempt (subject TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS data_source (uid TEXT PRIMARY KEY, provisioned INTEGER NOT NULL, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dashboard (
    uid TEXT PRIMARY KEY, title TEXT NOT NULL, folder TEXT NOT NULL, provider TEXT NOT NULL, data TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dashboard_public (
    uid TEXT PRIMARY KEY, dashboard_uid TEXT UNIQUE NOT NULL, access_token TEXT UNIQUE NOT NULL, data TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS alerting (kind TEXT PRIMARY KEY, data TEXT NOT NULL);
"""

LOCK_SECONDS = 300.0
LOCK_ATTEMPTS = 5


class Store:
    """The database; a connection a call, for each request has a thread of its own."""

    def __init__(self, data: Path) -> None:
        self.path = data / "grafana.db"

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, which an exception takes back."""
        connection = sqlite3.connect(self.path, timeout=20)
        connection.row_factory = sqlite3.Row
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def prepare(self, login: str, password: str) -> None:
        """Makes what a first start makes: one organisation, and one user with that password, which counts only then."""
        with self.open() as connection:
            connection.executescript(SCHEMA)
            self.path.chmod(0o640)
            if connection.execute("SELECT 1 FROM org").fetchone() is None:
                connection.execute("INSERT INTO org (id, name) VALUES (1, 'Main Org.')")
                connection.execute("INSERT INTO user (id, login) VALUES (1, ?)", [login])
                _set_password(connection, password)

    def set_password(self, password: str) -> bool:
        """Gives the first user, who is the administrator, that password; False when there is none."""
        with self.open() as connection:
            connection.execute("DELETE FROM user_auth_token")
            return _set_password(connection, password)

    def log_in(self, login: str, password: str, subject: str) -> int | None:
        """The id of the user of that name and password; None otherwise, and after too many attempts of a subject."""
        with self.open() as connection:
            since = time.time() - LOCK_SECONDS
            count = "SELECT count(*) FROM login_attempt WHERE subject = ? AND created > ?"
            if subject and connection.execute(count, [subject, since]).fetchone()[0] >= LOCK_ATTEMPTS:
                return None
            row = connection.execute("SELECT * FROM user WHERE login = ?", [login]).fetchone()
            if row is not None and secrets.compare_digest(row["password"], _hash(password, row["salt"])):
                return int(row["id"])
            if subject:
                connection.execute("INSERT INTO login_attempt VALUES (?, ?)", [subject, time.time()])
            return None

    def start_session(self, user: int) -> str:
        """A new token for the cookie."""
        token = secrets.token_hex(16)
        with self.open() as connection:
            connection.execute("INSERT INTO user_auth_token VALUES (?, ?, ?)", [token, user, time.time()])
        return token

    def end_session(self, token: str) -> None:
        with self.open() as connection:
            connection.execute("DELETE FROM user_auth_token WHERE token = ?", [token])

    def session_user(self, token: str) -> int | None:
        """Whose session that is."""
        with self.open() as connection:
            row = connection.execute("SELECT user_id FROM user_auth_token WHERE token = ?", [token]).fetchone()
            return int(row["user_id"]) if row else None

    def organisations(self) -> list[dict[str, Any]]:
        with self.open() as connection:
            return [dict(row) for row in connection.execute("SELECT id, name FROM org ORDER BY id")]

    def documents(self, table: str, **where: str) -> list[dict[str, Any]]:
        """The rows of a table, `data` decoded, of which the named columns have these values."""
        condition = " AND ".join([f"{name} = ?" for name in where] or ["true"])
        with self.open() as connection:
            rows = connection.execute(f"SELECT * FROM {table} WHERE {condition} ORDER BY 1", list(where.values()))
            return [{**dict(row), "data": json.loads(row["data"])} for row in rows]

    def put(self, table: str, **values: object) -> None:
        """Writes a row, in place of the one with the same key."""
        values["data"] = json.dumps(values["data"])
        marks = ", ".join("?" * len(values))
        with self.open() as connection:
            names = ", ".join(values)
            connection.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", list(values.values()))

    def delete(self, table: str, uid: str) -> None:
        with self.open() as connection:
            connection.execute(f"DELETE FROM {table} WHERE uid = ?", [uid])


def _set_password(connection: sqlite3.Connection, password: str) -> bool:
    salt = os.urandom(8).hex()
    values = [_hash(password, salt), salt]
    return connection.execute("UPDATE user SET password = ?, salt = ? WHERE id = 1", values).rowcount == 1


def _hash(password: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 10_000).hex()
