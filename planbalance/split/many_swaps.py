"""Swap many units of two parts at once, so that the slices are exact and classes are divided as evenly as possible.

Single swaps get stuck, because each changes the slices and several classes of a part together. Here several units of
one part are exchanged for as many of another part. The units of both parts are halved, the exchanges of each half are
listed, and for each exchange of the first half those of the second half are looked up that bring the slices to their
aim (meet in the middle). Two lists of 100,000 exchanges stand for 10,000,000,000 together.

What an exchange changes is one whole number, in which the change of each count has its own bits (a field). The sum of
two such numbers is what both exchanges change together, and a few operations compare all its counts with their limits.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, product
from math import comb, inf, isqrt, prod

from planbalance.split.balance import UNIT, Counts, Unevenness, in_order
from planbalance.split.exchange import Swaps, Units, choices, some_units
from planbalance.split.rng import Rng
from planbalance.split.search_state import SearchState

# The most exchanges listed for each half, and the most bits of all of them: where there are hundreds of trait values,
# fewer are listed. The most units of a part in one exchange, and in two of them together.
LISTED = 100_000
BITS = 60_000_000
TOGETHER = 3
REACH = 2 * TOGETHER
# The most units of the two parts that are considered.
CONSIDERED = 60, 240
# The most lookups and comparisons before the best exchange so far is taken, and for how many of them it counts to
# measure an exchange that is within the limits.
COMPARED = 1_000_000
MEASURED = 1_000
# By how many units an exchange of positive units may miss the range of a trait value.
PUT_RIGHT = 4
# From so many exchanges it is estimated how many have the same key, and at most so many classes are in a key.
SAMPLE = 5_000
KEYED = 5
# How often each part has its turn, with positive units and with negative ones, and after how many turns of all parts
# without a change the search ends.
TURNS = 7, 3
PATIENCE = 2


def swap_many(state: SearchState, counts: Counts, rng: Rng, stratum: int, here: int, there: int) -> bool:
    """Make the best exchange of units of one stratum that is found between two parts; return whether one was made.

    After it, the part `here` has the slices of the stratum's kind that it aims at, and classes are not divided less
    evenly than before. `state` and `counts` are kept up to date. Positive units change negative slices and trait values
    as well; negative units must put these right.
    """
    swaps = _ExchangeSearch(state, counts, rng, stratum, here, there).best()
    if swaps:
        counts.take(swaps, here, there)
        for a, b in swaps:
            state.swap(stratum, here, a, there, b)
    return bool(swaps)


def swap_in_turn(state: SearchState, counts: Counts, rng: Rng) -> None:
    """Exchange units of each part with a large one in turn, until every part had its turn and nothing changed.

    First positive units, then negative ones, which put their slices and trait values right. Parts of equal size, such
    as folds, have another partner each time, once all parts were exchanged with one, which brings them to their aims.
    """
    sizes = [sum(len(cells[part]) for cells in state.members) for part in range(state.task.parts)]
    largest, *others = sorted(range(len(sizes)), key=lambda part: (-sizes[part], part))
    partners = [largest, *(part for part in others if 2 * sizes[part] > sizes[largest])]
    for stratum, turns in enumerate(TURNS):
        idle = 0
        for turn in range(turns * len(others)):
            here = others[-1 - turn % len(others)]
            there = partners[turn // len(others) % len(partners)]
            if here == there:
                there = largest
            idle = 0 if swap_many(state, counts, rng, stratum, here, there) else idle + 1
            if idle == PATIENCE * len(others):
                break


class _Field:
    """The bits of a number that hold by how much one count of the part `here` changes.

    Args:
        feature: the class or trait value that is counted.
        shift: the lowest bit.
        greatest: no exchange changes the count by more, in either direction.

    Attributes:
        half: the highest bit, as a number. It is added before a field is read, because changes may be negative.
        end: the bit above the highest one.
    """

    __slots__ = ("end", "feature", "greatest", "half", "shift")

    def __init__(self, feature: int, shift: int, greatest: int) -> None:
        self.feature = feature
        self.shift = shift
        self.greatest = greatest
        self.half = 1 << _bits(greatest) - 1
        self.end = shift + _bits(greatest)

    def change(self, biased: int) -> int:
        """Return the change in a number to which `half` was added in every field."""
        return (biased >> self.shift & (2 * self.half - 1)) - self.half


class _Listed:
    """The exchanges of some units of one part for as many of the other.

    Args:
        numbers: unit -> the number in which its counts have their bits.
        here: units of one part, which leave it.
        there: units of the other.
        rng: chooses among the exchanges where there are too many.
        most: the most exchanges.

    Attributes:
        changes: what each exchange changes; the first one is no exchange.
    """

    def __init__(self, numbers: dict[int, int], here: Sequence[int], there: Sequence[int], rng: Rng, most: int) -> None:
        self.changes = [0]
        self._starts = [0]
        self._choices: list[tuple[list[Units], list[Units]]] = [([()], [()])]
        for count in range(1, min(TOGETHER, len(here), len(there)) + 1):
            left = most - len(self.changes)
            if left < most // 10:
                break
            ways = min(comb(len(here), count), max(isqrt(left), left // comb(len(there), count)))
            leaving = choices(here, count, ways, rng)
            entering = choices(there, count, left // ways, rng)
            self._starts.append(len(self.changes))
            self._choices.append((leaving, entering))
            gains = [sum([numbers[unit] for unit in units]) for units in entering]
            for units in leaving:
                loss = sum([numbers[unit] for unit in units])
                self.changes += [gain - loss for gain in gains]

    def units(self, place: int) -> tuple[Units, Units]:
        """Return the units that leave, and those that enter, of an exchange by its place in `changes`."""
        block = bisect_right(self._starts, place) - 1
        leaving, entering = self._choices[block]
        first, second = divmod(place - self._starts[block], len(entering))
        return leaving[first], entering[second]


class _ExchangeSearch:
    """Looks for the best exchange of one stratum between two parts.

    The numbers have the slices at their low bits, then the groups that every exchange must change by the same amount,
    then the boxes of the classes, the rarest one first, and then the other groups. The key by which exchanges are
    looked up is the bits up to one of these classes.
    """

    def __init__(self, state: SearchState, counts: Counts, rng: Rng, stratum: int, here: int, there: int) -> None:
        self._counts = counts
        self._features = features = counts.features
        self._here, self._there = here, there
        self._need = -(state.positive, state.negative)[stratum][here]
        slices = (state.task.positives, state.task.negatives)[stratum]
        cells = state.members[stratum]
        units = [some_units(cells[part], most, rng) for part, most in zip((here, there), CONSIDERED, strict=True)]
        greatest: dict[int, int] = {}
        for unit in chain(*units):
            for feature, boxes in features.of[unit]:
                greatest[feature] = max(greatest.get(feature, 0), boxes)
        classes = sorted(
            [feature for feature in greatest if features.boxes[feature]],
            key=lambda feature: (not features.common[feature], features.boxes[feature], feature),
        )
        # Trait values that negative units put right afterwards: they count in no measure here.
        negatives_follow = not stratum and bool(state.members[1][here]) and bool(state.members[1][there])
        self._loose = {feature for feature in greatest if negatives_follow and not features.boxes[feature]}
        self._limits = {feature: self._limits_of_groups(feature) for feature in sorted(greatest)}
        exact = [feature for feature, (least, most) in self._limits.items() if least == most]
        end = _bits(REACH * max((slices[unit] for unit in chain(*units)), default=0))  # of the slices
        self._exact = _fields(end, [(feature, REACH) for feature in exact])
        self._keys = [self._exact[-1].end if exact else end]
        self._boxes = _fields(self._keys[0], [(feature, REACH * greatest[feature]) for feature in classes])
        self._keys += [field.end for field in self._boxes]
        others = [(feature, REACH) for feature in self._limits if feature not in exact]
        self._ranged = _fields(self._keys[-1], others)
        self._bias = sum(field.half << field.shift for field in (*self._exact, *self._boxes, *self._ranged))
        # What no exchange changes: the deviations of other parts, and of classes that none of the units has.
        self._fixed = self._worst_elsewhere(set(classes))
        # The worst deviation that is accepted: that of the placement, then that of the best exchange so far.
        self._worst = max([self._fixed, *(self._deviation(field, 0) for field in self._boxes)])
        self._bounds = self._bounds_of_changes()
        self._best: tuple[tuple[int, ...], int, int] | None = None
        self._left = COMPARED
        numbers = self._numbers(chain(*units), slices)
        most = max(100, min(LISTED, BITS // (self._ranged[-1].end if others else self._keys[-1])))
        halves = [(one[: len(one) // 2], one[len(one) // 2 :]) for one in units]
        self._first, self._second = (
            _Listed(numbers, here_half, there_half, rng, most) for here_half, there_half in zip(*halves, strict=True)
        )

    def best(self) -> Swaps:
        """Return the swaps of the best exchange that was found; none where none is better than no exchange."""
        keyed, wanted = self._choose_key()
        mask = (1 << self._keys[keyed]) - 1
        table: dict[int, list[int]] = {}
        for place, change in enumerate(self._second.changes):
            table.setdefault(change & mask, []).append(place)
        for worst, key in wanted:
            if worst > self._worst or self._left <= 0:
                break
            self._look_up(key, mask, table)
        if self._best is None:
            return []
        _, first, second = self._best
        leaving, entering = zip(self._first.units(first), self._second.units(second), strict=True)
        return list(zip(chain(*leaving), chain(*entering), strict=True))

    def _look_up(self, key: int, mask: int, table: dict[int, list[int]]) -> None:
        """Complete each exchange of the first half by those of the second one with which it has the wanted key."""
        others = self._second.changes
        low, high, top = self._bounds
        for first, change in enumerate(self._first.changes):
            found = table.get((key - change) & mask)
            if found is None:
                continue
            above, below = low + change, high - change
            for second in found:
                other = others[second]
                if (above + other) & (below - other) & top == top and self._is_best(first, second):
                    low, high, top = self._bounds
                    above, below = low + change, high - change
            self._left -= len(found)
            if self._left <= 0:
                break
        self._left -= len(self._first.changes)

    def _is_best(self, first: int, second: int) -> bool:
        """Measure an exchange that is within the limits, and remember it if it is the best so far."""
        self._left -= MEASURED
        uneven = self._unevenness(self._first.changes[first] + self._second.changes[second])
        key = in_order(uneven, self._features.first)
        if self._best is not None and key >= self._best[0]:
            return False
        self._best = key, first, second
        if uneven.in_ranges or self._features.first == "boxes":
            self._worst = uneven.worst
            self._bounds = self._bounds_of_changes()
        if uneven.in_ranges and not self._boxes:  # nothing can be better
            self._left = 0
        return True

    def _numbers(self, units: Iterable[int], slices: Sequence[int]) -> dict[int, int]:
        """Return unit -> the number in which its slices, groups and boxes have their bits."""
        groups = {field.feature: 1 << field.shift for field in (*self._exact, *self._ranged)}
        boxes = {field.feature: field.shift for field in self._boxes}
        return {
            unit: slices[unit]
            + sum(
                [groups[feature] + (held << boxes[feature] if held else 0) for feature, held in self._features.of[unit]]
            )
            for unit in units
        }

    def _choose_key(self) -> tuple[int, list[tuple[int, int]]]:
        """Return how many classes are in the key, and the keys that are wanted, as (worst deviation, key), sorted.

        A class more leaves fewer exchanges to compare, and more keys to look up.
        """
        others = self._second.changes
        sample = others[:: max(1, len(others) // SAMPLE)]
        cheapest, chosen = inf, 0
        for keyed in range(min(KEYED, len(self._boxes)) + 1):
            keys = prod(most - least + 1 for least, most in map(self._limits_of_boxes, self._boxes[:keyed]))
            if keys > cheapest:
                break
            mask = (1 << self._keys[keyed]) - 1
            same = Counter([change & mask for change in sample])
            found = sum(count * (count - 1) for count in same.values()) / len(sample) ** 2 * len(others)
            if keys * (1 + found) < cheapest:
                cheapest, chosen = keys * (1 + found), keyed
        fields = self._boxes[:chosen]
        slices_and_groups = self._need + sum(self._limits[field.feature][0] << field.shift for field in self._exact)
        wanted = []
        for changes in product(*(range(least, most + 1) for least, most in map(self._limits_of_boxes, fields))):
            changed = list(zip(fields, changes, strict=True))
            worst = max((self._deviation(field, change) for field, change in changed), default=0)
            wanted.append((worst, slices_and_groups + sum(change << field.shift for field, change in changed)))
        return chosen, sorted(wanted)

    def _bounds_of_changes(self) -> tuple[int, int, int]:
        """Return what a change is added to, what it is subtracted from, and the bits that both results have.

        They have them if each count is within its limits.
        """
        low = high = top = 0
        limits = [(field, self._limits_of_boxes(field)) for field in self._boxes]
        limits += [(field, self._limits[field.feature]) for field in self._ranged]
        for field, (least, most) in limits:
            low += (field.half - least) << field.shift
            high += (field.half + most) << field.shift
            top += field.half << field.shift
        return low, high, top

    def _limits_of_groups(self, feature: int) -> tuple[int, int]:
        """Return by how much the groups of a feature may change, so that no part gets further from its range."""
        if self._features.first == "boxes":
            return -REACH, REACH
        (least, most), (other_least, other_most) = (
            self._features.ranges[feature][part] for part in (self._here, self._there)
        )
        here, there = (self._counts.groups[part][feature] for part in (self._here, self._there))
        slack = PUT_RIGHT if feature in self._loose else 0
        low, high = max(least - here, there - other_most) - slack, min(most - here, there - other_least) + slack
        return max(-REACH, min(low, high, 0)), min(REACH, max(low, high, 0))

    def _limits_of_boxes(self, field: _Field) -> tuple[int, int]:
        """Return by how much the boxes of a class may change, so that no deviation is worse than accepted."""
        feature, whole, greatest = field.feature, self._features.whole, field.greatest
        if not self._features.common[feature]:
            return -greatest, greatest
        most = ((self._worst + 1) * self._features.boxes[feature] * whole - 1) // UNIT
        here, there = (self._counts.excess[part][feature] for part in (self._here, self._there))
        least = -(-max(-most - here, there - most) // whole)
        return max(least, -greatest), min(min(most - here, there + most) // whole, greatest)

    def _deviation(self, field: _Field, change: int) -> int:
        """Return the worst deviation of a common class in the two parts, after a change of its boxes."""
        feature, whole = field.feature, self._features.whole
        if not self._features.common[feature]:
            return 0
        here, there = (self._counts.excess[part][feature] for part in (self._here, self._there))
        return self._features.deviation(feature, max(abs(here + change * whole), abs(there - change * whole)))

    def _worst_elsewhere(self, touched: set[int]) -> int:
        features = self._features
        return max(
            (
                features.deviation(feature, excess)
                for part, of_part in enumerate(self._counts.excess)
                for feature, excess in enumerate(of_part)
                if features.common[feature] and features.boxes[feature]
                if feature not in touched or part not in {self._here, self._there}
            ),
            default=0,
        )

    def _unevenness(self, change: int) -> Unevenness:
        """Return how uneven the two parts are after an exchange; of other parts, only the worst deviation counts."""
        features, counts = self._features, self._counts
        biased = change + self._bias
        absent = outside = total = 0
        worst = self._fixed
        for field in (*self._exact, *self._ranged):
            feature = field.feature
            if feature in self._loose:
                continue
            more = field.change(biased)
            for part, gain in ((self._here, more), (self._there, -more)):
                lacks, beyond = features.missed(feature, part, counts.groups[part][feature] + gain)
                absent += lacks
                outside += beyond
        for field in self._boxes:
            feature = field.feature
            more = field.change(biased) * features.whole
            for excess in (counts.excess[self._here][feature] + more, counts.excess[self._there][feature] - more):
                deviation = features.deviation(feature, excess)
                total += deviation
                if features.common[feature]:
                    worst = max(worst, deviation)
        return Unevenness(absent, outside, worst, total)


def _bits(greatest: int) -> int:
    """Return how many bits hold a change of at most so much in either direction, and a sum that is compared with it."""
    return (2 * greatest + 2).bit_length() + 1


def _fields(shift: int, counts: Sequence[tuple[int, int]]) -> list[_Field]:
    """Return one field after the other, from a bit on, for (feature, greatest change) pairs."""
    fields = []
    for feature, greatest in counts:
        fields.append(_Field(feature, shift, greatest))
        shift = fields[-1].end
    return fields
