"""Local search for any number of units: random start, descent by random swaps, exact exchanges, restarts."""

from collections.abc import Sequence

from planbalance.split.exchange import reach_aims
from planbalance.split.rng import Rng
from planbalance.split.search_state import SearchState, parts_of_members, shuffled_members
from planbalance.split.shares import Shares, share_weight
from planbalance.split.task import Features, Task

RESTARTS = 12
STEPS = 40_000
# The descent ends after this many swaps in a row without a gain.
PATIENCE = 400
SHARES_PATIENCE = 2_000
# While shares are improved, slices count as much as this many classes.
SLICES_COUNT = 4


def local_search(task: Task, rng: Rng, restarts: int = RESTARTS) -> SearchState:
    """Return the closest placement of all restarts."""
    best: SearchState | None = None
    for _ in range(restarts):
        state = SearchState(task, shuffled_members(task, rng))
        if task.features is not None:
            improve_shares(state, task.features, rng)
        descend(state, rng)
        reach_aims(state, rng)
        if best is None or (state.distance, state.cost) < (best.distance, best.cost):
            best = state
        if best.cost == 0:
            break
    assert best is not None
    return best


def descend(state: SearchState, rng: Rng) -> None:
    """Swap random units of a stratum, keep every swap that comes closer to the aims, and end where none does."""
    pairs = _pairs(state)
    if not pairs:
        return
    random = rng.random
    positives, negatives = state.task.positives, state.task.negatives
    p, n = state.positive, state.negative
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


def improve_shares(state: SearchState, features: Features, rng: Rng) -> None:
    """Swap random units of a stratum for better class and trait shares; slices count as one more share.

    The descent on slices alone that follows then needs few swaps, and loses little of the shares.
    """
    task = state.task
    pairs = _pairs(state)
    if not pairs:
        return
    shares = Shares(features, parts_of_members(task, state.members))
    random = rng.random
    weight_p, weight_n = (2 * SLICES_COUNT * share_weight(sum(amounts)) for amounts in (task.positives, task.negatives))
    patience = _patience(pairs, SHARES_PATIENCE)
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
            + weight_p * p * (state.positive[here] - state.positive[there] + p)
            + weight_n * n * (state.negative[here] - state.negative[there] + n)
        )
        idle += 1
        if change < 0:
            shares.take(gains, here, there)
            cell[i], other[j] = b, a
            state.positive[here] += p
            state.positive[there] -= p
            state.negative[here] += n
            state.negative[there] -= n
            idle = 0
        elif idle == patience:
            break


def _patience(pairs: Sequence[tuple[list[int], int, list[int], int]], most: int) -> int:
    """Return how many swaps in a row may be without a gain: fewer where there are few to draw."""
    return min(most, 2 * sum(len(cell) * len(other) for cell, _, other, _ in pairs))


def _pairs(state: SearchState) -> list[tuple[list[int], int, list[int], int]]:
    """Return (units, part, units, part) for every two parts that hold units of one stratum."""
    return [
        (cells[here], here, cells[there], there)
        for cells in state.members
        for there in range(len(cells))
        for here in range(there)
        if cells[here] and cells[there]
    ]
