"""Solve one placement task: local search, then enumeration where it is not proven optimal, then refinement of ties."""

from collections.abc import Sequence
from typing import Literal

from planbalance.split.exhaustive import FILLINGS, Solution, closest, nearby
from planbalance.split.local_search import local_search
from planbalance.split.refine import refine
from planbalance.split.rng import Rng
from planbalance.split.search_state import SearchState, parts_of_members, shuffled_members
from planbalance.split.shares import Shares, ZonedShares
from planbalance.split.task import Features, Placement, Task, amount_per_part, distance_to_targets

# The most placements of the positive stratum that are completed with negative units, and restarts for each.
COMPLETIONS = 24
COMPLETION_RESTARTS = 3
# The most placements that are refined where class shares are not met.
ATTEMPTS = 4
# With no more ways to fill a part, all placements are enumerated for the best shares, although none can be closer.
FEW = 2_000


def solve(task: Task, rng: Rng, method: Literal["optimal", "random"]) -> Placement:
    """Assign every unit of the task to a part so that its quotas are kept."""
    if method == "random":
        return Placement(parts_of_members(task, shuffled_members(task, rng)), proven=False)
    state = local_search(task, rng)
    placement = Placement(parts_of_members(task, state.members), state.proven)
    if state.proven and task.features is None:
        return placement
    solutions = closest(task, state.distance, rng, FEW if state.proven else FILLINGS)
    if solutions:
        return Placement(_best_shared(task, solutions), proven=True)
    if not state.proven and len(task.strata[1]) > 1:
        placement = _positives_first(task, state, rng)
    return placement if task.features is None else _refined(task, task.features, placement, rng)


def _refined(task: Task, features: Features, placement: Placement, rng: Rng) -> Placement:
    """Return the placement with better shares; where a class stays out of its zone, the best of several searches."""
    best = placement
    best_key = None
    for attempt in range(ATTEMPTS):
        if attempt:
            state = local_search(task, rng)
            if state.distance > distance_to_targets(task, best.part_of):
                continue
            placement = Placement(parts_of_members(task, state.members), state.proven)
        met = refine(task, features, placement.part_of, rng)
        key = (not met, ZonedShares(Shares(features, placement.part_of)).cost())
        if best_key is None or key < best_key:
            best, best_key = placement, key
        if met:
            break
    return best


def _best_shared(task: Task, solutions: Sequence[Solution]) -> list[int]:
    """Return the solution with the best class shares, then traits; of equal ones the first, in random order."""
    features = task.features
    if features is None:
        return solutions[0].part_of
    return min((solution.part_of for solution in solutions), key=lambda part_of: Shares(features, part_of).cost())


def _positives_first(task: Task, state: SearchState, rng: Rng) -> Placement:
    """Return the closest placement found by completing the best placements of the positive stratum.

    Negative units never change a positive count, so the distance in positive slices is a lower bound. With many
    negative units the bound is usually reached.
    """
    part_of = parts_of_members(task, state.members)
    distance = state.distance
    ranked = (nearby(_positive_task(task), distance, rng, FILLINGS) or [])[:COMPLETIONS]
    for bound, positive_parts in ranked:
        if bound >= distance:
            break
        rest = _negative_task(task, positive_parts)
        completed = local_search(rest, rng, COMPLETION_RESTARTS)
        if bound + completed.distance < distance:
            distance = bound + completed.distance
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
