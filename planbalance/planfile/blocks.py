"""Read the operations of a plan, a block at a time.

`plain_blocks` reads nearly every block at once. The others are checked here: each rule on a whole column first; only
where a column breaks it, the line is searched.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import ge, itemgetter
from typing import Any, Final

import orjson

from planbalance.destination import PART_BYTES, Destinations, file_names, path_fault
from planbalance.model import SPLITS, Block, Operation, PlanHeader, Split
from planbalance.planfile.json_values import EDITED_HINT, LARGEST, damaged, hostile, loads, malformed, shown
from planbalance.planfile.plain_blocks import PlainReader, are_allowed, are_images, are_short

# Members of a line in their order; the two hashes are there or not, which makes four shapes.
FIXED_MEMBERS: Final = tuple(
    "image_mtime" if name == "image_mtime_ns" else name for name in Operation._fields if not name.endswith("sha256")
)
HASHES: Final = ("label_sha256", "image_sha256")
_SHAPES: Final = frozenset((FIXED_MEMBERS, (*FIXED_MEMBERS, *HASHES), *((*FIXED_MEMBERS, name) for name in HASHES)))
_ABSENT: Final = ...  # stands for a hash that is not there; no JSON value is equal to it
_TYPES: Final[dict[str, frozenset[type]]] = {
    "split": frozenset((str,)),
    "volume": frozenset((str,)),
    "positive": frozenset((bool,)),
    "input": frozenset((int,)),
    "image": frozenset((str,)),
    "label": frozenset((str, type(None))),
    "image_size": frozenset((int,)),
    "image_mtime": frozenset((str,)),
    "label_size": frozenset((int,)),
    "label_sha256": frozenset((str, type(_ABSENT))),
    "image_sha256": frozenset((str, type(_ABSENT))),
}
# Seconds of up to 18 digits stay within 64 bits.
_MTIME: Final = re.compile(r"(?!-0\.0{9}$)-?(?:0|[1-9][0-9]{0,17})\.[0-9]{9}")


def first_lines(blocks: Sequence[Block]) -> dict[int, int]:
    """Return for the offset of each block the line of the plan file at which it begins; the header is line 1."""
    lines = accumulate((block.count for block in blocks), initial=2)
    return {block.offset: line for block, line in zip(blocks, lines, strict=False)}


def parse_block(header: PlanHeader, block: Block, data: bytes) -> list[Operation]:
    """Return the operations of one block; for many blocks of one plan, `BlockReader` is faster. Raises as it does."""
    return BlockReader(header).read(block, data)


class BlockReader:
    """Reads the blocks of one plan, each alone: so a shard reads only its own.

    Args:
        header: the plan's.
        fast: read blocks by `PlainReader` where it can; the result is the same without it.
    """

    def __init__(self, header: PlanHeader, *, fast: bool = True) -> None:
        self._sources = header.sources
        self._splits: dict[str, Split] = {volume.id: volume.split for volume in header.volumes}
        self._ids = {volume.id: volume.id for volume in header.volumes}
        self._destinations = Destinations(header.sources, header.parameters["layout"])
        self._plain = PlainReader(header, self._destinations) if fast else None
        self._end = sum(block.bytes for block in header.blocks)
        self._lines = first_lines(header.blocks)

    def read(self, block: Block, data: bytes) -> list[Operation]:
        """Return the operations of a block, and check all that one block can show.

        Checked: the sum, one formatting only, types, sizes, paths, that each volume is in the header with the same
        split, and that destinations lie in the block's folder in rising order.

        Raises:
            PlanError: `plan-damaged`, `plan-schema` or `plan-hostile`.
        """
        line = self._lines.get(block.offset, 2)
        check_sum(block, data, line)
        return self._operations(block, data, line, last=block.offset + block.bytes == self._end)

    def read_part(self, block: Block, data: bytes, start: int, stop: int) -> list[Operation]:
        """Return the operations `start` to `stop` (not included) of a block that was read whole before.

        `data`: all of it. Its sum shows that it is the same block; so the rules for whole blocks are not checked again.

        Raises:
            PlanError: it is not the block that was read.
        """
        line = self._lines.get(block.offset, 2)
        check_sum(block, data, line)
        lines = data.split(b"\n")[start:stop]
        last = block.offset + block.bytes == self._end and stop == block.count
        part = block._replace(count=stop - start)
        return self._operations(part, b"\n".join((*lines, b"")), line + start, last=last)

    def _operations(self, block: Block, data: bytes, line: int, *, last: bool) -> list[Operation]:
        operations = None if self._plain is None else self._plain.read(block, data, last=last)
        return self._judged(block, data, line, last=last) if operations is None else operations

    def _judged(self, block: Block, data: bytes, line: int, *, last: bool) -> list[Operation]:
        """Return the operations of a block that `PlainReader` did not take: unusual or wrong."""
        rows = rows_of(data, block.count, last=last, line=line)
        operations = self.operations(rows, line)
        if not written_so(rows, data, last=last):
            damaged(f"the block of {block.count} operations at line {line} is not formatted as planbalance writes it")
        self._check_order(operations, block, line)
        return operations

    def operations(self, rows: list[Any], line: int) -> list[Operation]:
        """Return parsed lines as operations, types, sizes and paths checked; `line` is the first one's number."""
        columns = _columns(rows, line)
        _check_values(columns, line)
        self._check_volumes(columns, line)
        columns[0] = list(map(_SPLIT.__getitem__, columns[0]))  # one text for all, not one for each
        columns[1] = list(map(self._ids.__getitem__, columns[1]))
        columns[7] = mtimes_of(columns[7], line)
        columns[9:] = [["" if sha is _ABSENT else sha for sha in column] for column in columns[9:]]
        return list(map(Operation._make, zip(*columns, strict=True)))

    def _check_volumes(self, columns: Sequence[Sequence[Any]], line: int) -> None:
        splits, volumes, _, inputs = columns[:4]
        for split, volume in set(zip(splits, volumes, strict=True)):
            if self._splits.get(volume) != split:
                at = line + list(zip(splits, volumes, strict=True)).index((split, volume))
                stated = self._splits.get(volume, "no split")
                hostile(f"line {at}: {shown(volume)} is put into {shown(split)}, and into {stated} by the header")
        if max(inputs, default=0) >= len(self._sources):
            at = line + _first(inputs, lambda index: index >= len(self._sources))
            hostile(f"line {at}: there is no such input")

    def _check_order(self, operations: Sequence[Operation], block: Block, line: int) -> None:
        # one slice of each volume and source folder is enough: nothing else decides the destination folder
        alike = {(each.input, each.volume, each.image.rpartition("/")[0]): each for each in operations}
        for operation in alike.values():
            if self._folder_of(operation, line) != block.folder:
                at = line + operations.index(operation)
                hostile(f"line {at}: the slice does not go to {shown(block.folder)}, as its block says")
        names = file_names(self._sources, operations)
        if any(map(ge, names, names[1:])):
            at = next(i for i in range(1, len(names)) if names[i - 1] >= names[i])
            hostile(f"line {line + at}: {shown(names[at])} is out of order, or there twice")
        _check_name_lengths(names, line)

    def _folder_of(self, operation: Operation, line: int) -> str:
        try:
            return self._destinations.of(operation).folder
        except ValueError:
            hostile(f"from line {line} on, {shown(operation.image)} lies outside the image folders of its input")


