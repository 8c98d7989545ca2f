"""Write a plan as bytes: sort the operations, cut them into blocks, compute the digests."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from planbalance.destination import Destinations
from planbalance.errors import PlanError
from planbalance.model import Block, ClassCount, Layout, Operation, PlanHeader, Split
from planbalance.planfile.counts import Content, content_of, together
from planbalance.planfile.header import (
    BLOCK_OPERATIONS,
    HEADER_BYTES,
    OPENING,
    SCHEMA,
    YAML_KEYS,
    header_digest,
    parse_header,
)

if TYPE_CHECKING:
    from planbalance.split.prove import SplitProof

TAIL: Final = b"]}\n"


class SealedPlan(NamedTuple):
    """A plan as it is written: `first_line`, the blocks of `body` and `tail`, one after the other, are the file.

    Attributes:
        header: with digest, split digest and blocks filled in.
        content: the totals of its operations.
        first_line: the header's JSON with `"operations":[` and a newline.
        body: one run of lines per block of the header.
        tail: what closes the document.
        classes: what the splits hold of each class, where there are several: of a plan just made, and not in its file.
        warnings: sentences about how the plan was made, which its file does not have: with them, the plans of the same
            options would have other digests than those of earlier versions.
        proof: how near the best split this one is, where that was asked: of a plan just made, and not in its file.
    """

    header: PlanHeader
    content: Content
    first_line: bytes
    body: tuple[bytes, ...]
    tail: bytes = TAIL
    classes: tuple[ClassCount, ...] = ()
    warnings: tuple[str, ...] = ()
    proof: "SplitProof | None" = None


def seal(draft: PlanHeader, operations: Iterable[Operation], names: Sequence[str] | None = None) -> SealedPlan:
    """Sort the operations by destination, cut them into blocks and compute every digest.

    Operations are not checked: reading does that.

    Args:
        draft: the header, without digests and blocks.
        operations: in any order.
        names: their images' paths below the split's folder in layout `keep`, where the caller knows them already.

    Raises:
        ValueError: an image lies below no image folder of its source.
        PlanError: the header could not be read back: too large, no operation, control characters, counts that disagree.
    """
    rows = list(operations)
    names = names_of(draft, rows) if names is None else names
    blocks: list[Block] = []
    body: list[bytes] = []
    contents: list[Content] = [content_of(())]
    offset = 0
    left = len(rows)
    heads = _Heads()
    for folder, run in runs(draft.parameters["layout"], rows, names):
        left -= len(run)
        data = _lines(run, heads) + (b",\n" if left else b"\n")
        blocks.append(Block(folder, len(run), offset, len(data), hashlib.sha256(data).hexdigest()))
        body.append(data)
        contents.append(content_of(run))
        offset += len(data)
    header = draft._replace(digest="", split_digest=_split_digest(draft, rows, names), blocks=tuple(blocks))
    header = header._replace(digest=header_digest(_header_json(header)))
    first_line = first_line_of(header)
    if len(first_line) > HEADER_BYTES:
        raise PlanError(
            f"The plan's header would be {len(first_line)} bytes long, and {HEADER_BYTES} can be read.",
            kind="plan-too-large",
            hint="Fewer volumes or folders in one dataset: build it in parts.",
        )
    parse_header(first_line)  # what cannot be read must not be written
    return SealedPlan(header, together(contents), first_line, tuple(body))


def first_line_of(header: PlanHeader) -> bytes:
    """Return the first line of a sealed plan."""
    return _header_json(header)[:-1] + OPENING + b"\n"


def names_of(header: PlanHeader, rows: Sequence[Operation]) -> list[str]:
    """Return the images' paths below the split's folder in layout `keep`. Raises ValueError where one has none."""
    return Destinations(header.sources, "keep").all_below(
        [each.input for each in rows], [each.image for each in rows], [each.volume for each in rows]
    )


def runs(layout: Layout, rows: Sequence[Operation], names: Sequence[str]) -> Iterator[tuple[str, list[Operation]]]:
    """Yield a block's destination folder and operations, in the order of the file; `names` as `names_of` gives them."""
    splits: list[Split] = [each.split for each in rows]
    cuts = [name.rfind("/") + 1 for name in names]
    if layout == "by-volume":
        below = [f"{each.volume}/" for each in rows]
    else:
        below = [name[:cut] for name, cut in zip(names, cuts, strict=True)]
    ends = [name[cut:] for name, cut in zip(names, cuts, strict=True)] if any(cuts) else names
    members: defaultdict[tuple[Split, str], list[int]] = defaultdict(list)
    for index, place in enumerate(zip(splits, below, strict=True)):
        members[place].append(index)
    for folder, indices in sorted((f"images/{split}/{sub}"[:-1], members[split, sub]) for split, sub in members):
        run = sorted(indices, key=ends.__getitem__)
        for start in range(0, len(run), BLOCK_OPERATIONS):
            yield folder, [rows[index] for index in run[start : start + BLOCK_OPERATIONS]]


