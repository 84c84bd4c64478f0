"""What doctor looks at in the database and on the machine, a function each, in the order of CHECKS.

Each gives whether all is well, a line for people, and the same for programs; it may raise, which doctor turns into a
line.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from app import machine
from app.intake import data_folder
from app.store import condition, keys, migrate, partitions, rollups, storage

Finding = tuple[bool, str, dict[str, Any]]

SUPPORTED = range(15, 19)
CLOCK_TOLERANCE_SECONDS = 5.0
EXPIRES_SOON = timedelta(days=14)
SHOWN_HOSTS = 5
# Roll-ups are behind by half a minute at most while a collector runs and is not overloaded.
LATE_SECONDS = 60.0


def _database(connection: psycopg.Connection) -> Finding:
    server = condition.server(connection)
    info = connection.info
    data = {
        **asdict(server),
        "host": info.host,
        "port": info.port,
        "database": info.dbname,
        "user": info.user,
    }
    text = f"PostgreSQL {server.version}, {info.dbname} at {info.host} as {info.user}"
    if info.server_version // 10_000 not in SUPPORTED:
        return False, f"{text}: needs PostgreSQL {SUPPORTED[0]} to {SUPPORTED[-1]}", data
    if server.read_only:
        return False, f"{text}: a standby, which takes nothing in; let DATABASE_URL name the primary", data
    if server.encoding != "UTF8":
        return False, f"{text}: its encoding is {server.encoding}; create the database with ENCODING 'UTF8'", data
    return True, text, data


def _schema(connection: psycopg.Connection) -> Finding:
    missing = [migration.name for migration in migrate.pending(connection)]
    if missing:
        return False, f"lacks {', '.join(missing)}; run: python -m app migrate", {"pending": missing}
    return True, "up to date", {"pending": []}


def _partitions(connection: psycopg.Connection) -> Finding:
    now = partitions.database_now(connection)
    there = partitions.existing(connection)
    ahead = -1
    while any(partition.holds(partitions.midnight(partitions.months_later(now, ahead + 1))) for partition in there):
        ahead += 1
    data = {"months_ahead": ahead, "partitions": [asdict(partition) for partition in there]}
    remedy = "run: python -m app maintain, and see that its timer is on"
    if ahead < 0:
        return False, f"none for this month; {remedy}", data
    if ahead < 1:
        return False, f"none for the next month; {remedy}", data
    return True, f"{len(there)}, up to {ahead} months ahead", data


def _default_partition(connection: psycopg.Connection) -> Finding:
    waiting = condition.waiting(connection)
    data = {**asdict(waiting), "events": waiting.events}
    if waiting.oldest is None or waiting.newest is None:
        return True, "empty", data
    hosts = ", ".join(list(waiting.hosts)[:SHOWN_HOSTS]) + (", ..." if len(waiting.hosts) > SHOWN_HOSTS else "")
    text = (
        f"{waiting.events} events, from {_minute(waiting.oldest)} to {_minute(waiting.newest)}, of {hosts};"
        " python -m app maintain moves those of recent months, for others set the clocks of these hosts"
    )
    return True, text, data


def _disk(connection: psycopg.Connection) -> Finding:
    folder = data_folder(connection)
    if folder is None:
        return True, f"not checked: {connection.info.host} is another machine", {}
    disk = machine.disk(folder)
    if disk is None:
        return True, f"not checked: this machine has no {folder}, where the database would be", {}
    text = f"{_size(disk.free)} of {_size(disk.size)} free in {disk.folder}"
    if not disk.enough:
        remedy = "make room, or lower TELEMETRY_EVENT_RETENTION_DAYS and run: python -m app maintain"
        return False, f"{text}, and needs 500 MB and 5 %; {remedy}", asdict(disk)
    return True, text, asdict(disk)


def _clock(connection: psycopg.Connection) -> Finding:
    before = time.time()
    theirs = condition.clock(connection)
    after = time.time()
    ahead = theirs - (before + after) / 2
    kept = machine.clock_is_kept()
    data = {"database_ahead_seconds": round(ahead, 3), "synchronised": kept}
    text = f"the database's is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    remedy = "keep both with NTP, such as systemd-timesyncd or chrony"
    if abs(ahead) - (after - before) / 2 > CLOCK_TOLERANCE_SECONDS:
        return False, f"{text}; {remedy}", data
    return True, f"{text}, which nothing keeps right; {remedy}" if kept is False else text, data


def _keys(connection: psycopg.Connection) -> Finding:
    now = datetime.now(UTC)
    known = keys.everyone(connection)
    states = {state: sum(key.state(now) == state for key in known) for state in ("active", "expired", "revoked")}
    active = [key for key in known if key.state(now) == "active"]
    soon = [key for key in active if key.expires_at is not None and key.expires_at - now < EXPIRES_SOON]
    data = {
        **states,
        "ingest": sum(key.scope == "ingest" for key in active),
        "expire_soon": [{"id": key.id, "host_id": key.host_id, "expires_at": key.expires_at} for key in soon],
    }
    text = ", ".join(f"{number} {state}" for state, number in states.items())
    if not data["ingest"]:
        return False, f"{text}: none lets a host send; make one: python -m app keys create HOST", data
    for key in soon[:SHOWN_HOSTS]:
        assert key.expires_at is not None
        text += f"; {key.host_id}'s ends on {_minute(key.expires_at)}: python -m app keys rotate {key.id}"
    return True, text, data


def _quarantine(connection: psycopg.Connection) -> Finding:
    found = condition.quarantine(connection)
    if found.last_seen_at is None:
        return True, "empty", asdict(found)
    newest = f"the newest {_minute(found.last_seen_at)} with the key of {found.host_id}: {found.errors}"
    return True, f"{found.events} events that came {found.times} times, {newest}", asdict(found)


def _refused_transcripts(connection: psycopg.Connection) -> Finding:
    found = condition.refused(connection)
    data = {"hosts": [asdict(host) for host in found]}
    if not found:
        return True, "none", data
    hosts = ", ".join(f"{host.host_id} {host.times} times" for host in found[:SHOWN_HOSTS])
    return True, f"{hosts}, last on {_minute(found[0].last_refused_at)}; they were over 32 MiB", data


def _rollups(connection: psycopg.Connection) -> Finding:
    found = rollups.freshness(connection)
    text = "up to date"
    if found.events_waiting:
        text = f"{found.events_waiting} events wait, the oldest for {found.lag_seconds:.0f} s"
    if found.days_to_rebuild:
        text += f"; {found.days_to_rebuild} days are counted anew"
    if found.lag_seconds > LATE_SECONDS:
        return False, f"{text}; see that a collector runs, and what it logs", asdict(found)
    return True, text, asdict(found)


def _storage(connection: psycopg.Connection) -> Finding:
    used = storage.measure(connection)
    data = {**asdict(used), "total": used.total, "bytes_an_event": used.bytes_an_event, "shares": used.shares()}
    shares = ", ".join(f"{part} {share:.0%}" for part, share in used.shares().items())
    number = f"{used.events} events" if used.counted else f"about {used.events} events"
    each = "" if used.bytes_an_event is None else f", {used.bytes_an_event:.0f} bytes an event"
    return True, f"{_size(used.total)} for {number}{each}: {shares}", data


def _minute(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "minutes")


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


CHECKS: dict[str, Callable[[psycopg.Connection], Finding]] = {
    "database": _database,
    "schema": _schema,
    "partitions": _partitions,
    "default partition": _default_partition,
    "disk": _disk,
    "clock": _clock,
    "keys": _keys,
    "quarantine": _quarantine,
    "refused transcripts": _refused_transcripts,
    "roll-ups": _rollups,
    "storage": _storage,
}
