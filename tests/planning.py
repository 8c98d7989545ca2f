"""Snapshots without a disk, for tests of the planner: a volume is a word, a slice is a letter, as in `builders`.

`+` positive, `.` negative with an empty label, `-` without a label file, `!` an invalid label line, ` ` no slice; a
digit is one box of that class.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from planbalance.model import Folder, ImageFile, Input, Operation, PlanHeader, Problem, Snapshot, Split
from planbalance.planfile import BlockReader, SealedPlan

SPLIT_FOLDERS: tuple[Folder, ...] = (
    Folder("images/train", "labels/train", "train"),
    Folder("images/val", "labels/val", "val"),
    Folder("images/test", "labels/test", "test"),
)


def snapshot_of(
    volumes: Mapping[str, str],
    *,
    name: str = "IM{slice}-{volume}.png",
    names: tuple[str, ...] | None = ("tear",),
    split_of: Mapping[str, Split] | None = None,
    root: str = "/data/in",
    prefix: str = "",
) -> Snapshot:
    """Return what a scan of such a dataset gives; with `split_of` a volume lies in `images/<split>`, else in train."""
    images = []
    problems = []
    for volume, letters in volumes.items():
        folder = ("train", "val", "test").index(split_of[volume]) if split_of else 0
        for number, letter in enumerate(letters, start=1):
            if letter != " ":
                image = image_file(name.format(slice=number, volume=volume), letter, folder)
                images.append(image)
                if letter == "!":
                    problems.append(Problem("label-invalid", "error", f"{root}/{image.label}:1", "not in [0, 1]"))
    found = Input(root, prefix, SPLIT_FOLDERS, names)
    return together(Snapshot((found,), images, (0,), (0,), tuple(problems), 0))


def image_file(below: str, letter: str, folder: int = 0, source: int = 0) -> ImageFile:
    """Return one image with the label that the letter means."""
    label = {"+": b"0 0.5 0.5 0.1 0.2\n", "!": b"0 0.5 0.5 1.7 0.2\n"}.get(letter, b"")
    classes: tuple[int, ...] = (0,) if letter == "+" else ()
    if letter.isdigit():
        label, classes = f"{letter} 0.5 0.5 0.1 0.2\n".encode(), (int(letter),)
    stem = below.rpartition(".")[0]
    split = ("train", "val", "test")[folder]
    return ImageFile(
        input=source,
        folder=folder,
        path=f"images/{split}/{below}",
        size=64,
        mtime_ns=1_700_000_000_000_000_000,
        label=None if letter == "-" else f"labels/{split}/{stem}.txt",
        label_size=len(label),
        label_sha256=hashlib.sha256(label).hexdigest() if label else "",
        annotations=int(bool(label)),
        classes=classes,
        invalid=letter == "!",
        image_sha256="",
        blank=False,
    )


def together(*snapshots: Snapshot) -> Snapshot:
    """Return the snapshots' inputs as one, images in the order that a scan gives."""
    images = [image._replace(input=image.input + index) for index, one in enumerate(snapshots) for image in one.images]
    images.sort(key=lambda image: (image.input, image.path.encode()))
    inputs = tuple(source for one in snapshots for source in one.inputs)
    return Snapshot(
        inputs=inputs,
        images=tuple(images),
        missing=tuple(
            sum(image.input == index and image.label is None for image in images) for index in range(len(inputs))
        ),
        empty=tuple(
            sum(image.input == index and image.label is not None and not image.annotations for image in images)
            for index in range(len(inputs))
        ),
        problems=tuple(sorted((each for one in snapshots for each in one.problems), key=lambda each: each.path)),
        leftovers=0,
    )


def with_hashes(snapshot: Snapshot, hashes: Mapping[str, str], blank: Sequence[str] = ()) -> Snapshot:
    """Return the snapshot with images hashed: by name the content given, else one of their own."""
    images = [
        image._replace(
            image_sha256=hashlib.sha256(hashes.get(key := image.path.rpartition("/")[2], key).encode()).hexdigest(),
            blank=key in blank,
        )
        for image in snapshot.images
    ]
    return snapshot._replace(images=tuple(images))


@dataclass(frozen=True)
class Readable:
    """A sealed plan as `--extend` and `diff` read it."""

    sealed: SealedPlan

    @property
    def header(self) -> PlanHeader:
        """The plan's header."""
        return self.sealed.header

    def operations(self) -> Iterator[Operation]:
        """Yield the plan's operations, read from its bytes."""
        reader = BlockReader(self.header)
        for block, data in zip(self.header.blocks, self.sealed.body, strict=True):
            yield from reader.read(block, data)


def splits_of(sealed: SealedPlan) -> dict[str, str]:
    """Return volume -> split."""
    return {volume.id: volume.split for volume in sealed.header.volumes}


def kept_names(sealed: SealedPlan, split: str = "train") -> set[str]:
    """Return the image names that the plan keeps in a split."""
    return {each.image.rpartition("/")[2] for each in Readable(sealed).operations() if each.split == split}


def plan_bytes(sealed: SealedPlan) -> bytes:
    """Return the plan file."""
    return sealed.first_line + b"".join(sealed.body) + sealed.tail
