"""What is found out about every block once, where it is parsed, and asked for many times: by check, estimate, metadata.

A block is surveyed by the worker that parsed it; what the parent gets is small, so that nobody parses a block twice.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from planbalance.engine.lists import BlockLists, Lister
from planbalance.model import Operation, PlanHeader
from planbalance.planfile import BlockFacts, Facts, KeptSlices

# What content takes on a disk is counted in units of this: a file system's own unit may be far larger (NFS says what it
# transfers at a time) and would refuse builds that fit.
UNIT: Final = 4096
_FEW: Final = 16


class BlockSurvey(NamedTuple):
    """One block.

    Attributes:
        facts: what the check of the whole plan needs.
        content: bytes of images and labels, each file in whole units.
        samples: one operation of each input that has one.
        source: the source folder (of its input) of most images, told by a few of them: for the schedule.
        lists: its part of the lists of `--mode list`; None in other modes.
    """

    facts: BlockFacts
    content: int
    samples: tuple[Operation, ...]
    source: str
    lists: BlockLists | None


class Surveyor:
    """Surveys the blocks of one plan; with a lister, its lists too."""

    def __init__(self, header: PlanHeader, lister: Lister | None) -> None:
        self._header = header
        self._facts = Facts(header)
        self._lister = lister

    def of(self, index: int, operations: Sequence[Operation]) -> BlockSurvey:
        """Survey block `index`."""
        units = sum([-(-each.image_size // UNIT) - (-each.label_size // UNIT) for each in operations])
        facts = self._facts.of(self._header.blocks[index].folder, operations)
        lists = None if self._lister is None else self._lister.of(operations)
        samples = {each.input: each for each in reversed(operations)}
        few = operations[:: max(1, len(operations) // _FEW)]
        sources = Counter(f"{each.input}:{each.image.rpartition('/')[0]}" for each in few)
        source, _ = sources.most_common(1)[0]
        return BlockSurvey(facts, units * UNIT, tuple(samples.values()), source, lists)


class Survey:
    """The survey of a plan: what workers found, and for the rest what it finds itself when asked.

    Args:
        header: the plan's.
        read: reads a block; PlanError where it is damaged or hostile.
        lister: of `--mode list`; None in other modes.

    Attributes:
        surveyor: surveys a block.
    """

    def __init__(
        self, header: PlanHeader, read: Callable[[int], Sequence[Operation]], lister: Lister | None = None
    ) -> None:
        self._read = read
        self.surveyor = Surveyor(header, lister)
        self._blocks = range(len(header.blocks))
        self._known: dict[int, BlockSurvey] = {}

    def add(self, index: int, found: BlockSurvey) -> None:
        """Take in what a worker found."""
        self._known[index] = found

    def facts(self) -> Iterator[tuple[int, BlockFacts]]:
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

    def samples(self) -> list[Operation]:
        """Return one operation of each input that has one. Raises PlanError."""
        found: dict[int, Operation] = {}
        for index in self._blocks:
            for operation in self._of(index).samples:
                found.setdefault(operation.input, operation)
        return list(found.values())

    def sources(self) -> list[str]:
        """Return the source folder of every block; none where not all blocks were surveyed yet (a shard)."""
        if len(self._known) < len(self._blocks):
            return []
        return [self._known[index].source for index in self._blocks]

    def lists(self) -> Iterator[BlockLists]:
        """Yield every block's part of the lists of `--mode list`, in the plan's order. Raises PlanError."""
        for index in self._blocks:
            lists = self._of(index).lists
            if lists is not None:
                yield lists

    def _of(self, index: int) -> BlockSurvey:
        found = self._known.get(index)
        if found is None:
            found = self._known[index] = self.surveyor.of(index, self._read(index))
        return found
