"""How soon the kernel writes out what files hold, as the role `base` has it on a server.

Left to itself Linux keeps what was written for half a minute, and then writes all of it at once; whoever waits for the
disk meanwhile waits for that as well, a commit above all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.fixtures.environment import ROOT

TEMPLATE = ROOT / "templates" / "etc" / "sysctl.d" / "60-telemetry.conf.j2"
PREFIX = "vm.dirty_"
FOLDER = Path("/proc/sys/vm")


def wanted() -> dict[str, str]:
    """The settings that the role makes, by their names in FOLDER: `dirty_...`."""
    lines = (line.split("=") for line in TEMPLATE.read_text().splitlines() if line.startswith(PREFIX))
    return {name.strip().removeprefix("vm."): value.strip() for name, value in lines}


@contextmanager
def as_on_a_server(folder: Path = FOLDER) -> Iterator[None]:
    """Makes the settings, and at the end what they were before; where this may not be done, says what would be missing.

    That is where somebody else than root measures, in a container, or on another system than Linux.
    """
    settings = wanted()
    before = _read(folder)
    differing = {name: value for name, value in settings.items() if before.get(name) != value}
    try:
        for name, value in differing.items():
            (folder / name).write_text(value)
    except OSError:
        words = " ".join(f"vm.{name}={value}" for name, value in differing.items())
        click.echo(f"The slowest answers will be slower than on a server, which has: sysctl -w {words}")
    else:
        if differing:
            words = ", ".join(f"vm.{name} = {value}" for name, value in differing.items())
            click.echo(f"until the end, as on a server: {words}")
    try:
        yield
    finally:
        # Of a pair such as dirty_bytes and dirty_ratio the kernel makes the other one 0; so what was 0 is not written.
        for name, value in before.items():
            if value != "0" and (folder / name).read_text().strip() != value:
                (folder / name).write_text(value)


def _read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in sorted(folder.glob("dirty_*"))}
