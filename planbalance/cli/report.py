"""`planbalance report`: the page to review, or the Markdown for a paper."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import click

from planbalance import api
from planbalance.cli.options import PATH, OneOf, command, option, takes
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.options.audit import ReportRequest
from planbalance.render.table import Group, Renderable, line, lines, size
from planbalance.render.verify import verdict

STDOUT = "-"
_DEFAULT_FILES = {"html": "report.html", "md": "report.md"}
ReportFormat = Literal["html", "md"]


@command(
    "report",
    example="planbalance report plan.json --html report.html",
)
@click.argument("subjects", metavar="[PLAN or DATASET]...", nargs=-1, type=PATH)
@option(
    "--html", "page", type=PATH, metavar="FILE", help="The page: one file that opens offline.  [default: report.html]"
)
@option(
    "--format",
    "form",
    type=OneOf(["html", "md"]),
    default=None,
    help="A page, or Markdown with what CLAIM 2024 and STARD-AI ask about partitions.  [default: html]",
)
@option(
    "--output",
    "-o",
    type=PATH,
    metavar="FILE",
    help="Where to write; - is the terminal or pipe, for md.  [default: report.html or report.md]",
)
@takes(ReportRequest)
@click.pass_obj
def report(
    terminal: Terminal,
    subjects: Sequence[str],
    page: str | None,
    form: ReportFormat | None,
    output: str | None,
    request: ReportRequest,
) -> CommandResult:
    """Write one HTML file that shows a plan before it is applied, or a dataset after: splits, balance, every volume.

    The argument is a plan, or a dataset; it defaults to plan.json. One that planbalance did not build is shown as
    it is, with a full audit. A folder of folds, or several datasets, make one page with a table across them. The page
    loads nothing from the network. An older file is replaced where planbalance wrote it.

    With --format md, write text for the Methods section of a paper: the level of the split, numbers by split, what was
    checked and what was not. It also takes all folds of one plan, or the folder that holds them.
    """
    if page is not None and (form == "md" or output is not None):
        raise click.UsageError("--html FILE is --format html --output FILE: give one of the two.")
    if form is None:
        form = "md" if output is not None and output.endswith(".md") else "html"
    target = page or output or _DEFAULT_FILES[form]
    if form == "md":
        return _markdown(terminal, subjects, target, request)
    if target == STDOUT:
        raise click.UsageError("A page is written to a file: give --output FILE, or --format md.")
    subject = list(subjects) if len(subjects) > 1 else subjects[0] if subjects else api.DEFAULT_PLAN
    made = api.report(subject, html=target, options=request, progress=terminal.progress)
    document: dict[str, Any] = {
        "report": made.path,
        "bytes": made.bytes,
        "digest": made.digest,
        "dataset": made.dataset,
        "audit_ok": made.audit_ok,
    }
    wrote = line(f"Wrote {target} ({size(made.bytes)}): open it in a browser.")
    return CommandResult(document, Group(wrote, *_failed(made.audit_ok)))


def _markdown(terminal: Terminal, subjects: Sequence[str], target: str, request: ReportRequest) -> CommandResult:
    """Write the Markdown, or print it."""
    made = api.report_markdown(
        subjects or api.DEFAULT_PLAN,
        output=None if target == STDOUT else target,
        options=request,
        progress=terminal.progress,
    )
    document: dict[str, Any] = {
        "report": made.path or None,
        "bytes": made.bytes,
        "digest": made.digests[0] if len(made.digests) == 1 else None,
        "dataset": made.datasets[0] if len(made.datasets) == 1 else None,
        "audit_ok": made.audit_ok,
        **({} if made.path else {"text": made.text}),
    }
    if made.path:
        wrote = line(f"Wrote {target} ({size(made.bytes)}): paste it into the Methods section.")
        return CommandResult(document, Group(wrote, *_failed(made.audit_ok)))
    terminal.print_result(lines(made.text))
    return CommandResult(document, Group())


def _failed(audit_ok: bool | None) -> Iterable[Renderable]:  # noqa: FBT001 - the result of an audit
    """Yield that the audit found errors: who only reads the line of the file should not take the dataset for clean."""
    if audit_ok is False:
        yield verdict("FAILED", "The audit of the dataset found errors: the file lists them.")
