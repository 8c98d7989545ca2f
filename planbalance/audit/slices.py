"""Judges batches of slices of a planned dataset: blocks that are as planned in bulk, all other slices one by one."""

from collections.abc import Callable, Iterator, Sequence
from itertools import compress, repeat
from operator import and_, not_
from typing import Final

from planbalance.audit.checks.each_slice import Expected, problems_of
from planbalance.audit.fast_path import (
    BlockContents,
    BlockPaths,
    BulkPath,
    are_in_place,
    are_sources_unchanged,
    block_paths,
    bulk_path,
    read_images,
    read_labels,
)
from planbalance.audit.partial_result import PartialResult, note_newest
from planbalance.audit.planned_dataset import PlannedDataset
from planbalance.audit.slice_facts import SliceFacts, read_slices
from planbalance.audit.slice_statistics import SliceRecord
from planbalance.audit.trainer_loading import PASSED_OVER, add_loads, trainer_outcome
from planbalance.audit.volumes import VolumesByName
from planbalance.destination import Destinations
from planbalance.executor.threads import batched, run_in_threads
from planbalance.fs import NOTHING_SHA256
from planbalance.labels import EMPTY, LabelFacts, joined, read_label
from planbalance.model import Operation, Progress
from planbalance.planstore import PlanFile

# Small enough for the progress bar to move with large images, large enough for the cost of handing it to a thread.
_READ_AT_ONCE: Final = 128
_LOOK_AT_ONCE: Final = 4096


