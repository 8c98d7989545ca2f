"""File names that may begin with the slice: `012_1486692d-0841-477a-8f87-b044eb4bfa7d`, `017_P004`, `I0000012_E66991`.

Read from the left, such a name would be slice 4 of volume 017, and each volume would be divided. The two readings cross
each other: neither is the beginning of the other. The second field decides only if it has the form of an identity. Else
the numbers show it at best, and then the user must decide: docs/explanation/names.md.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import gcd, sqrt
from typing import Final, NamedTuple

from planbalance.naming.fields import (
    FEW,
    LONGEST_NUMBER,
    PATIENT_WORDS,
    PLACE_WORDS,
    POSITION_WORDS,
    VOLUME_WORDS,
    Field,
    bound_to,
    share,
)

_LEAST_IMAGES: Final = 2  # of each volume, on average
_ALL: Final = 0.98  # of the names
_WIDEST: Final = 4  # slice numbers lie so close: of the numbers from the lowest to the highest, a quarter is there
_CLEARER: Final = 0.05  # the least difference of two shares that counts; where it may be chance, more is needed
_IDENTITY: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Fa-f])[0-9A-Fa-f-]{8,}|[1-9][0-9]{5,}|[0-9]+(?:\.[0-9]+){3,}")
_FEW_VALUES: Final = 12
_LETTERS: Final = POSITION_WORDS | {"", "n", "s"}  # before the number of a slice


class SliceFirst(NamedTuple):
    """The reading of names by which a field near their beginning counts the slices.

    Attributes:
        at: the index of this field; the volume is all that follows.
        certain: what follows has the form of an identity: a UUID, a hash, a UID, a long number.
    """

    at: int
    certain: bool


def slice_first(names: Sequence[Sequence[Field]]) -> SliceFirst | None:
    """Return the reading of file names with the slice first, where the names allow it; None where they do not.

    Args:
        names: the fields of each name, without folders.
    """
    at = _first_varying(names, 0)
    if at is None or at + 1 >= min(map(len, names)) or not _may_count(names, at):
        return None
    firsts = [fields[at] for fields in names]
    rests = [tuple(one.text for one in fields[at + 1 :]) for fields in names]
    volumes = set(rests)
    if not _may_be_volumes(firsts, rests) or all(one.is_date for fields in names for one in fields[at + 1 :]):
        return None
    second = _first_varying(names, at + 1)
    if second is not None and max(len(one.number) for one in firsts) < FEW:
        identities = [not fields[second].is_date and _IDENTITY.fullmatch(fields[second].text) for fields in names]
        if share(map(bool, identities)) >= _ALL:
            return SliceFirst(at, certain=True)
    numbers = [(int(one.number), rest) for one, rest in zip(firsts, rests, strict=True)]
    order = {rest: index for index, rest in enumerate(sorted(volumes, key=_by_numbers))}
    of_slices = _runs(numbers)
    of_volumes = _runs((order[rest], number) for number, rest in numbers)
    margin = max(_CLEARER, 2 * sqrt(of_slices.variance + of_volumes.variance))
    either = not _may_end_in_slices(names, at + 2)  # a tie is doubtful enough
    clearer = of_slices.share > of_volumes.share + (-margin if either else margin)
    return SliceFirst(at, certain=False) if clearer else None


def _first_varying(names: Sequence[Sequence[Field]], start: int) -> int | None:
    """Return the index of the first field from `start` on whose text is not the same in all names."""
    for at in range(start, min(map(len, names))):
        if len({fields[at].text for fields in names}) > 1:
            return at
    return None


def _may_count(names: Sequence[Sequence[Field]], at: int) -> bool:
    """Return whether a field may count slices: a short number behind the same letters in all names.

    Not if a word says that it is a patient or a volume, or that the last number of the name is the slice.
    """
    firsts = [fields[at] for fields in names]
    if len({one.word for one in firsts}) > 1 or not all(0 < len(one.number) <= LONGEST_NUMBER for one in firsts):
        return False
    numbers = sorted({int(one.number) for one in firsts})
    step = gcd(*(right - left for left, right in pairwise(numbers)))
    if step == 0 or (numbers[-1] - numbers[0]) / step > _WIDEST * len(numbers):
        return False  # ids that are far apart
    named = bound_to(names[0], at, PATIENT_WORDS | VOLUME_WORDS | PLACE_WORDS) is not None
    last = share(bound_to(fields, len(fields) - 1, POSITION_WORDS) is not None for fields in names)
    return not named and last < 0.5


def _may_be_volumes(firsts: Sequence[Field], rests: Sequence[tuple[str, ...]]) -> bool:
    """Return whether what follows the first numbers groups the images, and most of these numbers recur behind it."""
    pairs = {(one.number, rest) for one, rest in zip(firsts, rests, strict=True)}
    volumes: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for number, rest in pairs:
        volumes[number].add(rest)
    few = FEW <= len(set(rests)) <= len(rests) / _LEAST_IMAGES
    return few and len(pairs) >= _ALL * len(rests) and share(len(each) > 1 for each in volumes.values()) >= 0.5


def _may_end_in_slices(names: Sequence[Sequence[Field]], least: int) -> bool:
    """Return whether the last fields of most names may count slices, or those before a channel, a side, a class."""
    ends = list(names)
    while share(map(_is_like_a_slice, ends)) < 0.5:
        if min(map(len, ends)) <= least or len({fields[-1].text for fields in ends}) > _FEW_VALUES:
            return False
        ends = [fields[:-1] for fields in ends]
    return True


def _is_like_a_slice(fields: Sequence[Field]) -> bool:
    """Return whether the last field of a name may count slices: a number, alone or with a letter or a word for it."""
    last = fields[-1]
    return last.ends_in_number and last.word in _LETTERS and len(last.number) <= LONGEST_NUMBER


class _Runs(NamedTuple):
    """How often a number is followed by the next one: a share from 0 to 1, and the variance of that share."""

    share: float
    variance: float


def _runs(pairs: Iterable[tuple[int, object]]) -> _Runs:
    """Return how often the next higher number follows a number, among those with the same second value."""
    values: defaultdict[object, set[int]] = defaultdict(set)
    for number, key in pairs:
        values[key].add(number)
    known = sorted({number for numbers in values.values() for number in numbers})
    rank = {number: index for index, number in enumerate(known)}
    steps = [rank[right] - rank[left] for numbers in values.values() for left, right in pairwise(sorted(numbers))]
    followed = share(step == 1 for step in steps)
    return _Runs(followed, followed * (1 - followed) / max(1, len(steps)))


def _by_numbers(rest: tuple[str, ...]) -> list[tuple[int, str]]:
    """Return the key that sorts ids by the numbers in them."""
    pieces = re.findall("[0-9]+|[^0-9]+", "_".join(rest))
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces]
