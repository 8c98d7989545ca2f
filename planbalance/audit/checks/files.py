"""Checks that each slice is in its place with the planned kind and bytes, and finds files that are not planned."""

from collections.abc import Iterable, Iterator
from typing import Final

from planbalance.audit.check_builder import CheckBuilder
from planbalance.audit.check_table import FILES, IMAGE_SUMS, LABEL_SUMS, LINKS, SOURCES, FoundProblem
from planbalance.audit.checks.each_slice import Expected, Proof, slice_check
from planbalance.audit.documents import counted_twice, listed_paths
from planbalance.audit.file_facts import FileFacts, list_unplanned, read_small
from planbalance.audit.partial_result import PassResult
from planbalance.audit.planned_dataset import Pairs, PlannedDataset, reachable
from planbalance.audit.slice_facts import SliceFacts
from planbalance.audit.slice_statistics import SliceRecord
from planbalance.audit.volumes import VolumesByName
from planbalance.dataset_files import OWN_FOLDER
from planbalance.model import IMAGE_SUFFIXES, SPLITS, Operation, Problem, Severity, Split


def _error(check: str, kind: str, path: str, message: str) -> FoundProblem:
    return check, Problem(kind, "error", path, message)


# ---- images ---------------------------------------------------------------------------------------------------------


@slice_check(Proof.IN_PLACE, Proof.SOURCE_UNCHANGED, Proof.SAME_BYTES)
def check_image(slice_facts: SliceFacts, expected: Expected) -> Iterator[FoundProblem]:
    """Compare the image in a slice's place with the plan: its kind, its bytes, and the source that it came from."""
    if expected.listed:
        yield from _listed_image(slice_facts, expected)
        return
    facts, operation = slice_facts.image_facts, slice_facts.operation
    target = None
    if expected.reading.mode == "symlink":
        target = f"{expected.reading.planned_inputs[operation.input]}/{operation.image}"
    wrong = _wrong_kind(slice_facts.image, facts, target, expected.reading.moved)
    if wrong:
        yield from wrong
    elif expected.linked:
        yield from _linked_image(slice_facts, expected)
    else:
        yield from _own_image(slice_facts, expected)


def _wrong_kind(path: str, facts: FileFacts, target: str | None, moved: Pairs) -> list[FoundProblem]:
    """Return the problems where there is no regular file, or no link to `target` (None: no link is planned).

    A target that follows from a recorded move is accepted like the planned one.
    """
    if facts.kind == "unreadable" and facts.target is None:
        return [_error(FILES, "unreadable", path, facts.error)]
    if target is None:
        return [] if facts.kind == "file" else [_no_file(path, facts)]
    if facts.target is None:
        other = _error(LINKS, "link-target", path, "a file, not a link")
        return [other] if facts.kind == "file" else [_no_file(path, facts)]
    wrong = []
    if facts.target != target and not (moved and facts.target in reachable(target, moved)):
        wrong.append(_error(LINKS, "link-target", path, f"leads to {facts.target}, the plan says {target}"))
    if facts.kind != "file":
        what = {"missing": "is gone", "unreadable": f"cannot be read ({facts.error})"}.get(facts.kind, "is not a file")
        wrong.append(_error(LINKS, "dangling", path, f"leads to {facts.target}, which {what}"))
    return wrong


def _no_file(path: str, facts: FileFacts) -> FoundProblem:
    if facts.kind == "missing":
        return _error(FILES, "missing", path, "planned, and not there")
    if facts.kind == "link":
        return _error(LINKS, "link-target", path, f"a link to {facts.target}, where the plan gives a file")
    what = "a folder" if facts.kind == "folder" else "a pipe, socket or device"
    return _error(FILES, "missing", path, f"{what}, where the plan gives a file")


def _linked_image(slice_facts: SliceFacts, expected: Expected) -> Iterator[FoundProblem]:
    operation, facts = slice_facts.operation, slice_facts.image_facts
    source = facts if expected.reading.mode == "symlink" else slice_facts.source
    if source is None:
        yield from _own_image(slice_facts, expected)
    elif expected.reading.mode == "hardlink":
        if (source.device, source.inode) == (facts.device, facts.inode):
            source = facts  # it may have been read: its content then decides, not its time
        else:
            yield from _broken_share(slice_facts, source, expected)
    if source is not None:
        yield from _changed_source(operation, source, expected)


def _broken_share(slice_facts: SliceFacts, source: FileFacts, expected: Expected) -> Iterator[FoundProblem]:
    """Judge an image that is not the same file as its source, though a hard link is planned: one was replaced."""
    if source.kind == "file":
        yield _error(LINKS, "not-same-inode", slice_facts.image, "a file of its own, not the same file as its source")
    yield from _own_image(slice_facts, expected)


def _changed_source(operation: Operation, source: FileFacts, expected: Expected) -> Iterator[FoundProblem]:
    """Compare a source with the plan: its size, then its content where both sums are known, else its time."""
    path = f"{expected.reading.inputs[operation.input]}/{operation.image}"
    message, check = "", SOURCES
    if source.kind == "missing":
        message = "is gone"
    elif source.kind != "file":
        message = source.error or "is not a file any more"
    elif source.size != operation.image_size:
        message = f"has {source.size} bytes, {operation.image_size} were planned"
    elif operation.image_sha256 and source.digest:
        message, check = (
            "" if source.digest.hex() == operation.image_sha256 else "has other bytes than planned",
            IMAGE_SUMS,
        )
    elif expected.reading.times and source.mtime_ns != operation.image_mtime_ns:
        message = "was modified after it was planned"
    if message:
        severity: Severity = "error" if expected.linked else "warning"
        yield check, Problem("source-changed", severity, path, message)


