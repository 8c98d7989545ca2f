"""`planbalance report`: the page to review."""

import os
from typing import Any

import click

from planbalance import api
from planbalance.cli.options import PATH, command, option
from planbalance.cli.terminal import Answer, Terminal
from planbalance.model import Audit
from planbalance.report.page import PageOptions, check_page, write_page
from planbalance.report.subject import Subject, open_subject
from planbalance.report.table import line, size


@command(
    "report",
    about="Write a page to review a plan or a data set.",
    example="planbalance report plan.json --html report.html",
)
@click.argument("subject", metavar="[PLAN or DATASET]", default=api.DEFAULT_PLAN, type=PATH)
@option("--html", "page", type=PATH, required=True, metavar="FILE", help="The page: one file that opens offline.")
@option(
    "--audit",
    "depth",
    type=click.Choice(["none", "quick", "full"]),
    default="quick",
    show_default=True,
    help="For a data set: audit it and show the result; full reads every image.",
)
@option(
    "--samples", type=click.IntRange(0, 24), default=4, show_default=True,
    help="Positive slices of each split to draw with their boxes.",
)  # fmt: skip
@click.pass_obj
def report(terminal: Terminal, subject: str, page: str, depth: str, samples: int) -> Answer:
    """Write one HTML file that shows a plan before it is applied, or a data set after: splits, balance, every volume.

    The argument is a plan, or a data set that planbalance built; it defaults to plan.json. The page asks the network
    for nothing.
    """
    found = open_subject(subject)
    check_page(page, found.plan, found.dataset)  # before a long audit
    audit = _audit(found, depth, terminal)
    written = write_page(page, found.plan, PageOptions(found.dataset, audit, samples), terminal.progress)
    document: dict[str, Any] = {
        "report": written.path,
        "bytes": written.bytes,
        "digest": found.plan.header.digest,
        "dataset": found.dataset,
        "audit_ok": None if audit is None else audit.ok,
    }
    return Answer(
        document, line(f"Wrote {os.path.relpath(written.path)} ({size(written.bytes)}): open it in a browser.")
    )


def _audit(found: Subject, depth: str, terminal: Terminal) -> Audit | None:
    if found.dataset is None or depth == "none":
        return None
    return api.verify(found.dataset, quick=depth == "quick", progress=terminal.progress)
