"""What lies in a planned data set and no slice has claimed: strangers, and lines too many or too few in lists."""

from collections.abc import Iterable
from typing import Final

from planbalance.audit.documents import OWN_FOLDER, counted_twice, listed_paths
from planbalance.audit.findings import Findings
from planbalance.audit.passes import Looked
from planbalance.audit.subject import Subject
from planbalance.audit.tally import Seen
from planbalance.audit.tree import list_unclaimed, read_small
from planbalance.audit.volumes import VolumesByName
from planbalance.model import IMAGE_SUFFIXES, SPLITS, Split

_LIST_BYTES: Final = 1 << 31


def check_strangers(
    subject: Subject, looked: Looked, documents: Iterable[str], volumes: VolumesByName, found: Findings
) -> None:
    """Note what lies in the tree and is not planned; images among it are slices that trainers would load.

    Those are counted with the others.

    Args:
        subject: the data set.
        looked: what slices may claim, and what was listed.
        documents: what else is planned.
        volumes: tells the volume of an image.
        found: takes the problems.
    """
    gathered = looked.gathered
    taken = {path.rpartition("/")[0] for path in gathered.folders}  # what lies in those is not planned
    known = {folder for folder, names in looked.listed.items() if gathered.are_all_of(folder, names)} - taken
    claimed = {folder: set(names) for folder, names in gathered.claimed() if folder not in known}
    for path in documents:
        folder, _, name = path.rpartition("/")
        claimed.setdefault(folder, set()).add(name)
    for path in gathered.folders:
        folder, _, name = path.rpartition("/")
        claimed[folder].discard(name)
    listing = list_unclaimed(subject.root, claimed, leave_out=frozenset((OWN_FOLDER, *known)))
    for path, reason in listing.unreadable:
        found.error("unreadable", path, reason)
    for path, kind in sorted(listing.kinds.items()):
        name = path.rpartition("/")[2]
        what = "a link that is not planned" if kind == "link" else "not planned"
        if name.startswith("."):
            found.warning("extra", path, f"{what}; trainers pass over hidden files")
            continue
        found.error("extra", path, what)
        split, below = _place(path)
        if split is not None and name.rpartition(".")[2].lower() in IMAGE_SUFFIXES:
            gathered.tally.add([Seen(split, volumes.of_stranger(below), path)])


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
