"""`planbalance export`: the split for other programs."""

from collections.abc import Sequence
from typing import Any

import click

from planbalance import api
from planbalance.cli.options import PATH, command, option, takes
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.options.export import ExportRequest
from planbalance.render.table import Group, indented, line, lines, size

STDOUT = "-"


@command(
    "export",
    example="planbalance export plan.json --format csv --output split.csv",
)
@click.argument("subjects", metavar="[PLAN or DATASET]...", nargs=-1, type=PATH)
@option(
    "--output",
    "-o",
    type=PATH,
    default=STDOUT,
    metavar="FILE",
    help="Where to write; - is the terminal or pipe.  [default: -]",
)
@takes(ExportRequest)
@click.pass_obj
def export(terminal: Terminal, subjects: Sequence[str], output: str, request: ExportRequest) -> CommandResult:
    """Write a split as a table, or as the file that nnU-Net, MONAI or a reader of Croissant takes.

    The argument is a plan or a dataset; it defaults to plan.json. Several plans, or the folder of all folds, go into
    one file of csv or nnunet. Neither inputs nor datasets are changed.
    """
    made = api.export(
        subjects or api.DEFAULT_PLAN,
        output=None if output == STDOUT else output,
        options=request,
        progress=terminal.progress,
    )
    document: dict[str, Any] = {
        "export": made.path or None,
        "format": request.format,
        "bytes": made.bytes,
        "digests": list(made.digests),
        "notes": list(made.notes),
        **({} if made.path else {"text": made.text}),
    }
    if made.path:
        return CommandResult(document, Group(line(f"Wrote {output} ({size(made.bytes)})."), *map(indented, made.notes)))
    for note in made.notes:
        terminal.note(note)
    terminal.print_result(lines(made.text))
    return CommandResult(document, Group())
