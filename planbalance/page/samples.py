"""Labels and pictures of a plan's slices, from the dataset that was built or else from the inputs."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from planbalance import packed_dataset
from planbalance.decode import NoPictureError
from planbalance.destination import Destinations, label_of
from planbalance.executor.threads import batched, run_in_threads
from planbalance.labels import KPT_SHAPE, keypoints_of
from planbalance.model import Operation, PlanHeader, Progress, Split
from planbalance.page.boxes import BoxCounts, LabelBox, WantedLabel, boxes_of, class_name, count_boxes, read_small
from planbalance.page.pixels import EmbeddedPicture, picture
from planbalance.page.unplanned import PageSource

_JOBS: Final = 8  # small reads wait for the disk or the network, not for a core
_BATCH: Final = 256


def _has_labels(dataset: str) -> bool:
    place = packed_dataset.inside(dataset)
    return os.path.isdir(f"{dataset}/labels") if place is None else bool(place.dataset.names("labels"))


class Places:
    """Where images and labels lie: in the dataset where there is one with labels, else in the inputs.

    Attributes:
        of: which of the two, in words: `the dataset` or `the inputs`.
        keypoints: what each label line has beside class and box; None: nothing.
    """

    def __init__(self, header: PlanHeader, dataset: str | None) -> None:
        self._roots = [root.rstrip("/") for root in header.inputs]
        # `list` mode makes a dataset without labels of its own.
        self._dataset = dataset if dataset is not None and _has_labels(dataset) else None
        self._destinations = Destinations(header.sources, header.parameters["layout"])
        self.keypoints = keypoints_of(header.yaml_keys.get(KPT_SHAPE))
        self.of = "the inputs" if self._dataset is None else "the dataset"

    def image(self, operation: Operation) -> str:
        """Return the image's path."""
        if self._dataset is None:
            return f"{self._roots[operation.input]}/{operation.image}"
        return f"{self._dataset}/{'/'.join(self._destinations.of(operation))}"

    def label(self, operation: Operation) -> str | None:
        """Return the label's path, or None where it is missing or has no byte."""
        if operation.label is None or operation.label_size == 0:
            return None
        if self._dataset is None:
            return f"{self._roots[operation.input]}/{operation.label}"
        return f"{self._dataset}/{'/'.join(label_of(self._destinations.of(operation)))}"


# ---- all boxes ------------------------------------------------------------------------------------------------------


def count_all_boxes(plan: PageSource, labelled: int, places: Places, progress: Progress) -> BoxCounts:
    """Read the `labelled` labels that are not empty, a batch at a time, and keep only counts."""
    counts = BoxCounts()

    def work(batch: list[WantedLabel]) -> tuple[int, BoxCounts]:
        return len(batch), count_boxes(batch)

    progress.begin("reading labels", labelled, "labels")
    try:
        for _, (count, found) in run_in_threads(work, batched(_wanted(plan, places), _BATCH), _JOBS):
            counts.add(found)
            progress.advance(count)
    finally:
        progress.end()
    return counts


def _wanted(plan: PageSource, places: Places) -> Iterator[WantedLabel]:
    groups = {volume.id: volume.group for volume in plan.header.volumes}
    for operation in plan.operations():
        path = places.label(operation)
        if path is not None:
            group = groups[operation.volume]
            yield WantedLabel(path, operation.split, operation.label_sha256, places.keypoints, group)


# ---- a few slices ---------------------------------------------------------------------------------------------------


class Outline(NamedTuple):
    """A box to draw over a picture: its class, and its corners in the picture's pixels as SVG writes them."""

    name: str
    points: str


class Sample(NamedTuple):
    """A slice to look at.

    Attributes:
        split: where it goes.
        volume: its volume.
        number: its number there, where the naming rule gives one.
        positive: as the plan counts it.
        file: its file name.
        picture: None where there is none, and `reason` says why.
        reason: also why boxes are lacking; may be empty.
        outlines: its boxes.
    """

    split: Split
    volume: str
    number: int | None
    positive: bool
    file: str
    picture: EmbeddedPicture | None
    reason: str
    outlines: tuple[Outline, ...]


def draw_samples(
    picked: Sequence[tuple[Operation, int | None]], places: Places, names: Sequence[str] | None, progress: Progress
) -> tuple[Sample, ...]:
    """Return pictures of the slices with their boxes or, where one cannot be read, the reason."""
    progress.begin("drawing slices", len(picked), "slices")
    samples = []
    try:
        for operation, number in picked:
            samples.append(_sample(operation, number, places, names))
            progress.advance(1)
    finally:
        progress.end()
    return tuple(samples)


def _sample(operation: Operation, number: int | None, places: Places, names: Sequence[str] | None) -> Sample:
    found: EmbeddedPicture | None = None
    outlines: tuple[Outline, ...] = ()
    try:
        found = picture(places.image(operation))
        boxes, reason = _boxes(operation, places)
        outlines = tuple(_outlines(boxes, found, names))
    except NoPictureError as error:
        reason = str(error)
    name = operation.image.rpartition("/")[2]
    return Sample(operation.split, operation.volume, number, operation.positive, name, found, reason, outlines)


def _boxes(operation: Operation, places: Places) -> tuple[tuple[LabelBox, ...], str]:
    """Return the slice's boxes, or why there are none to draw."""
    path = places.label(operation)
    if path is None:
        return (), ""
    data = read_small(path)
    if data is None:
        return (), "its label could not be read here"
    if operation.label_sha256 and hashlib.sha256(data).hexdigest() != operation.label_sha256:
        return (), "its label is not the one that was planned"
    return boxes_of(data, places.keypoints), ""


def _outlines(boxes: Iterable[LabelBox], found: EmbeddedPicture, names: Sequence[str] | None) -> Iterator[Outline]:
    for box in boxes:
        corners = (f"{x * found.width:.1f},{y * found.height:.1f}" for x, y in box.outline)
        yield Outline(class_name(names, box.class_id), " ".join(corners))
