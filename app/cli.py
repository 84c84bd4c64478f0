"""The commands: serve, migrate, keys, maintain, doctor. Exit 0, 1 for a failure, 2 for wrong usage."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import psycopg

from app import __version__, durations
from app.auth import generate_key, hash_key
from app.config import ConfigError, Settings, load
from app.store import keys
from app.store.keys import StoredKey
from app.store.migrate import MigrationError, migrate, pending


class Group(click.Group):
    """Commands whose expected failures are one sentence, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except (ConfigError, MigrationError) as error:
            raise click.ClickException(str(error)) from error
        except psycopg.errors.UndefinedTable as error:
            raise click.ClickException("The database has no tables yet; run: python -m app migrate") from error
        except psycopg.Error as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise click.ClickException(f"The database refused: {reason}") from error


class Duration(click.ParamType[timedelta]):
    """90d, 24h, 30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The timedelta; wrong usage otherwise."""
        try:
            return value if isinstance(value, timedelta) else durations.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agent-framework-telemetry")
def main() -> None:
    """Agent Framework Telemetry: takes events and transcripts of AI agents in, and stores each exactly once.

    Settings come from the environment; DATABASE_URL is the one that must be set.
    """


@main.command("serve")
def serve_command() -> None:
    """Runs the collector until it is told to stop.

    Listens on the sockets that systemd hands over, else on HOST and PORT (127.0.0.1:3001).
    """
    from app import logs
    from app.server import serve

    settings = load(os.environ)
    logs.configure()
    _check_schema(settings)
    serve(settings)


@main.command("migrate")
def migrate_command() -> None:
    """Brings the database's schema up to date. Safe to run twice, and from two places at once."""
    from app.store import partitions, readers

    with _connect(load(os.environ)) as connection:
        count = migrate(connection, lambda name: click.echo(f"applied {name}"))
        readers.grant(connection)
        # So that the first event finds its month. What is not made now is made by maintain.
        for failure in partitions.ensure(connection, report=click.echo).failures:
            click.echo(failure, err=True)
    click.echo("The schema is up to date." if count else "The schema was up to date already.")


@main.command("maintain")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option(
    "--rebuild-rollups", is_flag=True, help="Then count every day anew that still has events, while others arrive."
)
def maintain_command(dry_run: bool, rebuild_rollups: bool) -> None:
    """Makes partitions ahead, deletes what is too old, archives identities. Run it daily; a timer does."""
    from app import maintain
    from app.store import rollups

    settings = load(os.environ)
    with _connect(settings) as connection:
        summary = maintain.run(connection, settings, dry_run=dry_run, report=click.echo)
        if rebuild_rollups and dry_run:
            click.echo(f"would count {rollups.days_to_count(connection)} days anew")
        elif rebuild_rollups:
            rollups.ask_for_all_days(connection)
            days = rollups.catch_up(connection, click.echo)
            click.echo(f"the roll-ups of {days} days are made anew")
    if summary.failures:
        raise click.exceptions.Exit(1)


@main.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of the lines.")
def doctor_command(as_json: bool) -> None:
    """Looks at everything that the collector needs, one line each with the remedy; exit 1 on a fault.

    Configuration, database, schema, partitions, roll-ups, quarantine, keys, disk, clock, and what takes how much room.
    """
    from app import doctor

    checks = doctor.run(os.environ)
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks]))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{'ok   ' if check.ok else 'FAULT'}  {check.name.ljust(width)}  {check.text}")
    if not all(check.ok for check in checks):
        raise click.exceptions.Exit(1)


@main.group("keys")
def keys_group() -> None:
    """API keys: create, list, revoke, rotate."""


