"""Which checks of a planned data set were made, which were not and why, and what they come to."""

import os.path
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from planbalance.audit import structure
from planbalance.audit.audited import Gap, gaps
from planbalance.audit.documents import METADATA
from planbalance.audit.findings import Findings, not_checked
from planbalance.audit.options import VerifyOptions
from planbalance.audit.structure import Expected
from planbalance.audit.subject import Subject
from planbalance.audit.tally import Tally
from planbalance.model import SPLITS, Check, Split

QUICK: Final = "quick: neither images nor labels were read"


class Verdicts(NamedTuple):
    """What decides which of the checks of single files were made, and which were not."""

    subject: Subject
    options: VerifyOptions
    absent: tuple[str, ...]
    expected: Expected
    slices: int

    def file_checks(self, findings: dict[str, Findings]) -> list[Check]:
        """Return the checks of single files, NOT CHECKED where nothing was compared."""
        for found in findings.values():
            found.count = self.slices
        reasons = {
            structure.LINKS: self._links_reason(findings[structure.LINKS]),
            structure.IMAGE_SUMS: self._image_reason(findings[structure.IMAGE_SUMS]),
            structure.LABEL_SUMS: self._label_reason(),
            structure.LABELS: self._label_reason(),
        }
        findings[structure.LINKS].notes += self._gone_sources(findings[structure.LINKS])
        checks = [findings[structure.FILES].check()]
        for name, reason in reasons.items():
            checks.append(not_checked(name, reason) if reason else findings[name].check())
        return checks

    def _links_reason(self, found: Findings) -> str:
        if self.subject.mode in ("copy", "reflink") and not found.failed:
            return f"{self.subject.mode} mode has no links"
        if self.subject.mode != "hardlink":
            return ""
        if self.absent:
            return f"the input {self.absent[0]} is not here"
        if self.subject.elsewhere and found.errors_of("not-same-inode") >= self.slices:
            return "the data set was moved or copied: no file is the same file as its source any more"
        return ""

    def _gone_sources(self, found: Findings) -> Iterator[str]:
        """Say how many links lead nowhere, and what to do where a whole input is gone."""
        dangling = found.errors_of("dangling")
        if not dangling:
            return
        subject = self.subject
        what = "paths in the lists" if subject.mode == "list" else "links"
        yield f"{dangling:,} {what} lead to files that are gone"
        gone = _gone_inputs(subject)
        if gone:
            pairs = " ".join(f"--source {shlex.quote(root)}=NEW" for root in gone)
            yield (
                f"no image of the input {', '.join(gone)} is there: if it was moved, say where it is now, in place of "
                f"NEW: planbalance relocate {shlex.quote(subject.root)} {pairs}"
            )

    def _image_reason(self, found: Findings) -> str:
        if self.options.quick:
            return "quick: images were not read"
        if found.failed or self.subject.header.parameters.get("hash_images") or self.expected.manifest is not None:
            return ""
        if self.expected.linked:
            return "the plan holds no sums of the images (--hash-images)"
        return "no sums to compare with: the build wrote no manifest, the plan holds none (--hash-images)"

    def _label_reason(self) -> str:
        if self.expected.reading.labels:
            return ""
        return QUICK

    def sources(self, found: Findings) -> Check:
        """Return the check of the sources: an error only where an image here is its source."""
        if self.absent and self.subject.mode not in ("symlink", "list"):
            return not_checked("sources", f"the input {self.absent[0]} is not here")
        if not self.expected.linked and not self.expected.reading.sources:
            return not_checked("sources", "quick: a copy does not need its sources")
        return found.check()


def _gone_inputs(subject: Subject) -> list[str]:
    """Return the inputs of which not one image is where links look for it."""
    there: dict[str, bool] = {}
    for operation in subject.plan.operations():
        root = subject.inputs[operation.input]
        if not there.get(root):
            there[root] = os.path.lexists(f"{root}/{operation.image}")
    return sorted(root for root, found in there.items() if not found)


def planned_gaps(subject: Subject, tally: Tally, *, labels_read: bool) -> list[Gap]:
    """Return the splits that the plan gives a share, and that hold no slice or no positive one.

    Where labels were not read, the plan's word tells how many are positive.
    """
    parameters, planned = subject.header.parameters, subject.header.statistics.get("splits", {})
    # of a fold, test has no ratio
    expected = [split for split in SPLITS if str(parameters.get(f"{split}_ratio")).strip("0.")]
    positives: dict[Split, int] = dict(tally.positives)
    if not labels_read:
        told = {split: _number(planned, split, "positive") for split in SPLITS}
        positives = {split: 1 if number is None else number for split, number in told.items()}
    return gaps(expected, tally.totals, positives)


def count_checks(
    subject: Subject, tally: Tally, metadata: dict[str, object] | None, options: VerifyOptions, lacking: Sequence[Gap]
) -> list[Check]:
    """Return counts (plan, tree, metadata) and balance of train; `lacking` are those of `planned_gaps`."""
    found = Findings("counts")
    found.count = sum(tally.totals.values())
    read_labels = not options.quick or options.labels_by_content
    planned = subject.header.statistics.get("splits", {})
    statistics = (metadata or {}).get("statistics")
    told = statistics.get("splits") if isinstance(statistics, dict) else None
    for split in SPLITS:
        there = {"total": tally.totals[split]}
        if read_labels:
            there["positive"] = tally.positives[split]
        for what, count in there.items():
            for source, numbers in (("the plan", planned), (METADATA, told)):
                number = _number(numbers, split, what)
                if number is not None and number != count:
                    found.error("counts", f"images/{split}", f"{what}: {count} are there, {source} says {number}")
    for gap in lacking:
        found.warning("counts", f"images/{gap.split}", gap.sentence)
    if not read_labels:
        found.notes.append("only totals: labels were not read")
    return [found.check(), _balance(subject, tally, planned, read_labels=read_labels)]


def _number(numbers: object, split: str, what: str) -> int | None:
    """Return a count from parsed JSON of whatever form, or None where there is none."""
    counts = numbers.get(split) if isinstance(numbers, dict) else None
    number = counts.get(what) if isinstance(counts, dict) else None
    return number if isinstance(number, int) else None


def _balance(subject: Subject, tally: Tally, planned: object, *, read_labels: bool) -> Check:
    if subject.header.parameters.get("negatives_per_positive") is None:
        return not_checked("balance", "the plan keeps all negatives: it promises no balance")
    if not read_labels:
        return not_checked("balance", QUICK)
    found = Findings("balance")
    found.count = tally.totals["train"]
    there = Counter(positive=tally.positives["train"], negative=tally.totals["train"] - tally.positives["train"])
    wanted = {what: _number(planned, "train", what) for what in ("positive", "negative")}
    found.notes.append(f"train holds {there['positive']} positive and {there['negative']} negative slices")
    if wanted != dict(there):
        message = (
            f"{there['positive']}:{there['negative']} where the plan promises {wanted['positive']}:{wanted['negative']}"
        )
        found.error("balance", "images/train", message)
    return found.check()
