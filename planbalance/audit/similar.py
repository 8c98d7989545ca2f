"""Pictures that look alike across splits, found without comparing each with each in Python.

Signatures of one split are multiplied with those of another, a block of rows at a time: 54,000 slices make 900 million
products, some seconds on two cores. What comes near is compared closely, the nearest first. Needs numpy.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from planbalance.audit.impression import SIDE, Floats, likeness, signatures
from planbalance.audit.picture import Impression
from planbalance.audit.tally import Seen
from planbalance.model import Progress, Split

# Product of two signatures from which a closer look is worth while: copies reach 0.95, two people 0.85 in 3 of 100,000.
_NEAR: Final = 0.87
# Noise is never like other noise, and a lossy copy keeps only some of it.
_NEAR_FAINT: Final = 0.4
_ROWS: Final = 256
_CLOSEST: Final = 4  # candidates of one picture in one other split: a copy is among the nearest
_PAIRS: Final[tuple[tuple[Split, Split], ...]] = (("train", "val"), ("train", "test"), ("val", "test"))


class _Search(NamedTuple):
    """One split against another: images by their places among those that were given."""

    near: float  # product of two signatures from which a pair is a candidate
    columns: list[int]
    rows: list[int]


class Alike(NamedTuple):
    """Two images that look alike, by their places among the images that were given."""

    left: int
    right: int
    likeness: float


def find_alike(images: Sequence[Seen], progress: Progress) -> list[Alike]:
    """Return the pairs of images in different splits, of different volumes, that look alike, the most alike first.

    Equal pixels are no such pair: they are found by their sum.
    """
    every = [index for index, image in enumerate(images) if _has_detail(image)]
    faint = [index for index in every if _impression(images[index]).faint]
    searches = [
        _Search(near, _of_split(images, some, left), _of_split(images, some, right))
        for near, some in ((_NEAR, every), (_NEAR_FAINT, faint))
        for left, right in _PAIRS
    ]
    found: dict[tuple[int, int], float] = {}
    progress.begin("compare pictures", sum(len(each.rows) for each in searches), "slices")
    try:
        for search in searches:
            for candidate in _candidates(images, search, progress):
                if candidate not in found:
                    left, right = candidate
                    found[candidate] = likeness(_impression(images[left]), _impression(images[right]))
    finally:
        progress.end()
    alike = [Alike(left, right, score) for (left, right), score in found.items() if score]
    return sorted(alike, key=lambda pair: (-pair.likeness, images[pair.right].path, images[pair.left].path))


def _of_split(images: Sequence[Seen], places: Iterable[int], split: Split) -> list[int]:
    return [place for place in places if images[place].split == split]


def _candidates(images: Sequence[Seen], search: _Search, progress: Progress) -> Iterator[tuple[int, int]]:
    columns = _signed(images, search.columns)
    for start in range(0, len(search.rows), _ROWS):
        rows = search.rows[start : start + _ROWS]
        if search.columns:
            yield from _near(images, search._replace(rows=rows), _signed(images, rows) @ columns.T)
        progress.advance(len(rows))


def _signed(images: Sequence[Seen], places: Sequence[int]) -> Floats:
    details = b"".join(_impression(images[place]).detail for place in places)
    return signatures(np.frombuffer(details, dtype=np.int8).reshape(-1, SIDE, SIDE))


def _near(images: Sequence[Seen], search: _Search, products: Floats) -> Iterator[tuple[int, int]]:
    """Yield (left, right) of the nearest candidates of every row, of other volumes and other pixels."""
    at_rows, at_columns = np.nonzero(products >= search.near)
    order = np.lexsort((-products[at_rows, at_columns], at_rows))
    taken = [0] * len(search.rows)
    for row, column in zip(at_rows[order].tolist(), at_columns[order].tolist(), strict=True):
        left, right = images[search.columns[column]], images[search.rows[row]]
        if taken[row] == _CLOSEST or (left.volume == right.volume and left.volume):
            continue
        if _impression(left).pixels != _impression(right).pixels:
            taken[row] += 1
            yield search.columns[column], search.rows[row]


def _has_detail(image: Seen) -> bool:
    return image.picture is not None and image.picture.impression is not None and bool(image.picture.impression.detail)


def _impression(image: Seen) -> Impression:
    assert image.picture is not None
    assert image.picture.impression is not None
    return image.picture.impression
