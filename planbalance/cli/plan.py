"""`planbalance plan`: which volume goes to which split, and which slices are kept."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from planbalance import api, path_safety
from planbalance.api import DEFAULT_PLAN, Imported, Planned
from planbalance.cli import config
from planbalance.cli.options import (
    PATH,
    command,
    input_specs,
    inputs_options,
    option,
    output_option,
    takes,
    verbose_option,
)
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.model import SPLITS, InputSpec
from planbalance.options.plan import DEFAULT_SEED, PlanRequest, SeveralPlans
from planbalance.path_relation import all_guarded
from planbalance.render.folds import folds_document, folds_text
from planbalance.render.footprint import footprint_of
from planbalance.render.plan import plan_document, plan_text
from planbalance.text import command_line, some

if TYPE_CHECKING:
    from planbalance.cli.saved import NewSection


@command(
    "plan",
    example="planbalance plan yolo_dataset --output balanced_yolo_dataset --seed 42",
)
@inputs_options
@output_option
@takes(PlanRequest)
@option("--plan-file", type=PATH, default=DEFAULT_PLAN, show_default=True, heading="Output", help="Where to write it.")
@takes(SeveralPlans, "several")
@option(
    "--save-config", is_flag=True, heading="Output",
    help="Write these options to planbalance.yaml here: the same plan again by `planbalance plan` alone.",
)  # fmt: skip
@verbose_option
@click.pass_context
def plan(  # noqa: PLR0913, PLR0917 - click passes options by name
    ctx: click.Context,
    inputs: Sequence[str],
    named: Sequence[InputSpec],
    images: str | None,
    label_root: str | None,
    output: str,
    request: PlanRequest,
    plan_file: str,
    several: SeveralPlans,
    save_config: bool,  # noqa: FBT001 - an option
    verbose: bool,  # noqa: FBT001 - an option
) -> CommandResult:
    """Create a plan: which volume goes to train, val or test, and which train negatives are kept.

    Neither INPUT nor the output is touched: read the numbers, then run `planbalance apply`.
    """
    specs = input_specs(inputs, named, images, label_root)
    _refuse_together(several)
    one = several.folds is None and several.leave_out is None
    section = _section(ctx, request, one=one) if save_config else None
    terminal: Terminal = ctx.obj
    common: dict[str, Any] = {"output": output, "plan_file": plan_file, "options": request}
    common["progress"] = terminal.progress
    plans = [api.plan(specs, **common)] if one else _several(specs, several, common)
    note_kept(terminal, plans)
    if section is not None:
        _save(section, plans[0], terminal)
    documents = [document_of(made) for made in plans]
    if one:
        text = plan_text(documents[0], commands=next_commands(plan_file), verbose=verbose)
        return CommandResult(documents[0], text)
    document = folds_document(documents)
    files = [os.path.join(os.path.dirname(plan_file), os.path.basename(made.path)) for made in plans]
    return CommandResult(document, folds_text(document, files, _apply_command(files), verbose=verbose))


def _refuse_together(several: SeveralPlans) -> None:
    if several.folds is not None and several.leave_out is not None:
        raise click.UsageError("--folds and --leave-out exclude each other: both say what is in test.")
    if several.repeats is not None and several.folds is None:
        raise click.UsageError("--repeats repeats folds: give --folds too.")


def _several(specs: Sequence[InputSpec], several: SeveralPlans, common: Mapping[str, Any]) -> list[Planned]:
    if several.leave_out is not None:
        return api.plan_left_out(specs, leave_out=several.leave_out, **common)
    assert several.folds is not None
    return api.plan_folds(
        specs, folds=several.folds, repeats=1 if several.repeats is None else several.repeats, **common
    )


def _section(ctx: click.Context, request: PlanRequest, *, one: bool) -> "NewSection":
    """Return the options to save: those that were given, and the ratios and the seed whether they were or not."""
    from planbalance.cli.saved import given, new_section
    from planbalance.planner import parse_ratios

    settings = {name: value for name, value in given(ctx).items() if name != "verbose"}  # it decides nothing
    if request.extend is None:
        if not {"seed", "split-seed", "sample-seed"} & set(settings):
            settings["seed"] = str(DEFAULT_SEED)
        if one:
            texts = (getattr(request, f"{split}_ratio") for split in SPLITS)
            ratios = parse_ratios(*(None if text is None else str(text) for text in texts))
            settings |= {f"{split}-ratio": str(ratio) for split, ratio in zip(SPLITS, ratios, strict=True)}
    root = ctx.find_root().command
    return new_section(
        config.path_of(ctx), "plan", settings, root.list_commands(ctx) if isinstance(root, click.Group) else ("plan",)
    )


def _save(section: "NewSection", made: Planned, terminal: Terminal) -> None:
    from planbalance.cli.saved import save

    path = os.path.abspath(section.path)
    path_safety.refuse_files({"file of options": path}, all_guarded(made.header.inputs, made.header.sources))
    terminal.note(
        f"Wrote the options to {section.path}." if save(section) else f"{section.path} has these options already."
    )


def document_of(made: Planned) -> dict[str, Any]:
    """Return what a plan decided, as JSON values."""
    needs = footprint_of(made.header, made.content)
    document = plan_document(
        made.header,
        needs,
        plan_file=made.path or None,
        replaced=made.replaced,
        warnings=made.warnings,
        classes=made.classes,
        proof=made.proof,
    )
    return document | {"look_alikes_file": made.pairs_file or None, "kept_as": made.kept or None}


def note_kept(terminal: Terminal, plans: Sequence[Planned | Imported]) -> None:
    """Say where files are kept in whose place the plans were written."""
    kept = [f"{_shown(made.path)} is kept as {_shown(made.kept)}" for made in plans if made.kept]
    if kept:
        terminal.note(f"A different plan was there. The older {some(kept)}.")


def _shown(path: str) -> str:
    """Return a path as it is seen from the working folder, where it lies there."""
    folder, name = os.path.split(path)
    return name if os.path.realpath(folder) == os.getcwd() else path


def next_commands(plan_file: str, *apply_options: str) -> tuple[str, str]:
    """Return the commands that show a plan as a page and that build it."""
    words = [] if plan_file == DEFAULT_PLAN else [plan_file]
    page = f"{os.path.splitext(os.path.basename(plan_file))[0]}.html"
    return command_line(["report", *words, "--html", page]), _apply_command([plan_file], *apply_options)


def _apply_command(plan_files: Sequence[str], *options: str) -> str:
    words = [] if list(plan_files) == [DEFAULT_PLAN] else plan_files
    return command_line(["apply", *words, *options])
