"""`python -m benchmarks.splitters`: how close splitters come to 70/15/15, and how long they take.

550 volumes, 93 of them positive, lognormal sizes from 20 to 600 slices, 5 to 40 % positive slices in positive volumes;
a new set for each of 20 seeds. Deviations are |share - ratio| in percentage points of a split's volumes, positive
slices and negative slices, against the real-valued ratios: rounding alone leaves some. Times are of the split itself,
inputs ready. Peers are measured in the same run where they can be imported (`pip install --group bench`, `datasail`).
"""

import contextlib
import io
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib import import_module, metadata
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import click

from benchmarks.measure import save
from planbalance.split import SplitRequest, Unit, largest_remainder, split_units

RATIOS = (Decimal("0.7"), Decimal("0.15"), Decimal("0.15"))
SHARES = (0.7, 0.15, 0.15)

Splitter = Callable[[Sequence[Unit], int], Callable[[], Sequence[int]]]
"""(units, seed) -> a call, to be timed, that returns 0, 1 or 2 for each unit."""


class Row(NamedTuple):
    """One splitter over all seeds; deviations in percentage points, times in milliseconds."""

    name: str
    volumes_worst: float
    volumes_mean: float
    positives_worst: float
    positives_mean: float
    negatives_worst: float
    negatives_mean: float
    slices_off: float
    exact: int
    milliseconds_mean: float
    milliseconds_worst: float


def draw_units(seed: int, count: int = 550, positive: int = 93) -> list[Unit]:
    """Draw one set of volumes."""
    draw = random.Random(seed)
    sizes = [min(600, max(20, round(draw.lognormvariate(5, 0.6)))) for _ in range(count)]
    return [
        Unit(f"v{index:04d}", size, max(1, round(size * draw.uniform(0.05, 0.4))) if index < positive else 0)
        for index, size in enumerate(sizes)
    ]


def planbalance(units: Sequence[Unit], seed: int) -> Callable[[], Sequence[int]]:
    """Split as `--split-method optimal` does."""
    return lambda: _parts(units, split_units(units, SplitRequest(RATIOS, seed)).split_of)


def shuffle_and_cut(units: Sequence[Unit], seed: int) -> Callable[[], Sequence[int]]:
    """Shuffle positive and negative volumes apart and cut: `--split-method random`."""
    return lambda: _parts(units, split_units(units, SplitRequest(RATIOS, seed, "random")).split_of)


def _parts(units: Sequence[Unit], split_of: Mapping[str, str]) -> list[int]:
    return [("train", "val", "test").index(split_of[unit.id]) for unit in units]


def stratified_group_k_fold(units: Sequence[Unit], seed: int) -> Callable[[], Sequence[int]]:
    """Make 20 folds; 14 are train, 3 val, 3 test."""
    selection = import_module("sklearn.model_selection")
    labels, groups = _slices(units)

    def run() -> list[int]:
        part_of = [0] * len(units)
        folds = selection.StratifiedGroupKFold(n_splits=20, shuffle=True, random_state=seed)
        for fold, (_, chosen) in enumerate(folds.split(labels, labels, groups)):
            for unit in set(groups[chosen].tolist()):
                part_of[unit] = 0 if fold < 14 else 1 if fold < 17 else 2
        return part_of

    return run


def group_shuffle_split(units: Sequence[Unit], seed: int) -> Callable[[], Sequence[int]]:
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
    """Return label and volume of every slice, as arrays."""
    numpy = import_module("numpy")
    labels = [int(index < unit.positives) for unit in units for index in range(unit.slices)]
    groups = [number for number, unit in enumerate(units) for _ in range(unit.slices)]
    return numpy.array(labels), numpy.array(groups)


def datasail(tolerance: float) -> Splitter:
    """Return DataSAIL's identity-based cold split, fed the counts: slices as weights, both counts as strata."""

    def prepared(units: Sequence[Unit], seed: int) -> Callable[[], Sequence[int]]:
        solve = import_module("datasail.solver.id_1d").solve_i1
        numpy = import_module("numpy")
        order = list(range(len(units)))
        random.Random(seed).shuffle(order)
        counts = numpy.array([[units[i].positives, units[i].slices - units[i].positives] for i in order])
        weights = [units[i].slices for i in order]

        def run() -> list[int]:
            with contextlib.redirect_stdout(io.StringIO()):
                found = solve(
                    order, weights, counts, tolerance, tolerance, list(SHARES), [0, 1, 2], 20, "SCIP", Path(os.devnull)
                )
            if found is None:
                raise ValueError(f"no split within {tolerance:.1%}")
            return [found[index] for index in range(len(units))]

        return run

    return prepared


