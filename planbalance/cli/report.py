"""`planbalance report`: the page to review."""

from typing import Any, Literal

import click

from planbalance import api
from planbalance.cli.options import PATH, command, option
from planbalance.cli.terminal import Answer, Terminal
from planbalance.report.table import line, size


@command(
    "report",
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
    "--near-duplicates", is_flag=True,
    help="Look for images that look alike across splits too, and show the worst pairs; reads every image.",
)  # fmt: skip
@option(
    "--samples", type=click.IntRange(0, 24), default=4, show_default=True,
    help="Positive slices of each split to draw with their boxes.",
)  # fmt: skip
@click.pass_obj
def report(
    terminal: Terminal,
    subject: str,
    page: str,
    depth: Literal["none", "quick", "full"],
    near_duplicates: bool,  # noqa: FBT001 - an option
    samples: int,
) -> Answer:
    """Write one HTML file that shows a plan before it is applied, or a data set after: splits, balance, every volume.

    The argument is a plan, or a data set; it defaults to plan.json. One that planbalance did not build is shown as
    it lies there, with a full audit. The page asks the network for nothing.
    """
    made = api.report(
        subject, html=page, audit=depth, near_duplicates=near_duplicates, samples=samples, progress=terminal.progress
    )
    document: dict[str, Any] = {
        "report": made.path,
        "bytes": made.bytes,
        "digest": made.digest,
        "dataset": made.dataset,
        "audit_ok": None if made.audit is None else made.audit.ok,
    }
    return Answer(document, line(f"Wrote {page} ({size(made.bytes)}): open it in a browser."))