_SPLIT: Final = {split: split for split in SPLITS}


def check_sum(block: Block, data: bytes, line: int) -> None:
    """Refuse the bytes of a block that do not match its sum."""
    if len(data) != block.bytes or hashlib.sha256(data).hexdigest() != block.sha256:
        damaged(f"the block of {block.count} operations at line {line} does not match its sum", EDITED_HINT)


def rows_of(data: bytes, count: int, *, last: bool, line: int) -> list[Any]:
    """Return the JSON of each line of a block."""
    closing = b"}\n" if last else b"},\n"
    if not data.endswith(closing) or data.count(b"\n") != count or data.count(b"},\n{") != count - 1:
        damaged(f"the block at line {line} does not have one operation on each of its {count} lines")
    rows: list[Any] = loads(b"[" + data[: 1 - len(closing)] + b"]")
    if len(rows) != count:
        damaged(f"the block at line {line} does not have one operation on each of its {count} lines")
    return rows


def written_so(rows: list[Any], data: bytes, *, last: bool) -> bool:
    """Return whether writing the rows again gives the same bytes: one spelling, no member twice."""
    return orjson.dumps(rows) == b"[" + data[: -1 if last else -2].replace(b",\n", b",") + b"]"


_fixed: Final = itemgetter(*FIXED_MEMBERS)