@keys_group.command("create")
@click.argument("host")
@click.option("--description", default="", help="What the key is for, for people.")
@click.option("--expires", type=Duration(), metavar="90d", help="How long the key works; without it, until revoked.")
@click.option(
    "--scope",
    type=click.Choice(["ingest", "read"]),
    default="ingest",
    show_default=True,
    help="ingest writes for HOST; read sees the whole site's aggregates.",
)
def create_key(host: str, description: str, expires: timedelta | None, scope: str) -> None:
    """Makes a key for HOST ('*' may write for every host) and prints it, alone: it is shown once."""
    if not 1 <= len(host) <= 255:
        raise click.BadParameter("HOST has 1 to 255 characters.")
    key = generate_key()
    with _connect(load(os.environ)) as connection:
        keys.add(connection, hash_key(key), host, description=description, scope=scope, lifetime=expires)
    click.echo(key)


@keys_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of the table.")
def list_keys(as_json: bool) -> None:
    """Shows every key but the keys themselves, which are stored nowhere."""
    with _connect(load(os.environ)) as connection:
        stored = keys.everyone(connection)
    now = datetime.now(UTC)
    if as_json:
        rows = [{**asdict(key), "state": key.state(now)} for key in stored]
        for row in rows:
            del row["key_hash"]
        click.echo(json.dumps(rows, default=lambda moment: moment.isoformat()))
        return
    header = ("ID", "HOST", "SCOPE", "STATE", "CREATED", "EXPIRES", "LAST USED", "DESCRIPTION")
    _table([header, *(_row(key, now) for key in stored)])


@keys_group.command("revoke")
@click.argument("key_id", metavar="ID", type=int)
def revoke_key(key_id: int) -> None:
    """Ends a key; the collector refuses it within 10 s."""
    with _connect(load(os.environ)) as connection:
        if not keys.revoke(connection, key_id):
            raise _no_such_key(key_id)
    click.echo(f"Key {key_id} is revoked.", err=True)


@keys_group.command("rotate")
@click.argument("key_id", metavar="ID", type=int)
@click.option(
    "--overlap", type=Duration(), default="24h", show_default=True, help="How long the old key works beside the new."
)
def rotate_key(key_id: int, overlap: timedelta) -> None:
    """Makes a new key for the same host and prints it, alone; the old one works for a while yet."""
    key = generate_key()
    with _connect(load(os.environ)) as connection, connection.transaction():
        old = keys.get(connection, key_id)
        if old is None:
            raise _no_such_key(key_id)
        if old.state(datetime.now(UTC)) != "active":
            raise click.ClickException(f"Key {key_id} works no more; make a new one: keys create {old.host_id}")
        lifetime = old.expires_at - old.created_at if old.expires_at else None
        keys.add(
            connection, hash_key(key), old.host_id, description=old.description, scope=old.scope, lifetime=lifetime
        )
        keys.expire(connection, key_id, overlap)
    click.echo(key)


def _connect(settings: Settings) -> psycopg.Connection:
    try:
        return psycopg.connect(settings.database_url, autocommit=True, connect_timeout=5)
    except psycopg.Error as error:
        raise _unreachable(error, settings) from error


def _unreachable(error: psycopg.Error, settings: Settings) -> ConfigError:
    from app.doctor import unreachable

    text = unreachable(error, settings.database_url)
    return ConfigError(f"{text}." if text.startswith("DATABASE_URL") else f"The database {text}.")


def _check_schema(settings: Settings) -> None:
    """A schema that is behind stops the start; a database that is away does not, it may come."""
    try:
        with psycopg.connect(settings.database_url, autocommit=True, connect_timeout=3) as connection:
            missing = pending(connection)
    except psycopg.OperationalError:
        return
    except psycopg.ProgrammingError as error:
        raise _unreachable(error, settings) from error
    if missing:
        raise ConfigError("The schema is behind this release; run: python -m app migrate")


def _no_such_key(key_id: int) -> click.ClickException:
    return click.ClickException(f"There is no key {key_id}; see: python -m app keys list")


def _row(key: StoredKey, now: datetime) -> tuple[str, ...]:
    def moment(value: datetime | None) -> str:
        return "-" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")

    return (
        *(str(key.id), key.host_id, key.scope, key.state(now)),
        *(moment(key.created_at), moment(key.expires_at), moment(key.last_used_at)),
        key.description,
    )


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
