"""Read blocks in which every line is as planbalance writes it and breaks no rule: nearly all blocks.

One regular expression reads the fields of all lines, in a third of the time of a JSON reader and its checks. A block
that it does not match is left to `blocks`, which finds out whether it is wrong and names the line. So this module may
reject a valid block, but must not accept one that `blocks` refuses.
"""

import re
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import repeat
from operator import ge
from typing import Any, Final

import orjson

from planbalance.destination import PART_BYTES, Destinations
from planbalance.model import IMAGE_SUFFIXES, SPLITS, Block, Operation, PlanHeader

# A text without quotes. A block with backslashes is not read here.
_TEXT: Final = '[^"]++'
_SHA256: Final = '"([0-9a-f]{64})"'
_SIZE: Final = "[1-9][0-9]{0,14}"  # below `LARGEST`
# A positive line has a label size, and a label size has a label and a sum. A group for each field of `Operation`.
_LINE: Final = re.compile(
    f'{{"split":"(train|val|test)","volume":"({_TEXT})","positive":(?:(?P<positive>true)|false),"input":([0-9]++)'
    f',"image":"({_TEXT})","label":(?:"(?P<label>{_TEXT})"|null),"image_size":(0|{_SIZE})'
    r',"image_mtime":"([1-9][0-9]{0,9}\.[0-9]{9})"'
    f',"label_size":(?:(?(positive)(?!)|0)|(?(label)({_SIZE}),"label_sha256":{_SHA256}|(?!)))'
    f'(?:,"image_sha256":{_SHA256})?}},\n'
)
_SUFFIXES: Final = frozenset(f".{suffix}" for suffix in IMAGE_SUFFIXES)
_ODD_PART: Final = re.compile(r"/\.{0,2}/")
_new_operation: Final[Callable[[tuple[Any, ...]], Operation]] = partial(tuple.__new__, Operation)


class PlainReader:
    """Reads those blocks of one plan that are plain."""

    def __init__(self, header: PlanHeader, destinations: Destinations) -> None:
        one_text = {split: split for split in SPLITS}  # for all operations, not one for each
        self._splits = {volume.id: one_text[volume.split] for volume in header.volumes}
        self._ids = {volume.id: volume.id for volume in header.volumes}
        self._inputs = {str(index): index for index in range(len(header.sources))}
        self._prefixes = [source.prefix for source in header.sources]
        self._by_volume = header.parameters["layout"] == "by-volume"
        self._destinations = destinations

    def read(self, block: Block, data: bytes, *, last: bool) -> list[Operation] | None:
        """Return the operations of a block, or None where they are not plain. `last`: it is the plan's last one."""
        columns = _columns(data, last=last)
        if columns is None or len(columns[0]) != block.count:
            return None
        splits, volumes, positive, inputs, images, labels, image_sizes, mtimes, label_sizes, label_sums, image_sums = (
            columns
        )
        stated = list(map(self._splits.get, volumes))
        if stated != splits or not self._inputs.keys() >= set(inputs):
            return None
        numbers = list(map(self._inputs.__getitem__, inputs))
        if not (are_allowed(images) and are_allowed(list(filter(None, labels))) and are_images(images)):
            return None
        if not self._in_order(block, stated, volumes, numbers, images):
            return None
        fields = (
            stated,
            map(self._ids.__getitem__, volumes),
            [each is not None for each in positive],
            numbers,
            images,
            labels,
            map(int, image_sizes),
            orjson.loads(f"[{','.join(mtimes)}]".replace(".", "")),
            [0 if each is None else int(each) for each in label_sizes],
            [each or "" for each in label_sums],
            [each or "" for each in image_sums],
        )
        return list(map(_new_operation, zip(*fields, strict=True)))

    def _in_order(
        self, block: Block, splits: Sequence[Any], volumes: Sequence[str], inputs: Sequence[int], images: Sequence[str]
    ) -> bool:
        """Return whether destinations lie in the block's folder, in rising order, under names that are not too long."""
        parts = [image.rpartition("/") for image in images]
        folders, names = [folder for folder, _, _ in parts], [name for _, _, name in parts]
        places = set(zip(splits, volumes if self._by_volume else repeat(""), inputs, folders))  # noqa: B905 - endless
        try:
            if any(self._destinations.folder(*place) != block.folder for place in places):
                return False
        except ValueError:  # outside the image folders
            return False
        if any(self._prefixes):
            names = [self._prefixes[index] + name for index, name in zip(inputs, names, strict=True)]
        return not any(map(ge, names, names[1:])) and are_short(names)


def _columns(data: bytes, *, last: bool) -> list[list[Any]] | None:
    """Return one column for each field of `Operation`: what stands there, None for nothing and for false."""
    closing = b"}\n" if last else b"},\n"
    if not data.endswith(closing) or b"\\" in data:
        return None
    try:
        text = data[: -len(closing)].decode() + "},\n"
    except UnicodeDecodeError:
        return None
    step = 1 + _LINE.groups
    parts = _LINE.split(text)
    if any(parts[::step]):  # text between the lines
        return None
    return [parts[at::step] for at in range(1, step)]


def are_allowed(paths: Sequence[str]) -> bool:
    """Return whether one search over all paths shows that `path_fault` allows them; False where one is long."""
    joined = "/ /".join((" ", *paths, " "))  # spaces between, so that the text is printable where every path is
    longest = max(map(len, paths), default=0)
    return (
        joined.isprintable()
        and not _ODD_PART.search(joined)
        and longest <= (PART_BYTES if joined.isascii() else PART_BYTES // 4)
    )


def are_images(paths: Sequence[str]) -> bool:
    """Return whether every path has the suffix of an image."""
    suffixes = {path[path.rfind(".") :] for path in paths}  # without a dot, the last letter
    return _SUFFIXES.issuperset(map(str.lower, suffixes))


def are_short(names: Collection[str]) -> bool:
    """Return whether every name is short enough for a file system."""
    return max(map(len, names)) <= PART_BYTES // 4 or all(len(name.encode()) <= PART_BYTES for name in names)
