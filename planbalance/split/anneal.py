"""Simulated annealing: divide classes and trait values evenly, with the slices near their targets.

Random swaps of two units of one stratum are tried. A swap that makes the placement worse is made with a probability
that falls with the temperature. Costs are percentage points of the boxes of a class (`planbalance.split.balance`).
The number of steps is fixed, and only additions, multiplications and comparisons of floating-point numbers are used,
so every machine and Python makes the same swaps.
"""

from collections.abc import Sequence
from decimal import Decimal

from planbalance.split.balance import Counts, Features
from planbalance.split.rng import Rng
from planbalance.split.search_state import SearchState, members_of_parts, parts_of_members

# (temperature, draws, factor): from this temperature on, so many swaps are drawn at each level, and slices and groups
# beyond their range cost so many times more than at first. At the high temperatures the rare classes settle, at the
# middle ones, which take most of the time, the common ones, and at the low ones slices and ranges are put right.
STAGES = ((10.0, 500, 1.0), (3.0, 2_200, 1.0), (0.2, 150, 8.0))
COOLING = 0.97
COLD = 0.005
# Pairs of a unit and its class from which on all draws are made; with fewer, a share of the draws, but not less than
# this.
FULL_DRAWS = 1_300
LEAST_DRAWS = 0.1
# Such pairs from which on more draws are made, and how many times more at most.
MORE_DRAWS = 75_000
MOST_DRAWS = 4.0
# What all positive and all negative slices cost, in percentage points as if they were so many classes. Negative slices
# are put right at the end by units without a box, so they count less.
POSITIVES_COST = 8.0
NEGATIVES_COST = 1.0
# Where the draws look for their two units: both among the holders of one class, only the first, the first among all
# units that hold boxes where these are few, or anywhere. Each number is the sum of the shares so far.
BOTH_HOLD = 0.6
ONE_HOLDS = 0.7
HAS_BOXES = 0.9
# -ln(x) in the middle of so many equal steps from 0 to 1, by decimal arithmetic: math.log may differ between machines.
THRESHOLDS = 1_024


def anneal(state: SearchState, counts: Counts, rng: Rng, temperature: float = STAGES[0][0]) -> None:
    """Improve the placement of `state` in place; `counts` are those of this placement, and are kept up to date.

    At the first temperature of `STAGES` little of the placement is left. From a lower one, annealing goes on from it.
    """
    annealing = _Annealing(state, counts, rng)
    share = share_of_draws(counts.features)
    steps = [float(-(Decimal(2 * step + 1) / (2 * THRESHOLDS)).ln()) for step in range(THRESHOLDS)]
    stage = 0
    while annealing.possible and temperature > COLD:
        if stage + 1 < len(STAGES) and temperature <= STAGES[stage + 1][0]:
            stage += 1
            annealing.make_dearer(STAGES[stage][2])
        annealing.draw(int(STAGES[stage][1] * share), [temperature * step for step in steps])
        temperature *= COOLING
    state.members = members_of_parts(state.task, annealing.part_of)


def share_of_draws(features: Features) -> float:
    """Return how many times the draws of `STAGES` are made."""
    classes = any(features.boxes)
    pairs = sum(1 for held in features.of for _, boxes in held if boxes or not classes)
    return min(1.0, max(LEAST_DRAWS, pairs / FULL_DRAWS)) * min(MOST_DRAWS, max(1.0, pairs / MORE_DRAWS))


