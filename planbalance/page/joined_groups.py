"""What each source of groups has joined, and pairs of volumes that look alike side by side, for a person to judge."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from planbalance.destination import path_fault
from planbalance.group_sources import joins_of_plan
from planbalance.look_alikes import PlannedPair, planned_pairs
from planbalance.model import PairPicture, PlanHeader, Progress, Split
from planbalance.page.pixels import PairSide, pair_side
from planbalance.render.groups import joins_sentences, pairs_sentences

_MOST_PAIRS: Final = 12  # with up to six pictures of 15 KB each


class AlikeVolumes(NamedTuple):
    """A pair of volumes with a few of the slices that look alike."""

    pair: PlannedPair
    decided: str
    slices: tuple[tuple[PairSide, PairSide], ...]


def joined_groups(header: PlanHeader, progress: Progress) -> dict[str, Any]:
    """Return what the template needs of the sources of groups: their joins, and the pairs that look alike.

    Pairs that nobody has decided come first, then those that were joined.
    """
    rows = joins_of_plan(header.parameters)
    pairs = planned_pairs(header.parameters)
    return {
        "group_joins": rows,
        "group_sentences": (*joins_sentences(rows), *pairs_sentences(pairs)),
        "alike_volumes": _drawn(header, sorted(pairs, key=_rank)[:_MOST_PAIRS], progress),
        "more_alike": max(0, len(pairs) - _MOST_PAIRS),
    }


def _rank(pair: PlannedPair) -> int:
    return 2 if pair.same_patient is not None else int(pair.joined)


def _drawn(header: PlanHeader, pairs: Sequence[PlannedPair], progress: Progress) -> tuple[AlikeVolumes, ...]:
    if not pairs:
        return ()
    split_of = {volume.id: volume.split for volume in header.volumes}
    drawn = []
    progress.begin("drawing pairs", len(pairs), "pairs")
    try:
        for pair in pairs:
            drawn.append(AlikeVolumes(pair, _decided(pair), tuple(_slices(header, pair, split_of))))
            progress.advance(1)
    finally:
        progress.end()
    return tuple(drawn)


def _decided(pair: PlannedPair) -> str:
    if pair.same_patient is not None:
        return "one group: a person said yes" if pair.same_patient else "kept apart: a person said no"
    return "one group" if pair.joined else "not joined: please decide"


def _slices(header: PlanHeader, pair: PlannedPair, split_of: dict[str, Split]) -> Iterator[tuple[PairSide, PairSide]]:
    for left, right in pair.shown:
        sides = [
            _side(header, split_of.get(volume), volume, *place)
            for volume, place in ((pair.left, left), (pair.right, right))
        ]
        yield sides[0], sides[1]


def _side(header: PlanHeader, split: Split | None, volume: str, index: int, path: str) -> PairSide:
    """Return the picture of a slice; the plan is not trusted, so nothing is read outside of its inputs."""
    name = f"{volume}: {path.rpartition('/')[2]}"
    shown = PairPicture(split or "no split", name, "")
    if not 0 <= index < len(header.inputs) or path_fault(path):
        return PairSide(shown, None, "its path lies in no input")
    return pair_side(shown._replace(path=f"{header.inputs[index].rstrip('/')}/{path}"))
