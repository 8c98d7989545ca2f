"""The batch files of a sharded apply under Slurm: an array of shards, and the finish after them.

For a dataset in one file there is a third: it copies the file to the node's own disk, mounts or unpacks it, and trains.

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

from planbalance.dataset_files import DATASET_YAML, train_commands
from planbalance.engine.job import ApplyOptions, command, planned_output
from planbalance.errors import PlanError, UsageError
from planbalance.model import PlanHeader
from planbalance.modes import MODE_TABLE
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


_TRAIN: Final = """\
#!/bin/bash
# planbalance: copies the dataset to the node's own disk, {opens} it there, trains, and removes it again.
# A mount lives on one node: with several nodes, each of them needs these steps.
#SBATCH --job-name={name}-train
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cores}
#SBATCH --output={name}-train-%j.log
#SBATCH --signal=B:TERM@60
# What your cluster asks for; remove one # of each line that you fill in:
##SBATCH --gres=gpu:1
##SBATCH --time=24:00:00
##SBATCH --partition=
##SBATCH --account=

set -eu
packed={packed}
here=$(mktemp -d "${{TMPDIR:-/tmp}}/planbalance.XXXXXX")
data=$here/data
mkdir "$data"

tidy() {{
    cd /
{close}
    rm -f "$here/packed" "$here/data.yaml"
    rmdir "$data" "$here"
}}
trap tidy EXIT
trap 'exit 143' TERM

cp "$packed" "$here/packed"
{open}
{program} relocate "$packed" --at "$data" > "$here/data.yaml"

{train} &
trainer=$!
trap 'kill "$trainer"; wait "$trainer"; exit 143' TERM
wait "$trainer"
"""
_MOUNT: Final = """\
# Without FUSE on the node: apptainer exec --bind "$here/packed:/data:image-src=/" IMAGE.sif ... (docs/how-to/one-file)
squashfuse_ll "$here/packed" "$data"
"""
_UNMOUNT: Final = """\
    fusermount3 -u "$data" 2> /dev/null || fusermount -u "$data" 2> /dev/null || umount "$data" || true"""
_UNPACK: Final = 'tar -xf "$here/packed" -C "$data"'
_REMOVE: Final = '    rm -rf "${data:?}"/* "$data/.planbalance"'
_THERE: Final = "/planbalance-data"  # stands for the place of the mount until the commands are written
_NO_COMMAND: Final = "echo 'put the command that trains here; its yaml is:' \"$here/data.yaml\""


class BatchFiles(NamedTuple):
    """The batch files by name, and the line that submits array and finish; no name where there is no such file."""

    array_name: str
    array: str
    finish_name: str
    finish: str
    submit: str
    train_name: str = ""
    train: str = ""

    def each(self) -> tuple[tuple[str, str], ...]:
        """Return all files as (name, content)."""
        pairs = ((self.array_name, self.array), (self.finish_name, self.finish), (self.train_name, self.train))
        return tuple(pair for pair in pairs if pair[0])


def batch_files(
    plan_path: str, options: ApplyOptions, nodes: int, program: Sequence[str], header: PlanHeader | None = None
) -> BatchFiles:
    """Return the batch files that apply a plan on `nodes` nodes.

    Args:
        plan_path: absolute, for a job begins where it was submitted.
        options: how to apply; paths in them are absolute too.
        nodes: how many shards.
        program: the words that start planbalance on a node.
        header: the plan's; the file that trains on a dataset in one file is made of it.
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
    files = BatchFiles(array_file, _ARRAY.format(**settings), finish_file, _FINISH.format(**settings), submit)
    if header is None or not MODE_TABLE[options.mode].one_file:
        return files
    mounts = options.mode == "squashfs"
    settings |= {
        "packed": shlex.quote(options.output or planned_output(header, options.mode)),
        "opens": "mounts" if mounts else "unpacks",
        "open": _MOUNT if mounts else _UNPACK,
        "close": _UNMOUNT if mounts else _REMOVE,
        "program": shlex.join(program),
        "train": _training(header),
    }
    return files._replace(train_name=f"{stem}-train.sbatch", train=_TRAIN.format(**settings))


def _training(header: PlanHeader) -> str:
    """Return the command that trains on the data at `$data`, those of other trainers before it as comments."""
    commands, notes = train_commands(header, _THERE)
    lines = [f"# {note}" for note in notes]
    texts = [
        text.replace(f"{_THERE}/{DATASET_YAML}", '"$here/data.yaml"').replace(_THERE, '"$data"')
        for text in (commands["yolov5"], commands["ultralytics"])
        if text
    ]
    lines += [f"# or: {text}" for text in texts[:-1]]
    return "\n".join((*lines, texts[-1] if texts else _NO_COMMAND))


def own_program() -> list[str]:
    """Return the words that start this installation of planbalance on a node that sees the same folders."""
    script = os.path.join(os.path.dirname(sys.executable), "planbalance")
    return [script] if os.access(script, os.X_OK) else [sys.executable, "-m", "planbalance"]


def save_batch_files(files: BatchFiles, folder: str) -> list[str]:
    """Write all files; return their paths. Files that a user may have edited are never overwritten.

    Raises UsageError where one is there with other content, PlanError where it cannot be written.
    """
    texts = {os.path.join(folder, name): text for name, text in files.each()}
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
