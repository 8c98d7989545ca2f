"""Reads every slice of a planned data set once, in batches over worker threads, and judges it there."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from typing import Final

from planbalance.audit.placed import Placed, as_planned, copied_as_planned, read_slices
from planbalance.audit.structure import Expected, Found, problems_of
from planbalance.audit.subject import Subject
from planbalance.audit.tally import Seen
from planbalance.audit.volumes import VolumesByName
from planbalance.destination import Destinations, label_of
from planbalance.errors import PlanError
from planbalance.labels import LabelFacts
from planbalance.model import Operation, Progress
from planbalance.planstore import PlanFile
from planbalance.pool import batched, for_each_batch, run_blocking

# Small enough for a bar that moves on large images, large enough for the hop to a thread not to count.
_READ_AT_ONCE: Final = 128
_LOOK_AT_ONCE: Final = 4096


_SUM_OF_NOTHING: Final = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch of slices.

    Attributes:
        found: what is wrong with them.
        seen: those whose image is there.
        places: the paths that they may claim in the tree.
        size: bytes of images that were read.
    """

    found: list[Found]
    seen: list[Seen]
    places: list[str]
    size: int


class SliceJudge:
    """What a worker does with a batch of operations: read each slice, and judge it.

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

    def __call__(self, operations: Sequence[Operation]) -> Judged:
        """Return what a batch of slices is."""
        reading, given = self._expected.reading, operations
        destinations = Destinations(self._header.sources, self._header.parameters["layout"])
        seen: list[Seen] = []
        places: list[str] = []
        size = 0
        if not reading.images and not reading.labels and reading.mode != "list":
            operations = self._glance(operations, destinations, seen, places)
        elif reading.mode in ("copy", "reflink") and reading.images and reading.looker is None:
            operations = self._confirm(operations, destinations, seen, places)
            size = sum(map(itemgetter(6), given)) - sum(map(itemgetter(6), operations))
        slices = read_slices(operations, destinations, reading)
        found = [problem for placed in slices for problem in problems_of(placed, self._expected)]
        seen += [self._seen(placed) for placed in slices if placed.image_facts.kind == "file"]
        places += [path for placed in slices for path in (placed.image, placed.label)]
        size += sum(placed.image_facts.size for placed in slices) if reading.images else 0
        return Judged(found, seen, places, size)

    def _glance(
        self, operations: Iterable[Operation], destinations: Destinations, seen: list[Seen], places: list[str]
    ) -> list[Operation]:
        """Pass what is as planned by stat alone; return the operations that need a closer look."""
        reading, volume_of = self._expected.reading, self._volumes.of
        odd = []
        for operation in operations:
            image = destinations.of(operation)
            label = label_of(image)
            image_path, label_path = f"{image.folder}/{image.name}", f"{label.folder}/{label.name}"
            if as_planned(operation, f"{reading.root}/{image_path}", f"{reading.root}/{label_path}", reading):
                seen.append(Seen(operation.split, volume_of(operation), image_path))
                places += (image_path, label_path)
            else:
                odd.append(operation)
        return odd

    def _confirm(
        self, operations: Iterable[Operation], destinations: Destinations, seen: list[Seen], places: list[str]
    ) -> list[Operation]:
        """Pass copies whose content is as planned; return the operations that need a closer look."""
        reading, volume_of, sums = self._expected.reading, self._volumes.of, self._expected.sums or {}
        odd = []
        for operation in operations:
            image = destinations.of(operation)
            label = label_of(image)
            image_path, label_path = f"{image.folder}/{image.name}", f"{label.folder}/{label.name}"
            sum_of_image = operation.image_sha256 or sums.get(image_path, "")
            sum_of_label = operation.label_sha256 or _SUM_OF_NOTHING
            copied = None
            if (
                sums.get(image_path, sum_of_image) == sum_of_image
                and sums.get(label_path, sum_of_label) == sum_of_label
            ):
                image_at, label_at = f"{reading.root}/{image_path}", f"{reading.root}/{label_path}"
                copied = copied_as_planned(operation, image_at, label_at, sum_of_image, reading)
            if copied is None:
                odd.append(operation)
                continue
            positive, volume = self._is_positive(copied.contents), volume_of(operation)
            seen.append(Seen(operation.split, volume, image_path, positive, copied.digest, copied.flat))
            places += (image_path, label_path)
        return odd

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


def judge_in_threads(
    plan: PlanFile, judge: SliceJudge, finished: Callable[[Judged], None], *, jobs: int, progress: Progress
) -> None:
    """Judge every slice of a plan in `jobs` threads; `finished` is called in one thread.

    Raises:
        PlanError: the plan changed after it was checked.
    """
    broken: list[PlanError] = []

    def batches() -> Iterator[list[Operation]]:
        try:
            for index in range(len(plan.header.blocks)):
                yield from batched(plan.read_block(index), judge.batch)
        except PlanError as error:  # raised below, outside the task group
            broken.append(error)

    async def after(batch: Sequence[Operation], judged: Judged) -> None:
        finished(judged)
        progress.advance(len(batch), judged.size)

    async def main() -> None:
        await for_each_batch(judge, batches(), jobs=jobs, finished=after)

    progress.begin("verify", sum(block.count for block in plan.header.blocks), "slices")
    try:
        run_blocking(main)
    finally:
        progress.end()
    if broken:
        raise broken[0]