class _Annealing:
    """A placement as unit -> part, and the lists from which swaps are drawn."""

    def __init__(self, state: SearchState, counts: Counts, rng: Rng) -> None:
        task = state.task
        self._state = state
        self._counts = counts
        self._random = rng.random
        self.part_of = parts_of_members(task, state.members)
        sizes = [sum(len(cells[part]) for cells in state.members) for part in range(task.parts)]
        self._largest = sizes.index(max(sizes))
        self._stratum_of = [0 if count else 1 for count in task.positives]
        # Units outside the largest part: one of the two units is always drawn from them.
        self._others = [[unit for unit in stratum if self.part_of[unit] != self._largest] for stratum in task.strata]
        self._place = [0] * len(self.part_of)
        for others in self._others:
            for place, unit in enumerate(others):
                self._place[unit] = place
        self.possible = any(self._others)
        self._holders = self._lists_of_holders()
        self._bearers = [unit for unit, pairs in enumerate(counts.amounts) if any(boxes for _, boxes in pairs)]
        if not self._bearers or 2 * len(self._bearers) > len(self.part_of):  # units without a box are useful too
            self._bearers = list(range(len(self.part_of)))
        self._amounts = [dict(pairs) for pairs in counts.amounts]
        self._costs = (
            POSITIVES_COST * 100 / max(1, sum(task.positives)),
            NEGATIVES_COST * 100 / max(1, sum(task.negatives)),
        )

    def make_dearer(self, factor: float) -> None:
        """Multiply what slices off their aim cost, and groups beyond their range."""
        self._costs = (self._costs[0] * factor, self._costs[1] * factor)
        self._counts.make_dearer(factor)

    def draw(self, draws: int, thresholds: Sequence[float]) -> None:  # noqa: C901, PLR0912, PLR0915 - calls cost 20 %
        """Draw swaps and make those that cost less than a threshold drawn with each."""
        random, part_of, strata, others_of = self._random, self.part_of, self._stratum_of, self._others
        units, bearers, features_held, holders_of = len(part_of), self._bearers, len(self._holders), self._holders
        pairs, amounts, weights = self._counts.amounts, self._amounts, self._counts.weights
        excesses, groups, costs = self._counts.excess, self._counts.groups, self._counts.costs
        positives, negatives = self._state.task.positives, self._state.task.negatives
        p, n = self._state.positive, self._state.negative
        positive_cost, negative_cost = self._costs
        one_holds = ONE_HOLDS if features_held else 0.0
        for _ in range(draws):
            where = random()
            if where < one_holds:
                holders = holders_of[int(random() * features_held)]
                a = holders[int(random() * len(holders))]
                others = holders if where < BOTH_HOLD else others_of[strata[a]]
            else:
                a = bearers[int(random() * len(bearers))] if where < HAS_BOXES else int(random() * units)
                others = others_of[strata[a]]
            if not others:
                continue
            b = others[int(random() * len(others))]
            here, there = part_of[a], part_of[b]
            if here == there:
                continue
            dp = positives[b] - positives[a]
            dn = negatives[b] - negatives[a]
            change = negative_cost * (abs(n[here] + dn) - abs(n[here]) + abs(n[there] - dn) - abs(n[there]))
            if dp:
                change += positive_cost * (abs(p[here] + dp) - abs(p[here]) + abs(p[there] - dp) - abs(p[there]))
            excess_here, excess_there = excesses[here], excesses[there]
            groups_here, groups_there, costs_here, costs_there = groups[here], groups[there], costs[here], costs[there]
            of_a, of_b = amounts[a], amounts[b]
            for feature, boxes in pairs[a]:
                gain = -boxes
                if feature in of_b:
                    gain += of_b[feature]
                else:
                    count, cost = groups_here[feature], costs_here[feature]
                    change += cost[count - 1] - cost[count]
                    count, cost = groups_there[feature], costs_there[feature]
                    change += cost[count + 1] - cost[count]
                if gain:
                    h, t = excess_here[feature], excess_there[feature]
                    change += weights[feature] * (abs(h + gain) - abs(h) + abs(t - gain) - abs(t))
            for feature, gain in pairs[b]:
                if feature not in of_a:
                    count, cost = groups_here[feature], costs_here[feature]
                    change += cost[count + 1] - cost[count]
                    count, cost = groups_there[feature], costs_there[feature]
                    change += cost[count - 1] - cost[count]
                    if gain:
                        h, t = excess_here[feature], excess_there[feature]
                        change += weights[feature] * (abs(h + gain) - abs(h) + abs(t - gain) - abs(t))
            if change <= 0 or change < thresholds[int(random() * THRESHOLDS)]:
                self._swap(a, here, b, there)

    def _swap(self, a: int, here: int, b: int, there: int) -> None:
        if here == self._largest:
            self._replace(b, a)
        elif there == self._largest:
            self._replace(a, b)
        self.part_of[a], self.part_of[b] = there, here
        self._counts.take(((a, b),), here, there)
        self._state.count_swap(here, a, there, b)

    def _replace(self, leaving: int, entering: int) -> None:
        place = self._place[leaving]
        self._others[self._stratum_of[entering]][place] = entering
        self._place[entering] = place

    def _lists_of_holders(self) -> list[list[int]]:
        """Return the units of each class in each stratum, where there are several; of trait values without classes."""
        classes = any(self._counts.features.boxes)
        holders: list[list[list[int]]] = [[[] for _ in self._counts.weights] for _ in self._others]
        for unit, pairs in enumerate(self._counts.amounts):
            for feature, boxes in pairs:
                if boxes or not classes:
                    holders[self._stratum_of[unit]][feature].append(unit)
        return [units for lists in holders for units in lists if len(units) > 1]
