"""The way to an answer: a search; where it falls short, everything there is; at the end the ties."""

from collections.abc import Sequence
from typing import Literal

from planbalance.split.board import Board
from planbalance.split.draws import Draws
from planbalance.split.exhaustive import FILLINGS, Answer, closest, nearby
from planbalance.split.polish import polish
from planbalance.split.search import searched
from planbalance.split.shares import Shares, ZonedShares
from planbalance.split.start import parts_of_members, shuffled_members
from planbalance.split.task import Features, Placement, Task, amount_per_part, distance_to_targets

# Placements of the positive stratum that are completed with negative units, and restarts for each.
COMPLETIONS = 24
COMPLETION_RESTARTS = 3
# Placements that are polished where class shares are not met.
ATTEMPTS = 4
# Ways to fill a part from a stratum up to which all placements are looked at although none can be closer.
FEW = 2_000


def place(task: Task, draws: Draws, method: Literal["optimal", "random"]) -> Placement:
    """Place every unit of the task so that its quotas are kept."""
    if method == "random":
        return Placement(parts_of_members(task, shuffled_members(task, draws)), proven=False)
    board = searched(task, draws)
    placement = Placement(parts_of_members(task, board.members), board.proven)
    if board.proven and task.features is None:
        return placement
    answers = closest(task, board.distance, draws, FEW if board.proven else FILLINGS)
    if answers:
        return Placement(_best_shared(task, answers), proven=True)
    if not board.proven and len(task.strata[1]) > 1:
        placement = _positives_first(task, board, draws)
    return placement if task.features is None else _polished(task, task.features, placement, draws)


def _polished(task: Task, features: Features, placement: Placement, draws: Draws) -> Placement:
    """Return the placement with better shares; where classes stay off, the best of several searched anew."""
    best = placement
    best_key = None
    for attempt in range(ATTEMPTS):
        if attempt:
            board = searched(task, draws)
            if board.distance > distance_to_targets(task, best.part_of):
                continue
            placement = Placement(parts_of_members(task, board.members), board.proven)
        met = polish(task, features, placement.part_of, draws)
        key = (not met, ZonedShares(Shares(features, placement.part_of)).cost())
        if best_key is None or key < best_key:
            best, best_key = placement, key
        if met:
            break
    return best


def _best_shared(task: Task, answers: Sequence[Answer]) -> list[int]:
    """Return the answer with the best class shares, then traits; the first of equals, and their order is random."""
    features = task.features
    if features is None:
        return answers[0].part_of
    return min((answer.part_of for answer in answers), key=lambda part_of: Shares(features, part_of).cost())


def _positives_first(task: Task, board: Board, draws: Draws) -> Placement:
    """Return the closest placement found by completing the best placements of the positive stratum.

    Negative units never change a positive count: what the positive units are off is a lower bound, and with many
    negative units it is usually met.
    """
    part_of = parts_of_members(task, board.members)
    distance = board.distance
    ranked = (nearby(_positive_task(task), distance, draws, FILLINGS) or [])[:COMPLETIONS]
    for bound, positive_parts in ranked:
        if bound >= distance:
            break
        rest = _negative_task(task, positive_parts)
        completed = searched(rest, draws, COMPLETION_RESTARTS)
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
