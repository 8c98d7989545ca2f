"""Slice numbers as run-length text, such as `3-7,9`: what a plan's header says of a volume in a few bytes.

Numbers are non-negative, ascending, each once. The text has one spelling only, so that equal plans are equal bytes.
"""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

# A file name holds at most 255 bytes, so no slice number has more digits.
_RUN: Final = re.compile(r"(0|[1-9][0-9]{0,254})(?:-([1-9][0-9]{0,254}))?", re.ASCII)
_RUNS: Final = re.compile("(?:[0-9]{1,255}(?:-[0-9]{1,255})?(?:,[0-9]{1,255}(?:-[0-9]{1,255})?)*)?")


def encode(numbers: Iterable[int]) -> str:
    """Return the numbers as text: ascending, doubles once, runs of two or more as `first-last`; `""` for none.

    Raises:
        ValueError: a number is negative.
    """
    ordered = sorted(set(numbers))
    if ordered and ordered[0] < 0:
        message = f"{ordered[0]} is negative"
        raise ValueError(message)
    return _text(_runs(ordered))


def gaps(numbers: Iterable[int]) -> str:
    """Return the numbers that are absent between the least and the greatest, as text.

    Its cost is that of the numbers given, not of those absent: names may hold dates or record numbers.
    """
    runs = _runs(sorted(set(numbers)))
    return _text([(left[1] + 1, right[0] - 1) for left, right in pairwise(runs)])


def may_be_runs(text: str) -> bool:
    """Return whether a text has the characters of run-length text in their places; only `decode` checks the order."""
    return _RUNS.fullmatch(text) is not None


def decode(text: str, *, limit: int) -> list[int]:
    """Return the numbers of a text that `encode` or `gaps` wrote, ascending.

    Args:
        text: as untrusted as the plan that holds it.
        limit: the most numbers that may come out.

    Raises:
        ValueError: the text is not one that `encode` writes, or holds more than `limit` numbers.
    """
    numbers: list[int] = []
    for part in text.split(",") if text else ():
        match = _RUN.fullmatch(part)
        if match is None:
            message = f"not a run of slice numbers: {part[:40]!r}"
            raise ValueError(message)
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if (match[2] is not None and last <= first) or (numbers and first <= numbers[-1] + 1):
            message = f"slice numbers out of order at {part[:40]!r}"
            raise ValueError(message)
        if len(numbers) + last - first + 1 > limit:
            message = f"more than {limit} slice numbers"
            raise ValueError(message)
        numbers.extend(range(first, last + 1))
    return numbers


def _runs(ordered: list[int]) -> list[tuple[int, int]]:
    """Return the (first, last) of every run of ascending distinct numbers."""
    runs: list[tuple[int, int]] = []
    first = last = None
    for number in ordered:
        if first is None or last is None:
            first = number
        elif number != last + 1:
            runs.append((first, last))
            first = number
        last = number
    if first is not None and last is not None:
        runs.append((first, last))
    return runs


def _text(runs: Iterable[tuple[int, int]]) -> str:
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
