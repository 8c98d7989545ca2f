"""The splitters that are compared, each as a function that prepares its inputs and returns the call to be timed.

A splitter that balances labels gets what it can use: `counts` are boxes of each class, `presence` is whether a unit has
the class, and values of traits are further columns of presence. Units are never divided by any of them, because a unit
is one row, or one group.
"""

import contextlib
import io
import os
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.splitters.measures import COMMON
from planbalance.apportion import largest_remainder
from planbalance.split import SplitRequest, Unit, split_units
from planbalance.split.prove import prove_split

DECIMALS = (Decimal("0.7"), Decimal("0.15"), Decimal("0.15"))
RATIOS = [Fraction(ratio) for ratio in DECIMALS]
SHARES = [float(ratio) for ratio in DECIMALS]
PARTS = ("train", "val", "test")

Call = Callable[[], Sequence[int]]
"""Returns 0, 1 or 2 for each unit, or raises ValueError where the splitter finds no split."""

Prepare = Callable[[Sequence[Unit], int], Call]
Columns = Callable[[Sequence[Unit]], list[list[int]]]
"""Returns the numbers of each unit, as many for every unit."""


class Splitter(NamedTuple):
    """A splitter; `prepare` takes units and a seed.

    Attributes:
        name: as the table shows it.
        packages: what is needed, as named on the package index.
        prepare: raises ImportError where a package is missing.
        seeded: the seed changes the split; without it, one split of each set is measured.
        slow: takes many seconds; fewer seeds are measured.
        classes: it looks at classes; where there are none it is skipped.
    """

    name: str
    packages: tuple[str, ...]
    prepare: Prepare
    seeded: bool = True
    slow: bool = False
    classes: bool = False


def planbalance(units: Sequence[Unit], seed: int) -> Call:
    """Split as `--split-method optimal` does."""
    return _own(units, SplitRequest(DECIMALS, seed))


def planbalance_prove(seconds: int) -> Prepare:
    """Return the split of `plan --prove SECONDS --prove-split`."""

    def prepared(units: Sequence[Unit], seed: int) -> Call:
        import_module("ortools")
        request = SplitRequest(DECIMALS, seed)

        def run() -> list[int]:
            split_of = split_units(units, request).split_of
            _, best = prove_split(units, request, split_of, seconds, improve=True)
            return [PARTS.index(best[unit.id]) for unit in units]

        return run

    return prepared


def shuffle_and_cut(units: Sequence[Unit], seed: int) -> Call:
    """Shuffle positive and negative units apart and cut: `--split-method random`."""
    return _own(units, SplitRequest(DECIMALS, seed, "random"))


def _own(units: Sequence[Unit], request: SplitRequest) -> Call:
    def run() -> list[int]:
        split_of: Mapping[str, str] = split_units(units, request).split_of
        return [PARTS.index(split_of[unit.id]) for unit in units]

    return run


def stratified_group_k_fold(rows: Callable[[Sequence[Unit]], tuple[Any, Any]]) -> Prepare:
    """Return StratifiedGroupKFold with 20 folds of rows; 14 are train, 3 val, 3 test."""

    def prepared(units: Sequence[Unit], seed: int) -> Call:
        selection = import_module("sklearn.model_selection")
        labels, groups = rows(units)

        def run() -> list[int]:
            part_of = [0] * len(units)
            folds = selection.StratifiedGroupKFold(n_splits=20, shuffle=True, random_state=seed)
            for fold, (_, chosen) in enumerate(folds.split(labels, labels, groups)):
                for unit in set(groups[chosen].tolist()):
                    part_of[unit] = 0 if fold < 14 else 1 if fold < 17 else 2
            return part_of

        return run

    return prepared


def group_shuffle_split(units: Sequence[Unit], seed: int) -> Call:
    """Split test off, then val off the rest."""
    selection = import_module("sklearn.model_selection")
    labels, groups = _slices(units)

    def run() -> list[int]:
        part_of = [0] * len(units)
        cut = selection.GroupShuffleSplit(1, test_size=0.15, random_state=seed)
        rest, test = next(cut.split(labels, labels, groups))
        for unit in set(groups[test].tolist()):
            part_of[unit] = 2
        cut = selection.GroupShuffleSplit(1, test_size=0.15 / 0.85, random_state=seed)
        _, val = next(cut.split(labels[rest], labels[rest], groups[rest]))
        for unit in set(groups[rest][val].tolist()):
            part_of[unit] = 1
        return part_of

    return run


