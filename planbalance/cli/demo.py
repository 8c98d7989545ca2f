"""`planbalance demo`: every step on a small dataset that it draws itself."""

import os
import shlex
from collections.abc import Iterable
from typing import Any

import click

from planbalance import demo as drawn
from planbalance.cli.apply import apply
from planbalance.cli.options import PATH, Command, command, option
from planbalance.cli.plan import plan
from planbalance.cli.report import report
from planbalance.cli.scan import scan
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.cli.verify import verify
from planbalance.errors import UsageError
from planbalance.render.table import Group, Renderable, heading, line, prose


@command("demo", example="planbalance demo")
@click.argument("folder", metavar="[DIR]", default="planbalance-demo", type=PATH)
@option("--seed", type=int, default=42, show_default=True, help="Another seed draws other knees.")
@click.pass_context
def demo(ctx: click.Context, folder: str, seed: int) -> CommandResult:
    """Draw a small MRI-like dataset and run scan, plan, apply, verify and report on it, each command shown as typed.

    DIR is made; one that an earlier demo made is made afresh.
    """
    terminal: Terminal = ctx.obj
    drawn.prepare_folder(folder)
    dataset, output, plan_file = (os.path.join(folder, name) for name in (drawn.DATASET, drawn.OUTPUT, drawn.PLAN))
    terminal.show(prose(f"Drawing a dataset of {drawn.VOLUMES} knees with seed {seed} ..."))
    drawn.write_dataset(dataset, seed=seed)
    steps: tuple[tuple[Command, list[str]], ...] = (
        (scan, [dataset]),
        (plan, [dataset, "--output", output, "--plan-file", plan_file]),
        (apply, [plan_file, "--mode", "symlink"]),
        (verify, [output]),
    )
    results = {str(step.name): _shown(step, words, ctx) for step, words in steps}
    page = os.path.join(folder, drawn.PAGE)
    try:
        _shown(report, [output, "--html", page], ctx)
    except UsageError as error:  # the page needs an extra; all other steps work without it
        if error.kind != "extra-missing":
            raise
        terminal.show(prose(f"{error.message} {error.hint}"))
    documents: dict[str, Any] = {name: results[name].document for name in ("plan", "apply", "verify")}
    return CommandResult(documents, Group(*_what_next(dataset, output, plan_file)), results["verify"].exit_code)


def _shown(step: Command, words: list[str], ctx: click.Context) -> CommandResult:
    """Show a command as typed, run it, and show its result."""
    terminal: Terminal = ctx.obj
    name = str(step.name)
    terminal.show(Group(line(), line(("$ ", "dim"), (shlex.join(["planbalance", name, *words]), "bold"))))
    terminal.show(line())
    with step.make_context(name, list(words), parent=ctx.parent, default_map={}) as own:
        result = step.result(own, terminal)
    terminal.show(result.text)
    return result


def _what_next(dataset: str, output: str, plan_file: str) -> Iterable[Renderable]:
    yield heading("What to try next")
    other = os.path.join(os.path.dirname(plan_file), "spread.json")
    for words, why in (
        (["show", plan_file, "--volume", "01-02-00001"], "one volume, slice by slice"),
        (["show", plan_file, "--csv"], "every volume's split, for a paper's appendix"),
        (["verify", dataset], "audit the drawn dataset itself, which no plan made"),
        (
            ["plan", dataset, "--output", output + "-spread", "--sampling", "spread", "--plan-file", other],
            "another sampling",
        ),
        (["diff", plan_file, other], "and what it changes"),
        (["plan", "--help"], "all options"),
    ):
        yield line(shlex.join(["planbalance", *words]))
        yield line(("    " + why, "dim"))
