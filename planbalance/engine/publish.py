"""The end of a build: the files at the root, the tool's own files, then one rename."""

import errno
import os.path
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

import orjson

from planbalance import fs, handoff
from planbalance.engine import words
from planbalance.engine.job import Job
from planbalance.engine.lists import list_name
from planbalance.engine.manifest import MANIFEST, Lines, in_order, lines_of
from planbalance.engine.staging import Staging
from planbalance.errors import IncompleteError, PlanError
from planbalance.model import Mode, Split

RECEIPT_SCHEMA: Final = "planbalance/receipt/1"
METADATA: Final = "balanced_dataset_metadata.json"
DATASET: Final = "dataset.yaml"
HYPS: Final = "hyps"
HYP: Final = "hyp.balanced.yaml"


def write_root_files(job: Job, staging: Staging, way: Mode, manifest: Iterable[Lines] | None) -> int:
    """Write what stands at the root, and plan and receipt; return how many files stand outside `.planbalance/` then.

    `manifest`: its lines for every block; None makes none.
    """
    header, root = job.plan.header, staging.tree.fd
    metadata = handoff.metadata_of(header, job.survey.details())
    texts = {METADATA: metadata, DATASET: handoff.dataset_yaml(header, job.output, listed=way == "list")}
    lists = _lists(job)
    for split, lines in lists.items():
        _write_anew(list_name(split), root, map(str.encode, lines))
    hyp = handoff.hyp_yaml(header)
    for name, data in texts.items():
        fs.write_replacing(name, root, data)
    if hyp is not None:
        folder = staging.tree.folder(HYPS, make=True)
        try:
            fs.write_replacing(HYP, folder, hyp)
        finally:
            fs.close(folder)
    extra = {METADATA: metadata} | ({f"{HYPS}/{HYP}": hyp} if hyp is not None else {})
    if manifest is not None:
        sums = lines_of((path, fs.hash_bytes(data)) for path, data in extra.items())
        _write_anew(MANIFEST, root, in_order((sums, *manifest)))
    _write_own(job, staging, way)
    return files_of(job, way, summed=manifest is not None)


def files_of(job: Job, way: Mode, *, summed: bool) -> int:
    """Return how many files stand outside `.planbalance/` in the end, those that `write_root_files` writes included."""
    placed = len({each.split for each in job.survey.lists()}) if way == "list" else 2 * job.slices
    return placed + 2 + (handoff.hyp_yaml(job.plan.header) is not None) + summed


def _lists(job: Job) -> dict[Split, list[str]]:
    """Return the lines of the lists of `--mode list`, of splits that hold a slice."""
    lists: dict[Split, list[str]] = {}
    for each in job.survey.lists():
        lists.setdefault(each.split, []).append(each.lines)
    return lists


def _write_anew(name: str, dir_fd: int, chunks: Iterator[bytes]) -> None:
    with suppress(FileNotFoundError):
        fs.unlink(name, dir_fd)
    fs.write_all_new(name, dir_fd, chunks)


def _write_own(job: Job, staging: Staging, way: Mode) -> None:
    options = job.options
    receipt = {
        "schema": RECEIPT_SCHEMA,
        "digest": job.plan.header.digest,
        "mode": way,
        "labels": options.labels,
        "checksum": options.checksum,
        "fallback": options.fallback,
        "durability": options.durability,
        "output": job.output,
        "map_input": [list(pair) for pair in options.map_input],
        "tool": "planbalance",
    }
    _write_anew(fs.PLAN, staging.own, job.plan.parts())
    fs.write_replacing(fs.RECEIPT, staging.own, orjson.dumps(receipt, option=orjson.OPT_INDENT_2) + b"\n")


# ---- the rename ---------------------------------------------------------------------------------------------------


def publish(job: Job, staging: Staging, *, onto_empty: bool) -> str | None:
    """Let the output appear in one step; return a warning where its name could not be put on disk.

    With durability safe everything below is on disk already (`JournalFile.vouch`). Raises PlanError where the output
    exists by now; IncompleteError where, with durability safe, its name could not be put on disk; OSError.
    """
    try:
        fs.move_folder(job.staging, job.output, onto_empty=onto_empty)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise PlanError(
            f"The output {job.output} appeared while it was built",
            kind="output-exists",
            hint=f"move it away and run the same command again; the build is kept in {job.staging}",
            paths=[job.output],
        ) from None
    warning = _sync_parent(job, safe=job.options.durability == "safe")
    _tidy(staging)
    return warning


def _sync_parent(job: Job, *, safe: bool) -> str | None:
    parent = os.path.dirname(job.output)
    try:
        fs.sync_folder(parent)
    except OSError as error:
        said = f"{job.output} is complete, but its name could not be put on disk: {words.reason(error)}"
        if safe:
            raise IncompleteError(
                said, kind="sync-failed", hint="verify it after the next boot", paths=[parent]
            ) from None
        return said
    return None


def _tidy(staging: Staging) -> None:
    """Take the working files out of the published folder; what a kill leaves there is harmless."""
    with suppress(OSError):
        for name in sorted(fs.list_folder(staging.own).keys() - {fs.PLAN, fs.RECEIPT}):
            with suppress(OSError):
                fs.unlink(name, staging.own)
