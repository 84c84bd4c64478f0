"""Every setting in one typed table: the only module that reads the environment."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Variables of the hosts' own clients: they may be set on the same machine and mean nothing here.
CLIENTS_OWN = frozenset({"TELEMETRY_HOST_ID", "TELEMETRY_ENDPOINT"})
PREFIX = "TELEMETRY_"
SWITCH = {"true": True, "false": False}


class ConfigError(Exception):
    """A setting is missing, unknown or malformed; the text names it and the remedy."""


# An origin as in Content-Security-Policy: no path, and a star for any name below a domain.
ORIGIN = r"https?://(\*\.)?[A-Za-z0-9._-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?"


def _setting(
    variable: str,
    help_text: str,
    default: Any = MISSING,
    *,
    low: int | None = None,
    high: int | None = None,
    words: str | None = None,
) -> Any:
    metadata = {"variable": variable, "help": help_text, "low": low, "high": high, "words": words}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says, checked; field order is the order of the README's table."""

    database_url: str = _setting("DATABASE_URL", "Any libpq URL; several hosts and Unix sockets included.")
    host: str = _setting("HOST", "Address to listen on where no socket is handed over.", "127.0.0.1")
    port: int = _setting("PORT", "Port to listen on where no socket is handed over.", 3001, low=0, high=65535)

    # Transcripts, for the most part. Python runs one of them at a time, and the others wait for the database meanwhile.
    # More pass Python's lock to each other: they answer hardly more, but some much later.
    threads: int = _setting(
        "TELEMETRY_THREADS", "Requests other than batches worked on at once, per process.", 2, low=1, high=256
    )
    pool_size: int = _setting(
        "TELEMETRY_POOL_SIZE", "Database connections for requests, per process.", 4, low=1, high=100
    )
    # Browsers never come here: each connection is a host's, or the proxy's, and costs one file descriptor.
    connections: int = _setting(
        "TELEMETRY_CONNECTIONS", "Open client connections, per process.", 1000, low=1, high=100_000
    )
    max_batch_events: int = _setting(
        "TELEMETRY_MAX_BATCH_EVENTS", "Events in one batch; some clients send up to 1000.", 100, low=1, high=10_000
    )
    shutdown_seconds: int = _setting(
        "TELEMETRY_SHUTDOWN_SECONDS", "How long a stop waits for the requests in hand.", 10, low=0, high=600
    )
    # waitress calls the peer of a Unix socket "localhost"; over TCP a peer is an address and never equals it.
    trusted_proxy: str = _setting(
        "TELEMETRY_TRUSTED_PROXY",
        "The peer whose X-Forwarded-For is believed: an address, or localhost for whoever comes by the Unix socket.",
        "localhost",
    )
    metrics_port: int = _setting(
        "TELEMETRY_METRICS_PORT", "Loopback port of /metrics; 0 switches it off.", 9464, low=0, high=65535
    )
    metrics_dir: str = _setting(
        "TELEMETRY_METRICS_DIR",
        "Folder where all processes on one TELEMETRY_METRICS_PORT count together, such as one in /run that a restart of"
        " the service leaves alone. Empty: for a single process; of several, only the first would show its numbers.",
        "",
    )
    event_retention_days: int = _setting(
        "TELEMETRY_EVENT_RETENTION_DAYS", "Days that events are kept; 0 keeps them for ever.", 400, low=0, high=36_500
    )
    transcript_retention_days: int = _setting(
        "TELEMETRY_TRANSCRIPT_RETENTION_DAYS",
        "Days that a transcript is kept after its last change; 0 keeps it for ever.",
        180,
        low=0,
        high=36_500,
    )
    quarantine_retention_days: int = _setting(
        "TELEMETRY_QUARANTINE_RETENTION_DAYS",
        "Days that a quarantined event is kept after it last came; 0 keeps it for ever.",
        30,
        low=0,
        high=36_500,
    )
    glance: bool = _setting("TELEMETRY_GLANCE", "Whether there is /glance.", True)
    embed_origins: str = _setting(
        "TELEMETRY_EMBED_ORIGINS",
        "Origins whose pages may show /glance in a frame, such as https://ha.example.com, with spaces between them;"
        " its own may always.",
        "",
        words=ORIGIN,
    )
    time_zone: str = _setting(
        "TELEMETRY_TIMEZONE", "The time zone whose days are counted, by its IANA name, such as Europe/Berlin.", "UTC"
    )
    silent_after_minutes: int = _setting(
        "TELEMETRY_SILENT_AFTER_MINUTES",
        "Minutes without an event after which a host counts as silent, for seven days.",
        15,
        low=1,
        high=10_080,
    )
    public_hosts: bool = _setting(
        "TELEMETRY_PUBLIC_HOSTS", "Whether visitors without a login see the hosts' names.", True
    )
    public_costs: bool = _setting(
        "TELEMETRY_PUBLIC_COSTS", "Whether visitors without a login see tokens and dollars.", True
    )

    # Handed over by systemd, not set by people: number of listening sockets from descriptor 3 on, where to say that we
    # are ready, and how many seconds may pass between two signs of life; 0 means that nobody waits for any.
    listen_fds: int = 0
    notify_socket: str = ""
    watchdog_seconds: float = 0.0


