"""`planbalance plan`: what goes where, on paper."""

import shlex
from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import click
from rich.console import Group, RenderableType

from planbalance import api
from planbalance.api import DEFAULT_PLAN, InputSpec, PlanKeywords, Planned, fold_file
from planbalance.cli.options import (
    PATH,
    command,
    input_specs,
    inputs_options,
    option,
    plan_options,
)
from planbalance.cli.terminal import Answer, Terminal
from planbalance.report.footprint import footprint_of
from planbalance.report.plan import plan_document, plan_text
from planbalance.report.table import heading, line


@command(
    "plan",
    about="Decide what goes where, on paper.",
    example="planbalance plan yolo_dataset --output balanced_yolo_dataset --seed 42",
)
@inputs_options
@plan_options
@option("--plan-file", type=PATH, default=DEFAULT_PLAN, show_default=True, heading="Output", help="Where to write it.")
@option(
    "--folds", type=int, metavar="K", heading="Split", help="K plans for cross-validation, in OUTPUT/fold1 and so on."
)
@click.pass_obj
def plan(  # noqa: PLR0913, PLR0917 - click passes options by name
    terminal: Terminal,
    inputs: Sequence[str],
    named: Sequence[InputSpec],
    images: str | None,
    label_root: str | None,
    output: str,
    plan_file: str,
    folds: int | None,
    **keywords: Unpack[PlanKeywords],
) -> Answer:
    """Decide which volume goes to train, val or test and which train negatives stay, and write that down.

    Neither INPUT nor the output is touched: read the numbers, then `planbalance apply`.
    """
    specs = input_specs(inputs, named, images, label_root)
    if folds is None:
        made = api.plan(specs, output=output, plan_file=plan_file, progress=terminal.progress, **keywords)
        document = document_of(made)
        return Answer(document, plan_text(document, command=_apply_command([plan_file])))
    several = api.plan_folds(
        specs, output=output, folds=folds, plan_file=plan_file, progress=terminal.progress, **keywords
    )
    documents = [document_of(made) for made in several]
    return Answer(
        {"folds": documents}, Group(*_fold_texts(documents, [fold_file(plan_file, k) for k in range(1, folds + 1)]))
    )


def document_of(made: Planned) -> dict[str, Any]:
    """Return what a plan decided, as JSON values."""
    needs = footprint_of(made.header, made.content)
    return plan_document(
        made.header, needs, plan_file=made.path or None, replaced=made.replaced, warnings=made.warnings
    )


def _apply_command(plan_files: Sequence[str]) -> str:
    words = [] if list(plan_files) == [DEFAULT_PLAN] else plan_files
    return shlex.join(["planbalance", "apply", *words])


def _fold_texts(documents: Sequence[dict[str, Any]], plan_files: Sequence[str]) -> Iterable[RenderableType]:
    for number, document in enumerate(documents, start=1):
        yield heading(f"Fold {number} of {len(documents)}")
        yield plan_text(document)
    yield heading("Nothing was touched but the plan files. To build them:")
    yield line(_apply_command(plan_files))
