"""What stands beside images and labels: the files at the root, and the tool's own plan and receipt.

All but the manifest hang on the plan alone, so they are written while slices are placed: far away that is fifty waits.
"""

from collections.abc import Iterable
from typing import Final

import orjson

from planbalance import fs, handoff
from planbalance.engine.job import Job
from planbalance.engine.lists import list_name
from planbalance.engine.manifest import MANIFEST, Lines, in_order, lines_of
from planbalance.engine.staging import Staging
from planbalance.model import Mode, Split

RECEIPT_SCHEMA: Final = "planbalance/receipt/1"
METADATA: Final = "balanced_dataset_metadata.json"
DATASET: Final = "dataset.yaml"
HYPS: Final = "hyps"
HYP: Final = "hyp.balanced.yaml"


# (path, SHA-256 in hex) of what the manifest names.
Papers = list[tuple[str, str]]


def write_papers(job: Job, staging: Staging, way: Mode) -> Papers:
    """Write all but the manifest, over what a run left that was cut off; return what the manifest names of it.

    Raises PlanError where the plan cannot be read any more; OSError.
    """
    header, root = job.plan.header, staging.tree.fd
    metadata = handoff.metadata_of(header, job.survey.kept())
    _write_anew(METADATA, root, (metadata,))
    _write_anew(DATASET, root, (handoff.dataset_yaml(header, job.output, listed=way == "list"),))
    for split, lines in _lists(job).items():
        _write_anew(list_name(split), root, map(str.encode, lines))
    named = {METADATA: metadata}
    hyp = handoff.hyp_yaml(header)
    if hyp is not None:
        folder = staging.tree.folder(HYPS, make=True)
        try:
            _write_anew(HYP, folder, (hyp,))
        finally:
            fs.close(folder)
        named[f"{HYPS}/{HYP}"] = hyp
    _write_anew(fs.PLAN, staging.own, job.plan.parts())
    _write_anew(fs.RECEIPT, staging.own, (_receipt(job, way),))
    return [(path, fs.hash_bytes(data)) for path, data in named.items()]


def write_manifest(staging: Staging, papers: Papers, blocks: Iterable[Lines]) -> None:
    """Write the manifest from the lines of every block. Raises OSError."""
    _write_anew(MANIFEST, staging.tree.fd, in_order((lines_of(papers), *blocks)))


def files_of(job: Job, way: Mode, *, summed: bool) -> int:
    """Return how many files stand outside `.planbalance/` in the end; `summed`: a manifest among them."""
    placed = len({each.split for each in job.survey.lists()}) if way == "list" else 2 * job.slices
    return placed + 2 + (handoff.hyp_yaml(job.plan.header) is not None) + summed


def _write_anew(name: str, dir_fd: int, chunks: Iterable[bytes]) -> None:
    try:
        fs.write_all_new(name, dir_fd, chunks)
    except FileExistsError:  # of a run that was cut off; no chunk was taken yet
        fs.unlink(name, dir_fd)
        fs.write_all_new(name, dir_fd, chunks)


def _lists(job: Job) -> dict[Split, list[str]]:
    """Return the lines of the lists of `--mode list`, of splits that hold a slice."""
    lists: dict[Split, list[str]] = {}
    for each in job.survey.lists():
        lists.setdefault(each.split, []).append(each.lines)
    return lists


def _receipt(job: Job, way: Mode) -> bytes:
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
    return orjson.dumps(receipt, option=orjson.OPT_INDENT_2) + b"\n"
