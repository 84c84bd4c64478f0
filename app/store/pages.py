"""A large table's pages in pieces: no transaction lasts long, none wades through what the ones before deleted."""

from collections.abc import Iterator

import psycopg
from psycopg import sql

PROGRESS_SECONDS = 5.0


def pieces(connection: psycopg.Connection, table: str, pages: int) -> Iterator[dict[str, str]]:
    """From the first page to the last that is there now: `first` and `next`, ctids, so many pages of 8 kB apart."""
    size = sql.SQL("SELECT pg_relation_size({}) / current_setting('block_size')::integer").format(sql.Literal(table))
    row = connection.execute(size).fetchone()
    assert row is not None
    for first in range(0, row[0], pages):
        yield {"first": f"({first},0)", "next": f"({first + pages},0)"}
