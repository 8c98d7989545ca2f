"""Which images of different splits look alike, among all slices of a dataset (`likeness` compares two pictures).

It needs numpy (extra `near-duplicates`), so it is imported only where near-duplicates are asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from planbalance.audit.slice_statistics import SliceRecord
from planbalance.fingerprint import Fingerprint
from planbalance.likeness import NEAR, Floats, details_of, likeness, signatures
from planbalance.model import Progress, Split

# Noise is never like other noise, and a lossy copy keeps only some of it.
_NEAR_FAINT: Final = 0.4
_ROWS: Final = 256
_CLOSEST: Final = 4  # candidates of one picture in one other split: a copy is among the nearest
_PAIRS: Final[tuple[tuple[Split, Split], ...]] = (("train", "val"), ("train", "test"), ("val", "test"))


class _SplitPair(NamedTuple):
    """One split against another: images by their places among those that were given."""

    near: float  # product of two signatures from which a pair is a candidate
    columns: list[int]
    rows: list[int]


class Alike(NamedTuple):
    """Two images that look alike, by their places among the images that were given."""

    left: int
    right: int
    likeness: float


def find_alike(images: Sequence[SliceRecord], progress: Progress) -> list[Alike]:
    """Return the pairs of images in different splits, of different volumes, that look alike, the most alike first.

    Equal pixels are no such pair: they are found by their sum.
    """
    every = [index for index, image in enumerate(images) if _has_detail(image)]
    faint = [index for index in every if _fingerprint(images[index]).faint]
    searches = [
        _SplitPair(near, _of_split(images, some, left), _of_split(images, some, right))
        for near, some in ((NEAR, every), (_NEAR_FAINT, faint))
        for left, right in _PAIRS
    ]
    found: dict[tuple[int, int], float] = {}
    progress.begin("compare pictures", sum(len(each.rows) for each in searches), "slices")
    try:
        for search in searches:
            for candidate in _candidates(images, search, progress):
                if candidate not in found:
                    left, right = candidate
                    found[candidate] = likeness(_fingerprint(images[left]), _fingerprint(images[right]))
    finally:
        progress.end()
    alike = [Alike(left, right, score) for (left, right), score in found.items() if score]
    return sorted(alike, key=lambda pair: (-pair.likeness, images[pair.right].path, images[pair.left].path))


def _of_split(images: Sequence[SliceRecord], places: Iterable[int], split: Split) -> list[int]:
    return [place for place in places if images[place].split == split]


def _candidates(images: Sequence[SliceRecord], search: _SplitPair, progress: Progress) -> Iterator[tuple[int, int]]:
    columns = _signatures_of(images, search.columns)
    for start in range(0, len(search.rows), _ROWS):
        rows = search.rows[start : start + _ROWS]
        if search.columns:
            yield from _near(images, search._replace(rows=rows), _signatures_of(images, rows) @ columns.T)
        progress.advance(len(rows))


def _signatures_of(images: Sequence[SliceRecord], places: Sequence[int]) -> Floats:
    return signatures(details_of(_fingerprint(images[place]) for place in places))


def _near(images: Sequence[SliceRecord], search: _SplitPair, products: Floats) -> Iterator[tuple[int, int]]:
    """Yield (left, right) of the nearest candidates of every row, of other volumes and other pixels."""
    at_rows, at_columns = np.nonzero(products >= search.near)
    order = np.lexsort((-products[at_rows, at_columns], at_rows))
    taken = [0] * len(search.rows)
    for row, column in zip(at_rows[order].tolist(), at_columns[order].tolist(), strict=True):
        left, right = images[search.columns[column]], images[search.rows[row]]
        if taken[row] == _CLOSEST or (left.volume == right.volume and left.volume):
            continue
        if _fingerprint(left).pixels != _fingerprint(right).pixels:
            taken[row] += 1
            yield search.columns[column], search.rows[row]


def _has_detail(image: SliceRecord) -> bool:
    return (
        image.picture is not None and image.picture.fingerprint is not None and bool(image.picture.fingerprint.detail)
    )


def _fingerprint(image: SliceRecord) -> Fingerprint:
    assert image.picture is not None
    assert image.picture.fingerprint is not None
    return image.picture.fingerprint
