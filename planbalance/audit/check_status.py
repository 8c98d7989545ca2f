"""Which checks of a planned data set were made, which were not and why, and what they come to."""

import os.path
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from planbalance.audit.check_builder import CheckBuilder, not_checked
from planbalance.audit.checks.files import Expected
from planbalance.audit.checks.registry import BALANCE, COUNTS, IMAGE_SUMS, LINKS, SOURCES, CheckKind, of_each_slice
from planbalance.audit.documents import METADATA
from planbalance.audit.options import VerifyOptions
from planbalance.audit.planned_dataset import PlannedDataset
from planbalance.audit.result import Gap, gaps
from planbalance.audit.slice_statistics import SliceStatistics
from planbalance.model import SPLITS, Check, Split

QUICK: Final = "quick: neither images nor labels were read"


class CheckStatus(NamedTuple):
    """What decides which of the checks of single files were made, and which were not."""

    dataset: PlannedDataset
    options: VerifyOptions
    absent: tuple[str, ...]
    expected: Expected
    slices: int

    def slice_checks(self, builders: dict[str, CheckBuilder]) -> list[Check]:
        """Return the checks that look at each slice, NOT CHECKED where nothing was compared."""
        builders[LINKS].notes += self._gone_sources(builders[LINKS])
        checks = []
        for kind in of_each_slice():
            found = builders[kind.name]
            found.count = self.slices
            reason = self._reason(kind, found)
            checks.append(not_checked(kind.name, reason) if reason else found.check())
        return checks

    def _reason(self, kind: CheckKind, found: CheckBuilder) -> str:
        """Return why a check was not made, or an empty text."""
        if kind.reads == "images" and not self.expected.reading.images:
            return "quick: images were not read"
        if kind.reads == "labels" and not self.expected.reading.labels:
            return QUICK
        if kind.name == LINKS:
            return self._links_reason(found)
        if kind.name == IMAGE_SUMS:
            return self._image_reason(found)
        return self._sources_reason() if kind.name == SOURCES else ""

    def _links_reason(self, found: CheckBuilder) -> str:
        if self.dataset.mode in ("copy", "reflink") and not found.failed:
            return f"{self.dataset.mode} mode has no links"
        if self.dataset.mode != "hardlink":
            return ""
        if self.absent:
            return f"the input {self.absent[0]} is not here"
        if self.dataset.elsewhere and found.errors_of("not-same-inode") >= self.slices:
            return "the data set was moved or copied: no file is the same file as its source any more"
        return ""

    def _gone_sources(self, found: CheckBuilder) -> Iterator[str]:
        """Say how many links lead nowhere, and what to do where a whole input is gone."""
        dangling = found.errors_of("dangling")
        if not dangling:
            return
        dataset = self.dataset
        what = "paths in the lists" if dataset.mode == "list" else "links"
        yield f"{dangling:,} {what} lead to files that are gone"
        gone = _gone_inputs(dataset)
        if gone:
            pairs = " ".join(f"--source {shlex.quote(root)}=NEW" for root in gone)
            yield (
                f"no image of the input {', '.join(gone)} is there: if it was moved, say where it is now, in place of "
                f"NEW: planbalance relocate {shlex.quote(dataset.root)} {pairs}"
            )

    def _image_reason(self, found: CheckBuilder) -> str:
        if found.failed or self.dataset.header.parameters.get("hash_images") or self.expected.manifest is not None:
            return ""
        if self.expected.linked:
            return "the plan holds no sums of the images (--hash-images)"
        return "no sums to compare with: the build wrote no manifest, the plan holds none (--hash-images)"

    def _sources_reason(self) -> str:
        if self.absent and self.dataset.mode not in ("symlink", "list"):
            return f"the input {self.absent[0]} is not here"
        if not self.expected.linked and not self.expected.reading.sources:
            return "quick: a copy does not need its sources"
        return ""


def _gone_inputs(dataset: PlannedDataset) -> list[str]:
    """Return the inputs of which not one image is where links look for it."""
    there: dict[str, bool] = {}
    for operation in dataset.plan.operations():
        root = dataset.inputs[operation.input]
        if not there.get(root):
            there[root] = os.path.lexists(f"{root}/{operation.image}")
    return sorted(root for root, found in there.items() if not found)


def planned_gaps(dataset: PlannedDataset, statistics: SliceStatistics, *, labels_read: bool) -> list[Gap]:
    """Return the splits that the plan gives a share, and that hold no slice or no positive one.

    Where labels were not read, the plan's word tells how many are positive.
    """
    parameters, planned = dataset.header.parameters, dataset.header.statistics.get("splits", {})
    # of a fold, test has no ratio
    expected = [split for split in SPLITS if str(parameters.get(f"{split}_ratio")).strip("0.")]
    positives: dict[Split, int] = dict(statistics.positives)
    if not labels_read:
        stated = {split: _number(planned, split, "positive") for split in SPLITS}
        positives = {split: 1 if number is None else number for split, number in stated.items()}
    return gaps(expected, statistics.totals, positives)


def count_checks(
    dataset: PlannedDataset,
    statistics: SliceStatistics,
    metadata: dict[str, object] | None,
    options: VerifyOptions,
    lacking: Sequence[Gap],
) -> list[Check]:
    """Return counts (plan, tree, metadata) and balance of train; `lacking` are those of `planned_gaps`."""
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
        return not_checked(BALANCE, QUICK)
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
