"""Reads every slice of a planned data set once, in batches over worker threads, and judges it there."""

from collections.abc import Callable, Iterator, Sequence
from itertools import compress, repeat
from operator import and_, not_
from typing import Final

from planbalance.audit.caches import note_newest
from planbalance.audit.confirmed import (
    Places,
    Read,
    are_in_place,
    are_sources_as_they_were,
    places_of,
    read_images,
    read_labels,
)
from planbalance.audit.gathered import Gathered
from planbalance.audit.loading import PASSED_OVER, add_loads, taken
from planbalance.audit.placed import Placed, read_slices
from planbalance.audit.structure import Expected, problems_of
from planbalance.audit.subject import Subject
from planbalance.audit.tally import Seen
from planbalance.audit.volumes import VolumesByName
from planbalance.destination import Destinations
from planbalance.executor.threads import batched, run_in_threads
from planbalance.fs import NOTHING_SHA256
from planbalance.labels import EMPTY, LabelFacts, joined, read_label
from planbalance.model import Operation, Progress
from planbalance.planstore import PlanFile

# Small enough for a bar that moves on large images, large enough for the hop to a thread not to count.
_READ_AT_ONCE: Final = 128
_LOOK_AT_ONCE: Final = 4096


class SliceJudge:
    """What a worker does with a batch of operations of one block: read each slice, and judge it.

    Attributes:
        batch: how many operations are worth handing to a thread.
    """

    def __init__(self, subject: Subject, expected: Expected, volumes: VolumesByName) -> None:
        self._header = subject.header
        self._expected = expected
        self._volumes = volumes
        reading = expected.reading
        self.batch = _READ_AT_ONCE if reading.images or reading.labels else _LOOK_AT_ONCE
        classes = subject.header.parameters.get("positive_classes")
        self._positive_classes = frozenset(classes) if isinstance(classes, list) else None

    def __call__(self, operations: Sequence[Operation]) -> Gathered:
        """Return what a batch of slices is."""
        reading, gathered = self._expected.reading, Gathered()
        if not operations:
            return gathered
        destinations = Destinations(self._header.sources, self._header.parameters["layout"])
        if not reading.images and not reading.labels and reading.mode != "list":
            operations = self._glance(places_of(operations, destinations), gathered)
        elif reading.mode in ("copy", "reflink") and reading.images and reading.looker is None:
            operations = self._confirm(places_of(operations, destinations), gathered)
        slices = read_slices(operations, destinations, reading)
        gathered.found += [problem for placed in slices for problem in problems_of(placed, self._expected)]
        of_others = [placed.contents.overshoot for placed in slices if placed.contents is not None]
        gathered.overshoot = joined([gathered.overshoot, *of_others])
        gathered.tally.add([self._seen(placed) for placed in slices if placed.image_facts.kind == "file"])
        gathered.claim_paths(path for placed in slices for path in (placed.image, placed.label) if path)
        gathered.folders = [
            path
            for placed in slices
            for path, facts in ((placed.image, placed.image_facts), (placed.label, placed.label_facts))
            if facts.kind == "folder" and reading.mode != "list"
        ]
        for placed in slices:
            if placed.taken is not None:
                gathered.load(placed.operation.split, [(placed.image, placed.label, placed.taken)])
            if reading.labels and placed.label_facts.kind == "file" and placed.label_facts.size:
                time = placed.label_facts.mtime_ns, placed.label
                note_newest(gathered.newest, placed.operation.split, placed.label.rpartition("/")[0], time)
        gathered.size += sum(placed.image_facts.size for placed in slices) if reading.images else 0
        return gathered

    def _glance(self, places: Places, gathered: Gathered) -> list[Operation]:
        """Pass what is as planned by stat alone; return the operations that need a closer look."""
        fine = are_in_place(places, self._expected.reading)
        manifest = self._expected.manifest
        if manifest is not None:
            gathered.in_manifest += manifest.stretch(places.images, places.names, None)
            gathered.in_manifest += manifest.stretch(places.labels, places.label_names, None)
        self._take(places, fine, gathered)
        return _others(places.operations, fine)

    def _confirm(self, places: Places, gathered: Gathered) -> list[Operation]:
        """Pass copies whose content is as planned; return the operations that need a closer look."""
        reading, operations = self._expected.reading, places.operations
        images, labels = read_images(places, reading), read_labels(places, reading)
        fine = are_sources_as_they_were(operations, reading) if reading.sources else [True] * len(operations)
        _keep(fine, _equal(images.digests, [each.image_sha256 or None for each in operations]))
        _keep(fine, _equal(labels.digests, [each.label_sha256 or NOTHING_SHA256 for each in operations]))
        self._hold_against_manifest(places, images, labels, fine, gathered)
        rules = reading.class_count, reading.keypoints
        facts = [read_label(text, *rules) if text else EMPTY for text in labels.data]
        _keep(fine, [not each.problems for each in facts])
        gathered.overshoot = joined([each.overshoot for each in compress(facts, fine)])
        self._take(places, fine, gathered, images)
        split = operations[0].split
        if labels.newest is not None:
            mtime_ns, name = labels.newest
            note_newest(gathered.newest, split, places.labels, (mtime_ns, f"{places.labels}/{name}"))
        self._load(places, images, labels, fine, gathered)
        gathered.tally.positives[split] += sum(map(self._is_positive, compress(facts, fine)))
        gathered.size += sum(compress((each.image_size for each in operations), fine))
        return _others(operations, fine)

    def _hold_against_manifest(
        self, places: Places, images: Read, labels: Read, fine: list[bool], gathered: Gathered
    ) -> None:
        """Drop from `fine` what has other sums than the manifest: all at once, and one by one only where that fails."""
        manifest = self._expected.manifest
        if manifest is None:
            return
        for folder, names, sums in (
            (places.images, places.names, images.digests),
            (places.labels, places.label_names, labels.digests),
        ):
            found = manifest.stretch(folder, names, sums)
            gathered.in_manifest += found
            if not found:
                _keep(fine, _equal(sums, [manifest.sum_of(f"{folder}/{name}") for name in names]))

    def _load(self, places: Places, images: Read, labels: Read, fine: Sequence[bool], gathered: Gathered) -> None:
        """Note what trainers do with the slices that are as planned."""
        split, reading = places.operations[0].split, self._expected.reading
        rules = reading.class_count, reading.keypoints
        if not images.looked:
            add_loads(gathered.loads, split, repeat(PASSED_OVER, sum(fine)))
            return
        rows = zip(places.names, places.label_names, images.looked, labels.data, strict=True)
        loaded = [
            (f"{places.images}/{name}", f"{places.labels}/{label_name}", taken(name, image, text, *rules))
            for name, label_name, image, text in compress(rows, fine)
        ]
        gathered.load(split, loaded)

    def _take(self, places: Places, fine: Sequence[bool], gathered: Gathered, images: Read | None = None) -> None:
        """Count the slices that are as planned."""
        operations, names = list(compress(places.operations, fine)), list(compress(places.names, fine))
        if not operations:
            return
        volumes = self._volumes.of_all(operations)
        gathered.claim(places.images, names)
        gathered.claim(places.labels, compress(places.label_names, fine))
        gathered.tally.add_slices(operations[0].split, volumes, names)
        if images is not None:
            digests = list(map(bytes.fromhex, compress(images.digests, fine)))
            gathered.tally.add_contents(digests, [f"{places.images}/{name}" for name in names], volumes)
            gathered.tally.flat.update(map(bytes.fromhex, images.flat))

    def _is_positive(self, contents: LabelFacts) -> bool:
        if self._positive_classes is None:
            return contents.annotations > 0
        return not self._positive_classes.isdisjoint(contents.classes)

    def _seen(self, placed: Placed) -> Seen:
        facts, contents, operation = placed.image_facts, placed.contents, placed.operation
        positive: bool | None = None
        if contents is not None:
            positive = self._is_positive(contents)
        elif operation.label is None and not placed.label:
            positive = False  # list mode: no label file, a background
        volume = self._volumes.of(operation)
        return Seen(operation.split, volume, placed.image, positive, facts.digest, facts.flat, placed.picture)


