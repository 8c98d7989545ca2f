"""`planbalance show`: a plan for a person."""

import click

from planbalance import api
from planbalance.api import DEFAULT_PLAN
from planbalance.cli.options import PATH, command, lines, option
from planbalance.cli.terminal import Answer, Terminal
from planbalance.report.footprint import footprint
from planbalance.report.plan import plan_document, plan_text
from planbalance.report.show import volume_document, volume_text, volumes_csv


@command(
    "show",
    about="Show a plan, or one volume of it.",
    example="planbalance show plan.json --volume 01-02-00011",
    printing=True,
)
@click.argument("plan", default=DEFAULT_PLAN, type=PATH)
@option("--volume", metavar="ID", help="One volume, slice by slice.")
@option("--csv", "as_csv", is_flag=True, help="All volumes as CSV (volume, group, split), for a paper's appendix.")
@option("--allow-edited", is_flag=True, heading="Advanced", help="Read a plan that was edited by hand.")
@click.pass_obj
def show(_terminal: Terminal, plan: str, volume: str | None, as_csv: bool, allow_edited: bool) -> Answer:  # noqa: FBT001 - options
    """Show a plan: its statistics, one volume, or all volumes as CSV.

    PLAN defaults to plan.json.
    """
    if as_csv and volume is not None:
        raise click.UsageError("--csv lists all volumes: leave --volume out.")
    opened = api.open_plan(plan, allow_edited=allow_edited)
    header = opened.header
    if as_csv:
        rows = [{"volume": one.id, "group": one.group, "split": one.split} for one in header.volumes]
        return Answer({"volumes": rows}, lines(volumes_csv(header.volumes)))
    if volume is not None:
        document = volume_document(header, api.planned_volume(header, volume), opened.operations())
        return Answer(document, volume_text(document))
    document = plan_document(header, footprint(header, opened.operations()), plan_file=plan)
    return Answer(document, plan_text(document))