def _columns(rows: list[Any], line: int) -> list[Sequence[Any]]:
    """Return one sequence per field of `Operation`, in its order; hashes that are not there are `_ABSENT`."""
    if set(map(type, rows)) - {dict}:
        malformed(f"line {line + _first(rows, lambda row: type(row) is not dict)} is not an object")
    shapes = set(map(tuple, rows))
    if not shapes <= _SHAPES:
        at = line + _first(rows, lambda row: tuple(row) not in _SHAPES)
        malformed(f"line {at} does not have the members of an operation, in their order")
    columns: list[Sequence[Any]] = list(zip(*map(_fixed, rows), strict=True))
    for name in HASHES:
        there = any(name in shape for shape in shapes)
        columns.append([row.get(name, _ABSENT) for row in rows] if there else [_ABSENT] * len(rows))
    for (name, allowed), column in zip(_TYPES.items(), columns, strict=True):
        if set(map(type, column)) - allowed:
            at = line + _first(column, lambda value, allowed=allowed: type(value) not in allowed)  # type: ignore[misc]
            malformed(f"line {at}: `{name}` is of the wrong type")
    return columns


def _first(column: Sequence[Any], wrong: Callable[[Any], bool]) -> int:
    """Return the index of the first value that is wrong."""
    return next((index for index, value in enumerate(column) if wrong(value)), 0)


def _check_values(columns: Sequence[Sequence[Any]], line: int) -> None:
    _, _, positive, inputs, images, labels, image_sizes, _, label_sizes, label_sums, image_sums = columns
    for name, numbers in (("input", inputs), ("image_size", image_sizes), ("label_size", label_sizes)):
        if min(numbers) < 0 or max(numbers) > LARGEST:
            at = line + _first(numbers, lambda number: not 0 <= number <= LARGEST)
            malformed(f"line {at}: `{name}` is not from 0 to {LARGEST}")
    _check_paths("image", images, line)
    _check_paths("label", labels, line)
    if not are_images(images):
        index = _first(images, lambda image: not are_images((image,)))
        hostile(f"line {line + index}: {shown(images[index])} does not have the suffix of an image")
    for name, sums in zip(HASHES, (label_sums, image_sums), strict=True):
        _check_sums(name, [each for each in sums if each is not _ABSENT], line)
    for index, (is_positive, label, size, label_sum) in enumerate(
        zip(positive, labels, label_sizes, label_sums, strict=True)
    ):
        if bool(size) != (label_sum is not _ABSENT) or (size and label is None) or (is_positive and not size):
            malformed(f"line {line + index}: label, its size and sum, and `positive` contradict each other")


def _check_paths(name: str, paths_or_none: Sequence[str | None], line: int) -> None:
    """Refuse a path that `path_fault` does not allow."""
    if are_allowed([path for path in paths_or_none if path is not None]):
        return
    for index, path in enumerate(paths_or_none):
        fault = path_fault(path) if path is not None else None
        if fault:
            hostile(f"line {line + index}: the {name} path {shown(path)} {fault}")


def _check_sums(name: str, sums: Sequence[str], line: int) -> None:
    if set(map(len, sums)) - {64} or "".join(sums).strip("0123456789abcdef"):
        malformed(f"from line {line} on, a `{name}` is not a SHA-256 of 64 hexadecimal digits in lower case")


def mtimes_of(texts: Sequence[str], line: int) -> list[int]:
    """Return times in nanoseconds; their text has one spelling only."""
    if not all(map(_MTIME.fullmatch, texts)):
        at = line + _first(texts, lambda text: _MTIME.fullmatch(text) is None)
        malformed(f"line {at}: `image_mtime` is no time in seconds with nine decimals")
    return [int(text.replace(".", "", 1)) for text in texts]


def _check_name_lengths(names: Sequence[str], line: int) -> None:
    """Refuse names that only the prefix makes too long."""
    if not are_short(names):
        at = line + _first(names, lambda name: not are_short((name,)))
        hostile(f"line {at}: with its prefix, the file name is longer than {PART_BYTES} bytes")
