"""The table reporting_settings: what the collector is told by its settings and the views must know."""

from dataclasses import asdict, dataclass

import psycopg

from app.store import rollups


@dataclass(frozen=True, slots=True)
class Site:
    """The settings of that name; `time_zone` is an IANA name."""

    time_zone: str = "UTC"
    silent_after_minutes: int = 15
    public_hosts: bool = True
    public_costs: bool = True


def save(connection: psycopg.Connection, site: Site) -> None:
    """Tells the views. With another time zone than before, all days that have events are counted anew.

    Raises psycopg.errors.InvalidParameterValue where PostgreSQL does not know the time zone.
    """
    with connection.transaction():
        row = connection.execute("SELECT time_zone FROM reporting_settings FOR UPDATE").fetchone()
        connection.execute("SELECT now() AT TIME ZONE %s", (site.time_zone,))
        connection.execute(
            "UPDATE reporting_settings SET (time_zone, silent_after_minutes, public_hosts, public_costs)"
            " = (%(time_zone)s, %(silent_after_minutes)s, %(public_hosts)s, %(public_costs)s)"
            " WHERE (time_zone, silent_after_minutes, public_hosts, public_costs)"
            " <> (%(time_zone)s, %(silent_after_minutes)s, %(public_hosts)s, %(public_costs)s)",
            asdict(site),
        )
        if row is not None and row[0] != site.time_zone:
            rollups.ask_for_all_days(connection)
