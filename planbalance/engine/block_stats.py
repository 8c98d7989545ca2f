"""Statistics of the plan's blocks: made once where a block is parsed, used by checks, estimates and the metadata.

The worker that parses a block makes them and sends them to the parent, which need not parse it again.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from planbalance.engine.list_mode import ListedBlock, ListMaker
from planbalance.engine.packing import BlockColumns, columns_of
from planbalance.model import Operation, PlanHeader
from planbalance.planfile import Facts, KeptSlices

# Sizes on disk are rounded up to this many bytes. The block size that a file system reports may be far larger (NFS
# reports how much it transfers at a time), and with it builds that fit would be refused.
UNIT: Final = 4096
_JPEG: Final = re.compile(r"\.jpe?g$", re.ASCII | re.IGNORECASE | re.MULTILINE)
_SOURCE_SAMPLE: Final = 16  # images of a block whose source folders are looked at


class BlockStats(NamedTuple):
    """One block.

    Attributes:
        facts: what the check of the whole plan needs.
        content: bytes of images and labels, each file in whole units.
        samples: one operation of each input that has one.
        source: the source folder of most of a few sampled images, with its input: the schedule uses it.
        lists: its part of the lists of `--mode list`; None in other modes.
        starts: where a batch may begin, in rising order; none: anywhere.
        columns: what the layout of a packed dataset needs to know; None in other modes.
        jpegs: whether an image is a JPEG by its name.
        rendered: bytes of the images that are rendered, by an estimate.
    """

    facts: Any  # `BlockFacts`, or those of another kind of plan
    content: int
    samples: tuple[Any, ...]
    source: str
    lists: ListedBlock | None
    starts: tuple[int, ...] = ()
    columns: BlockColumns | None = None
    jpegs: bool = False
    rendered: int = 0


class BlockStatsMaker:
    """Makes the statistics of a plan's blocks; with a `ListMaker`, the lists too; `packs`: for a packed dataset."""

    def __init__(self, header: PlanHeader, lists: ListMaker | None, *, packs: bool) -> None:
        self._header = header
        self._facts = Facts(header)
        self._lists = lists
        self._packs = packs

    def of(self, index: int, operations: Sequence[Operation]) -> BlockStats:
        """Return the statistics of block `index`."""
        units = sum([-(-each.image_size // UNIT) - (-each.label_size // UNIT) for each in operations])
        facts = self._facts.of(self._header.blocks[index].folder, operations)
        lists = None if self._lists is None else self._lists.of(operations)
        samples = {each.input: each for each in reversed(operations)}
        sample = operations[:: max(1, len(operations) // _SOURCE_SAMPLE)]
        sources = Counter(f"{each.input}:{each.image.rpartition('/')[0]}" for each in sample)
        source, _ = sources.most_common(1)[0]
        columns = columns_of(self._header.sources, operations) if self._packs else None
        jpegs = has_jpegs(facts.kept.names)
        return BlockStats(facts, units * UNIT, tuple(samples.values()), source, lists, columns=columns, jpegs=jpegs)


def has_jpegs(names: str) -> bool:
    """Return whether one of the file names, with newlines between them, is that of a JPEG."""
    return _JPEG.search(names) is not None


class _Maker(Protocol):
    def of(self, index: int, operations: Sequence[Any]) -> BlockStats: ...


class PlanStats:
    """The statistics of all blocks of a plan: those that workers sent; others are made when they are needed.

    Args:
        blocks: how many there are.
        read: reads a block; PlanError where it is damaged or hostile.
        maker: makes the statistics of a block.
    """

    def __init__(self, blocks: int, read: Callable[[int], Sequence[Any]], maker: _Maker) -> None:
        self._read = read
        self.maker = maker
        self._blocks = range(blocks)
        self._known: dict[int, BlockStats] = {}

    def add(self, index: int, found: BlockStats) -> None:
        """Add what a worker has sent."""
        self._known[index] = found

    def facts(self) -> Iterator[tuple[int, Any]]:
        """Yield the facts of every block. Raises PlanError."""
        for index in self._blocks:
            yield index, self._of(index).facts

    def kept(self) -> Iterator[KeptSlices]:
        """Yield the slices of every block, in the plan's order. Raises PlanError."""
        for index in self._blocks:
            yield self._of(index).facts.kept

    def content(self) -> int:
        """Return the bytes that images and labels take on a disk. Raises PlanError."""
        return sum(self._of(index).content for index in self._blocks)

    def rendered(self) -> int:
        """Return the bytes of the images that are rendered, by an estimate. Raises PlanError."""
        return sum(self._of(index).rendered for index in self._blocks)

    def samples(self) -> list[Any]:
        """Return one operation of each input that has one. Raises PlanError."""
        found: dict[int, Any] = {}
        for index in self._blocks:
            for operation in self._of(index).samples:
                found.setdefault(operation.input, operation)
        return list(found.values())

    def may_hold_jpegs(self) -> bool:
        """Return whether an image of the blocks that are known is a JPEG; where none is known, it may be."""
        return not self._known or any(each.jpegs for each in self._known.values())

    def sources(self) -> list[str]:
        """Return the source folder of every block; none where not all blocks are known yet (a shard)."""
        if len(self._known) < len(self._blocks):
            return []
        return [self._known[index].source for index in self._blocks]

    def starts(self) -> list[tuple[int, ...]]:
        """Return for every block where a batch may begin; none: anywhere. Raises PlanError."""
        return [self._of(index).starts for index in self._blocks]

    def columns(self, index: int) -> BlockColumns:
        """Return what the layout of a packed dataset needs to know of a block. Raises PlanError."""
        columns = self._of(index).columns
        assert columns is not None
        return columns

    def lists(self) -> Iterator[ListedBlock]:
        """Yield every block's part of the lists of `--mode list`, in the plan's order. Raises PlanError."""
        for index in self._blocks:
            lists = self._of(index).lists
            if lists is not None:
                yield lists

    def _of(self, index: int) -> BlockStats:
        found = self._known.get(index)
        if found is None:
            found = self._known[index] = self.maker.of(index, self._read(index))
        return found
