"""`planbalance diff`: what changes from one plan to another."""

import click

from planbalance import api
from planbalance.cli.options import PATH, command
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.render.diff import diff_text


@command(
    "diff",
    example="planbalance diff plan.json plan-new.json",
    printing=True,
)
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@click.pass_obj
def diff(_terminal: Terminal, old: str, new: str) -> CommandResult:
    """Show what changes from plan OLD to plan NEW: volumes that moved, slices in and out, labels that changed."""
    document = api.diff(old, new).to_json()
    return CommandResult(document, diff_text(document))
