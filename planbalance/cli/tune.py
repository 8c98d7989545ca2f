"""`planbalance tune`: what a file system can do, measured."""

import click

from planbalance import api
from planbalance.cli.options import PATH, command
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.render.tune import tune_text
from planbalance.tune import document_of


@command(
    "tune",
    example="planbalance tune /scratch",
    printing=True,
)
@click.argument("folder", metavar="DIR", type=PATH)
@click.pass_obj
def tune(terminal: Terminal, folder: str) -> CommandResult:
    """Measure the file system under DIR: what works there, how long calls take, and what apply would use.

    A hidden folder is made in DIR and removed again in any case. DIR is where datasets are to be built; a dataset
    itself is refused.
    """
    document = document_of(api.tune(folder, progress=terminal.progress))
    return CommandResult(document, tune_text(document))
