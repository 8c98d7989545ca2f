"""`planbalance demo`: every step on a small dataset that it draws itself."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

from planbalance import demo as drawn
from planbalance import raw_demo
from planbalance.cli.apply import apply
from planbalance.cli.importing import importing
from planbalance.cli.options import INTEGER, PATH, Command, command, option
from planbalance.cli.plan import plan
from planbalance.cli.report import report
from planbalance.cli.scan import scan
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.cli.verify import verify
from planbalance.errors import UsageError
from planbalance.import_files import GROUPS
from planbalance.render.table import Group, Renderable, heading, line, prose
from planbalance.text import command_line

_RAW_FOLDERS: Final = (raw_demo.RAW, raw_demo.IMPORTED)
_RAW_FILES: Final = (raw_demo.IMPORT_PLAN, raw_demo.IMPORT_PAGE, raw_demo.KEY)


@command("demo", example="planbalance demo")
@click.argument("folder", metavar="[DIR]", default="planbalance-demo", type=PATH)
@option("--seed", type=INTEGER, default=42, show_default=True, help="Another seed draws other knees.")
@option(
    "--raw", is_flag=True,
    help="Begin where the guide begins: draw DICOM series and an MD.ai export, and import them first (extra [import]).",
)  # fmt: skip
@click.pass_context
def demo(ctx: click.Context, folder: str, seed: int, raw: bool) -> CommandResult:  # noqa: FBT001 - an option
    """Draw a small MRI-like dataset and run scan, plan, apply, verify and report on it, each command shown as typed.

    DIR is made; one that an earlier demo made is made afresh.
    """
    terminal: Terminal = ctx.obj
    drawn.prepare_folder(folder, _RAW_FOLDERS, _RAW_FILES)
    imported: dict[str, Any] = {}
    if raw:
        dataset = os.path.join(folder, raw_demo.IMPORTED)
        imported = _imported(ctx, folder, seed)
        own = ["--group-map", os.path.join(dataset, GROUPS)]
    else:
        dataset, own = os.path.join(folder, drawn.DATASET), []
        terminal.show(prose(f"Drawing a dataset of {drawn.VOLUMES} knees with seed {seed} ..."))
        drawn.write_dataset(dataset, seed=seed)
    output, plan_file = (os.path.join(folder, name) for name in (drawn.OUTPUT, drawn.PLAN))
    steps: tuple[tuple[Command, list[str]], ...] = (
        (scan, [dataset, *own]),
        (plan, [dataset, *own, "--output", output, "--plan-file", plan_file]),
        (apply, [plan_file, "--mode", "symlink"]),
        (verify, [output]),
    )
    results = {str(step.name): _shown(step, words, ctx) for step, words in steps}
    page = os.path.join(folder, drawn.PAGE)
    try:
        _shown(report, [output, "--html", page, "--audit", "full"], ctx)
    except UsageError as error:  # the page needs an extra; all other steps work without it
        if error.kind != "extra-missing":
            raise
        from planbalance.cli.installed import with_commands

        terminal.show(prose(f"{error.message} {with_commands(error.hint)}"))
    documents: dict[str, Any] = {name: results[name].document for name in ("plan", "apply", "verify")}
    documents |= {"import": imported} if raw else {}
    first = _of_import(folder) if raw else _of_dataset(dataset, plan_file)
    text = Group(*_what_next(first, [dataset, *own], output, plan_file))
    return CommandResult(documents, text, results["verify"].exit_code)


def _imported(ctx: click.Context, folder: str, seed: int) -> dict[str, Any]:
    """Draw the raw study, import it, and return what `import`, `apply` and `verify` printed of it."""
    terminal: Terminal = ctx.obj
    terminal.show(prose(f"Drawing a raw study of {drawn.VOLUMES} knees with seed {seed} ..."))
    raw_demo.write_raw_study(folder, seed=seed)
    images, export, output, plan_file, key = (
        os.path.join(folder, name)
        for name in (raw_demo.IMAGES, raw_demo.EXPORT, raw_demo.IMPORTED, raw_demo.IMPORT_PLAN, raw_demo.KEY)
    )
    words = ["--format", "mdai", "--annotations", export, "--images", images, "--map", f"{raw_demo.LABEL}=tear"]
    words += ["--group-key", key, "--output", output, "--plan-file", plan_file]
    steps: tuple[tuple[Command, list[str]], ...] = (
        (importing, words),
        (apply, [plan_file]),
        (verify, [output]),
    )
    return {str(step.name): _shown(step, words, ctx).document for step, words in steps}


def _shown(step: Command, words: list[str], ctx: click.Context) -> CommandResult:
    """Show a command as typed, run it, and show its result."""
    terminal: Terminal = ctx.obj
    name = str(step.name)
    terminal.show(Group(line(), line(("$ ", "dim"), (command_line([name, *words]), "bold"))))
    terminal.show(line())
    with step.make_context(name, list(words), parent=ctx.parent, default_map={}) as own:
        result = step.result(own, terminal)
    terminal.show(result.text)
    return result


_Commands = Sequence[tuple[list[str], str]]


def _of_dataset(dataset: str, plan_file: str) -> _Commands:
    return (
        (["show", plan_file, "--volume", "01-02-00001"], "one volume, slice by slice"),
        (["show", plan_file, "--csv"], "every volume's split, for a paper's appendix"),
        (["verify", dataset], "audit the drawn dataset itself, which no plan made"),
    )


def _of_import(folder: str) -> _Commands:
    plan_file, page = (os.path.join(folder, name) for name in (raw_demo.IMPORT_PLAN, raw_demo.IMPORT_PAGE))
    return (
        (["report", plan_file, "--html", page], "the page of the import: slices with their boxes drawn"),
        (["show", plan_file, "--volume", "knee-001"], "one volume of the import, slice by slice"),
        (["show", plan_file, "--csv"], "every volume: who looked at it, its window, its boxes"),
    )


def _what_next(first: _Commands, dataset: Sequence[str], output: str, plan_file: str) -> Iterable[Renderable]:
    yield heading("What to try next")
    other = os.path.join(os.path.dirname(plan_file), "spread.json")
    spread = ["plan", *dataset, "--output", output + "-spread", "--sampling", "spread", "--plan-file", other]
    for words, why in (
        *first,
        (spread, "another sampling"),
        (["diff", plan_file, other], "and what it changes"),
        (["plan", "--help"], "all options"),
    ):
        yield line(command_line(words))
        yield line(("    " + why, "dim"))
