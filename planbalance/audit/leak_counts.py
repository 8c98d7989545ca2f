"""What two splits share, as shares of each: pure arithmetic over counts of slices.

A leak is a volume, a patient or an image that lies in two splits (docs/how-to/audit.md). A share says more than yes or
no: a split by slices touches all of test, a single slice in the wrong split touches a thousandth of it.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from itertools import permutations
from typing import Any, Final, Literal, NamedTuple, TypeVar

from planbalance.model import SPLITS, Split

Unit = TypeVar("Unit", bound=Hashable)
# Slices of each unit (a volume, a group, an image's digest) by split.
Spread = dict[Unit, Counter[Split]]

# What members of an ensemble share on purpose: slices in the same split of both; what another fold of the same command
# does with them.
Purpose = Literal["", "same split", "other fold"]

_ORDER: Final = {split: index for index, split in enumerate(SPLITS)}


class Leak(NamedTuple):
    """The slices of one split whose unit is also in another split, or in a split of another dataset."""

    kind: str
    of: str  # the split that is touched
    shared_with: str
    slices: int
    total: int  # all slices of `of`
    units: int
    to_move: int = 0  # the fewest slices that have to leave their split for the two to share nothing
    purpose: Purpose = ""  # why two datasets share it, where that is no fault

    @property
    def share(self) -> float:
        """Return the part of the split that is touched, 0 to 1."""
        return self.slices / self.total if self.total else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as the audit's JSON has it (docs/reference/json.md)."""
        return {
            "kind": self.kind,
            "from": self.of,
            "to": self.shared_with,
            "slices": self.slices,
            "share": round(self.share, 6),
            "units": self.units,
            "to_move": self.to_move,
            **({"purpose": self.purpose or None} if ":" in self.shared_with else {}),
        }


def spread_of(pairs: Iterable[tuple[Unit, Split]]) -> Spread[Unit]:
    """Count slices by unit and split."""
    spread: Spread[Unit] = {}
    for unit, split in pairs:
        counts = spread.get(unit)
        if counts is None:
            counts = spread[unit] = Counter()
        counts[split] += 1
    return spread


def shared(spread: Spread[Unit]) -> Spread[Unit]:
    """Return only what lies in two or more splits."""
    return {unit: counts for unit, counts in spread.items() if len(counts) > 1}


def regrouped(spread: Spread[str], group_of: Mapping[str, str]) -> Spread[str]:
    """Return the counts by group; a unit without a group is its own."""
    groups: Spread[str] = {}
    for unit, counts in spread.items():
        groups.setdefault(group_of.get(unit, unit), Counter()).update(counts)
    return groups


def overlaps(kind: str, spread: Spread[Unit], totals: Mapping[Split, int]) -> list[Leak]:
    """Return, for every ordered pair of splits that share a unit, what part of the first one is touched."""
    slices: Counter[tuple[Split, Split]] = Counter()
    units: Counter[tuple[Split, Split]] = Counter()
    moves: Counter[tuple[Split, Split]] = Counter()
    for counts in shared(spread).values():
        for pair in permutations(counts, 2):
            slices[pair] += counts[pair[0]]
            units[pair] += 1
            moves[pair] += min(counts[pair[0]], counts[pair[1]])
    ordered = sorted(slices, key=lambda pair: (-_ORDER[pair[0]], _ORDER[pair[1]]))
    return [
        Leak(kind, of, other, slices[of, other], totals.get(of, 0), units[of, other], moves[of, other])
        for of, other in ordered
    ]


def touched(spread: Spread[Unit], other: Mapping[Unit, Counter[Split]], totals: Mapping[Split, int]) -> list[Leak]:
    """Return what every split here shares with every split of another dataset; `shared_with` is its split.

    The other dataset stays as it is, so everything that is shared has to leave this one.
    """
    slices: Counter[tuple[Split, Split]] = Counter()
    units: Counter[tuple[Split, Split]] = Counter()
    for unit, counts in spread.items():
        for split in counts:
            for there in other.get(unit, ()):
                slices[split, there] += counts[split]
                units[split, there] += 1
    ordered = sorted(slices, key=lambda pair: (-_ORDER[pair[0]], _ORDER[pair[1]]))
    return [
        Leak("", of, there, slices[of, there], totals.get(of, 0), units[of, there], slices[of, there])
        for of, there in ordered
    ]


def leaves_train(spread: Spread[Unit]) -> bool:
    """Return whether a repair that keeps test as it is leaves a slice in train: some unit belongs there."""
    return any(not counts["test"] and counts["train"] == max(counts.values()) for counts in spread.values())


def to_move(spread: Spread[Unit]) -> int:
    """Return the fewest slices that have to change their split so that no unit is in two."""
    return sum(counts.total() - max(counts.values()) for counts in spread.values())
