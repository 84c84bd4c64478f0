"""The trigger that notes for the roll-ups what is stored: one on the table, and one on each month.

That of the table sees only what comes through it; batches are written into their month directly.
"""

import psycopg
from psycopg import sql

TRIGGER = "queue_events"


def note(connection: psycopg.Connection, table: str) -> None:
    """Has what is written into this partition directly noted from now on."""
    connection.execute(
        sql.SQL(
            "CREATE OR REPLACE TRIGGER {trigger} AFTER INSERT ON {table} REFERENCING NEW TABLE AS fresh"
            " FOR EACH STATEMENT EXECUTE FUNCTION queue_events()"
        ).format(trigger=sql.Identifier(TRIGGER), table=sql.Identifier(table))
    )
