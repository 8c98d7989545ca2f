"""Search for the slice targets, for any number of units: random start, random swaps, exact exchanges, restarts."""

from planbalance.split.exchange import reach_aims
from planbalance.split.rng import Rng
from planbalance.split.search_state import SearchState, shuffled_members
from planbalance.split.task import Task

RESTARTS = 12
STEPS = 40_000
# The descent ends after this many swaps in a row without a gain.
PATIENCE = 400


def local_search(task: Task, rng: Rng, restarts: int = RESTARTS) -> SearchState:
    """Return the closest placement of all restarts."""
    best: SearchState | None = None
    for _ in range(restarts):
        state = SearchState(task, shuffled_members(task, rng))
        descend(state, rng)
        reach_aims(state, rng)
        if best is None or (state.distance, state.cost) < (best.distance, best.cost):
            best = state
        if best.cost == 0 or best.proven:
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
    patience = min(PATIENCE, 2 * sum(len(cell) * len(other) for cell, _, other, _ in pairs))
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


def _pairs(state: SearchState) -> list[tuple[list[int], int, list[int], int]]:
    """Return (units, part, units, part) for every two parts that hold units of one stratum."""
    return [
        (cells[here], here, cells[there], there)
        for cells in state.members
        for there in range(len(cells))
        for here in range(there)
        if cells[here] and cells[there]
    ]
