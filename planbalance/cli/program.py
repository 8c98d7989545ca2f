"""The program as click knows it: its commands, and its own options."""

import click

from planbalance.cli.shell import Shell, print_version

# In the order in which people meet them. Each is a function of that name in a module of that name here.
COMMANDS = (
    *("scan", "plan", "show", "diff", "apply", "verify", "build", "report"),
    *("relocate", "clean", "tune", "slurm", "demo", "completion"),
)


@click.group(cls=Shell, names=COMMANDS, invoke_without_command=True)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=print_version,
    help="Show versions, for a bug report.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Split a detection data set of medical slices into train, val and test without a leak.

    A volume (or a patient, with a map) is never in two splits; only train is undersampled; what is there, what will
    be, and what came out is counted and shown. First `plan`, look at it, then `apply`, then `verify`.

    Options may also stand in a planbalance.yaml of the working folder, or in the file that --config names, below their
    command; the command line wins.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