def table() -> list[Field[Any]]:
    """The settings that people set, in order; `metadata` holds variable, help, low, high, and what words must match."""
    return [entry for entry in fields(Settings) if entry.metadata]


def load(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`; raises ConfigError with the variable's name for whatever is wrong."""
    known = {entry.metadata["variable"]: entry for entry in table()}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and name not in CLIENTS_OWN:
            # Without what all of them begin with, which would make any two of them alike.
            short = {variable.removeprefix(PREFIX): variable for variable in known}
            close = difflib.get_close_matches(name.removeprefix(PREFIX), short, n=1)
            hint = f"did you mean {short[close[0]]}?" if close else "see the settings in the README."
            raise ConfigError(f"{name} is no setting; {hint}")
    values: dict[str, Any] = {
        entry.name: _value(entry, environ[variable]) for variable, entry in known.items() if environ.get(variable)
    }
    if "database_url" not in values:
        raise ConfigError(
            "DATABASE_URL is not set; give a libpq URL such as postgresql://telemetry@127.0.0.1/agent_telemetry."
        )
    return Settings(
        **values,
        listen_fds=_listen_fds(environ),
        notify_socket=environ.get("NOTIFY_SOCKET", ""),
        watchdog_seconds=_watchdog_seconds(environ),
    )


def _value(entry: Field[Any], text: str) -> str | int | bool:
    variable, low, high, words = (entry.metadata[name] for name in ("variable", "low", "high", "words"))
    if entry.name == "time_zone":
        return _time_zone(variable, text)
    if entry.type in (str, "str"):
        for word in text.split() if words else ():
            if not re.fullmatch(words, word):
                raise ConfigError(f"{variable} must be origins such as https://ha.example.com, not {word!r}.")
        return " ".join(text.split()) if words else text
    if entry.type in (bool, "bool"):
        # Ansible writes True.
        if text.lower() not in SWITCH:
            raise ConfigError(f"{variable} must be true or false, not {text!r}.")
        return SWITCH[text.lower()]
    # int() takes 1_0 and digits of any script.
    if not re.fullmatch(r"-?[0-9]{1,12}", text):
        raise ConfigError(f"{variable} must be a whole number from {low} to {high}, not {text!r}.")
    number = int(text)
    if not low <= number <= high:
        raise ConfigError(f"{variable} must be from {low} to {high}, not {number}.")
    return number


def _time_zone(variable: str, name: str) -> str:
    """The name, where this machine knows it; a machine without the zones' names knows UTC."""
    try:
        if name != "UTC":
            ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ConfigError(f"{variable} must be a time zone such as UTC or Europe/Berlin, not {name!r}.") from None
    return name


def _listen_fds(environ: Mapping[str, str]) -> int:
    """Sockets handed over by systemd; none where they were meant for another process (sd_listen_fds(3))."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return 0
    try:
        return max(0, int(environ.get("LISTEN_FDS", "0")))
    except ValueError:
        raise ConfigError("LISTEN_FDS must be a number; systemd sets it, nobody else should.") from None


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    """Time that systemd grants between two signs of life; 0 where it asks another process (sd_watchdog_enabled(3))."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return max(0, int(environ.get("WATCHDOG_USEC", "0"))) / 1_000_000
    except ValueError:
        raise ConfigError("WATCHDOG_USEC must be a number; systemd sets it, nobody else should.") from None