def _equal(found: Sequence[str], wanted: Sequence[str | None]) -> list[bool]:
    """Tell for each sum whether there is one, and the wanted one; None: any."""
    return [one != "" and (other is None or one == other) for one, other in zip(found, wanted, strict=True)]


def _keep(fine: list[bool], also: Sequence[bool]) -> None:
    fine[:] = map(and_, fine, also)


def _others(operations: Sequence[Operation], fine: Sequence[bool]) -> list[Operation]:
    return list(compress(operations, map(not_, fine)))


def judge_in_threads(
    plan: PlanFile, judge: SliceJudge, finished: Callable[[Gathered], None], *, jobs: int, progress: Progress
) -> None:
    """Judge every slice of a plan in `jobs` threads; `finished` is called in one thread.

    Raises:
        PlanError: the plan changed after it was checked.
    """

    def batches() -> Iterator[list[Operation]]:
        for index in range(len(plan.header.blocks)):
            yield from batched(plan.read_block(index), judge.batch)

    def counted(batch: list[Operation]) -> tuple[int, Gathered]:
        return len(batch), judge(batch)

    progress.begin("verify", sum(block.count for block in plan.header.blocks), "slices")
    try:
        for _, (count, judged) in run_in_threads(counted, batches(), jobs):
            finished(judged)
            progress.advance(count, judged.size)
    finally:
        progress.end()