def _slices(units: Sequence[Unit]) -> tuple[Any, Any]:
    """Return label and unit of every slice, as arrays."""
    numpy = import_module("numpy")
    labels = [int(index < unit.positives) for unit in units for index in range(unit.slices)]
    groups = [number for number, unit in enumerate(units) for _ in range(unit.slices)]
    return numpy.array(labels), numpy.array(groups)


def _boxes(units: Sequence[Unit]) -> tuple[Any, Any]:
    """Return class and unit of every box, and a row of a class of its own for every slice without a box."""
    numpy = import_module("numpy")
    labels, groups = [], []
    for number, unit in enumerate(units):
        for class_id, count in (*unit.classes, (-1, unit.slices - unit.positives)):
            labels += [class_id] * count
            groups += [number] * count
    return numpy.array(labels), numpy.array(groups)


def _class_ids(units: Sequence[Unit], least_units: int = 1) -> list[int]:
    found = [class_id for unit in units for class_id, _ in unit.classes]
    return [class_id for class_id in sorted(set(found)) if found.count(class_id) >= least_units]


def _counts(units: Sequence[Unit], least_units: int = 1) -> list[list[int]]:
    """Return the boxes of each class in each unit."""
    ids = _class_ids(units, least_units)
    return [[dict(unit.classes).get(class_id, 0) for class_id in ids] for unit in units]


def _common_counts(units: Sequence[Unit]) -> list[list[int]]:
    return _counts(units, COMMON)


def _presence(units: Sequence[Unit]) -> list[list[int]]:
    """Return for each unit whether it is positive, negative, has each class, has each value of each trait."""
    values = [sorted({unit.traits[column] for unit in units}) for column in range(len(units[0].traits))]
    return [
        [
            int(unit.positives > 0),
            int(unit.positives == 0),
            *map(bool, counts),
            *(int(trait == value) for trait, column in zip(unit.traits, values, strict=True) for value in column),
        ]
        for unit, counts in zip(units, _counts(units), strict=True)
    ]


def _join(units: Sequence[Unit], columns: Sequence[Columns]) -> list[list[int]]:
    return [[value for table in row for value in table] for row in zip(*(c(units) for c in columns), strict=True)]


def _slice_counts(units: Sequence[Unit]) -> list[list[int]]:
    return [[unit.positives, unit.slices - unit.positives] for unit in units]


def splitkit(*columns: Columns, strategy: str = "annealing", seconds: int = 0) -> Prepare:
    """Return splitkit with the columns to balance, slices as sizes; its default budget where `seconds` is 0."""

    def prepared(units: Sequence[Unit], seed: int) -> Call:
        kit = import_module("splitkit")
        numpy = import_module("numpy")
        matrix = numpy.array(_join(units, columns), dtype=float)
        sizes = numpy.array([unit.slices for unit in units], dtype=float)
        dataset = kit.GroupedDataset.from_counts(matrix, group_sizes=sizes)
        budget = {"time_budget": seconds} if seconds else {}

        def run() -> list[int]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = kit.split(dataset, SHARES, seed=seed, strategy=strategy, **budget).assignment.tolist()
            return list(found)

        return run

    return prepared


def iterative_stratification(units: Sequence[Unit], seed: int) -> Call:
    """Run the algorithm of Sechidis et al. (2011) of iterative-stratification on presence, for the three shares."""
    stratify = import_module("iterstrat.ml_stratifiers").IterativeStratification
    numpy = import_module("numpy")
    labels = numpy.array(_presence(units), dtype=bool)

    def run() -> list[int]:
        found: list[int] = stratify(labels, numpy.array(SHARES), numpy.random.RandomState(seed)).tolist()
        return found

    return run


def scikit_multilearn(order: int) -> Prepare:
    """Return scikit-multilearn's iterative stratification on presence; order 2 looks at pairs of labels."""

    def prepared(units: Sequence[Unit], seed: int) -> Call:
        stratify = import_module("skmultilearn.model_selection").IterativeStratification
        numpy = import_module("numpy")
        labels = numpy.array(_presence(units))

        def run() -> list[int]:
            numpy.random.seed(seed)  # it draws from numpy's own state; its random_state is refused by scikit-learn
            folds = stratify(n_splits=3, order=order, sample_distribution_per_fold=SHARES)
            part_of = [0] * len(units)
            for part, (_, chosen) in enumerate(folds.split(labels, labels)):
                for unit in chosen.tolist():
                    part_of[unit] = part
            return part_of

        return run

    return prepared