class SliceJudge:
    """Judges a batch of operations of one block, in a worker: reads each slice, and gives what is wrong with it.

    Attributes:
        batch: how many operations are worth handing to a thread.
    """

    def __init__(self, dataset: PlannedDataset, expected: Expected, volumes: VolumesByName) -> None:
        self._header = dataset.header
        self._expected = expected
        self._volumes = volumes
        self._bulk = bulk_path(expected.reading)
        reading = expected.reading
        self.batch = _READ_AT_ONCE if reading.images or reading.labels else _LOOK_AT_ONCE
        classes = dataset.header.parameters.get("positive_classes")
        self._positive_classes = frozenset(classes) if isinstance(classes, list) else None

    def __call__(self, operations: Sequence[Operation]) -> PartialResult:
        """Return the result of a batch of slices."""
        reading, result = self._expected.reading, PartialResult()
        if not operations:
            return result
        destinations = Destinations(self._header.sources, self._header.parameters["layout"])
        if self._bulk is BulkPath.BY_SIZE:
            operations = self._confirm_by_size(block_paths(operations, destinations), result)
        elif self._bulk is BulkPath.BY_CONTENT:
            operations = self._confirm_by_content(block_paths(operations, destinations), result)
        slices = read_slices(operations, destinations, reading)
        result.found += [problem for slice_facts in slices for problem in problems_of(slice_facts, self._expected)]
        of_not_confirmed = [
            slice_facts.contents.overshoot for slice_facts in slices if slice_facts.contents is not None
        ]
        result.overshoot = joined([result.overshoot, *of_not_confirmed])
        result.statistics.add(
            [self._record(slice_facts) for slice_facts in slices if slice_facts.image_facts.kind == "file"]
        )
        result.add_planned_paths(
            path for slice_facts in slices for path in (slice_facts.image, slice_facts.label) if path
        )
        result.folders = [
            path
            for slice_facts in slices
            for path, facts in (
                (slice_facts.image, slice_facts.image_facts),
                (slice_facts.label, slice_facts.label_facts),
            )
            if facts.kind == "folder" and reading.traits.places_files
        ]
        for slice_facts in slices:
            if slice_facts.trainer_outcome is not None:
                result.load(
                    slice_facts.operation.split, [(slice_facts.image, slice_facts.label, slice_facts.trainer_outcome)]
                )
            if reading.labels and slice_facts.label_facts.kind == "file" and slice_facts.label_facts.size:
                time = slice_facts.label_facts.mtime_ns, slice_facts.label
                note_newest(result.newest, slice_facts.operation.split, slice_facts.label.rpartition("/")[0], time)
        result.size += sum(slice_facts.image_facts.size for slice_facts in slices) if reading.images else 0
        return result

    def _confirm_by_size(self, places: BlockPaths, result: PartialResult) -> list[Operation]:
        """Count slices that are as planned by stat alone; return the operations that must be looked at one by one."""
        fine = are_in_place(places, self._expected.reading)
        manifest = self._expected.manifest
        if manifest is not None:
            result.in_manifest += manifest.length_of_lines(places.images, places.names, None)
            result.in_manifest += manifest.length_of_lines(places.labels, places.label_names, None)
        self._count_confirmed(places, fine, result)
        return _not_confirmed(places.operations, fine)

    def _confirm_by_content(self, places: BlockPaths, result: PartialResult) -> list[Operation]:
        """Count copies whose content is as planned; return the operations that must be looked at one by one."""
        reading, operations = self._expected.reading, places.operations
        images, labels = read_images(places, reading), read_labels(places, reading)
        fine = are_sources_unchanged(operations, reading) if reading.sources else [True] * len(operations)
        _keep(fine, _equal(images.digests, [each.image_sha256 or None for each in operations]))
        _keep(fine, _equal(labels.digests, [each.label_sha256 or NOTHING_SHA256 for each in operations]))
        self._compare_with_manifest(places, images, labels, fine, result)
        rules = reading.class_count, reading.keypoints
        facts = [read_label(text, *rules) if text else EMPTY for text in labels.data]
        _keep(fine, [not each.problems for each in facts])
        result.overshoot = joined([each.overshoot for each in compress(facts, fine)])
        self._count_confirmed(places, fine, result, images)
        split = operations[0].split
        if labels.newest is not None:
            mtime_ns, name = labels.newest
            note_newest(result.newest, split, places.labels, (mtime_ns, f"{places.labels}/{name}"))
        self._load(places, images, labels, fine, result)
        result.statistics.positives[split] += sum(map(self._is_positive, compress(facts, fine)))
        result.size += sum(compress((each.image_size for each in operations), fine))
        return _not_confirmed(operations, fine)

    def _compare_with_manifest(
        self, places: BlockPaths, images: BlockContents, labels: BlockContents, fine: list[bool], result: PartialResult
    ) -> None:
        """Drop slices with other sums than the manifest's from `fine`: a block at once, one by one where that fails."""
        manifest = self._expected.manifest
        if manifest is None:
            return
        for folder, names, sums in (
            (places.images, places.names, images.digests),
            (places.labels, places.label_names, labels.digests),
        ):
            found = manifest.length_of_lines(folder, names, sums)
            result.in_manifest += found
            if not found:
                _keep(fine, _equal(sums, [manifest.sum_of(f"{folder}/{name}") for name in names]))

    def _load(
        self,
        places: BlockPaths,
        images: BlockContents,
        labels: BlockContents,
        fine: Sequence[bool],
        result: PartialResult,
    ) -> None:
        """Note what trainers do with the slices that are as planned."""
        split, reading = places.operations[0].split, self._expected.reading
        rules = reading.class_count, reading.keypoints
        if not images.opened:
            add_loads(result.loads, split, repeat(PASSED_OVER, sum(fine)))
            return
        rows = zip(places.names, places.label_names, images.opened, labels.data, strict=True)
        loaded = [
            (f"{places.images}/{name}", f"{places.labels}/{label_name}", trainer_outcome(name, image, text, *rules))
            for name, label_name, image, text in compress(rows, fine)
        ]
        result.load(split, loaded)

    def _count_confirmed(
        self, places: BlockPaths, fine: Sequence[bool], result: PartialResult, images: BlockContents | None = None
    ) -> None:
        """Count the slices that are as planned."""
        operations, names = list(compress(places.operations, fine)), list(compress(places.names, fine))
        if not operations:
            return
        volumes = self._volumes.of_all(operations)
        result.add_planned(places.images, names)
        result.add_planned(places.labels, compress(places.label_names, fine))
        result.statistics.add_slices(operations[0].split, volumes, names)
        if images is not None:
            digests = list(map(bytes.fromhex, compress(images.digests, fine)))
            result.statistics.add_contents(digests, [f"{places.images}/{name}" for name in names], volumes)
            result.statistics.flat.update(map(bytes.fromhex, images.flat))

    def _is_positive(self, contents: LabelFacts) -> bool:
        if self._positive_classes is None:
            return contents.annotations > 0
        return not self._positive_classes.isdisjoint(contents.classes)

    def _record(self, slice_facts: SliceFacts) -> SliceRecord:
        facts, contents, operation = slice_facts.image_facts, slice_facts.contents, slice_facts.operation
        positive: bool | None = None
        if contents is not None:
            positive = self._is_positive(contents)
        elif operation.label is None and not slice_facts.label:
            positive = False  # list mode: no label file, a background
        volume = self._volumes.of(operation)
        return SliceRecord(
            operation.split, volume, slice_facts.image, positive, facts.digest, facts.flat, slice_facts.picture
        )


def _equal(found: Sequence[str], wanted: Sequence[str | None]) -> list[bool]:
    """Tell for each sum whether there is one, and the wanted one; None: any."""
    return [one != "" and (other is None or one == other) for one, other in zip(found, wanted, strict=True)]


def _keep(fine: list[bool], also: Sequence[bool]) -> None:
    fine[:] = map(and_, fine, also)


def _not_confirmed(operations: Sequence[Operation], fine: Sequence[bool]) -> list[Operation]:
    return list(compress(operations, map(not_, fine)))


def judge_in_threads(
    plan: PlanFile, judge: SliceJudge, finished: Callable[[PartialResult], None], *, jobs: int, progress: Progress
) -> None:
    """Judge every slice of a plan in `jobs` threads; `finished` is called in one thread.

    Raises:
        PlanError: the plan changed after it was checked.
    """

    def batches() -> Iterator[list[Operation]]:
        for index in range(len(plan.header.blocks)):
            yield from batched(plan.read_block(index), judge.batch)

    def counted(batch: list[Operation]) -> tuple[int, PartialResult]:
        return len(batch), judge(batch)

    progress.begin("verify", sum(block.count for block in plan.header.blocks), "slices")
    try:
        for _, (count, judged) in run_in_threads(counted, batches(), jobs):
            finished(judged)
            progress.advance(count, judged.size)
    finally:
        progress.end()
