"""The key that `make run` shows: made once, and kept in a file, since the database holds its hash only."""

import hashlib
import json
import os
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import psycopg


def kept_key(file: Path, works: Callable[[str], bool], create: Callable[[], str]) -> str:
    """The key in that file, or where it does not work, a new one, which the file has from then on. Raises OSError."""
    try:
        key = file.read_text().strip()
    except FileNotFoundError:
        key = ""
    if key and works(key):
        return key
    key = create()
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(f"{key}\n")
    unfinished.replace(file)
    return key


def file_name(database_url: str | None) -> str:
    """The name of the file for a database: `key` for the embedded one, else one that depends on where it is."""
    if database_url is None:
        return "key"
    parameters = psycopg.conninfo.conninfo_to_dict(database_url)
    parameters.pop("password", None)
    return f"key-{hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:12]}"


def works_for(host: str, database_url: str, address: tuple[str, int]) -> Callable[[str], bool]:
    """Tells whether a key may write for that host, and the collector at that address takes it."""

    def works(key: str) -> bool:
        statement = "SELECT host_id FROM api_keys WHERE key_hash = %s"
        with psycopg.connect(database_url) as connection:
            row = connection.execute(statement, [hashlib.sha256(key.encode()).hexdigest()]).fetchone()
        return row is not None and row[0] in (host, "*") and _accepted(key, address)

    return works


def _accepted(key: str, address: tuple[str, int]) -> bool:
    """Whether the collector knows the key: it says so before it looks at a batch, here one without events."""
    connection = HTTPConnection(*address, timeout=10)
    try:
        headers = {"Content-Type": "application/json", "X-API-Key": key}
        connection.request("POST", "/api/v1/telemetry/batch", b'{"events": []}', headers)
        return connection.getresponse().status not in (401, 403)
    finally:
        connection.close()
