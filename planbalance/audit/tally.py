"""What adds up over all slices: counts, volumes, identical images by split. Pure: fed in batches, read at the end."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from planbalance.audit.findings import Findings
from planbalance.audit.leaks import Leak, Spread, overlaps, spread_of, to_move
from planbalance.grouping import counted
from planbalance.model import Split

# The splits that an image belongs to, by its path: one, but for lists that name it twice.
SplitOf = Callable[[str], tuple[Split, ...]]


class Seen(NamedTuple):
    """One slice that is there."""

    split: Split
    volume: str  # "" where the naming rule does not read it
    path: str
    positive: bool | None = None  # None where the label was not read
    digest: bytes = b""  # empty where the image was not read
    flat: bool = False


@dataclass(slots=True)
class Tally:
    """Counts over the slices that are there.

    Attributes:
        totals: slices by split.
        positives: positive slices by split, of those whose label was read.
        unnamed: slices that the naming rule does not read.
        volumes: slices of each volume by split.
        suffixes: images by suffix, as written.
    """

    totals: Counter[Split] = field(default_factory=Counter)
    positives: Counter[Split] = field(default_factory=Counter)
    unnamed: int = 0
    volumes: Spread[str] = field(default_factory=dict)
    suffixes: Counter[str] = field(default_factory=Counter)
    _first: dict[bytes, str] = field(default_factory=dict)
    _same: dict[bytes, list[str]] = field(default_factory=dict)
    _flat: set[bytes] = field(default_factory=set)

    def add(self, seen: Sequence[Seen]) -> None:
        """Count a batch."""
        for (volume, split), count in Counter((one.volume, one.split) for one in seen).items():
            self.totals[split] += count
            if not volume:
                self.unnamed += count
                continue
            counts = self.volumes.get(volume)
            if counts is None:
                counts = self.volumes[volume] = Counter()
            counts[split] += count
        self.suffixes.update(one.path[one.path.rfind(".") + 1 :] for one in seen)
        for one in seen:
            if one.positive:
                self.positives[one.split] += 1
            if one.digest:
                self._add_image(one)

    def _add_image(self, one: Seen) -> None:
        """Remember an image's content; in the common case, content that is there once, that is one entry."""
        first = self._first.get(one.digest)
        if first is None:
            self._first[one.digest] = one.path
            if one.flat:
                self._flat.add(one.digest)
        else:
            self._same.setdefault(one.digest, [first]).append(one.path)

    def images(self, split_of: SplitOf) -> Iterator[tuple[bytes, list[tuple[str, Split]]]]:
        """Yield all content that was read, with its (path, split) sorted."""
        for digest, first in self._first.items():
            yield digest, _places(self._same.get(digest, [first]), split_of)

    def same_images(self, split_of: SplitOf) -> Iterator[tuple[bytes, list[tuple[str, Split]]]]:
        """Yield the content that lies in two or more splits, with its (path, split) sorted; sorted by first path."""
        groups = [(digest, _places(paths, split_of)) for digest, paths in self._same.items()]
        for digest, places in sorted(groups, key=lambda group: group[1]):
            if len({split for _, split in places}) > 1:
                yield digest, places

    def is_flat(self, digest: bytes) -> bool:
        """Return whether content has no byte, or one value only."""
        return digest in self._flat


def _places(paths: Iterable[str], split_of: SplitOf) -> list[tuple[str, Split]]:
    """Return every (path, split) once: an image may stand in the lists of two splits."""
    return sorted({(path, split) for path in paths for split in split_of(path)})


def overlap_findings(kind: str, what: str, spread: Spread[str], totals: Counter[Split]) -> tuple[Findings, list[Leak]]:
    """Return the check of one kind of overlap: an error for each unit that lies in two splits, and the shares."""
    found = Findings(kind)
    found.count = len(spread)
    for unit, counts in spread.items():
        if len(counts) > 1:
            parts = ", ".join(
                f"{counted(count, 'slice')} in {split}" for split, count in sorted(counts.items(), key=_most_first)
            )
            found.error(kind, unit, f"{what} in {len(counts)} splits: {parts}")
    leaks = overlaps(kind, spread, totals)
    if leaks:
        found.notes.append(f"{counted(to_move(spread), 'slice')} would have to change their split to make this clean")
    return found, leaks


def _most_first(entry: tuple[Split, int]) -> tuple[int, str]:
    return (-entry[1], entry[0])


def duplicate_findings(
    tally: Tally, split_of: SplitOf, blank: Callable[[bytes, str], bool]
) -> tuple[Findings, list[Leak]]:
    """Return the check of identical bytes across splits; blank images are counted in a note and are no leak."""
    found = Findings("duplicate-content")
    found.count = sum(tally.totals.values())
    pairs: list[tuple[bytes, Split]] = []
    blanks = 0
    for digest, places in tally.same_images(split_of):
        if tally.is_flat(digest) or blank(digest, places[0][0]):
            blanks += len(places)
            continue
        pairs += [(digest, split) for _, split in places]
        first, home = places[0]
        for path, split in places:
            if split != home:
                same = f"the same bytes as {first}" if path != first else f"in {home} and in {split}"
                found.error("duplicate-content", path, same)
    if blanks:
        found.notes.append(f"{counted(blanks, 'blank image')} that are the same in two splits are not counted")
    return found, overlaps("duplicate-content", spread_of(pairs), tally.totals)
