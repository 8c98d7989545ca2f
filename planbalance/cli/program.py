"""The program as click knows it: its commands, and its own options."""

from typing import Final

import click

from planbalance.cli.shell import CliGroup, print_version

# In the order in which people meet them. Each is a function of that name in a module of that name here. What is said of
# it in the list stands here, so that a list can be printed without reading all modules.
COMMANDS: Final = {
    "scan": "Show what is there.",
    "plan": "Create a plan: which volume goes to which split, which slices are kept.",
    "show": "Show a plan, or one volume or slice of it.",
    "diff": "Show what changes between two plans.",
    "apply": "Build the dataset that a plan describes.",
    "verify": "Audit a dataset.",
    "build": "Plan, apply and verify in one go.",
    "report": "Write a page to review a plan or a dataset.",
    "relocate": "Repair paths after a dataset was moved.",
    "clean": "Show or remove partial builds.",
    "tune": "Measure what a file system can do.",
    "slurm": "Write the batch files of an apply on many nodes.",
    "demo": "Try every step on a small dataset that is drawn here.",
    "completion": "Print a shell completion script.",
}


@click.group(cls=CliGroup, abouts=COMMANDS, invoke_without_command=True)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=print_version,
    help="Show versions, for a bug report.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Split a detection dataset of medical slices into train, val and test without a leak.

    A volume (or a patient, with a map) is never in two splits; only train is undersampled; what is there, what will
    be, and what came out is counted and shown. First `plan`, look at it, then `apply`, then `verify`.

    Options may also stand in a planbalance.yaml of the working folder, or in the file that --config names, below their
    command; the command line wins.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
