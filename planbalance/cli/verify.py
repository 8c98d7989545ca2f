"""`planbalance verify`: the audit."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import click

from planbalance import api
from planbalance.cli.options import (
    PATH,
    RULE,
    command,
    group_key_option,
    group_options,
    option,
    shard_options,
    volume_source_options,
)
from planbalance.cli.terminal import Answer, Terminal
from planbalance.errors import PlanError
from planbalance.model import Audit
from planbalance.planstore import PlanFile
from planbalance.report.table import prose
from planbalance.report.verify import verify_document, verify_text

AUDIT_FAILED = 6


@command("verify", example="planbalance verify balanced_yolo_dataset")
@click.argument("dataset", required=False, type=PATH)
@option("--plan", type=PATH, help="Compare with this plan.  [default: the one inside the data set]")
@option("--quick", is_flag=True, help="Read only what planbalance itself wrote, neither images nor labels.")
@option(
    "--near-duplicates",
    is_flag=True,
    help="Decode all images: equal pixels in other encodings, and pictures that look alike (an extra; minutes).",
)
@option(
    "--against", type=PATH, multiple=True, metavar="DATASET", help="Say what is shared with this data set (repeatable)."
)
@option("--report", type=PATH, metavar="FILE.html|.md", help="Write the audit as a page or as Markdown too.")
@group_options
@option(
    "--volume-pattern",
    type=RULE,
    metavar="RULE",
    heading="Reading",
    help="As in plan.  [default: the plan's rule, else auto]",
)
@volume_source_options
@group_key_option
@shard_options
@click.pass_obj
def verify(  # noqa: PLR0913, PLR0917 - click passes options by name
    terminal: Terminal,
    dataset: str | None,
    plan: str | None,
    quick: bool,  # noqa: FBT001 - an option
    near_duplicates: bool,  # noqa: FBT001 - an option
    against: Sequence[str],
    report: str | None,
    group_map: str | None,
    volume_column: str,
    group_column: str,
    volume_pattern: str | None,
    slice_map: str | None,
    slice_map_columns: str | None,
    volume_from: api.VolumeFrom | None,
    group_key: str | None,
    shard: str | None,
    finish: bool,  # noqa: FBT001 - an option
    executor: Literal["local", "dask"],
    scheduler: str | None,
) -> Answer:
    """Audit a data set: leaks between splits, files, labels, counts. Any YOLO data set will do, planbalance's or not.

    DATASET is a folder or a yaml; without it, the output of plan.json. Begins with how names were read, and gives a
    sentence to quote; skipped checks are reported as skipped. Exit code 6 where something is wrong.
    """
    if shard is not None and report is not None:
        raise click.UsageError("--report is for the whole audit: give it with --finish.")
    if report is not None:
        api.check_report(report, dataset, plan, against)
        if report.endswith(".html"):
            from planbalance.report.page import check_page

            check_page(report, *_audited(dataset, plan))
    audit = api.verify(
        dataset,
        plan=plan,
        quick=quick,
        near_duplicates=near_duplicates,
        against=against,
        group_map=group_map,
        volume_column=volume_column,
        group_column=group_column,
        volume_pattern=volume_pattern,
        slice_map=slice_map,
        slice_map_columns=slice_map_columns,
        volume_from=volume_from,
        group_key=group_key,
        shard=shard,
        finish=finish,
        executor=executor,
        scheduler=scheduler,
        progress=terminal.progress,
    )
    document = verify_document(audit)
    if shard is not None:
        return Answer(document, prose(audit.summary))
    if report is not None:
        _write_report(report, audit, document, _audited(dataset, plan))
    return Answer(document, verify_text(document), 0 if audit.ok else AUDIT_FAILED)


def _audited(dataset: str | None, plan: str | None) -> tuple[PlanFile | None, str]:
    """Return what a page shows beside the audit: the data set's own plan where it has one, and its folder."""
    from planbalance.report.subject import folder_of, open_subject

    if dataset is None:
        dataset = api.open_plan(plan or api.DEFAULT_PLAN).header.output
    found = os.path.abspath(dataset)
    try:
        return open_subject(found).plan, folder_of(found)
    except PlanError:
        return None, folder_of(found)  # the audit says what is wrong with its plan


def _write_report(path: str, audit: Audit, document: Mapping[str, Any], audited: tuple[PlanFile | None, str]) -> None:
    plan, dataset = audited
    if path.endswith(".html"):
        from planbalance.report.page import PageOptions, write_page

        write_page(path, plan, PageOptions(dataset=dataset, audit=audit))
        return
    from planbalance.cli.version import package_version
    from planbalance.report.statement import statement
    from planbalance.report.verify import verify_markdown

    tool = f"planbalance {package_version('planbalance')}"
    text = verify_markdown(document, statement(audit, dataset=dataset, tool=tool))
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