_Place = tuple[Split, str, bool, int]  # split, volume, positive and input of an operation


class _Heads(dict[_Place, str]):
    """The beginnings of lines. Many lines share one, so each is made once for all blocks."""

    def __missing__(self, place: _Place) -> str:
        split, volume, positive, index = place
        members = {"split": split, "volume": volume, "positive": positive, "input": index}
        head = self[place] = orjson.dumps(members)[:-1].decode() + ","
        return head


def _lines(run: Sequence[Operation], heads: _Heads) -> bytes:
    """Return the JSON of operations, a comma and a newline between them; made by columns, which is faster."""
    splits, volumes, positive, inputs, images, labels, image_sizes, mtimes, label_sizes, label_sums, image_sums = zip(
        *run, strict=True
    )
    openings = map(heads.__getitem__, zip(splits, volumes, positive, inputs, strict=True))
    sums = [
        (f',"label_sha256":"{label}"' if label else "") + (f',"image_sha256":"{image}"' if image else "")
        for label, image in zip(label_sums, image_sums, strict=True)
    ]
    columns = zip(
        openings, _quoted(images), _quoted(labels), image_sizes, _times(mtimes), label_sizes, sums, strict=True
    )
    return ",\n".join(
        [
            f'{opening}"image":{image},"label":{label},"image_size":{image_size},"image_mtime":"{mtime}",'
            f'"label_size":{label_size}{sums}}}'
            for opening, image, label, image_size, mtime, label_size, sums in columns
        ]
    ).encode()


def _quoted(texts: Sequence[str | None]) -> list[str]:
    """Return JSON strings (or null). Where there is nothing to escape, as in nearly every plan, quotes are enough."""
    joined = "".join(filter(None, texts))
    if joined.isprintable() and '"' not in joined and "\\" not in joined:
        return ["null" if text is None else f'"{text}"' for text in texts]
    return [orjson.dumps(text).decode() for text in texts]


def _times(mtimes: Sequence[int]) -> Iterable[str]:
    if min(mtimes) < 1_000_000_000:  # before 1970, or in its first second
        return map(format_mtime, mtimes)
    return [f"{text[:-9]}.{text[-9:]}" for text in map(str, mtimes)]


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
        YAML_KEYS: header.yaml_keys,
        "parameters": dict(header.parameters),
        "naming": dict(header.naming),
        "statistics": dict(header.statistics),
        "volume_statistics": dict(header.volume_statistics),
        "targets": dict(header.targets),
        "warnings": header.warnings,
        "volumes": header.volumes,
        "blocks": header.blocks,
    }
    if not header.yaml_keys:
        del members[YAML_KEYS]
    return orjson.dumps(members, default=methodcaller("_asdict"))


def _split_digest(header: PlanHeader, rows: Sequence[Operation], names: Sequence[str]) -> str:
    """Return the SHA-256 of the split as a paper would give it: volumes with splits, then kept slices, one per line.

    A slice is its volume and its path below the image folder with the input's prefix, in either layout. Roots, numbers
    of inputs, sizes and times are not part of it, so that two clusters with the same data get the same digest.
    """
    slices: defaultdict[str, list[str]] = defaultdict(list)
    for each, name in zip(rows, names, strict=True):
        slices[each.volume].append(name)
    digest = hashlib.sha256()
    for identity, split in sorted((volume.id, volume.split) for volume in header.volumes):
        digest.update(orjson.dumps((identity, split)) + b"\n")
    digest.update(b"\n")
    for volume in sorted(slices):
        opening = orjson.dumps((volume,))[:-1].decode()
        digest.update("".join([f"{opening},{path}]\n" for path in _quoted(sorted(slices[volume]))]).encode())
    digest.update(b"\n")
    return digest.hexdigest()
