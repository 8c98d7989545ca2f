"""Solve one placement task by its whole objective: quotas, slices, then classes and trait values.

The slices come first: local search, and enumeration where it is not proven that nothing is closer. Other quotas are
tried where the slices miss their targets. Then classes and trait values are divided evenly by annealing, and exact
exchanges bring the slices back to the best that was found. Where few units hold boxes, exchanges of many units at once
do both.
"""

from collections.abc import Sequence
from typing import NamedTuple

from planbalance.split.anneal import STAGES, anneal, share_of_draws
from planbalance.split.balance import Counts, Features, Unevenness, in_order
from planbalance.split.exchange import reach_aims
from planbalance.split.exhaustive import FILLINGS, closest, nearby
from planbalance.split.local_search import RESTARTS, local_search
from planbalance.split.many_swaps import swap_in_turn
from planbalance.split.refine import refine
from planbalance.split.rng import Rng
from planbalance.split.search_state import SearchState, members_of_parts, parts_of_members, shuffled_members
from planbalance.split.task import Placement, Task, amount_per_part, distance_to_targets
from planbalance.split.units import Method

# The most placements of the positive stratum that are completed with negative units, and restarts for each.
COMPLETIONS = 24
COMPLETION_RESTARTS = 3
# Restarts of the search with other quotas.
OTHER_RESTARTS = 3
# The temperature from which each annealing starts. From `HOT` it starts with a random placement, otherwise with the
# best so far, which takes less time. Where few units hold boxes, one is enough: swaps of many units at once follow.
HOT = STAGES[0][0]
ROUNDS = (HOT, 2.0, 1.0)
ROUNDS_OF_FEW = (HOT,)
# With a smaller share of the draws than this, units are few.
FEW_DRAWS = 0.6
# How strictly further annealings keep classes in their ranges. They are made where a class is outside its range, or the
# slices could not be brought back, and how strict the exchanges after each annealing are.
FURTHER = (2.0, 4.0)
STRICTNESS_AFTER = 30.0
# With no more ways to fill a part, all placements are enumerated for the most even one, although none can be closer.
FEW = 2_000

Key = tuple[int, ...]
"""The whole objective of a placement as numbers, the first one first; less is better."""


class _Found(NamedTuple):
    """The best placement for one choice of quotas.

    Attributes:
        task: with these quotas.
        part_of: unit -> part.
        proven: no placement with these quotas is closer to the targets.
        complete: nor is any equally close one more even: all were compared.
    """

    task: Task
    part_of: list[int]
    proven: bool
    complete: bool


def solve(task: Task, rng: Rng, method: Method) -> Placement:
    """Assign every unit of the task to a part so that its quotas are kept."""
    if method == "random":
        return Placement(parts_of_members(task, shuffled_members(task, rng)), proven=False)
    best = _closest(task, rng, RESTARTS)
    proven = best.proven
    if task.other_quotas and distance_to_targets(task, best.part_of).slices:
        others = (_closest(task._replace(quotas=quotas), rng, OTHER_RESTARTS) for quotas in task.other_quotas)
        found = [best, *others]
        best = min(found, key=lambda one: _key(task, one.part_of))
        # Of more than three parts, such as folds, these are not all the quotas that are allowed.
        proven = all(one.proven for one in found) and task.parts <= 3
    if task.features is not None and not best.complete:
        return Placement(_even(best.task, task.features, best.part_of, rng), proven)
    return Placement(best.part_of, proven)


def _key(task: Task, part_of: Sequence[int]) -> Key:
    """Return the objective; `task` has the quotas that are wanted."""
    shift = sum(
        abs(sum(part_of[unit] == part for unit in stratum) - quota)
        for stratum, quotas in zip(task.strata, task.quotas, strict=True)
        for part, quota in enumerate(quotas)
    )
    return *distance_to_targets(task, part_of), shift, *_uneven(task, part_of)


def _uneven(task: Task, part_of: Sequence[int]) -> Key:
    features = task.features
    return () if features is None else in_order(Counts(features, part_of).unevenness(), features.first)


