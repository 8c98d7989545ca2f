"""Counts slices, volumes and identical images by split: fed in batches, read at the end. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from planbalance.audit.leak_counts import Spread
from planbalance.fingerprint import FingerprintResult
from planbalance.model import Split

# The splits that an image belongs to, by its path: one, but for lists that name it twice.
SplitOf = Callable[[str], tuple[Split, ...]]

_SUM: Final = 32  # bytes
_BETWEEN: Final = "\0"  # between packed paths, of which none holds it


class SliceRecord(NamedTuple):
    """One slice that is there."""

    split: Split
    volume: str  # "" where the naming rule does not read it
    path: str
    positive: bool | None = None  # None where the label was not read
    digest: bytes = b""  # empty where the image was not read
    flat: bool = False
    picture: FingerprintResult | None = None  # None where the image was not decoded


class ImagePlace(NamedTuple):
    """Where an image is."""

    path: str
    volume: str


class ImageHashes(NamedTuple):
    """The content of a batch of images, packed: a million of them go from process to process and are rarely unpacked.

    Attributes:
        digests: SHA-256, one after another.
        paths: of the images, a NUL between them.
        volumes: of the images, as `paths`.
    """

    digests: bytes
    paths: str
    volumes: str

    def each(self) -> list[bytes]:
        """Return the digests."""
        digests = self.digests
        return [digests[at : at + _SUM] for at in range(0, len(digests), _SUM)]

    def places(self) -> list[ImagePlace]:
        """Return where the images are."""
        return list(map(ImagePlace, self.paths.split(_BETWEEN), self.volumes.split(_BETWEEN)))


@dataclass(slots=True)
class SliceStatistics:
    """Counts over the slices that are there.

    Attributes:
        totals: slices by split.
        positives: positive slices by split, of those whose label was read.
        unnamed: slices that the naming rule does not read.
        named: slices of each volume, by split.
        suffixes: images by suffix, as written.
        pictures: what was decoded; an image in two splits is there twice.
        contents: what was read.
        flat: digests of images that are empty or hold one byte value only.
    """

    totals: Counter[Split] = field(default_factory=Counter)
    positives: Counter[Split] = field(default_factory=Counter)
    unnamed: int = 0
    named: dict[Split, Counter[str]] = field(default_factory=dict)
    suffixes: Counter[str] = field(default_factory=Counter)
    pictures: list[SliceRecord] = field(default_factory=list)
    contents: list[ImageHashes] = field(default_factory=list)
    flat: set[bytes] = field(default_factory=set)

    @property
    def volumes(self) -> Spread[str]:
        """Slices of each volume by split."""
        spread: Spread[str] = {}
        for split, volumes in self.named.items():
            for volume, count in volumes.items():
                spread.setdefault(volume, Counter())[split] += count
        return spread

    def slices_of_volumes(self) -> Counter[str]:
        """Return the slices of each volume, all splits together."""
        return sum(self.named.values(), Counter())

    def count_groups(self, groups: Mapping[str, str]) -> int:
        """Return how many groups the volumes belong to; a volume that is in none is its own."""
        return len({groups.get(volume, volume) for volumes in self.named.values() for volume in volumes})

    def add(self, records: Sequence[SliceRecord]) -> None:
        """Count a batch."""
        for split in {one.split for one in records}:
            mine = [one for one in records if one.split == split]
            self.add_slices(split, [one.volume for one in mine], [one.path for one in mine])
            self.positives[split] += sum(one.positive is True for one in mine)
        read = [one for one in records if one.digest]
        self.add_contents([one.digest for one in read], [one.path for one in read], [one.volume for one in read])
        self.flat.update(one.digest for one in read if one.flat)
        self.pictures += [one for one in records if one.picture is not None]

    def add_slices(self, split: Split, volumes: Sequence[str], paths: Iterable[str]) -> None:
        """Count slices of one split: the volume and the path of each."""
        if not volumes:
            return
        self.totals[split] += len(volumes)
        counts = Counter(volumes)
        self.unnamed += counts.pop("", 0)
        self.named.setdefault(split, Counter()).update(counts)
        self.suffixes.update([path[path.rfind(".") + 1 :] for path in paths])

    def add_contents(self, digests: Sequence[bytes], paths: Sequence[str], volumes: Sequence[str]) -> None:
        """Remember what was read of images."""
        if digests:
            self.contents.append(ImageHashes(b"".join(digests), _BETWEEN.join(paths), _BETWEEN.join(volumes)))

    def merge(self, other: "SliceStatistics") -> None:
        """Add the counts of other slices."""
        self.totals.update(other.totals)
        self.positives.update(other.positives)
        self.unnamed += other.unnamed
        for split, volumes in other.named.items():
            self.named.setdefault(split, Counter()).update(volumes)
        self.suffixes.update(other.suffixes)
        self.pictures += other.pictures
        self.contents += other.contents
        self.flat |= other.flat

    def images(self, split_of: SplitOf) -> Iterator[tuple[bytes, list[tuple[ImagePlace, Split]]]]:
        """Yield all content that was read, with its (place, split) sorted."""
        digests = {digest for contents in self.contents for digest in contents.each()}
        yield from self._with_places(digests, split_of)

    def same_images(self, split_of: SplitOf) -> Iterator[tuple[bytes, list[tuple[ImagePlace, Split]]]]:
        """Yield the content that lies in two or more splits, with its (place, split) sorted; sorted by first path."""
        groups = list(self._with_places(self._repeated(), split_of))
        for digest, places in sorted(groups, key=lambda group: group[1]):
            if len({split for _, split in places}) > 1:
                yield digest, places

    def is_flat(self, digest: bytes) -> bool:
        """Return whether content has no byte, or one value only."""
        return digest in self.flat

    def _repeated(self) -> set[bytes]:
        """Return the digests that were seen more than once."""
        digests = [digest for contents in self.contents for digest in contents.each()]
        if len(set(digests)) == len(digests):
            return set()
        return {digest for digest, count in Counter(digests).items() if count > 1}

    def _with_places(
        self, digests: set[bytes], split_of: SplitOf
    ) -> Iterator[tuple[bytes, list[tuple[ImagePlace, Split]]]]:
        found: dict[bytes, list[ImagePlace]] = {}
        for contents in self.contents:
            each = contents.each()
            if digests.isdisjoint(each):
                continue
            for digest, place in zip(each, contents.places(), strict=True):
                if digest in digests:
                    found.setdefault(digest, []).append(place)
        for digest, places in found.items():
            yield digest, _places(places, split_of)


def _places(places: Iterable[ImagePlace], split_of: SplitOf) -> list[tuple[ImagePlace, Split]]:
    """Return every (place, split) once: an image may be in the lists of two splits."""
    return sorted({(place, split) for place in places for split in split_of(place.path)})


# ---- splits that lack something --------------------------------------------------------------------------------------


class EmptySplit(NamedTuple):
    """A split that holds no slice, or no positive one."""

    split: Split
    lacks: str

    @property
    def clause(self) -> str:
        """Return it as part of a sentence."""
        return f"{self.split} holds no {self.lacks}"

    @property
    def sentence(self) -> str:
        """Return it with what it means."""
        meaning = "no detector can be trained with it" if self.split == "train" else "no detector can be measured on it"
        return f"{self.clause}: {meaning}."


def empty_splits(
    expected: Sequence[Split], slices: Mapping[Split, int], positives: Mapping[Split, int] | None
) -> list[EmptySplit]:
    """Return which of the expected splits are empty; `positives` is None where none were counted."""
    found = []
    for split in expected:
        if not slices.get(split):
            found.append(EmptySplit(split, "slice"))
        elif positives is not None and not positives.get(split):
            found.append(EmptySplit(split, "positive slice"))
    return found
