"""Derive the destination of an image and its label: a pure function of operation, source and layout.

Destinations are never stored in a plan, so a plan cannot name a place to write to: it can only name a source path and a
volume, and both obey `path_fault`.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from planbalance.import_model import ImportOperation, ImportVolume
from planbalance.model import Layout, Operation, Source
from planbalance.text import text_fault

# Linux limits: limits.h NAME_MAX, and PATH_MAX with its closing NUL.
PART_BYTES: Final = 255
PATH_BYTES: Final = 4095
# Trainers replace the LAST `/images/` of an image's path to find its label, so neither word may follow it.
RESERVED_PARTS: Final = frozenset(("images", "labels"))


class Destination(NamedTuple):
    """A file below the output: `folder` such as `images/train/sub`, `name` such as `IM5-01.dcm`."""

    folder: str
    name: str


_destination = tuple.__new__  # a third of the time of the constructor, once for each of a million slices


class Destinations:
    """Destinations of a plan's operations, derived once per source folder or volume and then remembered.

    `keep` keeps the path below the image folder, `by-volume` is `<volume>/<file name>`; both put the source's prefix
    before the file name. The image folder is the longest one of the source that is a path prefix of the image (`""` is
    the root).
    """

    def __init__(self, sources: Sequence[Source], layout: Layout) -> None:
        self._folders = [_longest_first(source) for source in sources]
        self._prefixes = [source.prefix for source in sources]
        self._by_volume = layout == "by-volume"
        self._targets: dict[tuple[str, str, int, str], tuple[str, str]] = {}
        self._below: dict[tuple[int, str], str] = {}

    def of(self, operation: Operation) -> Destination:
        """Return where the image of an operation goes.

        Raises ValueError where no image folder of its source holds it, IndexError where there is no such source.
        """
        folder, _, name = operation.image.rpartition("/")
        key = (operation.split, operation.volume if self._by_volume else "", operation.input, folder)
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = self._target(operation.split, operation.volume, operation.input, folder)
        return _destination(Destination, (target[0], target[1] + name))

    def folder(self, split: str, volume: str, index: int, folder: str) -> str:
        """Return the destination folder of the images of input `index` that lie in `folder`. Raises as `of` does."""
        return self._target(split, volume, index, folder)[0]

    def columns(self, operations: Sequence[Operation]) -> tuple[list[str], list[str]]:
        """Return the folders and the names that `of` gives, for each operation. Raises as `of` does."""
        images = [each.image for each in operations]
        folders = [image[: image.rfind("/") + 1] for image in images]
        splits, inputs = [each.split for each in operations], [each.input for each in operations]
        volumes = [each.volume for each in operations] if self._by_volume else folders
        keys = list(zip(splits, inputs, folders, volumes, strict=True))
        targets = {key: self._target(key[0], key[3], key[1], key[2][:-1]) for key in dict.fromkeys(keys)}
        names = [image[len(folder) :] for image, folder in zip(images, folders, strict=True)]
        if any(self._prefixes):
            names = [targets[key][1] + name for key, name in zip(keys, names, strict=True)]
        return [targets[key][0] for key in keys], names

    def _target(self, split: str, volume: str, index: int, folder: str) -> tuple[str, str]:
        """Return the destination folder and the prefix of every operation whose image lies in `folder`."""
        below = self._sub_folder(index, folder)  # also by volume: every image must lie below an image folder
        if self._by_volume:
            below = volume
        return (f"images/{split}/{below}" if below else f"images/{split}", self._prefixes[index])

    def below(self, input: int, image: str, volume: str) -> str:  # noqa: A002 - the member's name in the plan
        """Return the destination of an image below the split's folder: `sub/IM5-01.dcm`. Raises as `of` does."""
        folder, _, name = image.rpartition("/")
        return self._start(input, folder, volume) + name

    def all_below(self, inputs: Sequence[int], images: Sequence[str], volumes: Sequence[str]) -> list[str]:
        """Return what `below` gives, a column at a time."""
        folders = [image[: image.rfind("/") + 1] for image in images]
        if self._prefixes == [""] and not self._by_volume:  # then it is the path below the image folder, and no more
            cuts = {folder: len(folder) - len(self._start(0, folder[:-1], "")) for folder in set(folders)}
            return [image[cuts[folder] :] for image, folder in zip(images, folders, strict=True)]
        places = list(zip(inputs, folders, volumes, strict=True))
        starts = {place: self._start(place[0], place[1][:-1], place[2]) for place in set(places)}
        return [
            starts[place] + image[len(folder) :] for place, folder, image in zip(places, folders, images, strict=True)
        ]

    def _start(self, index: int, folder: str, volume: str) -> str:
        """Return what stands before the file name in `below`."""
        sub = self._sub_folder(index, folder)
        if self._by_volume:
            sub = volume
        return f"{sub}/{self._prefixes[index]}" if sub else self._prefixes[index]

    def _sub_folder(self, index: int, folder: str) -> str:
        """Return the path of a source folder below its image folder; `""` for the image folder itself."""
        key = (index, folder)
        found = self._below.get(key)
        if found is None:
            found = self._below[key] = _below_first(self._folders[index], folder)
        return found


