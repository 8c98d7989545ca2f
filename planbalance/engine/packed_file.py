"""The one file of a packed dataset while it is built: made, given its room, ended, and published by one rename."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from planbalance import fs
from planbalance.dataset_files import MANIFEST, OWN_FOLDER, SUM_SUFFIX
from planbalance.engine import preflight
from planbalance.engine.errors import FULL, advice, reason
from planbalance.engine.file_sum import FileSum
from planbalance.engine.job import Job
from planbalance.engine.packing import FORMS, Packing
from planbalance.engine.schedule import Range
from planbalance.engine.staging import Staging, output_appeared, sync_parent
from planbalance.errors import PlanError
from planbalance.packed.entry import FIXED_TIME


def packing_of(job: Job) -> Packing:
    """Return the packing of a job that has one."""
    assert job.packing is not None
    return job.packing


def file_name(job: Job) -> str:
    """Return the name that the one file has in the staging folder: that of the output."""
    return os.path.basename(job.output)


def open_file(job: Job, staging: Staging) -> int:
    """Open the one file in the staging folder, made where it is missing. Raises OSError."""
    return fs.open_packed(file_name(job), staging.tree.fd)


def make_file(job: Job, staging: Staging) -> None:
    """Make the one file and give it its room on the disk: all, or what a shard fills.

    Raises PlanError where there is no room; OSError.
    """
    start, stop = packing_of(job).room()
    file = open_file(job, staging)
    try:
        fs.allocate(file, start, stop - start, alone=job.options.shard is None)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise PlanError(
            f"There is no room for the {stop - start:,} bytes of {job.output}: {reason(error)}",
            kind="no-space",
            hint=advice(error.errno),
            paths=[job.output],
        ) from None
    finally:
        fs.close(file)


def remove_file(job: Job, staging: Staging) -> None:
    """Remove the one file from the staging folder, where it is there. Raises OSError."""
    with suppress(FileNotFoundError):
        fs.unlink(file_name(job), staging.tree.fd)


@contextmanager
def followed(job: Job, staging: Staging, earlier: Iterable[Range]) -> Iterator[FileSum]:
    """Give the sum of the one file, for a thread that follows the workers; it has stopped at the end. Raises OSError.

    `earlier`: what is in place already.
    """
    file = open_file(job, staging)
    followed_sum = FileSum(packing_of(job), file)
    try:
        followed_sum.placed(earlier)
        yield followed_sum
    finally:
        followed_sum.stop()
        fs.close(file)


def end_file(
    job: Job, file: int, manifest: Iterable[bytes] | None, permissions: int, followed: FileSum | None
) -> bytes:
    """Write all but the slices; return the SHA-256 of the whole file, nothing where no sums are taken. Raises OSError.

    Args:
        job: what is built.
        file: the one file, in which all slices are.
        manifest: its content; None where none is written.
        permissions: bits that every source has.
        followed: what has taken the sum of the file's begin already, if anything has.
    """
    packing = packing_of(job)
    form, size = FORMS[packing.mode], packing.exact_size()
    documents = dict(packing.documents)
    if manifest is not None:
        documents[MANIFEST] = b"".join(manifest)
    for path, begin in packing.places.documents.items():
        at, data = begin, documents[path]
        head = form.head(path, len(data), FIXED_TIME)
        for part in (head, data, bytes(form.padding(len(data)))):  # the manifest is large: it is not copied
            fs.write_at(file, part, at)
            at += len(part)
    for at, length in packing.places.gaps:
        fs.write_at(file, form.filler(length), at)
    at, data = packing.ends.last
    fs.write_at(file, data, at)
    fs.write_at(file, packing.ends.first, 0)
    fs.cut_file(file, size)  # a little more was allocated
    fs.set_permissions(file, 0o600 | (fs.new_file_mode() & permissions & 0o066))
    return (followed or FileSum(packing, file)).end(size) if manifest is not None else b""


def publish_file(job: Job, staging: Staging, digest: bytes) -> None:
    """Publish: rename the one file to the output, with its sum beside it; the staging folder goes.

    The sum is written first, so that an output that is there has one. With durability safe all is on disk already, and
    the names are put there.
    Raises PlanError where a name is taken by now; IncompleteError where a name could not be put on disk; OSError.
    """
    if digest:
        _write_sum(job, staging, f"{digest.hex()}  {file_name(job)}\n".encode())
        if job.options.durability == "safe":  # no power failure may leave an output without it
            sync_parent(job)
    try:
        fs.move_file(os.path.join(job.staging, file_name(job)), job.output)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
        raise output_appeared(job, job.output) from None
    if job.options.durability == "safe":
        sync_parent(job)
    with suppress(OSError):  # what a killed process leaves of it, `planbalance clean` removes
        fs.remove_tree(staging.tree.fd, OWN_FOLDER)
        fs.remove_empty_folder(job.staging)


def _write_sum(job: Job, staging: Staging, line: bytes) -> None:
    name = file_name(job) + SUM_SUFFIX
    there = job.output + SUM_SUFFIX
    fs.write_replacing(name, staging.tree.fd, line, on_disk=job.options.durability == "safe")
    try:
        fs.move_file(os.path.join(job.staging, name), there)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
        if not preflight.is_left_behind(there):
            raise output_appeared(job, there) from None
        fs.move_over(os.path.join(job.staging, name), there)
