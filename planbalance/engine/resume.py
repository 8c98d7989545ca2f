"""What earlier runs have done: what their journals list, as far as the files exist."""

import os.path
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any, NamedTuple

from planbalance import fs
from planbalance.dataset_files import OWN_FOLDER
from planbalance.destination import Destination, label_of
from planbalance.engine.job import Job
from planbalance.engine.journal import SUM_BYTES, Record
from planbalance.engine.schedule import Range, ranges_by_block
from planbalance.engine.spool import is_there
from planbalance.modes import MODE_TABLE, Mode


class ImageSums:
    """The images' sums of a whole plan, per block, filled in as batches finish."""

    def __init__(self, job: Job) -> None:
        self.by_block = {index: bytearray(SUM_BYTES * each.count) for index, each in enumerate(job.plan.header.blocks)}

    def add(self, ranges: Iterable[Range], sums: bytes | bytearray) -> None:
        """Add the sums of a finished batch."""
        at = 0
        for part in ranges:
            length = SUM_BYTES * (part.stop - part.start)
            start = SUM_BYTES * part.start
            self.by_block[part.block][start : start + length] = sums[at : at + length]
            at += length

    def add_record(self, record: Record) -> None:
        """Add the sums of a finished batch that a journal lists; nothing where it has none."""
        if record.sums:
            self.add(record.ranges, record.sums)

    def of(self, ranges: Iterable[Range]) -> bytes:
        """Return the sums of ranges, end to end."""
        return b"".join(self.by_block[block][SUM_BYTES * start : SUM_BYTES * stop] for block, start, stop in ranges)


def keeps_sums(sums: ImageSums | None) -> Callable[[Record], None]:
    """Return what takes finished batches, and keeps their sums where sums are taken."""
    return (lambda _: None) if sums is None else sums.add_record


class ConfirmedWork(NamedTuple):
    """What the journal's records list, compared with the folders.

    Attributes:
        done: per block, the ranges whose files exist.
        gone: the ranges whose files are missing. They are placed again; until then no record may list them.
        spooled: the records whose images lie in spool files, and have no place yet.
    """

    done: dict[int, list[tuple[int, int]]]
    gone: list[Range]
    spooled: tuple[Record, ...] = ()


def confirm(job: Job, mode: Mode, tree: fs.Tree, records: Sequence[Record]) -> ConfirmedWork:
    """Compare what the records say with the names in the folders; of slices that are rendered, with the spool files."""
    if job.renders_first:
        return _confirm_rendered(job, tree, records)
    recorded = ranges_by_block(part for record in records for part in record.ranges)
    names = PlacedNames(job, mode, tree)
    done: dict[int, list[tuple[int, int]]] = {}
    gone: list[Range] = []
    for block, parts in sorted(recorded.items()):
        there = names.there(job.plan.header.blocks[block].folder, job.plan.read_block(block))
        positions = {at for start, stop in parts for at in range(start, stop)}
        runs = _runs({at for at in positions if there[at]})
        if runs:
            done[block] = runs
        gone += [Range(block, *run) for run in _runs({at for at in positions if not there[at]})]
    return ConfirmedWork(done, gone)


def _confirm_rendered(job: Job, tree: fs.Tree, records: Sequence[Record]) -> ConfirmedWork:
    own = tree.folder(OWN_FOLDER)
    try:
        there = fs.spool_files(own)
    finally:
        fs.close(own)
    spooled: list[Record] = []
    gone: list[Range] = []
    for record in records:
        if is_there(record.spooled, there):
            spooled.append(record)
        else:
            gone += record.ranges
    found = (part for record in spooled for part in record.ranges)
    return ConfirmedWork(ranges_by_block(chain(found, taken_as_they_are(job))), gone, tuple(spooled))


def taken_as_they_are(job: Job) -> Iterator[Range]:
    """Yield the slices that need not be rendered, in runs. Raises PlanError."""
    for block in range(len(job.plan.header.blocks)):
        start = 0
        for rendered, run in groupby(map(job.kind.is_rendered, job.plan.read_block(block))):
            stop = start + sum(1 for _ in run)
            if not rendered:
                yield Range(block, start, stop)
            start = stop


def _is_packed_there(job: Job, tree: fs.Tree) -> bool:
    """Return whether the one file of a packed dataset is in the staging folder, and not cut off.

    It has its length before a slice is placed. Only where shards fill it, it may still grow.
    """
    assert job.packing is not None
    try:
        size = fs.facts(os.path.basename(job.output), tree.fd).st_size
    except FileNotFoundError:
        return False
    shards = job.options.shard is not None or job.options.finish
    return size > 0 if shards else size >= job.packing.places.content


def _runs(positions: set[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for at in sorted(positions):
        if runs and runs[-1][1] == at:
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((at, at + 1))
    return runs


class PlacedNames:
    """The folders below the staging folder as they are now, each listed once (blocks come folder by folder)."""

    def __init__(self, job: Job, mode: Mode, tree: fs.Tree) -> None:
        self._tree = tree
        self._kind, self._mode = job.kind, mode
        self._labels_same = job.options.labels == "same"
        self._listed: tuple[str, dict[str, str], dict[str, str]] = ("", {}, {})
        self._packed = _is_packed_there(job, tree) if MODE_TABLE[mode].one_file else None

    def there(self, folder: str, operations: Sequence[Any]) -> list[bool]:
        """Return for each operation of one folder whether image and label are there, file or link as the mode says.

        A slice of a packed dataset has no name: there is no more to see than that the one file is there.
        """
        if self._packed is not None:
            return [self._packed] * len(operations)
        if self._listed[0] != folder:
            labels = label_of(Destination(folder, "x")).folder
            self._listed = (folder, self._list(folder), self._list(labels))
        _, images, labels_there = self._listed
        result = []
        for operation in operations:
            image = self._kind.destinations.of(operation)
            image_kind = "link" if self._kind.is_link(operation, self._mode) else "file"
            label_kind = image_kind if self._labels_same and operation.label is not None else "file"
            result.append(images.get(image.name) == image_kind and labels_there.get(label_of(image).name) == label_kind)
        return result

    def temporary(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the folders last listed with the names in them that a shard's files had while they were made."""
        folder, images, labels = self._listed
        for each, names in ((folder, images), (label_of(Destination(folder, "x")).folder, labels)):
            left = sorted(name for name in names if fs.is_temporary(name))
            if left:
                yield each, left

    def _list(self, folder: str) -> dict[str, str]:
        try:
            fd = self._tree.folder(folder)
        except FileNotFoundError:
            return {}
        try:
            return fs.list_folder(fd)
        finally:
            fs.close(fd)
