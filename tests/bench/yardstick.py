r"""What the events are measured against: a bulk copy of the same ones into a plain table. Never tuned.

One column a field of the contract, partitioned by month, three btree indexes (identity, time, session), filled by two
sessions of psql with `\copy`. A leaner schema of ours counts for us.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from psycopg import sql

from dev.embedded import EmbeddedPostgres
from tests.bench.cases import pool
from tests.fixtures.postgres import connect

SESSIONS = 2
EVENTS = 200_000

# The fields of the contract, in its order, and what they are.
COLUMNS = {
    "hostId": "text",
    "sessionId": "text",
    "agentName": "text",
    "eventType": "text",
    "eventId": "text",
    "timestamp": "timestamptz",
    "decision": "text",
    "decisionReason": "text",
    "hookName": "text",
    "toolName": "text",
    "modelName": "text",
    "mode": "text",
    "executionType": "text",
    "modelTier": "text",
    "provider": "text",
    "clientVersion": "text",
    "workingDir": "text",
    "latencyMs": "double precision",
    "success": "boolean",
    "errorCount": "integer",
    "warningCount": "integer",
    "promptTokens": "bigint",
    "completionTokens": "bigint",
    "totalTokens": "bigint",
    "cachedTokens": "bigint",
    "reasoningTokens": "bigint",
    "cost": "numeric(16, 9)",
    "generationId": "text",
    "toolInput": "json",
    "extraData": "json",
}
INDEXED = ("eventId", "timestamp", "sessionId")
ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def write_rows(events: Iterable[dict[str, Any]], folder: Path) -> tuple[list[Path], int]:
    """Writes the events as rows for COPY, a file a session; the files, and how many rows they hold together."""
    paths = [folder / f"rows-{number}" for number in range(SESSIONS)]
    files = [path.open("w", encoding="utf-8") for path in paths]
    rows = 0
    for event in events:
        files[rows % SESSIONS].write("\t".join(_field(event.get(name)) for name in COLUMNS) + "\n")
        rows += 1
    for file in files:
        file.close()
    return paths, rows


def _field(value: Any) -> str:
    if value is None:
        return "\\N"
    text = json.dumps(value, separators=(",", ":")) if isinstance(value, dict) else str(value)
    return text.translate(ESCAPED)


def make_table(url: str, months: Iterable[datetime]) -> None:
    """Makes the table, empty, in place of a former one, with a partition for each of these months."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in COLUMNS.items()
    )
    with connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS yardstick")
        connection.execute(sql.SQL('CREATE TABLE yardstick ({}) PARTITION BY RANGE ("timestamp")').format(columns))
        for name in INDEXED:
            connection.execute(sql.SQL("CREATE INDEX ON yardstick ({})").format(sql.Identifier(name)))
        for month in sorted({datetime(day.year, day.month, 1, tzinfo=UTC) for day in months}):
            following = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
            connection.execute(
                sql.SQL("CREATE TABLE {} PARTITION OF yardstick FOR VALUES FROM ({}) TO ({})").format(
                    sql.Identifier(f"yardstick_{month:%Y_%m}"), month, following
                )
            )


def copy(postgres: EmbeddedPostgres, paths: Iterable[Path]) -> float:
    """Copies the files into the table, a session each at the same time; the seconds until the last has committed."""
    command = [str(postgres.binary("psql")), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", postgres.url()]
    began = time.perf_counter()
    sessions = [subprocess.Popen([*command, "--command", f"\\copy yardstick FROM '{path}'"]) for path in paths]
    if any([session.wait(timeout=600) for session in sessions]):  # noqa: C419  # wait for all of them
        raise RuntimeError("psql could not copy the rows; its errors are above")
    return time.perf_counter() - began


def events_a_second(folder: Path, settings: Mapping[str, str]) -> float:
    """Events a second of the bulk copy, the median of three, each into an empty table; on a server of its own, new.

    Its files stay in `folder`: where the kernel tells the disk of what is free (`discard`), whoever writes next would
    wait for all that was removed.
    """
    own = Path(tempfile.mkdtemp(prefix="yardstick-", dir=folder))
    own.chmod(0o711)
    paths, rows = write_rows(pool(EVENTS), own)
    now, rates = datetime.now(UTC), []
    with EmbeddedPostgres(own / "16", settings=settings) as postgres:
        for _ in range(3):
            make_table(postgres.url(), [now - timedelta(days=1), now])
            rates.append(rows / copy(postgres, paths))
    return median(rates)
