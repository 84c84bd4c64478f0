"""A host of the site as the backup sees it: a database, Grafana's SQLite and files, in a test's own folder."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.fixtures.environment import ROOT, environment
from tests.fixtures.postgres import Server, connect

PROGRAM = ROOT / "roles" / "backup" / "files"


@dataclass
class Site:
    """Its database is `name` on `server`; what belongs to one test is below `folder`."""

    server: Server
    url: str
    folder: Path
    keep: int = 7
    minimum_free_mb: int = 0
    target: Path | None = None

    @property
    def name(self) -> str:
        return str(psycopg.conninfo.conninfo_to_dict(self.url)["dbname"])

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    @property
    def grafana(self) -> Path:
        return self.folder / "grafana.db"

    def furnish(self) -> None:
        """Gives it secrets and a Grafana."""
        self.etc.mkdir()
        (self.etc / "token").write_text("0123456789abcdef")
        with closing(sqlite3.connect(self.grafana)) as opened:
            opened.execute("CREATE TABLE dashboard (title text)")

    def configure(self) -> Path:
        """Writes the program's configuration as it is to be now."""
        embedded = self.server.embedded
        binaries = embedded.binary("pg_dump").parent
        socket = psycopg.conninfo.conninfo_to_dict(embedded.url())["host"]
        target = f'\n[target]\naddress = "{self.target}"\n' if self.target else ""
        path = self.folder / "backup.toml"
        path.write_text(f"""
folder = "{self.backups}"
keep = {self.keep}
keep_days = 0
minimum_free_mb = {self.minimum_free_mb}
paths = ["{self.etc}", "{self.folder}/nowhere"]
[database]
name = "{self.name}"
system_user = ""
socket_folder = "{socket}"
programs = "{binaries}"
[grafana]
database = "{self.grafana}"
user = "root"
{target}""")
        return path

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the program as the server does: with the standard library alone."""
        start = (
            f"import sys; sys.path.insert(0, {str(PROGRAM)!r}); "
            "from telemetry_backup.__main__ import main; sys.exit(main())"
        )
        command = [sys.executable, "-ISB", "-W", "error", "-c", start, "--config", str(self.configure()), "--json"]
        return subprocess.run(
            [*command, *arguments], env=environment(), capture_output=True, text=True, timeout=120, check=False
        )

    def run(self, *arguments: str) -> Any:
        """Its result. Fails the test when it fails."""
        result = self.attempt(*arguments)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def sql(self, statement: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """What the superuser is told by the site's database, or another."""
        with connect(self.server.embedded.url(database or self.name, "postgres")) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def databases(self) -> list[str]:
        """The databases whose names begin with the site's own."""
        return [
            name
            for (name,) in self.sql("SELECT datname FROM pg_database ORDER BY datname", "postgres")
            if name == self.name or name.startswith(f"{self.name}_")
        ]