def _own_image(slice_facts: SliceFacts, expected: Expected) -> Iterator[FoundProblem]:
    operation, facts = slice_facts.operation, slice_facts.image_facts
    if facts.size != operation.image_size:
        yield _error(FILES, "size", slice_facts.image, f"{facts.size} bytes, {operation.image_size} were planned")
    elif facts.digest and (message := _other_bytes(slice_facts.image, facts, operation.image_sha256, expected)):
        yield _error(IMAGE_SUMS, "checksum", slice_facts.image, message)
    if not expected.linked and slice_facts.source is not None:
        yield from _changed_source(operation, slice_facts.source, expected)


def _other_bytes(path: str, facts: FileFacts, planned: str, expected: Expected) -> str:
    """Return whether the content differs from the plan's sum, or else from the manifest's, as a few words."""
    found = facts.digest.hex()
    if planned and found != planned:
        return "has other bytes than planned"
    known = None if expected.manifest is None else expected.manifest.sum_of(path)
    return "" if known in (None, found) else "has other bytes than the manifest says"


# ---- labels ---------------------------------------------------------------------------------------------------------


@slice_check(Proof.IN_PLACE, Proof.SAME_BYTES)
def check_label(slice_facts: SliceFacts, expected: Expected) -> Iterator[FoundProblem]:
    """Compare the label in a slice's place with the plan: its kind and its bytes."""
    if expected.listed:
        yield from _listed_label(slice_facts)
        return
    operation, facts, reading = slice_facts.operation, slice_facts.label_facts, expected.reading
    target = None
    if reading.same_labels and reading.mode == "symlink" and operation.label is not None:
        target = f"{reading.planned_inputs[operation.input]}/{operation.label}"
    wrong = _wrong_kind(slice_facts.label, facts, target, reading.moved)
    if wrong:
        yield from wrong
    elif facts.size != operation.label_size:
        yield _error(FILES, "size", slice_facts.label, f"{facts.size} bytes, {operation.label_size} were planned")
    elif facts.digest and (message := _other_bytes(slice_facts.label, facts, operation.label_sha256, expected)):
        yield _error(LABEL_SUMS, "checksum", slice_facts.label, message)


# ---- list mode: images and labels stay in the input -----------------------------------------------------------------


def _listed_image(slice_facts: SliceFacts, expected: Expected) -> Iterator[FoundProblem]:
    if slice_facts.image_facts.kind == "missing":
        yield _error(LINKS, "dangling", slice_facts.image, "listed, and gone")
    else:
        yield from _changed_source(slice_facts.operation, slice_facts.image_facts, expected)


def _listed_label(slice_facts: SliceFacts) -> Iterator[FoundProblem]:
    operation, facts = slice_facts.operation, slice_facts.label_facts
    if operation.label is None:
        return
    message = ""
    if facts.kind != "file":
        message = "is gone" if facts.kind == "missing" else facts.error or "is not a file any more"
    elif facts.size != operation.label_size:
        message = f"has {facts.size} bytes, {operation.label_size} were planned"
    elif facts.digest and operation.label_sha256 not in ("", facts.digest.hex()):
        message = "has other bytes than planned"
    if message:
        yield _error(SOURCES, "source-changed", slice_facts.label, message)


# ---- what lies in the dataset and is not planned --------------------------------------------------------------------


_LIST_BYTES: Final = 1 << 31


def check_unexpected_files(
    dataset: PlannedDataset,
    pass_result: PassResult,
    documents: Iterable[str],
    volumes: VolumesByName,
    found: CheckBuilder,
) -> None:
    """Note files in the tree that are not planned; images among them are counted, since trainers would load them.

    Args:
        dataset: the dataset.
        pass_result: the planned names, and what was listed.
        documents: what else is planned.
        volumes: reads the volume of an image.
        found: takes the problems.
    """
    result = pass_result.result
    with_folders = {path.rpartition("/")[0] for path in result.folders}  # a folder is in the place of a planned file
    known = {folder for folder, names in pass_result.listed.items() if result.are_all_of(folder, names)} - with_folders
    planned_names = {folder: set(names) for folder, names in result.planned_names() if folder not in known}
    for path in documents:
        folder, _, name = path.rpartition("/")
        planned_names.setdefault(folder, set()).add(name)
    for path in result.folders:
        folder, _, name = path.rpartition("/")
        planned_names[folder].discard(name)
    listing = list_unplanned(dataset.root, planned_names, leave_out=frozenset((OWN_FOLDER, *known)))
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
            result.statistics.add([SliceRecord(split, volumes.of_unexpected(below), path)])


def _place(path: str) -> tuple[Split | None, str]:
    """Return the split of a path below `images/`, and what is below the split's folder."""
    top, _, rest = path.partition("/")
    folder, _, below = rest.partition("/")
    split = next((split for split in SPLITS if split == folder and top == "images" and below), None)
    return split, below


def check_lists(dataset: PlannedDataset, found: CheckBuilder) -> None:
    """Compare the text files of list mode with the plan: paths that are not planned, not listed, or listed twice."""
    planned: dict[Split, set[str]] = {split: set() for split in SPLITS}
    for operation in dataset.plan.operations():
        planned[operation.split].add(f"{dataset.inputs[operation.input]}/{operation.image}")
    for split in SPLITS:
        _check_list(dataset, f"{split}.txt", planned[split], found)


def _check_list(dataset: PlannedDataset, name: str, planned: set[str], found: CheckBuilder) -> None:
    facts = read_small(f"{dataset.root}/{name}", _LIST_BYTES)
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
