"""The files beside images and labels: those at the root, and the tool's own plan and receipt.

All but the manifest depend on the plan alone, so they are written while slices are placed. On a remote file system that
saves fifty round trips.
"""

import os.path
from collections.abc import Iterable, Iterator

from planbalance import dataset_files, fs
from planbalance.engine.context import Context
from planbalance.engine.job import Job, receipt, takes_sums
from planbalance.engine.manifest import in_order, lines_of
from planbalance.engine.packed_file import end_file, open_file, packing_of
from planbalance.engine.resume import ImageSums
from planbalance.engine.staging import Staging
from planbalance.model import Split
from planbalance.modes import MODE_TABLE, Mode

# (path, SHA-256 in hex) of what the manifest names.
NamedSums = list[tuple[str, str]]


def write_metadata(job: Job, staging: Staging, mode: Mode) -> NamedSums:
    """Write all but the manifest, over what an interrupted run has left; return what the manifest names of it.

    Raises PlanError where the plan cannot be read any more; OSError.
    """
    header, root = job.plan.header, staging.tree.fd
    metadata = dataset_files.metadata_of(header, job.stats.kept())
    _write_anew(dataset_files.METADATA, root, (metadata,))
    yaml = dataset_files.dataset_yaml(header, job.output, listed=not MODE_TABLE[mode].places_files)
    _write_anew(dataset_files.DATASET_YAML, root, (yaml,))
    for split, lines in _lists(job).items():
        _write_anew(dataset_files.list_name(split), root, map(str.encode, lines))
    named = {dataset_files.METADATA: metadata}
    hyp = dataset_files.hyp_yaml(header)
    if hyp is not None:
        folder = staging.tree.folder(dataset_files.HYP_FOLDER, make=True)
        try:
            _write_anew(os.path.basename(dataset_files.HYP), folder, (hyp,))
        finally:
            fs.close(folder)
        named[dataset_files.HYP] = hyp
    _write_anew(os.path.basename(dataset_files.PLAN), staging.own, job.plan.parts())
    _write_anew(
        os.path.basename(dataset_files.RECEIPT),
        staging.own,
        (receipt(job.plan.header.digest, job.options, job.output, mode),),
    )
    return [(path, fs.hash_bytes(data)) for path, data in named.items()]


def manifest_of(context: Context, metadata: NamedSums, sums: ImageSums | None) -> Iterator[bytes] | None:
    """Return the content of the manifest, None where no sums were taken; and end the workers. Raises OSError."""
    blocks = None if sums is None else list(context.pool.manifest(sums.by_block))
    context.pool.dismiss()
    return None if blocks is None else in_order((lines_of(metadata), *blocks))


def finish_packed(context: Context, staging: Staging, sums: ImageSums | None) -> bytes:
    """Write what is left of the one file of a packed dataset; return its SHA-256, where sums are taken.

    Raises OSError.
    """
    job = context.job
    documents = packing_of(job).documents
    named = [
        (path, fs.hash_bytes(documents[path]))
        for path in (dataset_files.METADATA, dataset_files.HYP)
        if path in documents
    ]
    file = open_file(job, staging)
    try:
        return end_file(job, file, manifest_of(context, named, sums), context.permissions)
    finally:
        fs.close(file)


def finish_metadata(context: Context, staging: Staging, metadata: NamedSums, sums: ImageSums | None) -> None:
    """Write the manifest, where sums were taken, and end the workers. Raises OSError."""
    manifest = manifest_of(context, metadata, sums)
    if manifest is not None:
        _write_anew(dataset_files.MANIFEST, staging.tree.fd, manifest)


def count_files(job: Job, mode: Mode) -> int:
    """Return how many files there are outside `.planbalance/` in the end."""
    placed = 2 * job.slices if MODE_TABLE[mode].places_files else len({each.split for each in job.stats.lists()})
    return placed + 2 + (dataset_files.hyp_yaml(job.plan.header) is not None) + takes_sums(job, mode)


def _write_anew(name: str, dir_fd: int, chunks: Iterable[bytes]) -> None:
    try:
        fs.write_all_new(name, dir_fd, chunks)
    except FileExistsError:  # of an interrupted run; no chunk was taken yet
        fs.unlink(name, dir_fd)
        fs.write_all_new(name, dir_fd, chunks)


def _lists(job: Job) -> dict[Split, list[str]]:
    """Return the lines of the lists of `--mode list`, of splits that hold a slice."""
    lists: dict[Split, list[str]] = {}
    for each in job.stats.lists():
        lists.setdefault(each.split, []).append(each.lines)
    return lists
