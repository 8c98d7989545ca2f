"""`planbalance show`: a plan as text."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from planbalance import api
from planbalance.api import DEFAULT_PLAN
from planbalance.cli.options import PATH, command, offered, option, verbose_option
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.dataset_files import PLAN, train_commands
from planbalance.errors import PlanbalanceError, UsageError
from planbalance.model import PlanHeader
from planbalance.planstore import PlanFile, is_import
from planbalance.render.apply import train_text
from planbalance.render.footprint import footprint
from planbalance.render.plan import plan_document, plan_text
from planbalance.render.show import volume_document, volume_text, volumes_csv
from planbalance.render.slice import SliceQuery, slice_documents, slice_text
from planbalance.render.table import Group, Renderable, lines

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _volumes(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer the volumes of the plan that the command line names."""
    try:
        header = api.open_plan(ctx.params.get("plan") or DEFAULT_PLAN).header
    except (PlanbalanceError, OSError):
        return []
    return offered((volume.id for volume in header.volumes), incomplete)


@command(
    "show",
    example="planbalance show plan.json --volume 01-02-00011",
    printing=True,
)
@click.argument("plan", default=DEFAULT_PLAN, type=PATH)
@option("--volume", metavar="ID", shell_complete=_volumes, help="One volume, slice by slice.")
@option(
    "--slice", "name", metavar="NAME",
    help="One slice: where it goes and why. A file's name or path; with --volume, its number.",
)  # fmt: skip
@option("--csv", "as_csv", is_flag=True, help="All volumes as CSV (volume, group, split), for a paper's appendix.")
@option("--allow-edited", is_flag=True, heading="Advanced", help="Read a plan that was edited by hand.")
@verbose_option
@click.pass_obj
def show(
    _terminal: Terminal,
    plan: str,
    volume: str | None,
    name: str | None,
    as_csv: bool,  # noqa: FBT001 - an option
    allow_edited: bool,  # noqa: FBT001 - an option
    verbose: bool,  # noqa: FBT001 - an option
) -> CommandResult:
    """Show a plan: its statistics, one volume, one slice, or all volumes as CSV.

    PLAN defaults to plan.json.
    """
    if as_csv and (volume, name) != (None, None):
        raise click.UsageError("--csv lists all volumes: leave --volume and --slice out.")
    if is_import(plan):
        from planbalance.cli.importing import shown_import

        if name is not None or allow_edited:
            raise click.UsageError("--slice and --allow-edited are for the plan of a split, not for an import.")
        return shown_import(plan, volume, as_csv=as_csv, verbose=verbose)
    opened = api.open_plan(plan, allow_edited=allow_edited)
    header = opened.header
    if name is not None:
        return _slice(opened, SliceQuery(name, None if volume is None else api.planned_volume(header, volume).id))
    if as_csv:
        rows = [{"volume": one.id, "group": one.group, "split": one.split} for one in header.volumes]
        return CommandResult({"volumes": rows}, lines(volumes_csv(header.volumes)))
    if volume is not None:
        document = volume_document(header, api.planned_volume(header, volume), opened.operations())
        return CommandResult(document, volume_text(document))
    document = plan_document(header, footprint(header, opened.operations()), plan_file=plan)
    text = plan_text(document, verbose=verbose)
    return CommandResult(document, Group(text, *_training(header, plan)) if verbose else text)


def _training(header: PlanHeader, plan: str) -> Iterator[Renderable]:
    """Yield the commands that train on the plan's dataset: on the one that holds this very plan, if one does."""
    path, inside = os.path.abspath(plan), f"/{PLAN}"
    output = path.removesuffix(inside) if path.endswith(inside) else header.output
    commands, _ = train_commands(header, output)
    yield train_text({"published": True, "output": output, "train_commands": commands}, verbose=True)


def _slice(plan: PlanFile, query: SliceQuery) -> CommandResult:
    found = slice_documents(plan.header, plan.operations(), query)
    if not found:
        of = "" if query.volume is None else f" of volume {query.volume}"
        raise UsageError(
            f"The plan has no slice {query.slice}{of}.",
            kind="unknown-slice",
            hint="Give a file's name or its path, or with --volume a slice number: `--volume ID` alone shows them all.",
        )
    return CommandResult({"slices": found}, slice_text(found))
