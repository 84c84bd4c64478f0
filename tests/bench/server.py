"""The PostgreSQL that is measured: as a small VPS has it, and as it is after it has worked for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from dev.embedded import ROLE, EmbeddedPostgres
from tests.fixtures.postgres import connect, migrate

# As roles/postgresql sizes it for 2 GB of memory, but for lz4, which the wheel lacks. Debian's PostgreSQL 15 is as fast
# without as with it; pglz, which is all that the wheel has, takes a seventh of the speed.
SETTINGS = {
    "shared_buffers": "307MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "wal_compression": "off",
    "min_wal_size": "3GB",
    "max_wal_size": "3GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
}

# Of max_wal_size.
LOG_FILES = 3 * 1024 // 16


def fill_log(postgres: EmbeddedPostgres) -> None:
    """Has the log's files made, as many as there may be.

    A server that has worked for a while uses its own again. To make one is to write 16 MB and wait for the disk, and
    would be felt by whatever is measured first.
    """
    with connect(postgres.url(user="postgres")) as connection:
        for _ in range(LOG_FILES):
            connection.execute("SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal()")
        connection.execute("CHECKPOINT")


@contextmanager
def another_database(postgres: EmbeddedPostgres, name: str) -> Iterator[str]:
    """Its URL; it is empty, but for the schema, and gone at the end."""
    with connect(postgres.url(user="postgres")) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(ROLE)))
        try:
            migrate(url := postgres.url(name))
            yield url
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
