"""`planbalance clean`: partial builds, shown or removed."""

import os
from dataclasses import asdict

import click

from planbalance import api
from planbalance.cli.options import PATH, command, option
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.render.relocate import clean_text
from planbalance.text import command_line


@command("clean", example="planbalance clean /scratch --yes", printing=True)
@click.argument("folder", metavar="[DIR]", default=".", type=PATH)
@option("--yes", is_flag=True, help="Remove them; without it they are only shown.")
@click.pass_obj
def clean(_terminal: Terminal, folder: str, yes: bool) -> CommandResult:  # noqa: FBT001 - an option
    """Show the partial builds that interrupted runs left under DIR, and with --yes remove them.

    DIR defaults to the working folder.
    """
    document = {"removed": yes, "partial_builds": [asdict(one) for one in api.clean(folder, remove=yes)]}
    command = command_line(["clean", *([] if folder == "." else [folder]), "--yes"])
    return CommandResult(document, clean_text(document, os.path.abspath(folder), command))
