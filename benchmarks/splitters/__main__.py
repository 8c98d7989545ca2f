"""`python -m benchmarks.splitters`: the table of splitters and instances. Times are CPU seconds of the split alone."""

import os
import platform
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from statistics import mean
from typing import NamedTuple

import click

from benchmarks.measure import save
from benchmarks.splitters.instances import INSTANCES, Instance
from benchmarks.splitters.measures import Measures, mean_of, measure_split
from benchmarks.splitters.rivals import RATIOS, SPLITTERS, Splitter
from planbalance.split import Unit


class Row(NamedTuple):
    """One splitter on one instance.

    Attributes:
        name: of the splitter.
        splits: how many were measured.
        met: splits in which no slice and no quota is off, no class is missing and none outside.
        measures: means over the splits.
        seconds: CPU seconds of a split, all threads of the process together; mean over the splits.
        seconds_worst: the slowest split.
    """

    name: str
    splits: int
    met: int
    measures: Measures
    seconds: float
    seconds_worst: float


def measure(instance: Instance, splitter: Splitter, seeds: Sequence[int]) -> Row:
    """Split with each seed; with the first alone where the seed changes nothing.

    Raises:
        ImportError: a package of the splitter is missing.
        ValueError: the splitter finds no split.
    """
    found = []
    times = []
    if instance.fixed and not splitter.seeded:
        seeds = seeds[:1]
    for seed in seeds:
        units = instance.draw(seed)
        call = splitter.prepare(units, seed)
        started = time.process_time()
        part_of = call()
        times.append(time.process_time() - started)
        found.append(measure_split(units, part_of, RATIOS))
    return Row(
        name=splitter.name,
        splits=len(found),
        met=sum(not any((m.slices_off, m.quotas_off, m.zero, m.outside)) for m in found),
        measures=mean_of(found),
        seconds=mean(times),
        seconds_worst=max(times),
    )


def rows_of(instance: Instance, splitters: Sequence[Splitter], seeds: Sequence[int], slow: int) -> list[Row]:
    """Measure the splitters; say on stderr which were skipped, and why."""
    rows = []
    for splitter in splitters:
        units = instance.draw(0)
        if splitter.classes and not any(unit.classes for unit in units):
            continue
        try:
            if not splitter.slow:
                splitter.prepare(units, 0)()  # imports and warms up, not measured
            rows.append(measure(instance, splitter, seeds[:slow] if splitter.slow else seeds))
            print(f"{instance.name}: {splitter.name} measured, {rows[-1].seconds:.3f} s", file=sys.stderr)
        except ImportError as error:
            packages = " ".join(splitter.packages)
            print(f"{instance.name}: {splitter.name} skipped, {error}; pip install {packages}", file=sys.stderr)
        except ValueError as error:
            print(f"{instance.name}: {splitter.name} has no split, {error}", file=sys.stderr)
    return rows


def table(rows: Sequence[Row], units: Sequence[Unit]) -> str:
    """Return the rows of one instance as a Markdown table; a measure of what its units do not have is a dash."""
    has_classes = any(unit.classes for unit in units)
    has_traits = any(unit.traits for unit in units)
    lines = [_line(row, has_classes=has_classes, has_traits=has_traits) for row in rows]
    heads = (
        "slices off (positives)",
        "quotas off",
        "boxes worst / mean",
        "volumes worst / mean",
        "zero",
        "outside",
        "traits outside",
        "all met",
        "CPU s",
    )
    return "\n".join(("| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads), *lines))


def _line(row: Row, *, has_classes: bool, has_traits: bool) -> str:
    got = row.measures
    cells = (
        f"{got.slices_off:,.0f} ({got.positives_off:,.0f})",
        f"{got.quotas_off:.1f}",
        f"{got.boxes_worst:.2f} / {got.boxes_mean:.3f}" if has_classes else "–",
        f"{got.volumes_worst:.2f} / {got.volumes_mean:.2f}" if has_classes else "–",
        f"{got.zero:.2f}" if has_classes else "–",
        f"{got.outside:.1f}" if has_classes else "–",
        f"{got.traits_outside:.1f}" if has_traits else "–",
        f"{row.met} of {row.splits}",
        f"{row.seconds:.3f}" if row.seconds < 1 else f"{row.seconds:.1f}",
    )
    return f"| {row.name} | " + " | ".join(cells) + " |"


def machine() -> str:
    """Return what the figures were made on, with the version of each package."""
    versions = []
    for package in sorted({"planbalance", *(name for splitter in SPLITTERS for name in splitter.packages)}):
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{package} {metadata.version(package)}")
    here = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return ", ".join((here, f"Python {platform.python_version()}", *versions))


@click.command()
@click.option("--seeds", default=20, show_default=True, help="How many seeds: 1, 2, ...")
@click.option(
    "--slow-seeds", default=3, show_default=True, help="How many seeds for splitters that take long; 0: none."
)
@click.option("--instance", "instances", multiple=True, help="Only this instance (repeatable).")
@click.option("--splitter", "splitters", multiple=True, help="Only splitters whose name starts so (repeatable).")
@click.option("--json", "json_file", default=None, help="File that the figures are written to as well.")
def main(
    seeds: int, slow_seeds: int, instances: tuple[str, ...], splitters: tuple[str, ...], json_file: str | None
) -> None:
    """Compare splitters at 70/15/15; deviations in percentage points, means over the seeds."""
    numbers = range(1, seeds + 1)
    chosen = [one for one in SPLITTERS if one.name.startswith(splitters or "") and (slow_seeds or not one.slow)]
    warnings.simplefilter("ignore")  # of the rivals: of classes with fewer members than folds, and the like
    print(f"{machine()}.")
    tables = {}
    for instance in INSTANCES:
        if instances and instance.name not in instances:
            continue
        try:
            units = instance.draw(0)
        except FileNotFoundError as error:
            print(f"{instance.name}: skipped, {error}", file=sys.stderr)
            continue
        rows = rows_of(instance, chosen, numbers, slow_seeds)
        tables[instance.name] = [row._asdict() | {"measures": row.measures._asdict()} for row in rows]
        positive = sum(unit.positives > 0 for unit in units)
        print(f"\n**{instance.name}**: {len(units):,} units, {positive} positive\n\n{table(rows, units)}", flush=True)
        if json_file is not None:
            save({"machine": machine(), "seeds": seeds, "instances": tables}, json_file)


if __name__ == "__main__":
    main()