def _closest(task: Task, rng: Rng, restarts: int) -> _Found:
    """Return the placement that is closest to the targets; if all could be compared, the most even of them."""
    state = local_search(task, rng, restarts)
    part_of = parts_of_members(task, state.members)
    if state.proven and task.features is None:
        return _Found(task, part_of, proven=True, complete=True)
    solutions = closest(task, state.distance.slices, rng, FEW if state.proven else FILLINGS)
    if solutions:
        placements = [solution.part_of for solution in solutions]
        distances = [distance_to_targets(task, one) for one in placements]
        least = min(distances)
        nearest = [one for one, distance in zip(placements, distances, strict=True) if distance == least]
        best = min(nearest, key=lambda one: _uneven(task, one))
        return _Found(task, best, proven=True, complete=True)
    if not state.proven and len(task.strata[1]) > 1:
        placement = _positives_first(task, state, rng)
        return _Found(task, placement.part_of, placement.proven, complete=False)
    return _Found(task, part_of, state.proven, complete=False)


def _even(task: Task, features: Features, part_of: list[int], rng: Rng) -> list[int]:
    """Return a placement whose slices are as close to the targets, with classes and trait values divided evenly."""
    aims = SearchState(task, members_of_parts(task, part_of)).excess
    best: tuple[Unevenness, list[int]] | None = None
    few = share_of_draws(features) < FEW_DRAWS
    rounds = [(temperature, 1.0) for temperature in (ROUNDS_OF_FEW if few else ROUNDS)]
    for attempt, (temperature, strictness) in enumerate([*rounds, *((HOT, more) for more in FURTHER)]):
        if attempt >= len(rounds) and best is not None and best[0].in_ranges:
            break
        hot = best is None or temperature == HOT
        start = shuffled_members(task, rng) if best is None or hot else members_of_parts(task, best[1])
        state = SearchState(task, start, aims)
        counts = Counts(features, parts_of_members(task, start), strictness)
        anneal(state, counts, rng, HOT if hot else temperature)
        counts = Counts(features, parts_of_members(task, state.members), STRICTNESS_AFTER)
        if few:
            swap_in_turn(state, counts, rng)
        if not state.cost or reach_aims(state, rng, counts):
            placed = parts_of_members(task, state.members)
            refine(task, counts, placed, rng, heated=False)
            uneven = counts.unevenness()
            if best is None or in_order(uneven, features.first) < in_order(best[0], features.first):
                best = uneven, placed
    if best is not None:
        return best[1]
    placed = list(part_of)
    refine(task, Counts(features, placed), placed, rng, heated=True)
    return placed


def _positives_first(task: Task, state: SearchState, rng: Rng) -> Placement:
    """Return the closest placement found by completing the best placements of the positive stratum.

    Negative units never change a positive count, so the distance in positive slices is a lower bound. With many
    negative units the bound is usually reached.
    """
    part_of = parts_of_members(task, state.members)
    distance = state.distance.slices
    ranked = (nearby(_positive_task(task), distance, rng, FILLINGS) or [])[:COMPLETIONS]
    for bound, positive_parts in ranked:
        if bound >= distance:
            break
        rest = _negative_task(task, positive_parts)
        completed = local_search(rest, rng, COMPLETION_RESTARTS)
        if bound + completed.distance.slices < distance:
            distance = bound + completed.distance.slices
            for units, parts in zip(
                task.strata, (positive_parts, parts_of_members(rest, completed.members)), strict=True
            ):
                for unit, part in zip(units, parts, strict=True):
                    part_of[unit] = part
    return Placement(part_of, proven=bool(ranked) and distance == ranked[0].distance)


def _positive_task(task: Task) -> Task:
    """Return the task of the positive stratum alone, with positive slices alone."""
    units = task.strata[0]
    nothing = (0,) * task.parts
    return Task(
        positives=tuple(task.positives[unit] for unit in units),
        negatives=(0,) * len(units),
        strata=(tuple(range(len(units))), ()),
        quotas=(task.quotas[0], nothing),
        excess=(task.excess[0], nothing),
        aim=(task.aim[0], nothing),
        features=None,
    )


def _negative_task(task: Task, positive_parts: list[int]) -> Task:
    """Return the task of the negative stratum alone, after the positive units were placed."""
    units = task.strata[1]
    nothing = (0,) * task.parts
    placed = amount_per_part([task.negatives[unit] for unit in task.strata[0]], positive_parts, task.excess[1])
    return Task(
        positives=(0,) * len(units),
        negatives=tuple(task.negatives[unit] for unit in units),
        strata=((), tuple(range(len(units)))),
        quotas=(nothing, task.quotas[1]),
        excess=(nothing, tuple(placed)),
        aim=(nothing, task.aim[1]),
        features=None,
    )
