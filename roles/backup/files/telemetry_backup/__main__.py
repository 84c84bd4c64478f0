"""telemetry-backup: exit 0, 1 for a failure, 2 for wrong usage. Results go to standard output, all else to errors."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from telemetry_backup import copies, note, restore, take, target
from telemetry_backup.config import Config, load
from telemetry_backup.copies import Copy
from telemetry_backup.errors import BackupError


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; its exit code."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)
    try:
        result = options.run(load(options.config), options)
    except BackupError as error:
        _say(str(error), fault=True)
        return 1
    except OSError as error:
        _say(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), fault=True)
        return 1
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(result)))
    return 0


def _take(config: Config, options: argparse.Namespace) -> Any:
    if options.dry_run:
        return take.plan(config)
    copy, manifest = take.take(config)
    for path in (manifest["files"] or {}).get("missing", []):
        _say(f"{path} does not exist, so it is not in the backup.")
    result = {"backup": copy.name, "path": str(copy.folder), "bytes": copy.bytes}
    if manifest["database"]:
        result["tables"] = {f"{one['schema']}.{one['table']}": one["rows"] for one in manifest["database"]["tables"]}
    _note(config, copy, manifest, copied=False)
    result["deleted"] = _prune(config, dry_run=False)
    if config.target:
        target.push(config.folder, config.target)
        result["copied_to"] = config.target.address
        _note(config, copy, manifest, copied=True)
    return result


def _note(config: Config, copy: Copy, manifest: dict[str, Any], *, copied: bool) -> None:
    try:
        note.note(config, copy, manifest, copied=copied)
    except BackupError as error:
        # The backup is good all the same.
        _say(f"The database was not told of the backup, and will alert: {error}")


def _prune(config: Config, *, dry_run: bool) -> list[str]:
    with copies.locked(config.folder):
        found = copies.everything(config.folder)
        doomed = copies.outlived(found, keep=config.keep, keep_days=config.keep_days, now=datetime.now(UTC))
        if doomed:
            # The older ones may be the only good ones.
            take.verify(config, found[0].folder)
        if not dry_run:
            for copy in doomed:
                copies.delete(copy)
    return [copy.name for copy in doomed]


def _prune_command(config: Config, options: argparse.Namespace) -> Any:
    deleted = _prune(config, dry_run=options.dry_run)
    return {"would_delete" if options.dry_run else "deleted": deleted}


def _list(config: Config, options: argparse.Namespace) -> Any:
    return [
        {"backup": copy.name, "bytes": copy.bytes, "host": take.read_manifest(copy.folder)["host"]}
        for copy in copies.everything(config.folder)
    ]


def _verify(config: Config, options: argparse.Namespace) -> Any:
    copy = copies.find(config.folder, options.name)
    manifest = take.verify(config, copy.folder)
    return {"backup": copy.name, "good": True, "taken_at": manifest["taken_at"], "host": manifest["host"]}


def _restore(config: Config, options: argparse.Namespace) -> Any:
    copy = copies.find(config.folder, options.name)
    parts = tuple(options.only or restore.PARTS)
    if options.dry_run:
        return restore.plan(config, copy, parts)
    return restore.restore(config, copy, parts, drop_live=options.drop_live)


def _drill(config: Config, options: argparse.Namespace) -> Any:
    return restore.drill(config, copies.find(config.folder, options.name))


def _push(config: Config, options: argparse.Namespace) -> Any:
    if config.target is None:
        raise BackupError("There is no place off this host to copy to: set backup_target.")
    target.push(config.folder, config.target)
    return {"copied_to": config.target.address}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="telemetry-backup", description="Backs this host of the site up and restores it."
    )
    parser.add_argument("--config", type=Path, default=Path("/etc/telemetry/backup.toml"), metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str, *, of: bool = False, dry: bool = False) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        if of:
            added.add_argument("name", nargs="?", metavar="BACKUP", help="a name or a path; without it the newest")
        if dry:
            added.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
        return added

    command("take", _take, "takes a backup, reads it back, and deletes those that have outlived their time", dry=True)
    command("list", _list, "shows the backups, the newest first")
    command("verify", _verify, "reads a backup back", of=True)
    command("prune", _prune_command, "deletes the backups that have outlived their time", dry=True)
    command("push", _push, "copies all backups off this host")
    command("drill", _drill, "restores a backup beside the live database, compares it, and drops it", of=True)
    back = command("restore", _restore, "puts a backup back; what it replaces is set aside", of=True, dry=True)
    back.add_argument("--only", action="append", choices=restore.PARTS, help="a part; may be given several times")
    back.add_argument("--drop-live", action="store_true", help="drop the live database instead of setting it aside")
    return parser


def _say(text: str, *, fault: bool = False) -> None:
    # In the journal a message has a priority, and takes this for it.
    mark = ("<3>" if fault else "<4>") if "JOURNAL_STREAM" in os.environ else ""
    sys.stderr.write(f"{mark}{text}\n")


def _lines(result: Any, indent: str = "") -> list[str]:
    """A result for people."""
    if isinstance(result, list):
        return [indent + "  ".join(f"{key}={value}" for key, value in one.items()) for one in result]
    lines = []
    for key, value in result.items():
        if value in (None, [], {}):
            lines.append(f"{indent}{key}: -")
        elif isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict)):
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {', '.join(value) if isinstance(value, list) else value}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
