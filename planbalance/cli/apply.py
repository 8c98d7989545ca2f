"""`planbalance apply`: the plan becomes a dataset."""

import os
from collections.abc import Sequence

import click

from planbalance import api
from planbalance.api import DEFAULT_PLAN
from planbalance.cli.options import PATH, command, takes, verbose_option
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.options.apply import ApplyRequest
from planbalance.render.apply import apply_document, apply_text, several_text
from planbalance.text import command_line


@command("apply", example="planbalance apply plan.json --mode symlink")
@click.argument("plans", metavar="[PLAN]...", nargs=-1, type=PATH)
@takes(ApplyRequest)
@verbose_option
@click.pass_obj
def apply(
    terminal: Terminal,
    plans: Sequence[str],
    request: ApplyRequest,
    verbose: bool,  # noqa: FBT001 - an option
) -> CommandResult:
    """Build the dataset that a plan describes; run again after an interruption, it resumes.

    PLAN defaults to plan.json; several plans (folds) are built one after the other. The output appears complete or not
    at all.
    """
    several = plans or (DEFAULT_PLAN,)
    if len(several) > 1 and request.output is not None:
        raise click.UsageError("--output is for one plan: each of several plans has its own output.")
    documents = [apply_document(api.apply(plan, options=request, progress=terminal.progress)) for plan in several]
    if len(documents) == 1:
        return CommandResult(documents[0], apply_text(documents[0], dry_run=request.dry_run, verbose=verbose))
    published = [one["output"] for one in documents if one["published"]]
    text = several_text(documents, _audits_of(published), dry_run=request.dry_run, verbose=verbose)
    return CommandResult({"folds": documents}, text)


def _audits_of(outputs: Sequence[str]) -> Sequence[str]:
    """Return the commands that audit datasets: one of their folder, where it holds these and no other."""
    if not outputs:
        return ()
    folder = os.path.commonpath(outputs)
    together = folder not in {"/", *outputs} and sorted(api.fold_datasets(folder)) == sorted(outputs)
    return [command_line(["verify", place]) for place in ([folder] if together else outputs)]
