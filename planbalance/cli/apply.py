"""`planbalance apply`: the plan becomes a data set."""

from collections.abc import Sequence
from typing import Literal, Unpack

import click

from planbalance import api
from planbalance.api import DEFAULT_PLAN, ApplyKeywords
from planbalance.cli.options import (
    ADVANCED,
    OLD_NEW,
    PATH,
    apply_options,
    command,
    label_mode_option,
    option,
    shard_options,
)
from planbalance.cli.terminal import Answer, Terminal
from planbalance.report.apply import apply_document, apply_text
from planbalance.report.table import Group


@command("apply", example="planbalance apply plan.json --mode symlink")
@click.argument("plans", metavar="[PLAN]...", nargs=-1, type=PATH)
@apply_options
@label_mode_option
@option("--output", type=PATH, metavar="DIR", heading=ADVANCED, help="Build in another place than the planned one.")
@option(
    "--map-input", type=OLD_NEW, multiple=True, metavar="OLD=NEW", heading=ADVANCED,
    help="The input OLD of the plan is here NEW, such as a node's scratch (repeatable).",
)  # fmt: skip
@shard_options
@option("--allow-edited", is_flag=True, heading=ADVANCED, help="Take a plan that was edited by hand.")
@click.pass_obj
def apply(  # noqa: PLR0913, PLR0917 - click passes options by name
    terminal: Terminal,
    plans: Sequence[str],
    output: str | None,
    map_input: Sequence[tuple[str, str]],
    shard: str | None,
    finish: bool,  # noqa: FBT001 - an option
    executor: Literal["local", "dask"],
    scheduler: str | None,
    allow_edited: bool,  # noqa: FBT001 - an option
    **keywords: Unpack[ApplyKeywords],
) -> Answer:
    """Build the data set that a plan describes; run again after an interruption, it resumes.

    PLAN defaults to plan.json; several plans (folds) are built one after the other. The output appears complete or not
    at all.
    """
    several = plans or (DEFAULT_PLAN,)
    if len(several) > 1 and output is not None:
        raise click.UsageError("--output is for one plan: each of several plans has its own output.")
    documents = [
        apply_document(
            api.apply(
                plan,
                output=output,
                map_input=map_input,
                allow_edited=allow_edited,
                shard=shard,
                finish=finish,
                executor=executor,
                scheduler=scheduler,
                progress=terminal.progress,
                **keywords,
            )
        )
        for plan in several
    ]
    text = Group(*(apply_text(document, dry_run=keywords["dry_run"]) for document in documents))
    return Answer(documents[0] if len(documents) == 1 else {"folds": documents}, text)