def datasail(tolerance: float) -> Prepare:
    """Return DataSAIL's identity-based cold split: slices as weights; the strata are slices, and common classes."""

    def prepared(units: Sequence[Unit], seed: int) -> Call:
        solve = import_module("datasail.solver.id_1d").solve_i1
        numpy = import_module("numpy")
        order = list(range(len(units)))
        random.Random(seed).shuffle(order)
        rows = _join(units, (_slice_counts, _common_counts))
        strata = numpy.array([rows[index] for index in order])
        weights = [units[index].slices for index in order]

        def run() -> list[int]:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = solve(
                    order, weights, strata, tolerance, tolerance, SHARES, [0, 1, 2], 20, "SCIP", Path(os.devnull)
                )
            if found is None:
                raise ValueError(f"no split within {tolerance:.1%}")
            return [found[index] for index in range(len(units))]

        return run

    return prepared


def cp_sat(seconds: float) -> Prepare:
    """Return a model of one sum for OR-tools CP-SAT, as one would write it without planbalance.

    Slices and quotas are exact where that can be; then the numbers of units of each class are within floor and ceil, at
    1,000 a unit outside; then the boxes of each class are near their shares, in hundredths of a percentage point.
    """

    def prepared(units: Sequence[Unit], seed: int) -> Call:
        model_of = import_module("ortools.sat.python.cp_model")
        model = model_of.CpModel()
        place = [[model.new_bool_var("") for _ in PARTS] for _ in units]
        cost: list[Any] = []

        def off(amounts: Sequence[int], wanted: Sequence[int], weight: int) -> None:
            for part, want in enumerate(wanted):
                distance = model.new_int_var(0, sum(amounts), "")
                held = sum(amount * row[part] for amount, row in zip(amounts, place, strict=True) if amount)
                model.add_abs_equality(distance, held - want)
                cost.append(weight * distance)

        for row in place:
            model.add_exactly_one(row)
        for stratum in (True, False):
            inside = [int((unit.positives > 0) == stratum) for unit in units]
            off(inside, largest_remainder(sum(inside), RATIOS), 1_000_000)
        for amounts in zip(*_slice_counts(units), strict=True):
            off(amounts, largest_remainder(sum(amounts), RATIOS), 100_000)
        for counts in zip(*_counts(units), strict=True):
            present = [int(count > 0) for count in counts]
            off(present, largest_remainder(sum(present), RATIOS), 1_000)
            off(counts, largest_remainder(sum(counts), RATIOS), max(1, 10_000 // sum(counts)))
        model.minimize(sum(cost))

        def run() -> list[int]:
            solver = model_of.CpSolver()
            solver.parameters.max_time_in_seconds = seconds
            solver.parameters.random_seed = seed
            solver.parameters.num_workers = os.cpu_count() or 1
            if solver.solve(model) not in {model_of.OPTIMAL, model_of.FEASIBLE}:
                raise ValueError(f"no split found in {seconds:g} s")
            return [next(part for part, var in enumerate(row) if solver.value(var)) for row in place]

        return run

    return prepared


SPLITTERS = (
    Splitter("planbalance", (), planbalance),
    Splitter("plan --prove 60 --prove-split", ("ortools",), planbalance_prove(60), slow=True),
    Splitter("splitkit, boxes alone", ("splitkit",), splitkit(_counts), classes=True),
    Splitter("splitkit, boxes and presence", ("splitkit",), splitkit(_counts, _presence)),
    Splitter("splitkit, boxes, presence, slices", ("splitkit",), splitkit(_counts, _presence, _slice_counts)),
    Splitter(
        "splitkit exact 60 s, boxes, presence, slices",
        ("splitkit",),
        splitkit(_counts, _presence, _slice_counts, strategy="exact", seconds=60),
        seeded=False,
        slow=True,
    ),
    Splitter("iterative-stratification, presence", ("iterative-stratification",), iterative_stratification),
    Splitter("scikit-multilearn order 1, presence", ("scikit-multilearn",), scikit_multilearn(1)),
    Splitter("scikit-multilearn order 2, presence", ("scikit-multilearn",), scikit_multilearn(2)),
    Splitter("StratifiedGroupKFold, slices", ("scikit-learn",), stratified_group_k_fold(_slices)),
    Splitter("StratifiedGroupKFold, boxes", ("scikit-learn",), stratified_group_k_fold(_boxes), classes=True),
    Splitter("GroupShuffleSplit", ("scikit-learn",), group_shuffle_split),
    Splitter("DataSAIL, tolerance 5 %", ("datasail",), datasail(0.05)),
    Splitter("DataSAIL, tolerance 0.5 %", ("datasail",), datasail(0.005), slow=True),
    Splitter("CP-SAT alone, 60 s, one sum", ("ortools",), cp_sat(60), slow=True),
    Splitter("stratified shuffle and cut", (), shuffle_and_cut),
)
