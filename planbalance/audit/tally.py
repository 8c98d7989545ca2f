"""What adds up over all slices: counts, volumes, identical images by split. Pure: fed in batches, read at the end."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from planbalance.audit.leaks import Spread
from planbalance.audit.picture import Picture
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
    picture: Picture | None = None  # None where the image was not decoded


class Place(NamedTuple):
    """Where an image is."""

    path: str
    volume: str


@dataclass(slots=True)
class Tally:
    """Counts over the slices that are there.

    Attributes:
        totals: slices by split.
        positives: positive slices by split, of those whose label was read.
        unnamed: slices that the naming rule does not read.
        volumes: slices of each volume by split.
        suffixes: images by suffix, as written.
        pictures: what was decoded; an image in two splits is there twice.
        first: where content was seen first, by digest.
        same: all places of content that was seen more than once.
        flat: digests of content of no byte or one value.
    """

    totals: Counter[Split] = field(default_factory=Counter)
    positives: Counter[Split] = field(default_factory=Counter)
    unnamed: int = 0
    volumes: Spread[str] = field(default_factory=dict)
    suffixes: Counter[str] = field(default_factory=Counter)
    pictures: list[Seen] = field(default_factory=list)
    first: dict[bytes, Place] = field(default_factory=dict)
    same: dict[bytes, list[Place]] = field(default_factory=dict)
    flat: set[bytes] = field(default_factory=set)

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
            if one.picture is not None:
                self.pictures.append(one)

    def merge(self, other: "Tally") -> None:
        """Add the counts of somebody else, who has seen other slices."""
        self.totals.update(other.totals)
        self.positives.update(other.positives)
        self.unnamed += other.unnamed
        for volume, counts in other.volumes.items():
            self.volumes.setdefault(volume, Counter()).update(counts)
        self.suffixes.update(other.suffixes)
        self.pictures += other.pictures
        self.flat |= other.flat
        for digest, first in other.first.items():
            mine = self.first.setdefault(digest, first)
            if mine is not first:
                self.same.setdefault(digest, [mine]).extend(other.same.get(digest, [first]))
            elif digest in other.same:
                self.same[digest] = list(other.same[digest])

    def _add_image(self, one: Seen) -> None:
        """Remember an image's content; in the common case, content that is there once, that is one entry."""
        first = self.first.get(one.digest)
        if first is None:
            self.first[one.digest] = Place(one.path, one.volume)
            if one.flat:
                self.flat.add(one.digest)
        else:
            self.same.setdefault(one.digest, [first]).append(Place(one.path, one.volume))

    def images(self, split_of: SplitOf) -> Iterator[tuple[bytes, list[tuple[Place, Split]]]]:
        """Yield all content that was read, with its (place, split) sorted."""
        for digest, first in self.first.items():
            yield digest, _places(self.same.get(digest, [first]), split_of)

    def same_images(self, split_of: SplitOf) -> Iterator[tuple[bytes, list[tuple[Place, Split]]]]:
        """Yield the content that lies in two or more splits, with its (place, split) sorted; sorted by first path."""
        groups = [(digest, _places(places, split_of)) for digest, places in self.same.items()]
        for digest, places in sorted(groups, key=lambda group: group[1]):
            if len({split for _, split in places}) > 1:
                yield digest, places

    def is_flat(self, digest: bytes) -> bool:
        """Return whether content has no byte, or one value only."""
        return digest in self.flat


def _places(places: Iterable[Place], split_of: SplitOf) -> list[tuple[Place, Split]]:
    """Return every (place, split) once: an image may stand in the lists of two splits."""
    return sorted({(place, split) for place in places for split in split_of(place.path)})
