"""One slice as planned and as found: read once, so that every check judges the same state."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from planbalance.audit.file_facts import FileFacts, look, read
from planbalance.audit.planned_dataset import Pairs
from planbalance.audit.trainer_loading import NOT_OPENED, TrainerOutcome, is_loaded, open_image, trainer_outcome
from planbalance.destination import Destinations, label_of
from planbalance.fingerprint import Fingerprinter, FingerprintResult
from planbalance.labels import EMPTY, LabelFacts, read_label
from planbalance.model import Keypoints, Operation
from planbalance.modes import MODE_TABLE, Mode, ModeTraits

NOTHING: Final = FileFacts("missing")
_LABEL_BYTES: Final = 1 << 20


class SliceFacts(NamedTuple):
    """A planned slice and what lies in its place. Paths are relative to the dataset (absolute in list mode)."""

    operation: Operation
    image: str
    label: str
    image_facts: FileFacts
    label_facts: FileFacts
    source: FileFacts | None  # of the image's source, by stat; None where it was not looked at, or `image_facts` has it
    contents: LabelFacts | None  # None where the label was not read
    picture: FingerprintResult | None  # None where the image was not decoded
    trainer_outcome: TrainerOutcome | None  # what trainers do with it; None where image or label was not read


class ReadOptions(NamedTuple):
    """What to read of each slice.

    Attributes:
        root: the dataset's folder.
        inputs: absolute roots of the plan's inputs, where they are now.
        planned_inputs: the same where they were planned.
        moved: (old, new) pairs that lead from there to here.
        mode: how images were placed.
        same_labels: labels were placed as the images were.
        images: read images.
        labels: read labels.
        sources: look at the images' sources.
        times: compare a source's time; not done where the inputs were moved, since copies have other times.
        class_count: classes that a label may name; None: any.
        probing: open images as trainers do.
        fingerprinter: makes the fingerprint of an image; None: images are not decoded.
        keypoints: what each label line has beside class and box; None: nothing.
    """

    root: str
    inputs: tuple[str, ...]
    planned_inputs: tuple[str, ...]
    moved: Pairs
    mode: Mode
    same_labels: bool
    images: bool
    labels: bool
    sources: bool
    times: bool
    class_count: int | None
    probing: bool = False
    fingerprinter: Fingerprinter | None = None
    keypoints: Keypoints | None = None

    @property
    def traits(self) -> ModeTraits:
        """What the table of modes says of the mode."""
        return MODE_TABLE[self.mode]


def read_slices(operations: Sequence[Operation], destinations: Destinations, reading: ReadOptions) -> list[SliceFacts]:
    """Read what lies in the places of a batch of operations."""
    if not reading.traits.places_files:
        return [_listed(operation, reading) for operation in operations]
    linked = reading.mode == "symlink"
    look_at_source = reading.sources and not linked
    found = []
    for operation in operations:
        image = destinations.of(operation)
        label = label_of(image)
        image_path, label_path = f"{image.folder}/{image.name}", f"{label.folder}/{label.name}"
        image_at, label_at = f"{reading.root}/{image_path}", f"{reading.root}/{label_path}"
        image_facts = _image(operation, image_at, reading, follow=linked)
        follow = linked and reading.same_labels
        label_facts = _label(operation, label_at, reading, follow=follow)
        if linked and reading.images and image_facts.target is None:
            image_facts = with_target(image_at, image_facts)
        if follow and reading.labels and label_facts.target is None:
            label_facts = with_target(label_at, label_facts)
        source = look(f"{reading.inputs[operation.input]}/{operation.image}", follow=True) if look_at_source else None
        found.append(_slice_facts(operation, (image_path, label_path), (image_facts, label_facts), source, reading))
    return found


def _image(operation: Operation, path: str, reading: ReadOptions, *, follow: bool) -> FileFacts:
    if not reading.images:
        return look(path, follow=follow)
    keep = reading.fingerprinter is not None or (reading.probing and is_loaded(path))
    return read(path, follow=follow, keep=keep, most=operation.image_size)


def _label(operation: Operation, path: str, reading: ReadOptions, *, follow: bool) -> FileFacts:
    """Return a label with its content; one that is larger than labels are is not read: its size shows that."""
    most = max(operation.label_size, _LABEL_BYTES)
    return read(path, follow=follow, keep=True, most=most) if reading.labels else look(path, follow=follow)


def with_target(path: str, facts: FileFacts) -> FileFacts:
    """Return facts that were read through a link, with the link's text (None where there is no link)."""
    return facts._replace(target=look(path).target)


def _listed(operation: Operation, reading: ReadOptions) -> SliceFacts:
    """Read a slice where it lies in its input: list mode places nothing."""
    root = reading.inputs[operation.input]
    image_at = f"{root}/{operation.image}"
    image = _image(operation, image_at, reading, follow=True)
    label_at, label = f"{root}/{operation.label}" if operation.label is not None else "", NOTHING
    if label_at:
        label = _label(operation, label_at, reading, follow=True)
    return _slice_facts(operation, (image_at, label_at), (image, label), None, reading)


def _slice_facts(
    operation: Operation,
    paths: tuple[str, str],
    facts: tuple[FileFacts, FileFacts],
    source: FileFacts | None,
    reading: ReadOptions,
) -> SliceFacts:
    image, label = facts
    picture = None
    if reading.fingerprinter is not None and image.data is not None:
        picture = reading.fingerprinter(image.data, paths[0])
    outcome = None
    if image.kind == "file" and reading.images and reading.labels:
        opened = open_image(image.data) if reading.probing and image.data is not None else NOT_OPENED
        outcome = trainer_outcome(paths[0], opened, label.data, reading.class_count, reading.keypoints)
    contents = None if label.data is None else EMPTY
    if label.data:
        contents = read_label(label.data, reading.class_count, reading.keypoints)
    image, label = image._replace(data=None), label._replace(data=None)
    return SliceFacts(operation, *paths, image, label, source, contents, picture, outcome)
