"""`planbalance verify`: the audit."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import click

from planbalance import api
from planbalance.cli.options import PATH, command, option, takes
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.model import Audit
from planbalance.options.audit import VerifyRequest
from planbalance.options.declare import spelled
from planbalance.options.reading import Reading
from planbalance.planstore import is_import
from planbalance.render.next_step import next_step, repair_command
from planbalance.render.repair import can_repair
from planbalance.render.table import prose
from planbalance.render.verify import verify_document, verify_text
from planbalance.render.verify_folds import verify_folds_document, verify_folds_text

AUDIT_FAILED = 6


@command("verify", example="planbalance verify balanced_yolo_dataset")
@click.argument("datasets", metavar="[DATASET]...", nargs=-1, type=PATH)
@takes(VerifyRequest)
@option("--verbose", "-v", is_flag=True, help="Print the table of all checks with their notes, and more of each fault.")
@click.pass_obj
def verify(
    terminal: Terminal,
    datasets: Sequence[str],
    request: VerifyRequest,
    verbose: bool,  # noqa: FBT001 - an option
) -> CommandResult:
    """Audit a dataset: leaks between splits, files, labels, counts. It may be any YOLO dataset.

    DATASET is a folder or a yaml; without it, the output of plan.json. Begins with how names were read, and ends with
    OK and a sentence to quote, or with FAILED and what to do next; skipped checks are reported as skipped. Of a folder
    of folds or of variants, or of several datasets, it audits each, and then all together: each volume is in test of
    one fold, and variants have one and the same test. Exit code 6 where something is wrong.
    """
    if len(datasets) > 1 or (datasets and request.plan is None and api.fold_datasets(datasets[0])):
        found = api.verify_folds(datasets, options=request, progress=terminal.progress)
        several = verify_folds_document(found)
        return CommandResult(several, verify_folds_text(several, verbose=verbose), 0 if found.ok else AUDIT_FAILED)
    dataset = datasets[0] if datasets else None
    audit = api.verify(dataset, options=request, progress=terminal.progress)
    document = _document(dataset, request, audit)
    if request.shard is not None:
        return CommandResult(document, prose(audit.summary))
    return CommandResult(document, verify_text(document, verbose=verbose), 0 if audit.ok else AUDIT_FAILED)


def _document(dataset: str | None, request: VerifyRequest, audit: Audit) -> dict[str, Any]:
    """Return the document, with what to do next where the audit failed."""
    if audit.ok:
        return verify_document(audit)
    path = dataset or audited_output(request.plan)
    reading: list[str] = []
    for each in fields(Reading):  # how names are read, and which volumes are one patient: a repair needs the same
        value = getattr(request, each.name)
        if value not in {None, each.default}:
            reading += [spelled(each.name), str(value)]
    repair = repair_command(path, reading) if can_repair(audit) else None
    return verify_document(audit, repair=repair, step=next_step(audit, path, reading))


def audited_output(plan: str | None) -> str:
    """Return the output of the plan that was named, or of plan.json."""
    path = plan or api.DEFAULT_PLAN
    imported = is_import(path)
    return (api.open_import(path) if imported else api.open_plan(path)).header.output
