"""`planbalance repair`: the plan that mends a leaking dataset with the fewest slices moved or left out."""

from typing import Any

import click

from planbalance import api
from planbalance.api import DEFAULT_PLAN, Repaired
from planbalance.cli.options import PATH, command, option, output_option, takes
from planbalance.cli.plan import document_of, next_commands, note_kept
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.options.plan import RepairRequest
from planbalance.render.naming import reading_of_header
from planbalance.render.plan import no_leak_text, plan_text


@command(
    "repair",
    example="planbalance repair yolo_dataset --keep test --output mended_yolo_dataset",
)
@click.argument("dataset", type=PATH)
@output_option
@takes(RepairRequest, without=("shared_ids",))
@option("--plan-file", type=PATH, default=DEFAULT_PLAN, show_default=True, heading="Output", help="Where to write it.")
@option("--verbose", "-v", is_flag=True, help="List all groups that are mended, and tell more of each class.")
@click.pass_obj
def repair(
    terminal: Terminal,
    dataset: str,
    output: str,
    request: RepairRequest,
    plan_file: str,
    verbose: bool,  # noqa: FBT001 - an option
) -> CommandResult:
    """Plan the repair of a dataset that leaks: no volume, patient or identical image stays in two splits.

    DATASET is a folder or a yaml of any dataset that is split. As few slices as possible are moved to another split or
    left out, which is proven; kept splits stay as they are. Neither DATASET nor the output is touched: read what moves,
    then run `planbalance apply`. Without a leak no plan is written.
    """
    made = api.repair(dataset, output=output, plan_file=plan_file, options=request, progress=terminal.progress)
    if not made.leaks:
        document = _no_leak_document(made)
        return CommandResult(document, no_leak_text(document, hashed=request.hash_images))
    note_kept(terminal, [made.planned])
    document = document_of(made.planned)
    document |= {"leaks": True, "repair": document["parameters"]["repair"], "keep_by_default": made.by_default}
    commands = next_commands(plan_file, "--mode", "symlink")
    return CommandResult(document, plan_text(document, commands=commands, verbose=verbose))


def _no_leak_document(made: Repaired) -> dict[str, Any]:
    header = made.planned.header
    return {
        **reading_of_header(header),
        "leaks": False,
        "plan_file": None,
        "repair": header.parameters["repair"],
        "warnings": list(made.planned.warnings),
        "inputs": list(header.inputs),
        "output": header.output,
    }
