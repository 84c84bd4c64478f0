"""Notes a backup in the database that it is of, so that the site's own dashboard and alerts know how old it is."""

from typing import Any

from telemetry_backup.config import Config
from telemetry_backup.copies import Copy
from telemetry_backup.postgres import Postgres

# A release from before this table may run there.
NOTE = r"""
SELECT to_regclass('public.status_backups') IS NOT NULL AS there \gset
\if :there
INSERT INTO public.status_backups (taken_at, bytes, copied)
VALUES (:'taken_at'::timestamptz, :'bytes'::bigint, :'copied'::boolean)
ON CONFLICT (taken_at) DO UPDATE SET bytes = excluded.bytes, copied = excluded.copied;
\endif
"""


def note(config: Config, copy: Copy, manifest: dict[str, Any], *, copied: bool) -> None:
    """Notes a backup that was read back whole, and whether it is off the host as well. Raises BackupError.

    As the database's owner: a superuser's INSERT would run, with all rights, whatever triggers the owner has put there.
    """
    if config.database is None or manifest["database"] is None:
        return
    Postgres(config.database).query_as(
        manifest["database"]["owner"],
        config.database.name,
        NOTE,
        taken_at=manifest["taken_at"],
        bytes=str(copy.bytes),
        copied=str(copied).lower(),
    )
