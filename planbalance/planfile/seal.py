"""Values -> bytes: the one way in which a plan is written."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import orjson

from planbalance.destination import Destination, Destinations
from planbalance.errors import PlanError
from planbalance.model import Block, Operation, PlanHeader
from planbalance.planfile.header import BLOCK_OPERATIONS, HEADER_BYTES, OPENING, SCHEMA, header_digest, parse_header

TAIL: Final = b"]}\n"


@dataclass(frozen=True, slots=True)
class SealedPlan:
    """A plan as it is written: `first_line`, the blocks of `body` and `tail`, one after the other, are the file.

    Attributes:
        header: with digest, split digest and blocks filled in.
        first_line: the header's JSON with `"operations":[` and a newline.
        body: one run of lines per block of the header.
        tail: what closes the document.
    """

    header: PlanHeader
    first_line: bytes
    body: tuple[bytes, ...]
    tail: bytes = TAIL


def seal(draft: PlanHeader, operations: Iterable[Operation]) -> SealedPlan:
    """Sort the operations by destination, cut them into blocks and compute every digest.

    Operations are not checked: reading does that.

    Raises:
        ValueError: an image lies below no image folder of its source.
        PlanError: the header could not be read back: too large, no operation, control characters, counts that disagree.
    """
    destinations = Destinations(draft.sources, draft.parameters["layout"])
    placed = sorted(((destinations.of(operation), operation) for operation in operations), key=itemgetter(0))
    blocks: list[Block] = []
    body: list[bytes] = []
    offset = 0
    left = len(placed)
    for folder, run in _runs(placed):
        left -= len(run)
        data = b",\n".join(map(_line, run)) + (b",\n" if left else b"\n")
        blocks.append(Block(folder, len(run), offset, len(data), hashlib.sha256(data).hexdigest()))
        body.append(data)
        offset += len(data)
    split_digest = _split_digest(draft, (operation for _, operation in placed))
    header = replace(draft, digest="", split_digest=split_digest, blocks=tuple(blocks))
    header = replace(header, digest=header_digest(_header_json(header)))
    first_line = first_line_of(header)
    if len(first_line) > HEADER_BYTES:
        raise PlanError(
            f"The plan's header would be {len(first_line)} bytes long, and {HEADER_BYTES} can be read.",
            kind="plan-too-large",
            hint="Fewer volumes or folders in one data set: build it in parts.",
        )
    parse_header(first_line)  # what cannot be read must not be written
    return SealedPlan(header, first_line, tuple(body))


def first_line_of(header: PlanHeader) -> bytes:
    """Return the first line of a sealed plan."""
    return _header_json(header)[:-1] + OPENING + b"\n"


def _runs(placed: Sequence[tuple[Destination, Operation]]) -> Iterator[tuple[str, list[Operation]]]:
    for folder, group in groupby(placed, key=lambda pair: pair[0].folder):
        run = [operation for _, operation in group]
        for start in range(0, len(run), BLOCK_OPERATIONS):
            yield folder, run[start : start + BLOCK_OPERATIONS]


def _line(operation: Operation) -> bytes:
    members: dict[str, Any] = dict(zip(_NAMES, operation, strict=True))
    members["image_mtime"] = format_mtime(operation.image_mtime_ns)
    if not operation.label_sha256:
        del members["label_sha256"]
    if not operation.image_sha256:
        del members["image_sha256"]
    return orjson.dumps(members)


_NAMES: Final = tuple("image_mtime" if name == "image_mtime_ns" else name for name in Operation._fields)


def format_mtime(nanoseconds: int) -> str:
    """Return a time as seconds with nine decimals: `-1` is `-0.000000001`."""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    return f"{'-' if nanoseconds < 0 else ''}{seconds}.{rest:09d}"


def _header_json(header: PlanHeader) -> bytes:
    """Return the header as a JSON object of its own, members in the order of the format; no digest where it is `""`."""
    members: dict[str, Any] = {"schema": SCHEMA, "digest": header.digest}
    if not header.digest:
        del members["digest"]
    members |= {
        "split_digest": header.split_digest,
        "inputs": header.inputs,
        "sources": header.sources,
        "output": header.output,
        "names": header.names,
        "parameters": dict(header.parameters),
        "naming": dict(header.naming),
        "statistics": dict(header.statistics),
        "volume_statistics": dict(header.volume_statistics),
        "targets": dict(header.targets),
        "warnings": header.warnings,
        "volumes": header.volumes,
        "blocks": header.blocks,
    }
    return orjson.dumps(members)


def _split_digest(header: PlanHeader, operations: Iterable[Operation]) -> str:
    """Return SHA-256 over what a paper calls the split: volumes with splits, then kept slices, a line each.

    A slice is its volume and its path below the image folder with the input's prefix, whatever the layout: no root, no
    input's number, no size and no time takes part, so that two clusters with the same data agree.
    """
    below = Destinations(header.sources, "keep").below
    slices = sorted((each.volume, below(each.input, each.image, each.volume)) for each in operations)
    volumes = sorted((volume.id, volume.split) for volume in header.volumes)
    digest = hashlib.sha256()
    for lines in (volumes, slices):
        for start in range(0, len(lines), BLOCK_OPERATIONS):  # a million lines at once would hold a gigabyte
            digest.update(b"\n".join((*map(orjson.dumps, lines[start : start + BLOCK_OPERATIONS]), b"")))
        digest.update(b"\n")
    return digest.hexdigest()
