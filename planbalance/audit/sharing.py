"""What two splits share that is told by names and bytes: volumes, groups, identical files."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from planbalance.audit.findings import Findings
from planbalance.audit.leaks import Leak, Spread, Unit, overlaps, spread_of, to_move
from planbalance.audit.tally import Place, SplitOf, Tally
from planbalance.grouping import counted
from planbalance.model import SPLITS, LookAlike, Split

Blank = Callable[[str], bool]
Tie = Sequence[tuple[str, Split]]  # units that must not be parted, each with a split that it is in

# The checks of what splits share, in the order in which people read them.
VOLUMES: Final = "volume-overlap"
GROUPS: Final = "group-overlap"
BYTES: Final = "duplicate-content"
PIXELS: Final = "duplicate-pixels"
LOOKS: Final = "near-duplicates"
SHARING: Final = (VOLUMES, GROUPS, BYTES, PIXELS, LOOKS)


@dataclass(slots=True)
class Shared:
    """What one check found.

    Attributes:
        findings: for its line and its problems.
        leaks: the shares.
        ties: what equal and similar images connect.
        look_alikes: pairs to draw, the worst first.
    """

    findings: Findings
    leaks: list[Leak]
    ties: list[Tie] = field(default_factory=list)
    look_alikes: tuple[LookAlike, ...] = ()


def with_shares(found: Findings, spread: Spread[Unit], totals: Counter[Split]) -> Shared:
    """Return a check with its shares, and a note of how many slices would have to move."""
    leaks = overlaps(found.name, spread, totals)
    if leaks:
        moves = counted(to_move(spread), "slice")
        found.notes.append(f"{moves} would have to change their split (or go) to make this clean")
    return Shared(found, leaks)


def unit_of(volume: str, path: str) -> str:
    """Return what a slice is tied by: its volume, which must not be split either; without a known one, itself."""
    return volume or f"\0{path}"


def note_blanks(found: Findings, blanks: int) -> None:
    """Say how many images were not counted since they show nothing."""
    if blanks:
        found.notes.append(f"{counted(blanks, 'blank image')} that are the same in two splits are not counted")


def shared_units(kind: str, what: str, spread: Spread[str], totals: Counter[Split]) -> Shared:
    """Return the check of volumes or groups: an error for each that lies in two splits."""
    found = Findings(kind)
    found.count = len(spread)
    for unit, counts in spread.items():
        if len(counts) > 1:
            parts = ", ".join(
                f"{counted(count, 'slice')} in {split}" for split, count in sorted(counts.items(), key=_most_first)
            )
            found.error(kind, unit, f"{what} in {len(counts)} splits: {parts}")
    return with_shares(found, spread, totals)


def _train_first(entry: tuple[Place, Split]) -> tuple[int, Place]:
    return (SPLITS.index(entry[1]), entry[0])


def _most_first(entry: tuple[Split, int]) -> tuple[int, str]:
    return (-entry[1], entry[0])


def shared_bytes(tally: Tally, split_of: SplitOf, blank: Blank) -> Shared:
    """Return the check of identical bytes across splits; blank images are counted in a note and are no leak."""
    found = Findings(BYTES)
    found.count = sum(tally.totals.values())
    pairs: list[tuple[bytes, Split]] = []
    ties: list[Tie] = []
    blanks = 0
    for digest, places in tally.same_images(split_of):
        if tally.is_flat(digest) or blank(places[0][0].path):
            blanks += len(places)
            continue
        pairs += [(digest, split) for _, split in places]
        ties.append([(unit_of(place.volume, place.path), split) for place, split in places])
        places.sort(key=_train_first)
        first, home = places[0]
        for place, split in places:
            if split != home:
                same = f"the same bytes as {first.path}" if place != first else f"in {home} and in {split}"
                found.error("duplicate-content", place.path, same)
    note_blanks(found, blanks)
    result = with_shares(found, spread_of(pairs), tally.totals)
    result.ties = ties
    return result
