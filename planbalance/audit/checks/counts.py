"""Checks that there are as many slices as plan and metadata say, and that train is balanced as planned."""

from collections import Counter
from collections.abc import Sequence

from planbalance.audit.check_builder import CheckBuilder, not_checked
from planbalance.audit.check_table import BALANCE, COUNTS, NOTHING_READ
from planbalance.audit.options import VerifyOptions
from planbalance.audit.planned_dataset import PlannedDataset
from planbalance.audit.slice_statistics import EmptySplit, SliceStatistics, empty_splits
from planbalance.dataset_files import METADATA
from planbalance.model import SPLITS, Check, Split


def planned_empty_splits(
    dataset: PlannedDataset, statistics: SliceStatistics, *, labels_read: bool
) -> list[EmptySplit]:
    """Return the splits that the plan gives a share, and that hold no slice or no positive one.

    Where labels were not read, the number of positive ones is the plan's.
    """
    parameters, planned = dataset.header.parameters, dataset.header.statistics.get("splits", {})
    # of a fold, test has no ratio
    expected = [split for split in SPLITS if str(parameters.get(f"{split}_ratio")).strip("0.")]
    positives: dict[Split, int] = dict(statistics.positives)
    if not labels_read:
        stated = {split: _number(planned, split, "positive") for split in SPLITS}
        positives = {split: 1 if number is None else number for split, number in stated.items()}
    return empty_splits(expected, statistics.totals, positives)


def count_checks(
    dataset: PlannedDataset,
    statistics: SliceStatistics,
    metadata: dict[str, object] | None,
    options: VerifyOptions,
    lacking: Sequence[EmptySplit],
) -> list[Check]:
    """Return counts (plan, tree, metadata) and balance of train; `lacking` are those of `planned_empty_splits`."""
    found = CheckBuilder(COUNTS)
    found.count = sum(statistics.totals.values())
    read_labels = not options.quick or options.labels_by_content
    planned = dataset.header.statistics.get("splits", {})
    statistics_stated = (metadata or {}).get("statistics")
    stated = statistics_stated.get("splits") if isinstance(statistics_stated, dict) else None
    for split in SPLITS:
        there = {"total": statistics.totals[split]}
        if read_labels:
            there["positive"] = statistics.positives[split]
        for what, count in there.items():
            for source, numbers in (("the plan", planned), (METADATA, stated)):
                number = _number(numbers, split, what)
                if number is not None and number != count:
                    found.error("counts", f"images/{split}", f"{what}: {count} are there, {source} says {number}")
    for gap in lacking:
        found.warning("counts", f"images/{gap.split}", gap.sentence)
    if not read_labels:
        found.notes.append("only totals: labels were not read")
    return [found.check(), _balance(dataset, statistics, planned, read_labels=read_labels)]


def _number(numbers: object, split: str, what: str) -> int | None:
    """Return a count from parsed JSON of whatever form, or None where there is none."""
    counts = numbers.get(split) if isinstance(numbers, dict) else None
    number = counts.get(what) if isinstance(counts, dict) else None
    return number if isinstance(number, int) else None


def _balance(dataset: PlannedDataset, statistics: SliceStatistics, planned: object, *, read_labels: bool) -> Check:
    if dataset.header.parameters.get("negatives_per_positive") is None:
        return not_checked(BALANCE, "the plan keeps all negatives: it promises no balance")
    if not read_labels:
        return not_checked(BALANCE, NOTHING_READ)
    found = CheckBuilder(BALANCE)
    found.count = statistics.totals["train"]
    there = Counter(
        positive=statistics.positives["train"], negative=statistics.totals["train"] - statistics.positives["train"]
    )
    wanted = {what: _number(planned, "train", what) for what in ("positive", "negative")}
    found.notes.append(f"train holds {there['positive']} positive and {there['negative']} negative slices")
    if wanted != dict(there):
        message = (
            f"{there['positive']}:{there['negative']} where the plan promises {wanted['positive']}:{wanted['negative']}"
        )
        found.error("balance", "images/train", message)
    return found.check()
