"""`planbalance slurm`: the batch files of an apply on many nodes."""

import os
from collections.abc import Sequence
from typing import Unpack

import click

from planbalance import api
from planbalance.api import ApplyKeywords
from planbalance.cli.options import ADVANCED, OLD_NEW, PATH, apply_options, command, label_mode_option, option
from planbalance.cli.terminal import Answer, Terminal
from planbalance.report.batch import slurm_document, slurm_text


@command(
    "slurm",
    example="planbalance slurm plan.json --nodes 8 --mode symlink",
    printing=True,
)
@click.argument("plan", type=PATH)
@option("--nodes", type=int, required=True, metavar="N", help="How many nodes: one shard each.")
@option("--into", type=PATH, default=".", metavar="DIR", help="Where to write the files.  [default: here]")
@apply_options
@label_mode_option
@option("--output", type=PATH, metavar="DIR", heading=ADVANCED, help="Build in another place than the planned one.")
@option(
    "--map-input", type=OLD_NEW, multiple=True, metavar="OLD=NEW", heading=ADVANCED,
    help="The input OLD of the plan is NEW on the nodes (repeatable).",
)  # fmt: skip
@click.pass_obj
def slurm(
    _terminal: Terminal,
    plan: str,
    nodes: int,
    into: str,
    output: str | None,
    map_input: Sequence[tuple[str, str]],
    **keywords: Unpack[ApplyKeywords],
) -> Answer:
    """Write two sbatch files: an array of shards that build PLAN side by side, and the finish that publishes it.

    Nothing is submitted. The files are made to be read and edited; apply's options are carried over.
    """
    files = api.slurm(plan, nodes=nodes, into=into, output=output, map_input=map_input, **keywords)
    document = slurm_document(
        {"array": files.array_name, "finish": files.finish_name},
        nodes=nodes,
        folder=os.path.abspath(into),
        submit=files.submit,
    )
    return Answer(document, slurm_text(document))
