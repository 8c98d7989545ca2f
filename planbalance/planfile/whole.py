"""What only all operations together can tell: duplicates, collisions, and whether the stated counts are true."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from planbalance.destination import fold, label_path
from planbalance.model import Operation, PlanHeader, Split
from planbalance.planfile.counts import slice_counts
from planbalance.planfile.values import LARGEST, hostile, malformed, same, shown


class WholePlan:
    """Watches the operations of a plan go by, block by block, in any order; holds about 150 bytes for each."""

    def __init__(self, header: PlanHeader) -> None:
        self._header = header
        self._prefixes = [source.prefix for source in header.sources]
        self._folders = {parent for block in header.blocks for parent in _below_and_parents(block.folder)}
        self._stems: set[str] = set()  # an image and its label share it
        self._images: set[tuple[int, str]] | None = set() if header.parameters["layout"] == "by-volume" else None
        self._refused: list[str] = []
        self._counts: Counter[tuple[Split, bool]] = Counter()
        self._kept: Counter[tuple[str, bool]] = Counter()
        self._bytes = 0

    def add(self, folder: str, operations: Sequence[Operation]) -> None:
        """Take in the operations of one block, whose destination folder is `folder`."""
        splits, volumes, positive, _, _, _, image_sizes, _, label_sizes, *_ = zip(*operations, strict=True)
        self._counts.update(zip(splits, positive, strict=True))
        self._kept.update(zip(volumes, positive, strict=True))
        self._bytes += sum(image_sizes) + sum(label_sizes)
        images = self._folded(folder, operations)
        stems = [image[: image.rfind(".")] for image in images]
        distinct = set(stems)
        if len(distinct) < len(stems) or not self._stems.isdisjoint(distinct):
            self._refuse_repeated(stems, operations)
        self._stems |= distinct
        if self._folders and any(image in self._folders or label_path(image) in self._folders for image in images):
            self._refuse(each for each, image in zip(operations, images, strict=True) if self._is_folder(image))
        if self._images is not None:
            self._add_sources(operations, self._images)

    def finish(self) -> None:
        """Check what is only known at the end.

        Raises:
            PlanError: destinations collide, an image is there twice, or counts are not what the header states.
        """
        if self._refused:
            some = ", ".join(map(shown, sorted(self._refused)[:3]))
            hostile(
                f"slices have the destination of another slice or of a folder, whatever their split, case or Unicode"
                f" form ({len(self._refused)} in all): {some}{', ...' if len(self._refused) > 3 else ''}",
                paths=sorted(self._refused),
            )
        if self._bytes > LARGEST:
            hostile(f"its files are said to hold {self._bytes} bytes in all")
        for volume in self._header.volumes:
            positive, negative = self._kept[volume.id, True], self._kept[volume.id, False]
            if positive + negative != volume.kept or positive > volume.positives:
                malformed(f"the operations of volume {shown(volume.id)} are not as many as its header says")
        check_statistics(self._header.statistics, self._counts)

    def _folded(self, folder: str, operations: Sequence[Operation]) -> list[str]:
        """Return the images' destinations below their split folder, folded: all in one go, newlines between them."""
        below = _below_split(folder)
        names = [each.image[each.image.rfind("/") + 1 :] for each in operations]
        if below or any(self._prefixes):
            names = [f"{below}{self._prefixes[each.input]}{name}" for each, name in zip(operations, names, strict=True)]
        return fold("\n".join(names)).split("\n")

    def _refuse_repeated(self, stems: Sequence[str], operations: Sequence[Operation]) -> None:
        seen: set[str] = set()
        for stem, operation in zip(stems, operations, strict=True):
            if stem in seen or stem in self._stems:
                self._refuse([operation])
            seen.add(stem)

    def _is_folder(self, image: str) -> bool:
        return image in self._folders or label_path(image) in self._folders

    def _add_sources(self, operations: Sequence[Operation], images: set[tuple[int, str]]) -> None:
        """Refuse an image that two volumes claim: by volume, its two destinations differ."""
        for operation in operations:
            key = (operation.input, operation.image)
            if key in images:
                self._refuse([operation])
            images.add(key)

    def _refuse(self, operations: Iterable[Operation]) -> None:
        roots = self._header.inputs
        self._refused += [f"{roots[each.input].rstrip('/')}/{each.image}" for each in operations]


def _below_split(folder: str) -> str:
    """Return the part of a destination folder below its split folder, with `/` at its end; `""` for none."""
    below = folder.split("/", 2)[2:]
    return f"{below[0]}/" if below else ""


def _below_and_parents(folder: str) -> Iterator[str]:
    path = fold(_below_split(folder)).rstrip("/")
    while path:
        yield path
        path = path.rpartition("/")[0]


def check_statistics(statistics: Mapping[str, Any], counts: Mapping[tuple[Split, bool], int]) -> None:
    """Refuse statistics that are not those of the operations.

    Members that the format does not name (such as `before`) are not looked at, but every word of the class, such as
    `tear` and `no_tear`, is.

    Raises:
        PlanError: `plan-schema`.
    """
    expected = slice_counts(counts, word_of(statistics))
    for key, value in expected.items():
        if not same(statistics.get(key), value):
            malformed(f"`statistics.{key}` is not what the operations give")
    for key in statistics:
        if key.startswith("total_") and key not in expected:
            malformed(f"`statistics.{shown(key)}` is of no class")


def word_of(statistics: Mapping[str, Any]) -> str | None:
    """Return the class word of statistics, such as `tear`, or None."""
    splits = statistics.get("splits")
    train = splits.get("train") if isinstance(splits, dict) else None
    keys = train if isinstance(train, dict) else {}
    return next((key for key in keys if f"no_{key}" in keys), None)