SPLITTERS: tuple[tuple[str, str, Splitter], ...] = (
    ("planbalance", "", planbalance),
    ("scikit-learn StratifiedGroupKFold (20 folds, 14/3/3)", "scikit-learn", stratified_group_k_fold),
    ("scikit-learn GroupShuffleSplit", "scikit-learn", group_shuffle_split),
    ("stratified shuffle and cut", "", shuffle_and_cut),
    ("DataSAIL I1, its default tolerance of 5 %", "datasail", datasail(0.05)),
    ("DataSAIL I1, tolerance 0.1 %", "datasail", datasail(0.001)),
)


def measure(name: str, splitter: Splitter, seeds: Sequence[int]) -> Row:
    """Run one splitter on the set of every seed."""
    off: list[list[list[float]]] = [[], [], []]
    slices_off = []
    times = []
    for seed in seeds:
        units = draw_units(seed)
        call = splitter(units, seed)
        started = time.perf_counter()
        part_of = call()
        times.append(1000 * (time.perf_counter() - started))
        distance = 0
        amounts = ([1] * len(units), [u.positives for u in units], [u.slices - u.positives for u in units])
        for kind, amount in enumerate(amounts):
            reached = [sum(a for a, p in zip(amount, part_of, strict=True) if p == part) for part in range(3)]
            total = sum(amount)
            off[kind].append([100 * abs(have / total - share) for have, share in zip(reached, SHARES, strict=True)])
            if kind:
                distance += sum(abs(a - b) for a, b in zip(reached, largest_remainder(total, RATIOS), strict=True))
        slices_off.append(distance)
    worst = [max(map(max, kind)) for kind in off]
    middle = [mean(map(mean, kind)) for kind in off]
    return Row(
        name=name,
        volumes_worst=worst[0],
        volumes_mean=middle[0],
        positives_worst=worst[1],
        positives_mean=middle[1],
        negatives_worst=worst[2],
        negatives_mean=middle[2],
        slices_off=mean(slices_off),
        exact=slices_off.count(0),
        milliseconds_mean=mean(times),
        milliseconds_worst=max(times),
    )


def table(rows: Sequence[Row], seeds: int) -> str:
    """Return the rows as a Markdown table."""
    heads = ("volumes: worst, mean", "positives: worst, mean", "negatives: worst, mean", "slices off", "exact", "time")
    lines = ["| | " + " | ".join(heads) + " |", "|---|---:|---:|---:|---:|---:|---:|"]
    lines += [
        f"| {row.name} | {row.volumes_worst:.2f}, {row.volumes_mean:.2f} "
        f"| {row.positives_worst:.3f}, {row.positives_mean:.3f} | {row.negatives_worst:.3f}, {row.negatives_mean:.3f} "
        f"| {row.slices_off:.1f} | {row.exact} of {seeds} "
        f"| {row.milliseconds_mean:.1f} ms, worst {row.milliseconds_worst:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def machine() -> str:
    """Return what the figures were made on."""
    versions = []
    for package in ("scikit-learn", "datasail"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{package} {metadata.version(package)}")
    return ", ".join(
        (
            f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            f"Python {platform.python_version()}",
            *versions,
        )
    )


@click.command()
@click.option("--seeds", default=20, show_default=True, help="How many sets are drawn.")
@click.option("--json", "json_file", default=None, help="File that the figures are written to as well.")
def main(seeds: int, json_file: str | None) -> None:
    """Compare splitters on sets drawn for seeds 1, 2, ..."""
    rows = []
    numbers = range(1, seeds + 1)
    for name, package, splitter in SPLITTERS:
        try:
            splitter(draw_units(0), 0)()  # imports and warms up, not measured
            rows.append(measure(name, splitter, numbers))
        except (ImportError, ValueError) as error:
            print(f"{name}: skipped, {error}" + (f" ({package})" if package else ""), file=sys.stderr)
    print(f"{machine()}. 550 volumes, 93 positive, {seeds} sets; percentage points; slices off the integer targets.\n")
    print(table(rows, seeds))
    for row in rows[1:]:
        positives, negatives = (
            row.positives_worst / rows[0].positives_worst,
            row.negatives_worst / rows[0].negatives_worst,
        )
        print(f"\n{row.name}: worst deviation {positives:.0f} (positives) and {negatives:.0f} (negatives) times ours.")
    if json_file is not None:
        document = {"machine": machine(), "seeds": seeds, "rows": [row._asdict() for row in rows]}
        save(document, json_file)


if __name__ == "__main__":
    main()
