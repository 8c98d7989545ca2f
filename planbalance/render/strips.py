"""A volume as a strip of slices: positive, kept negative, dropped negative, missing, written as runs of letters.

The plan's header says which numbers were dropped and which are missing, its operations say what is kept; together they
are the volume in slice order. 94,440 slices become about 0.1 MB of text.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import Final, NamedTuple

from planbalance.errors import PlanError
from planbalance.model import PlannedVolume

POSITIVE: Final = "p"
KEPT: Final = "k"
DROPPED: Final = "d"
MISSING: Final = "m"
# JavaScript counts exactly up to here; a name may hold a larger number (a date with a time, a record's number).
_LARGEST: Final = 2**53 - 1


class KeptSlice(NamedTuple):
    """A slice that the plan keeps: its number in the volume, where the naming rule gives one."""

    number: int | None
    positive: bool


class Strip(NamedTuple):
    """One volume in slice order.

    Attributes:
        first: number of the first slice, or None where positions are not numbers (no number, or one number twice).
        runs: such as `4d2p3kd`: for each run a count and a letter, the count left out where it is 1.
    """

    first: int | None
    runs: str


class _StateRun(NamedTuple):
    first: int
    last: int
    state: str


def strip_of(volume: PlannedVolume, kept: Iterable[KeptSlice]) -> Strip:
    """Return the strip of a volume from the slices that the plan keeps of it.

    Slices without a number come first. Dropped slices that share a number are one in the plan's text: the rest of them
    comes first too, so that every slice is in the strip once.

    Raises:
        PlanError: the volume drops more slices than it has (kind `plan-schema`).
    """
    ordered = sorted(kept, key=_order)
    numbered = [_StateRun(one.number, one.number, _state(one)) for one in ordered if one.number is not None]
    dropped = [_StateRun(first, last, DROPPED) for first, last in runs_of(volume.dropped)]
    unplaced = volume.slices - len(ordered) - sum(run.last - run.first + 1 for run in dropped)
    if unplaced < 0:
        raise PlanError(
            f"The plan does not add up: volume {volume.id} drops more slices than it has.",
            kind="plan-schema",
            hint="Make it again with `planbalance plan`.",
        )
    in_front = [(1, DROPPED)] * unplaced + [(1, _state(one)) for one in ordered if one.number is None]
    runs = sorted([*numbered, *dropped])
    exact = not in_front and all(left.last < right.first for left, right in pairwise(runs))
    first = runs[0].first if runs and exact and runs[-1].last <= _LARGEST else None
    return Strip(first, _text([*in_front, *_with_gaps(runs)]))


def runs_of(text: str) -> list[tuple[int, int]]:
    """Return the (first, last) of every run of a text such as `3-7,9`, however long a run is."""
    runs = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        runs.append((int(first), max(int(first), int(last or first))))
    return runs


def _order(one: KeptSlice) -> tuple[int, bool]:
    return (-1 if one.number is None else one.number, one.positive)


def _state(one: KeptSlice) -> str:
    return POSITIVE if one.positive else KEPT


def _with_gaps(runs: Iterable[_StateRun]) -> Iterator[tuple[int, str]]:
    """Yield (count, state); a number between two slices that no slice has is missing."""
    following: int | None = None
    for run in runs:
        if following is not None and run.first > following:
            yield run.first - following, MISSING
        yield run.last - run.first + 1, run.state
        following = max(run.last + 1, following or 0)


def _text(runs: Iterable[tuple[int, str]]) -> str:
    joined = ((sum(count for count, _ in group), state) for state, group in groupby(runs, key=lambda run: run[1]))
    return "".join(state if count == 1 else f"{count}{state}" for count, state in joined)
