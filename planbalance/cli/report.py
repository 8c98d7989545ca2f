"""`planbalance report`: the page to review."""

from typing import Any

import click

from planbalance import api
from planbalance.cli.options import PATH, command, option, takes
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.options.audit import ReportRequest
from planbalance.render.table import line, size


@command(
    "report",
    example="planbalance report plan.json --html report.html",
)
@click.argument("subject", metavar="[PLAN or DATASET]", default=api.DEFAULT_PLAN, type=PATH)
@option("--html", "page", type=PATH, required=True, metavar="FILE", help="The page: one file that opens offline.")
@takes(ReportRequest)
@click.pass_obj
def report(terminal: Terminal, subject: str, page: str, request: ReportRequest) -> CommandResult:
    """Write one HTML file that shows a plan before it is applied, or a dataset after: splits, balance, every volume.

    The argument is a plan, or a dataset; it defaults to plan.json. One that planbalance did not build is shown as
    it is, with a full audit. The page loads nothing from the network.
    """
    made = api.report(subject, html=page, options=request, progress=terminal.progress)
    document: dict[str, Any] = {
        "report": made.path,
        "bytes": made.bytes,
        "digest": made.digest,
        "dataset": made.dataset,
        "audit_ok": None if made.audit is None else made.audit.ok,
    }
    return CommandResult(document, line(f"Wrote {page} ({size(made.bytes)}): open it in a browser."))
