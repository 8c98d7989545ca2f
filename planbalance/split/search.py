"""Many units: a seeded start, a descent by random swaps, exact exchanges at the end; all again where it stalls."""

from collections.abc import Sequence

from planbalance.split.board import Board
from planbalance.split.draws import Draws
from planbalance.split.exchange import finish
from planbalance.split.shares import Shares, share_weight
from planbalance.split.start import parts_of_members, shuffled_members
from planbalance.split.task import Features, Task

RESTARTS = 12
STEPS = 40_000
# Swaps in a row that bring nothing, at most: the descent has stalled.
PATIENCE = 400
APPROACH_PATIENCE = 2_000
# Slices count as much as this many classes while shares are approached.
SLICES_COUNT = 4


def searched(task: Task, draws: Draws, restarts: int = RESTARTS) -> Board:
    """Return the closest placement that the budget of steps finds."""
    best: Board | None = None
    for _ in range(restarts):
        board = Board(task, shuffled_members(task, draws))
        if task.features is not None:
            approach(board, task.features, draws)
        descend(board, draws)
        finish(board, draws)
        if best is None or (board.distance, board.cost) < (best.distance, best.cost):
            best = board
        if best.cost == 0:
            break
    assert best is not None
    return best


def descend(board: Board, draws: Draws) -> None:
    """Swap at random within the strata, keeping every swap that comes closer, until that stalls."""
    pairs = _pairs(board)
    if not pairs:
        return
    random = draws.random
    positives, negatives = board.task.positives, board.task.negatives
    p, n = board.positive, board.negative
    patience = _patience(pairs, PATIENCE)
    stalled = 0
    for _ in range(STEPS):
        cell, here, other, there = pairs[int(random() * len(pairs))]
        i = int(random() * len(cell))
        j = int(random() * len(other))
        a = cell[i]
        b = other[j]
        dp = positives[b] - positives[a]
        dn = negatives[b] - negatives[a]
        gain = (
            abs(p[here])
            + abs(p[there])
            + abs(n[here])
            + abs(n[there])
            - abs(p[here] + dp)
            - abs(p[there] - dp)
            - abs(n[here] + dn)
            - abs(n[there] - dn)
        )
        if gain > 0:
            cell[i] = b
            other[j] = a
            p[here] += dp
            p[there] -= dp
            n[here] += dn
            n[there] -= dn
            stalled = 0
        else:
            stalled += 1
            if stalled == patience:
                break


def approach(board: Board, features: Features, draws: Draws) -> None:
    """Swap at random within the strata for better class and trait shares, slices being one more share to keep.

    What follows for the slices alone is then a few swaps, and undoes little of it.
    """
    task = board.task
    pairs = _pairs(board)
    if not pairs:
        return
    shares = Shares(features, parts_of_members(task, board.members))
    random = draws.random
    weight_p, weight_n = (2 * SLICES_COUNT * share_weight(sum(amounts)) for amounts in (task.positives, task.negatives))
    patience = _patience(pairs, APPROACH_PATIENCE)
    idle = 0
    for _ in range(STEPS):
        cell, here, other, there = pairs[int(random() * len(pairs))]
        i = int(random() * len(cell))
        j = int(random() * len(other))
        a, b = cell[i], other[j]
        gains = shares.gains([(a, b)])
        p = task.positives[b] - task.positives[a]
        n = task.negatives[b] - task.negatives[a]
        change = (
            sum(shares.change(gains, here, there))
            + weight_p * p * (board.positive[here] - board.positive[there] + p)
            + weight_n * n * (board.negative[here] - board.negative[there] + n)
        )
        idle += 1
        if change < 0:
            shares.take(gains, here, there)
            cell[i], other[j] = b, a
            board.positive[here] += p
            board.positive[there] -= p
            board.negative[here] += n
            board.negative[there] -= n
            idle = 0
        elif idle == patience:
            break


def _patience(pairs: Sequence[tuple[list[int], int, list[int], int]], most: int) -> int:
    """Return how many swaps in a row may bring nothing: fewer where there are few to draw."""
    return min(most, 2 * sum(len(cell) * len(other) for cell, _, other, _ in pairs))


def _pairs(board: Board) -> list[tuple[list[int], int, list[int], int]]:
    """Return (units, part, units, part) for every two parts that hold units of one stratum."""
    return [
        (cells[here], here, cells[there], there)
        for cells in board.members
        for there in range(len(cells))
        for here in range(there)
        if cells[here] and cells[there]
    ]
