"""Prove how near a split is to the best one: a constraint solver bounds each level of the objective.

The objective has levels, one before the other (docs/explanation/targets.md), and the proof takes them in this order. A
level that is at a bound that costs little to compute is proven. For any other, CP-SAT of OR-tools (extra `[prove]`)
looks for a split that is better in this level and as good in all levels before, and bounds what is possible. The proof
ends at the first level that it cannot close in its time: what comes later then has no meaning.

The solver works on several threads and against a clock, so neither bounds nor splits that it finds are the same on each
run. The caller decides whether such a split is taken.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from planbalance.apportion import largest_remainder
from planbalance.model import SPLITS, Split
from planbalance.split.levels import (
    ORDERS,
    Feature,
    LevelName,
    ProofTask,
    features_of,
    held_by_parts,
    measure_levels,
    proof_task,
    strata,
)
from planbalance.split.proof_model import ProofModel, require, solver_name
from planbalance.split.units import SplitRequest, Unit

# Of the time, for the bounds of the classes, each alone. Small questions: most take less than they may.
_SHARE_OF_CLASSES: Final = 0.3
# Of the time that is left, for a level of a split that is improved: the rest is for the levels after it.
_SHARE_OF_A_LEVEL: Final = 0.5


class Level(NamedTuple):
    """One level of the objective: slices, units or percentage points; less is better.

    Attributes:
        name: what is counted.
        reached: by the split that was asked about.
        found: by the best split that was seen.
        bound: no split that is as good in the levels before has less.
    """

    name: LevelName
    reached: Fraction
    found: Fraction
    bound: Fraction

    @property
    def proven(self) -> bool:
        """Whether the split that was asked about is the best in this level."""
        return self.bound >= self.reached

    @property
    def closed(self) -> bool:
        """Whether the best split that was seen is the best that there is, in this level."""
        return self.bound >= self.found


class ClassBound(NamedTuple):
    """The worst deviation of the boxes of one class, in percentage points.

    Attributes:
        class_id: a class that counts in the worst deviation.
        reached: over the parts, by the split that was asked about.
        found: by the best split that was seen, which may be worse by this class.
        bound: no split that keeps the quotas has less, whatever it does to the other classes.
    """

    class_id: int
    reached: Fraction
    found: Fraction
    bound: Fraction


class SplitProof(NamedTuple):
    """What is proven of a split.

    Attributes:
        levels: in the order of the objective, to the first one that was not closed.
        not_reached: the levels after it.
        classes: of each class that counts in the worst deviation.
        part_of: unit -> part of the best split that was seen; the one that was asked about if none is better.
        better_found: it is not the one that was asked about.
        solver: name and version.
        seconds: what the solver was given.
        taken: the best split that was seen is the one to use.
    """

    levels: tuple[Level, ...]
    not_reached: tuple[LevelName, ...]
    classes: tuple[ClassBound, ...]
    part_of: tuple[int, ...]
    better_found: bool
    solver: str
    seconds: int
    taken: bool = False


def prove_split(
    units: Sequence[Unit],
    request: SplitRequest,
    split_of: Mapping[str, Split],
    seconds: int,
    *,
    improve: bool = False,
) -> tuple[SplitProof, Mapping[str, Split]]:
    """Bound each level of the objective for a split of `split_units`; return the best split that was seen as well.

    Args:
        units: as given to `split_units`.
        request: as given to `split_units`.
        split_of: unit id -> split, as it returned.
        seconds: see `prove`.
        improve: see `prove`.

    Raises:
        UsageError: OR-tools is not installed (kind `extra-missing`).
    """
    units = sorted(units)
    proof = prove(
        proof_task(units, request), [SPLITS.index(split_of[unit.id]) for unit in units], seconds, improve=improve
    )
    return proof, {unit.id: SPLITS[part] for unit, part in zip(units, proof.part_of, strict=True)}


def prove(task: ProofTask, part_of: Sequence[int], seconds: int, *, improve: bool = False) -> SplitProof:
    """Bound each level of the objective for a split.

    Args:
        task: units, targets and order of the levels.
        part_of: the split that is asked about, which keeps what is fixed. Numbers of units that it has are allowed.
        seconds: how long the solver may work; to build its models takes time too.
        improve: go on with a better split where one is found, to the best in all levels. Otherwise the proof ends at
            the first level in which a better split was found.

    Raises:
        UsageError: OR-tools is not installed (kind `extra-missing`).
        KeyboardInterrupt: the solver was stopped by a signal.
    """
    ranges = [
        [(min(least, have), max(most, have)) for (least, most), have in zip(row, held, strict=True)]
        for row, held in zip(
            task.quota_ranges, (held_by_parts(task, stratum, part_of) for stratum in strata(task.units)), strict=True
        )
    ]
    return _Prover(task._replace(quota_ranges=ranges), tuple(part_of), seconds).run(improve=improve)


class _ClassBound(NamedTuple):
    """Bounds of the worst deviation and of the sum of the deviations of one class, in percentage points."""

    worst: Fraction
    total: Fraction


_ClassBounds: TypeAlias = dict[int, _ClassBound]


class _Prover:
    """One proof: the split that is asked about, the best one so far, and the time that is left."""

    def __init__(self, task: ProofTask, part_of: tuple[int, ...], seconds: int) -> None:
        self._task = task
        self._asked = part_of
        self._best = part_of
        self._given = seconds
        self._seconds: float = seconds
        self._features = features_of(task)
        require()

    def run(self, *, improve: bool) -> SplitProof:
        task, asked = self._task, measure_levels(self._task, self._asked)
        order = ORDERS[task.balance]
        classes: _ClassBounds = {}
        levels: list[Level] = []
        for index, name in enumerate(order):
            if name == "worst_boxes":
                classes = self._class_bounds(order[:index])
            known = self._known_bound(name, classes)
            share = _SHARE_OF_A_LEVEL if improve and index + 1 < len(order) else 1.0
            level = self._level(name, order[:index], known, share)
            levels.append(level._replace(reached=asked[name]))
            if not level.closed or (level.found < asked[name] and not improve):
                if improve:
                    self._improve_the_rest(order, index + 1)
                break
        return SplitProof(
            levels=tuple(levels),
            not_reached=order[len(levels) :],
            classes=self._class_results(classes),
            part_of=self._best,
            better_found=self._best != self._asked,
            solver=solver_name(),
            seconds=self._given,
        )

    def _class_results(self, bounds: _ClassBounds) -> tuple[ClassBound, ...]:
        results = []
        for feature in self._features:
            if feature.class_id in bounds:
                reached, found = (
                    feature.worst_deviation(held_by_parts(self._task, feature.boxes, part_of), self._task.ratios)
                    for part_of in (self._asked, self._best)
                )
                bound = min(reached, found, bounds[feature.class_id].worst)
                results.append(ClassBound(feature.class_id, reached, found, bound))
        return tuple(results)

    def _level(self, name: LevelName, before: Sequence[LevelName], known: Fraction, share: float) -> Level:
        """Return a level of the best split so far; look for a better one where the known bound is lower."""
        reached = measure_levels(self._task, self._best)
        if known >= reached[name]:
            return Level(name, reached[name], reached[name], reached[name])
        if self._seconds <= 0:
            return Level(name, reached[name], reached[name], known)
        bound = self._solve(name, before, known, share)
        found = measure_levels(self._task, self._best)[name]
        return Level(name, reached[name], found, min(found, max(known, bound)))

    def _improve_the_rest(self, order: Sequence[LevelName], start: int) -> None:
        """Improve the levels after the one that is not closed, as long as there is time; nothing is proven of them."""
        if self._best == self._asked:
            return
        for index in range(start, len(order)):
            if self._seconds > 0:
                share = _SHARE_OF_A_LEVEL if index + 1 < len(order) else 1.0
                self._solve(order[index], order[:index], Fraction(0), share)

    def _solve(self, name: LevelName, before: Sequence[LevelName], known: Fraction, share: float) -> Fraction:
        """Let the solver minimize a level; return its bound, and keep the split that it finds if it is better."""
        model = ProofModel(self._task, self._features, self._best)
        reached = measure_levels(self._task, self._best)
        for earlier in before:
            model.limit(earlier, reached[earlier])
        answer = model.minimize(name, known, self._seconds * share)
        self._seconds -= answer.seconds
        if answer.part_of is not None and measure_levels(self._task, answer.part_of)[name] < reached[name]:
            self._best = answer.part_of
        return answer.bound

    def _known_bound(self, name: LevelName, classes: _ClassBounds) -> Fraction:
        """Return a lower bound that needs no solver of all units."""
        if name == "worst_boxes":
            return max((one.worst for one in classes.values()), default=Fraction(0))
        if name == "all_boxes":
            rare = (one for one in self._features if not one.common)
            rounded = (one.sum_of_deviations(_rounded(one, self._task.ratios), self._task.ratios) for one in rare)
            return sum((one.total for one in classes.values()), sum(rounded, Fraction(0)))
        return Fraction(0)

    def _class_bounds(self, before: Sequence[LevelName]) -> _ClassBounds:
        """Return bounds for each common class, whatever is done to the others.

        Only the units of the class are placed, within the quotas and, where the levels before say so, within its bounds
        of units.
        """
        reached, ratios = measure_levels(self._task, self._best), self._task.ratios
        limits: dict[LevelName, Fraction] = {name: reached[name] for name in before if name in {"missing", "outside"}}
        common = {one.class_id: one for one in self._features if one.common and one.class_id is not None}
        bounds = {}
        for class_id, feature in common.items():
            rounded = _rounded(feature, ratios)
            alone = partial(self._alone, feature, limits, _SHARE_OF_CLASSES * self._given / (2 * len(common)))
            bounds[class_id] = _ClassBound(
                alone("worst_boxes", feature.worst_deviation(rounded, ratios)),
                alone("all_boxes", feature.sum_of_deviations(rounded, ratios)),
            )
        return bounds

    def _alone(
        self, feature: Feature, limits: Mapping[LevelName, Fraction], seconds: float, name: LevelName, known: Fraction
    ) -> Fraction:
        if self._seconds <= 0:
            return known
        model = ProofModel(self._task, [feature], self._best, only=feature.holders)
        for level, most in limits.items():
            model.limit(level, most)
        answer = model.minimize(name, known, min(self._seconds, seconds))
        self._seconds -= answer.seconds
        return answer.bound


def _rounded(feature: Feature, ratios: Sequence[Fraction]) -> tuple[int, ...]:
    """Return boxes per part by largest remainder: no whole numbers have a smaller worst deviation or a smaller sum."""
    return largest_remainder(sum(feature.boxes), ratios)
