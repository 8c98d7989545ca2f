"""Check all operations of a plan together: duplicates, collisions, and the counts in the header."""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from planbalance.destination import file_names, fold, label_path
from planbalance.model import Operation, PlanHeader, Split
from planbalance.planfile.counts import slice_counts
from planbalance.planfile.json_values import LARGEST, hostile, malformed, same, shown


class KeptSlices(NamedTuple):
    """Slices in the order of a plan, packed, so that a million of them are quickly sent to another process.

    Attributes:
        numbers: for each one, twice the place of its volume in the header, and one more where it is positive (32 bits).
        names: their images' file names in the output, newlines between them.
    """

    numbers: bytes
    names: str

    def each(self) -> Iterator[tuple[int, str]]:
        """Yield each slice's number and name."""
        return zip(array("I", self.numbers), self.names.split("\n"), strict=True)


class BlockFacts(NamedTuple):
    """What the check of the whole plan needs of one block: small, so that processes can send it.

    Attributes:
        folder: the destination folder.
        stems: the images' destinations below their split folder without suffix, folded, newlines between them.
        sources: by volume, a line `input/image` for each slice; else "".
        kept: its slices.
        bytes: of images and labels.
        refused: source paths of slices that collide with another one of the block, or with a folder.
    """

    folder: str
    stems: str
    sources: str
    kept: KeptSlices
    bytes: int
    refused: tuple[str, ...]


class Facts:
    """Finds the facts of a plan's blocks, each block alone."""

    def __init__(self, header: PlanHeader) -> None:
        self._roots = [root.rstrip("/") for root in header.inputs]
        self._sources = header.sources
        self._folders = {parent for block in header.blocks for parent in _below_and_parents(block.folder)}
        self._like_labels = any(folder.endswith(".txt") for folder in self._folders)
        self._by_volume = header.parameters["layout"] == "by-volume"
        self._numbers = {volume.id: 2 * place for place, volume in enumerate(header.volumes)}

    def of(self, folder: str, operations: Sequence[Operation]) -> BlockFacts:
        """Return the facts of the operations of one block, whose destination folder is `folder`."""
        below = _below_split(folder)
        names = file_names(self._sources, operations)
        images = fold(below + f"\n{below}".join(names))  # all at once, newlines between them
        stems = _stems(images, len(names))
        refused = [*self._clashing(images), *_repeated(stems.split("\n"), set())]
        return BlockFacts(
            folder,
            stems,
            "\n".join(f"{each.input}/{each.image}" for each in operations) if self._by_volume else "",
            self._kept(operations, names),
            sum([each.image_size + each.label_size for each in operations]),
            tuple(self.path(operations[at]) for at in refused),
        )

    def kept(self, operations: Sequence[Operation]) -> KeptSlices:
        """Return any slices of the plan, packed."""
        return self._kept(operations, file_names(self._sources, operations))

    def _kept(self, operations: Sequence[Operation], names: Sequence[str]) -> KeptSlices:
        numbers = array("I", [self._numbers[each.volume] + each.positive for each in operations])
        return KeptSlices(numbers.tobytes(), "\n".join(names))

    def path(self, operation: Operation) -> str:
        """Return the absolute source path of an image."""
        return f"{self._roots[operation.input]}/{operation.image}"

    def _clashing(self, images: str) -> list[int]:
        """Return the positions of slices that need the name of a folder."""
        taken = self._folders
        if not taken:
            return []
        paths = images.split("\n")
        if taken.isdisjoint(paths) and not self._like_labels:
            return []
        return [at for at, path in enumerate(paths) if path in taken or label_path(path) in taken]


def _stems(images: str, count: int) -> str:
    """Return `count` image paths, newlines between them, without their suffixes."""
    suffix = images[images.rfind(".") :]
    lines = f"{images}\n"
    if lines.count(f"{suffix}\n") == count:  # they all have the suffix of the last one
        return lines.replace(f"{suffix}\n", "\n")[:-1]
    return "\n".join([path[: path.rfind(".")] for path in images.split("\n")])


def _repeated(texts: Sequence[str], known: Collection[str]) -> list[int]:
    """Return the positions of texts that are in `known` or earlier in the list."""
    distinct = set(texts)
    if len(distinct) == len(texts) and distinct.isdisjoint(known):
        return []
    seen: set[str] = set()
    found = []
    for at, text in enumerate(texts):
        if text in seen or text in known:
            found.append(at)
        seen.add(text)
    return found


class WholePlan:
    """Collects the facts of all blocks, in any order, and checks them; holds about 150 bytes an operation."""

    def __init__(self, header: PlanHeader) -> None:
        self._header = header
        self._facts = Facts(header)
        self._stems: set[str] = set()  # an image and its label share it
        self._sources: set[str] = set()
        self._refused: list[str] = []
        self._kept: Counter[int] = Counter()
        self._bytes = 0

    def add(self, folder: str, operations: Sequence[Operation]) -> None:
        """Take in the operations of one block, whose destination folder is `folder`."""
        self.take(self._facts.of(folder, operations), lambda: operations)

    def take(self, facts: BlockFacts, operations: Callable[[], Sequence[Operation]]) -> None:
        """Add the facts of a block, perhaps by another process; `operations` is called only to name what collides."""
        self._kept.update(array("I", facts.kept.numbers))
        self._bytes += facts.bytes
        self._refused += facts.refused
        self._take_new(facts.stems.split("\n"), self._stems, operations)
        if facts.sources:  # by volume, an image that two volumes claim has two destinations
            self._take_new(facts.sources.split("\n"), self._sources, operations)

    def _take_new(self, texts: list[str], known: set[str], operations: Callable[[], Sequence[Operation]]) -> None:
        if not known.isdisjoint(texts):
            named = operations()
            self._refused += [self._facts.path(named[at]) for at, text in enumerate(texts) if text in known]
        known.update(texts)

    def finish(self) -> None:
        """Check what is only known at the end.

        Raises:
            PlanError: destinations collide, an image is there twice, or counts are not what the header states.
        """
        if self._refused:
            paths = sorted(set(self._refused))
            hostile(
                f"slices have the destination of another slice or of a folder, whatever their split, case or Unicode"
                f" form ({len(paths)} in all): {', '.join(map(shown, paths[:3]))}{', ...' if len(paths) > 3 else ''}",
                paths=paths,
            )
        if self._bytes > LARGEST:
            hostile(f"its files are said to hold {self._bytes} bytes in all")
        counts: Counter[tuple[Split, bool]] = Counter()
        for place, volume in enumerate(self._header.volumes):
            negative, positive = self._kept[2 * place], self._kept[2 * place + 1]
            counts[volume.split, False] += negative
            counts[volume.split, True] += positive
            if positive + negative != volume.kept or positive > volume.positives:
                malformed(f"the operations of volume {shown(volume.id)} are not as many as its header says")
        check_statistics(self._header.statistics, counts)


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

    Members that the format does not name (such as `before`) are not checked; those with a class word, such as `tear`
    and `no_tear`, are.

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
