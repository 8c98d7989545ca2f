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
from planbalance.modes import MODE_TABLE, Mode

# (path, SHA-256 in hex) of what the manifest names.
NamedSums = list[tuple[str, str]]


def write_metadata(job: Job, staging: Staging, mode: Mode) -> NamedSums:
    """Write all but the manifest, over what an interrupted run has left; return what the manifest names of it.

    Raises PlanError where the plan cannot be read any more; OSError.
    """
    named: NamedSums = []
    for document in job.kind.documents(job.stats, job.output, mode):
        chunks: Iterable[bytes] = document.chunks
        if document.summed:
            data = b"".join(chunks)
            named.append((document.path, fs.hash_bytes(data)))
            chunks = (data,)
        _write_document(staging, document.path, chunks)
    _write_anew(os.path.basename(dataset_files.PLAN), staging.own, job.plan.parts())
    content = receipt(job.plan.header.digest, job.options, job.output, mode)
    _write_anew(os.path.basename(dataset_files.RECEIPT), staging.own, (content,))
    return named


def _write_document(staging: Staging, path: str, chunks: Iterable[bytes]) -> None:
    folder, _, name = path.rpartition("/")
    if not folder:
        _write_anew(name, staging.tree.fd, chunks)
        return
    opened = staging.tree.folder(folder, make=True)
    try:
        _write_anew(name, opened, chunks)
    finally:
        fs.close(opened)


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
    packing = packing_of(job)
    named = [(path, fs.hash_bytes(packing.documents[path])) for path in packing.summed or ()]
    file = open_file(job, staging)
    try:
        return end_file(job, file, manifest_of(context, named, sums), context.permissions, context.file_sum)
    finally:
        fs.close(file)


def finish_metadata(context: Context, staging: Staging, metadata: NamedSums, sums: ImageSums | None) -> None:
    """Write the manifest, where sums were taken, and end the workers. Raises OSError."""
    manifest = manifest_of(context, metadata, sums)
    if manifest is not None:
        _write_anew(dataset_files.MANIFEST, staging.tree.fd, manifest)


def count_files(job: Job, mode: Mode) -> int:
    """Return how many files there are outside `.planbalance/` in the end."""
    placed = 2 * job.slices if MODE_TABLE[mode].places_files else 0
    return placed + job.kind.count_documents(job.stats, mode) + takes_sums(job, mode)


def _write_anew(name: str, dir_fd: int, chunks: Iterable[bytes]) -> None:
    try:
        fs.write_all_new(name, dir_fd, chunks)
    except FileExistsError:  # of an interrupted run; no chunk was taken yet
        fs.unlink(name, dir_fd)
        fs.write_all_new(name, dir_fd, chunks)
