"""`planbalance relocate`: paths are repaired after a dataset was moved or copied."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from planbalance import api
from planbalance.cli.options import OLD_NEW, PATH, command, option
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.render.relocate import relocate_text
from planbalance.render.table import lines


@command(
    "relocate",
    example="planbalance relocate /scratch/balanced --source /gpfs/data=/scratch/data",
    printing=True,
)
@click.argument("dataset", type=PATH)
@option(
    "--source", type=OLD_NEW, multiple=True, metavar="OLD=NEW",
    help="Symlinks, and paths in lists, that lead below OLD shall lead below NEW (repeatable).",
)  # fmt: skip
@option(
    "--at", metavar="MOUNT",
    help="Of an image or tar: print its dataset.yaml for the folder where it is mounted or unpacked.",
)  # fmt: skip
@click.pass_obj
def relocate(_terminal: Terminal, dataset: str, source: Sequence[tuple[str, str]], at: str | None) -> CommandResult:
    """Repair a dataset that was moved or copied: the absolute path in dataset.yaml, with --source its symlinks too.

    Images and labels stay as they are. A dataset in one file is never changed: with --at its yaml is printed.
    """
    if at is not None:
        if source:
            raise click.UsageError("--at prints a yaml: leave --source out.")
        text = api.packed_yaml(dataset, at)
        return CommandResult({"yaml": text}, lines(text))
    document = asdict(api.relocate(dataset, source=source))
    return CommandResult(document, relocate_text(document))
