"""`planbalance verify`: the audit."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import fields

import click

from planbalance import api
from planbalance.cli.options import PATH, command, takes
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.model import Audit
from planbalance.options.audit import VerifyRequest
from planbalance.options.declare import spelled
from planbalance.options.reading import Reading
from planbalance.render.repair import can_repair
from planbalance.render.table import prose
from planbalance.render.verify import verify_document, verify_text
from planbalance.render.verify_folds import verify_folds_document, verify_folds_text

AUDIT_FAILED = 6


@command("verify", example="planbalance verify balanced_yolo_dataset")
@click.argument("datasets", metavar="[DATASET]...", nargs=-1, type=PATH)
@takes(VerifyRequest)
@click.pass_obj
def verify(terminal: Terminal, datasets: Sequence[str], request: VerifyRequest) -> CommandResult:
    """Audit a dataset: leaks between splits, files, labels, counts. It may be any YOLO dataset.

    DATASET is a folder or a yaml; without it, the output of plan.json. Begins with how names were read, and gives a
    sentence to quote; skipped checks are reported as skipped. Of a folder of folds, or of several datasets, it audits
    each, and then checks that every volume is in test of exactly one of them. Exit code 6 where something is wrong.
    """
    if len(datasets) > 1 or (datasets and request.plan is None and api.fold_datasets(datasets[0])):
        found = api.verify_folds(datasets, options=request, progress=terminal.progress)
        several = verify_folds_document(found)
        return CommandResult(several, verify_folds_text(several), 0 if found.ok else AUDIT_FAILED)
    dataset = datasets[0] if datasets else None
    audit = api.verify(dataset, options=request, progress=terminal.progress)
    document = verify_document(audit, repair=_repair_command(dataset, request, audit))
    if request.shard is not None:
        return CommandResult(document, prose(audit.summary))
    return CommandResult(document, verify_text(document), 0 if audit.ok else AUDIT_FAILED)


def _repair_command(dataset: str | None, request: VerifyRequest, audit: Audit) -> str | None:
    """Return the command that mends the leaks that an audit found; None where it found none that can be mended."""
    if not can_repair(audit):
        return None
    path = dataset or api.open_plan(request.plan or api.DEFAULT_PLAN).header.output
    folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
    if os.path.basename(folder.rstrip("/")) in {"", ".", ".."}:
        folder = os.path.abspath(folder)
    words = ["planbalance", "repair", path, "--output", f"{folder.rstrip('/')}-repaired"]
    for each in fields(Reading):  # how names are read, and which volumes are one patient: a repair needs the same
        value = getattr(request, each.name)
        if value not in {None, each.default}:
            words += [spelled(each.name), str(value)]
    return shlex.join(words)
