"""Decides which checks of each slice of a planned dataset were made, and gives the reason where one was not."""

import os.path
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from planbalance.audit.check_builder import CheckBuilder, not_checked
from planbalance.audit.check_table import IMAGE_SUMS, LINKS, NOTHING_READ, SOURCES, CheckKind, of_each_slice
from planbalance.audit.checks.each_slice import Expected
from planbalance.audit.planned_dataset import PlannedDataset
from planbalance.model import Check


class CheckStatus(NamedTuple):
    """Decides for each check of single slices whether it was made."""

    dataset: PlannedDataset
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
            return NOTHING_READ
        if kind.name == LINKS:
            return self._links_reason(found)
        if kind.name == IMAGE_SUMS:
            return self._image_reason(found)
        return self._sources_reason() if kind.name == SOURCES else ""

    def _links_reason(self, found: CheckBuilder) -> str:
        if self.dataset.traits.owns_images and not found.failed:
            return f"{self.dataset.mode} mode has no links"
        if self.dataset.mode != "hardlink":
            return ""
        if self.absent:
            return f"the input {self.absent[0]} is not here"
        if self.dataset.elsewhere and found.errors_of("not-same-inode") >= self.slices:
            return "the dataset was moved or copied: no file is the same file as its source any more"
        return ""

    def _gone_sources(self, found: CheckBuilder) -> Iterator[str]:
        """Yield how many links lead to files that are gone, and what to do where all images of an input are gone."""
        dangling = found.errors_of("dangling")
        if not dangling:
            return
        dataset = self.dataset
        what = "links" if dataset.traits.places_files else "paths in the lists"
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
        if self.absent and not self.dataset.traits.by_path:
            return f"the input {self.absent[0]} is not here"
        if not self.expected.linked and not self.expected.reading.sources:
            return "quick: a copy does not need its sources"
        return ""


def _gone_inputs(dataset: PlannedDataset) -> list[str]:
    """Return the inputs of which no image is in the place that links lead to."""
    there: dict[str, bool] = {}
    for operation in dataset.plan.operations():
        root = dataset.inputs[operation.input]
        if not there.get(root):
            there[root] = os.path.lexists(f"{root}/{operation.image}")
    return sorted(root for root, found in there.items() if not found)
