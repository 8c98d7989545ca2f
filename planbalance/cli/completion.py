"""`planbalance completion`: a shell completes commands, options, choices, files and the volumes of a plan."""

import os
from typing import Final

import click
from click.shell_completion import get_completion_class

from planbalance.cli.options import OneOf, command
from planbalance.cli.terminal import CommandResult
from planbalance.render.table import lines

SHELLS: Final = ("bash", "zsh", "fish")
_VARIABLE: Final = "_PLANBALANCE_COMPLETE"


@command(
    "completion",
    example="planbalance completion bash",
    printing=True,
    configured=False,
)
@click.argument("shell", type=OneOf(SHELLS), required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> CommandResult:
    r"""Print the script that completes planbalance's commands, options, files and volumes in a shell.

    \b
    bash  eval "$(planbalance completion bash)"   in ~/.bashrc
    zsh   eval "$(planbalance completion zsh)"    in ~/.zshrc, below compinit
    fish  planbalance completion fish > ~/.config/fish/completions/planbalance.fish

    SHELL defaults to the one in use.
    """
    chosen = shell or os.path.basename(os.environ.get("SHELL", ""))
    found = get_completion_class(chosen) if chosen in SHELLS else None
    if found is None:
        raise click.UsageError(f"Name the shell: {', '.join(SHELLS)}.")
    script = found(ctx.find_root().command, {}, "planbalance", _VARIABLE).source()
    return CommandResult({"shell": chosen, "script": script}, lines(script))
