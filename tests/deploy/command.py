"""`python -m tests.deploy.machines`: test hosts by hand, and for molecule's create and destroy."""

import json
import os
import shlex
import sys
import time

import click

from tests.deploy import guest, machines, outer, record, remote
from tests.deploy.image import SUITES
from tests.deploy.needs import HostError
from tests.deploy.record import Machine


class Commands(click.Group):
    """Shows a fault as a sentence, without a traceback."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except HostError as fault:
            raise click.ClickException(str(fault)) from fault


@click.group(cls=Commands, help=(machines.__doc__ or "").split("\n")[0])
def main() -> None: ...


@main.command()
@click.argument("name")
@click.option("--suite", type=click.Choice(SUITES), default=SUITES[-1], show_default=True, help="Debian's release.")
@click.option("--owner", type=int, envvar="AFT_HOSTS_OWNER", help="A process id: the host goes when that has ended.")
@click.option("--json", "as_json", is_flag=True, help="Prints how to reach it as JSON.")
def up(name: str, suite: str, owner: int | None, as_json: bool) -> None:
    """Makes a fresh host, in place of an older one of that name."""
    started = time.monotonic()
    machine = machines.create(name, suite, owner=owner)
    if as_json:
        click.echo(json.dumps(_description(machine)))
    else:
        click.echo(f"{name}, Debian {suite}, is up after {time.monotonic() - started:.1f} s at {machine.address}")
        click.echo(shlex.join(remote.ssh(machine)))


@main.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All hosts of this machine, whoever made them.")
def down(names: tuple[str, ...], everything: bool) -> None:
    """Takes hosts away; one that is not there is no error."""
    for name in [machine.name for machine in record.read_all()] if everything else names:
        machines.destroy(name)


@main.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_hosts(as_json: bool) -> None:
    """Shows the hosts of this machine."""
    found = record.read_all()
    if as_json:
        click.echo(json.dumps([_description(machine) for machine in found]))
        return
    for machine in found:
        state = "running" if guest.running(machine) else "off"
        owner = f"of process {machine.owner.pid}" if machine.owner else "until it is taken down"
        left = ", whose run has ended" if machine.abandoned else ""
        click.echo(f"{machine.name:12} {machine.suite:9} {machine.address:13} {state:8} {owner}{left}")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(name: str, command: tuple[str, ...]) -> None:
    """Opens a shell on a host, or runs a command there."""
    words = remote.ssh(_known(name))
    # One word is for the shell there; several are a command and its arguments.
    said = [shlex.join(command) if len(command) > 1 else command[0]] if command else []
    sys.stdout.flush()
    os.execv(words[0], [*words, *said])


@main.command()
@click.argument("name")
def boot(name: str) -> None:
    """Boots a host that is off."""
    click.echo(machines.boot(_known(name)))


@main.command()
@click.argument("name")
@click.option("--hard", is_flag=True, help="As if its power were cut.")
def off(name: str, hard: bool) -> None:
    """Shuts a host down; its disk stays."""
    (machines.cut_power if hard else machines.power_off)(_known(name))


@main.command()
@click.argument("name")
@click.option("--lines", default=200, show_default=True)
def journal(name: str, lines: int) -> None:
    """Prints the end of a host's journal, whether it runs or not."""
    click.echo(remote.journal(_known(name), lines))


def _known(name: str) -> Machine:
    machine = record.read(name)
    if machine is None:
        raise click.ClickException(f"there is no host {name}: make it with 'python -m tests.deploy.machines up {name}'")
    return machine


def _description(machine: Machine) -> dict[str, object]:
    """What molecule's instance configuration and an inventory want to know."""
    return {
        "name": machine.name,
        "suite": machine.suite,
        "address": machine.address,
        "gateway": machine.gateway,
        "key": str(machine.key),
        "known_hosts": str(machine.known_hosts),
        "pip_environment": outer.pip_environment(),
    }
