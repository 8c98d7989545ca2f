"""Images of a dataset without a plan, each read once: its sum, whether it shows anything, what it looks like."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from planbalance.audit.file_facts import FileFacts, read
from planbalance.audit.trainer_loading import (
    NOT_OPENED,
    TrainerOutcome,
    is_loaded,
    open_image,
    read_label_of,
    trainer_outcome,
)
from planbalance.executor.processes import available_cores
from planbalance.executor.threads import batched, run_in_threads
from planbalance.fingerprint import Fingerprinter, FingerprintResult
from planbalance.model import Keypoints, Progress

_BATCH: Final = 32
_NO_BOXES: Final = FileFacts("file", data=b"")  # a label that the scan has read


class ImageRead(NamedTuple):
    """One image. `digest` is empty where it could not be read, and `fault` says why.

    `label_mtime_ns` is 0 where its label was not read, or is empty.
    """

    digest: bytes
    flat: bool
    fault: str
    picture: FingerprintResult | None
    trainer_outcome: TrainerOutcome | None = None
    label_mtime_ns: int = 0


class LabelRules(NamedTuple):
    """How many classes a label may name (None: any), and the keypoints that its lines have (None: none)."""

    class_count: int | None
    keypoints: Keypoints | None


class ImageToRead(NamedTuple):
    """An image to be read: its absolute path, and whether its label is known to hold nothing."""

    path: str
    without_boxes: bool


def read_images(
    wanted: Sequence[ImageToRead],
    *,
    rules: LabelRules,
    fingerprinter: Fingerprinter | None,
    jobs: int | None,
    progress: Progress,
) -> list[ImageRead]:
    """Return what each image is, in their order.

    Args:
        wanted: the images.
        rules: what the yaml says of labels.
        fingerprinter: makes the fingerprint of an image; None: images are not decoded.
        jobs: worker threads; None: one for each core.
        progress: where to report to.
    """
    results: dict[int, list[ImageRead]] = {}

    def work(batch: list[ImageToRead]) -> tuple[list[ImageRead], int]:
        images = [_read(image, rules, fingerprinter) for image in batch]
        return [image for image, _ in images], sum(size for _, size in images)

    progress.begin("read images", len(wanted), "images")
    try:
        for number, (images, size) in run_in_threads(work, batched(wanted, _BATCH), jobs or available_cores()):
            results[number] = images
            progress.advance(len(images), size)
    finally:
        progress.end()
    return [image for index in range(len(results)) for image in results[index]]


def _read(image: ImageToRead, rules: LabelRules, fingerprinter: Fingerprinter | None) -> tuple[ImageRead, int]:
    path = image.path
    probing = is_loaded(path)
    facts = read(path, follow=True, keep=probing or fingerprinter is not None)
    picture = fingerprinter(facts.data, path) if fingerprinter is not None and facts.data is not None else None
    fault = "" if facts.kind == "file" else facts.error or f"is not a regular file ({facts.kind})"
    opened = open_image(facts.data) if probing and facts.data is not None else NOT_OPENED
    label = _NO_BOXES if image.without_boxes else read_label_of(path)
    outcome = trainer_outcome(path, opened, label.data, *rules)
    changed = label.mtime_ns if label.data else 0
    return ImageRead(facts.digest, facts.flat, fault, picture, outcome, changed), facts.size
