"""`planbalance scan`: what is there."""

from collections.abc import Sequence

import click

from planbalance import api
from planbalance.cli.options import command, input_specs, inputs_options, takes
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.model import InputSpec
from planbalance.options.plan import ScanRequest
from planbalance.render.scan import scan_document, scan_text


@command("scan", example="planbalance scan yolo_dataset", printing=True)
@inputs_options
@takes(ScanRequest)
@click.pass_obj
def scan(
    terminal: Terminal,
    inputs: Sequence[str],
    named: Sequence[InputSpec],
    images: str | None,
    label_root: str | None,
    request: ScanRequest,
) -> CommandResult:
    """Show what is in one or several datasets: volumes, slices, labels, how names are read, what is wrong.

    INPUT is a folder or its dataset.yaml. Nothing is written.
    """
    specs = input_specs(inputs, named, images, label_root)
    found = api.scan(specs, options=request, progress=terminal.progress)
    document = scan_document(found.snapshot, found.reading, found.groups)
    return CommandResult(document, scan_text(document))
