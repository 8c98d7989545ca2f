"""What lies in a planned data set and no slice has claimed: strangers, and lines too many or too few in lists."""

from collections.abc import Iterable
from typing import Final

from planbalance.audit.documents import HYPS, MANIFEST, METADATA, counted_twice, listed_paths
from planbalance.audit.findings import Findings
from planbalance.audit.gathered import Gathered
from planbalance.audit.subject import Subject
from planbalance.audit.tally import Seen, Tally
from planbalance.audit.tree import Listing, read_small
from planbalance.audit.volumes import VolumesByName
from planbalance.model import IMAGE_SUFFIXES, SPLITS, Split

_LIST_BYTES: Final = 1 << 31


class Leftovers:
    """Names in the tree, and lines of the manifest, that no slice has claimed."""

    def __init__(self, listing: Listing, gathered: Gathered, sums: dict[str, str] | None) -> None:
        self._listing = listing
        self._sums = sums
        self._unnamed = gathered.unnamed
        self._named = gathered.named
        for folder, claimed in gathered.names.items():
            if folder in listing.folders:
                listing.folders[folder].difference_update(claimed)

    def claim(self, paths: Iterable[str]) -> None:
        """Take planned paths out of the tree's names."""
        for path in paths:
            folder, _, name = path.rpartition("/")
            self._listing.folders.get(folder, set()).discard(name)

    def forget(self) -> None:
        """Let all names and sums go."""
        self._listing.folders.clear()
        if self._sums is not None:
            self._sums.clear()

    def check_manifest(self, found: Findings) -> None:
        """Note planned paths that the manifest does not name, and that it names more than is planned."""
        assert self._sums is not None
        found.count = len(self._sums)
        for path in sorted(self._unnamed):
            found.error("checksum", path, "not in the manifest")
        beyond = len(self._sums) - self._named - sum(path in self._sums for path in (METADATA, HYPS))
        if beyond > 0:
            found.error("checksum", MANIFEST, f"names {beyond} files that are not planned")

    def check_strangers(self, volumes: VolumesByName, found: Findings, tally: Tally) -> None:
        """Note what is left of the tree; images among it are slices that trainers would load, and they are counted."""
        for path, reason in self._listing.unreadable:
            found.error("unreadable", path, reason)
        for path in self._listing.paths():
            name = path.rpartition("/")[2]
            what = "a link that is not planned" if self._listing.kinds.get(path) == "link" else "not planned"
            if name.startswith("."):
                found.warning("extra", path, f"{what}; trainers pass over hidden files")
                continue
            found.error("extra", path, what)
            split, below = _place(path)
            if split is not None and name.rpartition(".")[2].lower() in IMAGE_SUFFIXES:
                tally.add([Seen(split, volumes.of_stranger(below), path)])


def _place(path: str) -> tuple[Split | None, str]:
    """Return the split of a path below `images/`, and what is below the split's folder."""
    top, _, rest = path.partition("/")
    folder, _, below = rest.partition("/")
    split = next((split for split in SPLITS if split == folder and top == "images" and below), None)
    return split, below


def check_lists(subject: Subject, found: Findings) -> None:
    """Hold the text files of list mode against the plan: paths that are not planned, not listed, or listed twice."""
    planned: dict[Split, set[str]] = {split: set() for split in SPLITS}
    for operation in subject.plan.operations():
        planned[operation.split].add(f"{subject.inputs[operation.input]}/{operation.image}")
    for split in SPLITS:
        _check_list(subject, f"{split}.txt", planned[split], found)


def _check_list(subject: Subject, name: str, planned: set[str], found: Findings) -> None:
    facts = read_small(f"{subject.root}/{name}", _LIST_BYTES)
    if facts.data is None:
        if planned or facts.kind != "missing":
            found.error("missing", name, facts.error or "planned, and not there")
        return
    listed, twice = counted_twice(listed_paths(facts.data))
    for path in sorted(planned - listed):
        found.error("missing", name, f"does not list {path}")
    for path in sorted(listed - planned):
        found.error("extra", name, f"lists {path}, which is not planned")
    for path in twice:
        found.error("extra", name, f"lists {path} more than once")
