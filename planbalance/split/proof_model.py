"""One question about a split as a model for CP-SAT of OR-tools, which is the extra `[prove]`."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from math import ceil, floor, isfinite
from typing import Any, Final, NamedTuple, TypeAlias

from planbalance.errors import UsageError
from planbalance.split.levels import (
    PARTS_SUM,
    PARTS_WORST,
    Feature,
    LevelName,
    ProofTask,
    short_ratios,
    slice_amounts,
    strata,
    weight,
)

# OR-tools has no types.
Expression: TypeAlias = Any
CpSat: TypeAlias = Any


# So many run all methods of CP-SAT, which is faster on two cores too: they take turns there.
_WORKERS: Final = 8
# A solver that ends without a proof after less than this share of its time was stopped.
_NOT_STOPPED: Final = 0.8


class Answer(NamedTuple):
    """What the solver found.

    Attributes:
        bound: no split has less than this.
        part_of: unit -> part of the best split found; None where none was.
        seconds: time taken.
    """

    bound: Fraction
    part_of: tuple[int, ...] | None
    seconds: float


def installed() -> bool:
    """Return whether OR-tools is installed."""
    return find_spec("ortools") is not None


def require() -> None:
    """Refuse a proof where OR-tools is not installed.

    Raises:
        UsageError: it is not (kind `extra-missing`).
    """
    if not installed():
        raise UsageError(
            "--prove needs the extra [prove], which is not installed.",
            kind="extra-missing",
            hint="python -m pip install 'planbalance[prove]'",
        )


def _cp_sat() -> CpSat:
    require()
    return import_module("ortools.sat.python.cp_model")


def solver_name() -> str:
    """Return name and version of the solver."""
    return f"ortools {import_module('ortools').__version__}"


class ProofModel:
    """The model of one question to the solver. Units that are alike in all that counts are one variable for each part.

    Each level is a sum of variables that are at least what they stand for: the solver may make them larger, and does
    not where it minimizes or limits them.
    """

    def __init__(
        self,
        task: ProofTask,
        features: Sequence[Feature],
        part_of: Sequence[int],
        only: Sequence[int] | None = None,
    ) -> None:
        """Make the variables and the rules that always hold; `only` marks the units that are placed, None for all.

        Units that are not placed count nowhere, so the quotas are then limits from above alone.
        """
        self._model = _cp_sat().CpModel()
        self._task = task
        self._features = features
        self._part_of = part_of
        self._placed = [index for index in range(len(task.units)) if only is None or only[index]]
        self._open = [part for part, ratio in enumerate(task.ratios) if ratio > 0]
        self._kinds = self._alike(whole=only is None)
        self._number = [
            [self._variable(len(kind), sum(part_of[i] == part for i in kind)) for part in self._open]
            for kind in self._kinds
        ]
        for kind, numbers in zip(self._kinds, self._number, strict=True):
            self._model.add(sum(numbers) == len(kind))
        for amounts, ranges in zip(strata(task.units), task.quota_ranges, strict=True):
            for part in self._open:
                held, _ = self._amount(amounts, part)
                self._model.add(held <= ranges[part][1])
                if only is None:
                    self._model.add(held >= ranges[part][0])

    def _alike(self, *, whole: bool) -> list[list[int]]:
        """Return the units that are not fixed, in lists of units that are alike."""
        units = self._task.units
        kinds: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
        for index in self._placed:
            if self._task.fixed[index] is None:
                unit, own = units[index], tuple(feature.boxes[index] for feature in self._features)
                key = (unit.positives, unit.slices, unit.classes, unit.traits) if whole else (unit.positives > 0, own)
                kinds[key].append(index)
        return list(kinds.values())

    def limit(self, name: LevelName, most: Fraction) -> None:
        """Let a level be at most as large."""
        if name == "worst_boxes":
            for feature in self._features:
                if feature.common:
                    for off, _, whole in self._box_distances(feature):
                        self._model.add(off <= floor(most * whole / 100))
        else:
            self._model.add(self._expression(name) <= int(most * (PARTS_SUM if name == "all_boxes" else 1)))

    def minimize(self, name: LevelName, known: Fraction, seconds: float) -> Answer:
        """Look for a split that has least in a level; `known` is a bound that the caller knows.

        Raises:
            KeyboardInterrupt: the solver was stopped by a signal. It takes the signal itself and returns what it has.
        """
        scale = {"worst_boxes": PARTS_WORST, "all_boxes": PARTS_SUM}.get(name, 1)
        objective = self._expression(name)
        self._model.add(objective >= int(known * scale))
        self._model.minimize(objective)
        solver = _cp_sat().CpSolver()
        solver.parameters.max_time_in_seconds = seconds
        solver.parameters.num_workers = _WORKERS
        status = solver.solve(self._model)
        assert status not in {_cp_sat().MODEL_INVALID, _cp_sat().INFEASIBLE}, "the split that is asked about is allowed"
        if status != _cp_sat().OPTIMAL and solver.wall_time < _NOT_STOPPED * seconds:
            raise KeyboardInterrupt
        solved = status in {_cp_sat().OPTIMAL, _cp_sat().FEASIBLE}
        bound = solver.best_objective_bound if isfinite(solver.best_objective_bound) else 0
        return Answer(
            bound=max(known, Fraction(ceil(bound - 1e-6), scale)),
            part_of=self._read(solver) if solved else None,
            seconds=solver.wall_time,
        )

    def _read(self, solver: CpSat) -> tuple[int, ...]:
        """Return the split of a solution; of units that are alike, as few as possible change their part."""
        part_of = list(self._part_of)
        for kind, numbers in zip(self._kinds, self._number, strict=True):
            room = {part: int(solver.value(number)) for part, number in zip(self._open, numbers, strict=True)}
            moving = []
            for index in kind:
                if room.get(part_of[index], 0):
                    room[part_of[index]] -= 1
                else:
                    moving.append(index)
            free = [part for part, count in room.items() for _ in range(count)]
            for index, part in zip(moving, free, strict=True):
                part_of[index] = part
        return tuple(part_of)

    def _variable(self, most: int, hint: int, least: int = 0) -> Expression:
        variable = self._model.new_int_var(least, most, "")
        self._model.add_hint(variable, hint)
        return variable

    def _amount(self, amounts: Sequence[int], part: int) -> tuple[Expression, int]:
        """Return what a part holds: as an expression, and in the split that was given."""
        terms = [
            (amounts[kind[0]], numbers[self._open.index(part)])
            for kind, numbers in zip(self._kinds, self._number, strict=True)
            if part in self._open and amounts[kind[0]]
        ]
        held = sum(amounts[i] for i in self._placed if self._task.fixed[i] == part)
        return held + sum(amount * number for amount, number in terms), sum(
            amounts[i] for i in self._placed if self._part_of[i] == part
        )

    def _above(self, most: int, hint: int, *least: Expression) -> Expression:
        """Return a variable from 0 to `most` that is at least each expression."""
        variable = self._variable(most, max(0, hint))
        for expression in least:
            self._model.add(variable >= expression)
        return variable

    def _distances(self, amounts: Sequence[int], wanted: Sequence[int]) -> list[Expression]:
        found = []
        for part, want in enumerate(wanted):
            held, now = self._amount(amounts, part)
            found.append(self._above(sum(amounts) + want, abs(now - want), held - want, want - held))
        return found

    def _expression(self, name: LevelName) -> Expression:
        """Return a level: slices, units, or parts of a percentage point."""
        task = self._task
        positives, negatives = slice_amounts(task.units)
        terms: Mapping[LevelName, Callable[[], Sequence[Expression]]] = {
            "slices": lambda: self._distances(positives, task.slices[0]) + self._distances(negatives, task.slices[1]),
            "positive_slices": lambda: self._distances(positives, task.slices[0]),
            "quotas": lambda: [
                distance
                for amounts, wanted in zip(strata(task.units), task.quotas, strict=True)
                for distance in self._distances(amounts, wanted)
            ],
            "missing": self._missing,
            "outside": self._outside,
            "worst_boxes": lambda: [self._worst_box()],
            "all_boxes": self._box_terms,
        }
        return sum(terms[name]())

    def _missing(self) -> list[Expression]:
        found = []
        for feature in self._features:
            for part in feature.must_have:
                held, now = self._amount(feature.holders, part)
                found.append(self._above(1, 1 - now, 1 - held))
        return found

    def _outside(self) -> list[Expression]:
        found = []
        for feature in self._features:
            for part, (least, most) in enumerate(feature.bounds):
                held, now = self._amount(feature.holders, part)
                found.append(self._above(sum(feature.holders), max(least - now, now - most), least - held, held - most))
        return found

    def _box_distances(self, feature: Feature) -> list[tuple[Expression, int, int]]:
        """Return for each part |boxes - share| times a whole number: variable, its value now, and what 1 stands for."""
        total = sum(feature.boxes)
        found = []
        for part, ratio in enumerate(short_ratios(self._task.ratios)):
            held, now = self._amount(feature.boxes, part)
            off, wanted = held * ratio.denominator - ratio.numerator * total, ratio.numerator * total
            have = abs(now * ratio.denominator - wanted)
            found.append((self._above(total * ratio.denominator, have, off, -off), have, total * ratio.denominator))
        return found

    def _worst_box(self) -> Expression:
        """Return the worst deviation in parts of a percentage point, rounded up."""
        pairs = [one for feature in self._features if feature.common for one in self._box_distances(feature)]
        now = max((-(-100 * PARTS_WORST * have // whole) for _, have, whole in pairs), default=0)
        worst = self._variable(100 * PARTS_WORST, now)
        for off, _, whole in pairs:
            self._model.add(worst * whole >= off * (100 * PARTS_WORST))
        return worst

    def _box_terms(self) -> list[Expression]:
        """Return the deviations in parts of a percentage point."""
        pairs = [one for feature in self._features if any(feature.boxes) for one in self._box_distances(feature)]
        return [off * weight(whole) for off, _, whole in pairs]