class ImportDestinations:
    """Destinations of the operations of an import: `IM<number>-<volume>.png`, or the suffix of a file taken as it is.

    Args:
        volumes: of the plan's header.
        by_volume: whether each volume has a folder of its own.
    """

    def __init__(self, volumes: Sequence[ImportVolume], *, by_volume: bool) -> None:
        self._ids = [volume.id for volume in volumes]
        self._by_volume = by_volume

    def of(self, operation: ImportOperation) -> Destination:
        """Return where the picture of an operation goes. Raises IndexError where there is no such volume."""
        volume = self._ids[operation.volume]
        suffix = "png" if operation.pixels else operation.image.rpartition(".")[2]
        return Destination(self.folder(volume), f"IM{operation.number}-{volume}.{suffix}")

    def folder(self, volume: str) -> str:
        """Return the folder of a volume's pictures."""
        return f"images/{volume}" if self._by_volume else "images"

    def columns(self, operations: Sequence[ImportOperation]) -> tuple[list[str], list[str]]:
        """Return the folders and the names that `of` gives, for each operation."""
        found = [self.of(each) for each in operations]
        return [each.folder for each in found], [each.name for each in found]


def unprefixed(sources: Sequence[Source]) -> Destinations:
    """Return the destinations whose `below` is an image's path below its image folder: what naming rules read."""
    return Destinations([Source("", source.folders) for source in sources], "keep")


def _longest_first(source: Source) -> tuple[str, ...]:
    return tuple(sorted({folder.images for folder in source.folders}, key=lambda path: (-len(path), path)))


def _below_first(image_folders: Sequence[str], folder: str) -> str:
    for images in image_folders:
        if folder == images:
            return ""
        if not images:
            return folder
        if folder.startswith(images + "/"):
            return folder[len(images) + 1 :]
    raise ValueError(f"{folder!r} is not below an image folder")


def file_names(sources: Sequence[Source], operations: Sequence[Operation]) -> list[str]:
    """Return the images' file names in the output, one for each operation."""
    names = [each.image.rpartition("/")[2] for each in operations]
    if any(source.prefix for source in sources):
        names = [sources[each.input].prefix + name for each, name in zip(operations, names, strict=True)]
    return names


def label_of(destination: Destination) -> Destination:
    """Return the label's destination: `labels/...` for `images/...`, the suffix replaced by `.txt`."""
    stem, dot, _ = destination.name.rpartition(".")
    return Destination("labels" + destination.folder[len("images") :], f"{stem if dot else destination.name}.txt")


def label_path(image: str) -> str:
    """Return the label's path for an image's, both below their split folder: `sub/x.png` gives `sub/x.txt`."""
    cut = image.rfind(".")
    return f"{image[:cut] if cut > image.rfind('/') else image}.txt"


def fold(text: str) -> str:
    """Return the form under which file systems that ignore case or Unicode normal form see a name.

    Canonical caseless matching (Unicode 3.13, D145), composed at the end.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def clashing_ids(ids: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of different ids that are equal after `fold`, each sorted, in sorted order.

    Two folders of such names are one folder on some file systems, and two volumes to a reader.
    """
    folded: dict[str, set[str]] = {}
    for text in ids:
        folded.setdefault(fold(text), set()).add(text)
    return sorted(tuple(sorted(group)) for group in folded.values() if len(group) > 1)


def collisions(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the groups of sources that would share one label file, whatever their split.

    `pairs` are (where it comes from, label path below the split folder). Equal label paths mean equal images, or images
    that differ in their suffix alone, after `fold`. Groups and their members are sorted.
    """
    first: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for source, label in pairs:
        key = fold(label)
        if key in first:
            groups.setdefault(key, [first[key]]).append(source)
        else:
            first[key] = source
    return sorted(sorted(group) for group in groups.values())


def folder_clashes(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return the sources whose image or label would have the name of a folder that another one needs.

    `pairs` are (where it comes from, image path below the split folder); sources are sorted.
    """
    known = [(source, fold(image)) for source, image in pairs]
    folders = {parent for _, image in known for parent in _parents(image)}
    return sorted(source for source, image in known if image in folders or label_path(image) in folders)


def _parents(path: str) -> Iterator[str]:
    cut = path.rfind("/")
    while cut > 0:
        yield path[:cut]
        cut = path.rfind("/", 0, cut)


def path_fault(path: str) -> str | None:
    """Return why a relative path is not allowed in a plan, or None where it is.

    Allowed: relative, no `..`, `.` or empty part, no control character, no lone surrogate, lengths that Linux takes.
    """
    if not path:
        return "is empty"
    if "/" not in path and "." not in path and len(path) <= PART_BYTES and path.isascii() and path.isprintable():
        return None  # a plain word, as most volume ids are
    if path.startswith("/"):
        return "is absolute"
    parts = path.split("/")
    for refused, reason in (("..", "holds `..`"), (".", "holds `.`"), ("", "holds an empty part")):
        if refused in parts:
            return reason
    return text_fault(path) or _length_fault(path, parts)


def _length_fault(path: str, parts: Sequence[str]) -> str | None:
    if len(path.encode()) > PATH_BYTES:
        return f"is longer than {PATH_BYTES} bytes"
    if any(len(part.encode()) > PART_BYTES for part in parts):
        return f"holds a name longer than {PART_BYTES} bytes"
    return None


def id_fault(volume: str) -> str | None:
    """Return why a volume id (or a destination's sub-folder) is not allowed, or None where it is."""
    fault = path_fault(volume)
    if fault is None and not RESERVED_PARTS.isdisjoint(volume.split("/")):
        return "holds a folder named `images` or `labels`"
    return fault
