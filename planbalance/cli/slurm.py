"""`planbalance slurm`: the batch files of an apply on many nodes."""

import os

import click

from planbalance import api
from planbalance.cli.options import INTEGER, PATH, command, option, takes
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.options.apply import OF_SLURM, ApplyRequest
from planbalance.render.apply import slurm_document, slurm_text


@command(
    "slurm",
    example="planbalance slurm plan.json --nodes 8 --mode symlink",
    printing=True,
)
@click.argument("plan", type=PATH)
@option("--nodes", type=INTEGER, required=True, metavar="N", help="How many nodes: one shard each.")
@option("--into", type=PATH, default=".", metavar="DIR", help="Where to write the files.  [default: here]")
@takes(ApplyRequest, only=OF_SLURM)
@click.pass_obj
def slurm(_terminal: Terminal, plan: str, nodes: int, into: str, request: ApplyRequest) -> CommandResult:
    """Write two sbatch files: an array of shards that build PLAN side by side, and the finish that publishes it.

    With --mode squashfs or tar, a third one copies the file to a node, mounts or unpacks it there, and trains.
    Nothing is submitted. The files are made to be read and edited; apply's options are carried over.
    """
    files = api.slurm(plan, nodes=nodes, into=into, options=request)
    document = slurm_document(
        {
            "array": files.array_name,
            "finish": files.finish_name,
            **({"train": files.train_name} if files.train else {}),
        },
        nodes=nodes,
        folder=os.path.abspath(into),
        submit=files.submit,
    )
    return CommandResult(document, slurm_text(document))
