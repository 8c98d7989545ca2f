"""The two batch files of a sharded apply under Slurm: an array of shards, and the finish after them.

The array names its shards explicitly (`$SLURM_ARRAY_TASK_ID/8`), so that `sbatch --array=3,7` runs single ones again.
Slurm reads `#SBATCH` lines up to the first command (sbatch(1)) and does not interpret shell quotes there, so their
values are letters and digits only.
"""

import os.path
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from planbalance.engine.job import ApplyOptions, command
from planbalance.errors import PlanError, UsageError
from planbalance.text import error_text

_CORES: Final = 4

_ARRAY: Final = """\
#!/bin/bash
# planbalance: {nodes} shards of one build, each on a node of its own. Submit with:
#   {submit}
# To run single shards again: sbatch --array=3,7 {array_file}
#SBATCH --job-name={name}
#SBATCH --array=1-{nodes}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cores}
#SBATCH --output={name}-%A_%a.log
#SBATCH --open-mode=append
# A shard that is started again resumes, also on another node.
#SBATCH --requeue
# A minute before the time limit: stop, so that the shard can be resumed.
#SBATCH --signal=B:TERM@60
# What your cluster asks for; remove one # of each line that you fill in:
##SBATCH --time=04:00:00
##SBATCH --partition=
##SBATCH --account=

set -eu
exec {command} --shard "$SLURM_ARRAY_TASK_ID/{nodes}"
"""

_FINISH: Final = """\
#!/bin/bash
# planbalance: checks that all {nodes} shards are done and publishes the dataset, once.
# It says which shards are missing, if any, and how to run them; then submit this file again.
#SBATCH --job-name={name}-finish
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cores}
#SBATCH --output={name}-finish-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
##SBATCH --time=01:00:00
##SBATCH --partition=
##SBATCH --account=

set -eu
exec {command} --finish
"""


class BatchFiles(NamedTuple):
    """Two batch files by name, and the line that submits both."""

    array_name: str
    array: str
    finish_name: str
    finish: str
    submit: str


def batch_files(plan_path: str, options: ApplyOptions, nodes: int, program: Sequence[str]) -> BatchFiles:
    """Return the batch files that apply a plan on `nodes` nodes.

    Args:
        plan_path: absolute, for a job begins where it was submitted.
        options: how to apply; paths in them are absolute too.
        nodes: how many shards.
        program: the words that start planbalance on a node.
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", plan_path.rpartition("/")[2].removesuffix(".json")).strip("-") or "plan"
    array_file, finish_file = f"{stem}-array.sbatch", f"{stem}-finish.sbatch"
    words = shlex.join(program) + command(plan_path, replace(options, shard=None, finish=False)).removeprefix(
        "planbalance"
    )
    submit = (
        f"sbatch --kill-on-invalid-dep=yes --dependency=afterok:$(sbatch --parsable {array_file} | cut -d';' -f1) "
        f"{finish_file}"
    )
    settings = {
        "nodes": nodes,
        "name": f"planbalance-{stem}",
        "cores": options.jobs or _CORES,
        "array_file": array_file,
        "submit": submit,
        "command": words,
    }
    return BatchFiles(array_file, _ARRAY.format(**settings), finish_file, _FINISH.format(**settings), submit)


def own_program() -> list[str]:
    """Return the words that start this installation of planbalance on a node that sees the same folders."""
    script = os.path.join(os.path.dirname(sys.executable), "planbalance")
    return [script] if os.access(script, os.X_OK) else [sys.executable, "-m", "planbalance"]


def save_batch_files(files: BatchFiles, folder: str) -> list[str]:
    """Write both files; return their paths. Files that a user may have edited are never overwritten.

    Raises UsageError where one is there with other content, PlanError where it cannot be written.
    """
    texts = {os.path.join(folder, name): text for name, text in ((files[0], files[1]), (files[2], files[3]))}
    for path, text in texts.items():
        _refuse_other(path, text)
    for path, text in texts.items():
        try:
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
        except OSError as error:
            raise PlanError(
                f"The batch file cannot be written: {path}: {error_text(error)}",
                kind="batch-file-not-written",
                hint="choose another folder with --into",
                paths=[path],
            ) from None
    return list(texts)


def _refuse_other(path: str, text: str) -> None:
    if not os.path.lexists(path):
        return
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            same = file.read(len(text) + 1) == text
    except OSError:
        same = False
    if not same:
        raise UsageError(
            f"{path} exists already with other content: it may have been edited",
            kind="batch-file-exists",
            hint="remove it, or choose another folder with --into",
            paths=[path],
        )
