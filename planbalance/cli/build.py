"""`planbalance build`: plan, apply and verify by one command, as the guide's script does."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import click

from planbalance import api
from planbalance.api import Planned
from planbalance.cli.options import (
    PATH,
    command,
    input_specs,
    inputs_options_without_labels,
    option,
    output_option,
    takes,
    verbose_option,
)
from planbalance.cli.plan import document_of, note_kept
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.cli.verify import AUDIT_FAILED
from planbalance.model import InputSpec
from planbalance.options.apply import OF_BUILD, ApplyRequest
from planbalance.options.plan import PlanRequest
from planbalance.render.apply import apply_document, apply_text, done_text, train_text
from planbalance.render.plan import plan_text
from planbalance.render.table import Group, heading, line
from planbalance.render.verify import verify_document, verify_text
from planbalance.text import command_line


@command(
    "build",
    example="planbalance build --input yolo_dataset --output balanced_yolo_dataset --seed 42",
)
@inputs_options_without_labels
@option(
    "--labels", "label_words", type=PATH, multiple=True, metavar="copy|same|DIR", heading="Input",
    help="With --images: the root of the labels. The words copy and same say how labels are placed (default copy; "
    "same: as the images); a folder of that name is ./copy. May be given twice.",
)  # fmt: skip
@output_option
@takes(PlanRequest, "plan")
@takes(ApplyRequest, "apply", only=OF_BUILD, without=("labels",))
@option("--plan-file", type=PATH, heading="Output", help="Keep the plan here too.  [default: only in the output]")
@option("--folds", hidden=True)
@option("--repeats", hidden=True)
@option("--leave-out", hidden=True)
@verbose_option
@click.pass_obj
def build(  # noqa: PLR0913, PLR0917 - click passes options by name
    terminal: Terminal,
    inputs: Sequence[str],
    named: Sequence[InputSpec],
    images: str | None,
    label_words: Sequence[str],
    output: str,
    plan: PlanRequest,
    apply: ApplyRequest,
    plan_file: str | None,
    folds: str | None,
    repeats: str | None,
    leave_out: str | None,
    verbose: bool,  # noqa: FBT001 - an option
) -> CommandResult:
    """Plan, apply and verify by one command: the guide's create_balanced_dataset.py.

    The same call again resumes an unfinished build.
    """
    for flag, given in (("--folds", folds), ("--repeats", repeats), ("--leave-out", leave_out)):
        if given is not None:
            raise click.UsageError(f"{flag} makes several plans: use `planbalance plan {flag}`, then apply them.")
    label_root, labels = _label_root_and_mode(label_words)
    specs = input_specs(inputs, named, images, label_root)
    documents: dict[str, Any] = {}

    def show_plan(made: Planned) -> None:
        documents["plan"] = document_of(made)
        note_kept(terminal, [made])
        terminal.show(plan_text(documents["plan"], verbose=verbose))
        terminal.show(line())

    built = api.build(
        specs,
        output=output,
        plan_file=plan_file,
        plan=plan,
        apply=replace(apply, labels=labels),
        progress=terminal.progress,
        planned=show_plan,
    )
    documents["apply"] = apply_document(built.outcome)
    documents["verify"] = None if built.audit is None else verify_document(built.audit)
    if built.audit is None:
        return CommandResult(documents, apply_text(documents["apply"], dry_run=True))
    text = Group(
        done_text(documents["apply"]),
        heading("Verify (what was written, and labels by content; images were not read again)"),
        verify_text(documents["verify"], after_plan=True),
        heading("Next (verify reads every image again)"),
        line("  ", command_line(["verify", built.outcome.output])),
        train_text(documents["apply"], verbose=verbose),
    )
    return CommandResult(documents, text, 0 if built.audit.ok else AUDIT_FAILED)


def _label_root_and_mode(words: Sequence[str]) -> tuple[str | None, Literal["copy", "same"] | None]:
    modes = [word for word in words if word in {"copy", "same"}]
    roots = [word for word in words if word not in modes]
    if len(modes) > 1 or len(roots) > 1:
        raise click.UsageError("--labels may be given once as copy or same, and once as a folder.")
    mode: Literal["copy", "same"] | None = ("same" if modes == ["same"] else "copy") if modes else None
    return (roots[0] if roots else None), mode
