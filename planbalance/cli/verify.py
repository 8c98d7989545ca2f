"""`planbalance verify`: the audit."""

import click

from planbalance import api
from planbalance.cli.options import PATH, command, takes
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.options.audit import VerifyRequest
from planbalance.render.table import prose
from planbalance.render.verify import verify_document, verify_text

AUDIT_FAILED = 6


@command("verify", example="planbalance verify balanced_yolo_dataset")
@click.argument("dataset", required=False, type=PATH)
@takes(VerifyRequest)
@click.pass_obj
def verify(terminal: Terminal, dataset: str | None, request: VerifyRequest) -> CommandResult:
    """Audit a dataset: leaks between splits, files, labels, counts. It may be any YOLO dataset.

    DATASET is a folder or a yaml; without it, the output of plan.json. Begins with how names were read, and gives a
    sentence to quote; skipped checks are reported as skipped. Exit code 6 where something is wrong.
    """
    audit = api.verify(dataset, options=request, progress=terminal.progress)
    document = verify_document(audit)
    if request.shard is not None:
        return CommandResult(document, prose(audit.summary))
    return CommandResult(document, verify_text(document), 0 if audit.ok else AUDIT_FAILED)
