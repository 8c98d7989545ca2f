"""Whether each planned slice lies in its place, as the kind of file and with the bytes that were planned: pure."""

from collections.abc import Iterator
from typing import NamedTuple

from planbalance.audit.manifest import Manifest
from planbalance.audit.placed import Placed, Reading
from planbalance.audit.receipt import Pairs, reachable
from planbalance.audit.tree import FileFacts
from planbalance.model import Operation, Problem, Severity

# The audit's checks of single files, in the order in which people read them.
FILES, LINKS, IMAGE_SUMS, LABEL_SUMS, LABELS, SOURCES = (
    "files",
    "links",
    "image-checksums",
    "label-checksums",
    "labels",
    "sources",
)

CHECKS = (FILES, LINKS, IMAGE_SUMS, LABEL_SUMS, LABELS, SOURCES)

Found = tuple[str, Problem]  # the check that a problem belongs to, and the problem


class Expected(NamedTuple):
    """What holds for every slice of the data set.

    Attributes:
        reading: how it was read.
        manifest: None where there is none.
        invalid_labels: severity of an invalid line (a warning where the plan keeps them).
    """

    reading: Reading
    manifest: Manifest | None
    invalid_labels: Severity

    @property
    def linked(self) -> bool:
        """Whether an image here is its source, so that an edit of the source is an edit of the data set."""
        return self.reading.mode in ("symlink", "hardlink", "list")


def problems_of(placed: Placed, expected: Expected) -> list[Found]:
    """Return everything that is wrong with one slice."""
    if expected.reading.mode == "list":
        found = [*_listed_image(placed, expected), *_listed_label(placed)]
    else:
        found = [*_image(placed, expected), *_label(placed, expected)]
    if placed.contents is not None and placed.contents.problems:
        found += _invalid_lines(placed, expected)
    return found


def _error(check: str, kind: str, path: str, message: str) -> Found:
    return check, Problem(kind, "error", path, message)


# ---- images ---------------------------------------------------------------------------------------------------------


def _image(placed: Placed, expected: Expected) -> Iterator[Found]:
    facts, operation = placed.image_facts, placed.operation
    target = None
    if expected.reading.mode == "symlink":
        target = f"{expected.reading.planned_inputs[operation.input]}/{operation.image}"
    wrong = _wrong_kind(placed.image, facts, target, expected.reading.moved)
    if wrong:
        yield from wrong
    elif expected.linked:
        yield from _linked_image(placed, expected)
    else:
        yield from _own_image(placed, expected)


def _wrong_kind(path: str, facts: FileFacts, target: str | None, moved: Pairs) -> list[Found]:
    """Return the problems where there is no regular file, or no link to `target` (None: no link is planned).

    A target that the pairs of a recorded move explain is as good as the planned one.
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


def _no_file(path: str, facts: FileFacts) -> Found:
    if facts.kind == "missing":
        return _error(FILES, "missing", path, "planned, and not there")
    if facts.kind == "link":
        return _error(LINKS, "link-target", path, f"a link to {facts.target}, where the plan gives a file")
    what = "a folder" if facts.kind == "folder" else "a pipe, socket or device"
    return _error(FILES, "missing", path, f"{what}, where the plan gives a file")


def _linked_image(placed: Placed, expected: Expected) -> Iterator[Found]:
    operation, facts = placed.operation, placed.image_facts
    source = facts if expected.reading.mode == "symlink" else placed.source
    if source is None:
        yield from _own_image(placed, expected)
    elif expected.reading.mode == "hardlink":
        if (source.device, source.inode) == (facts.device, facts.inode):
            source = facts  # it may have been read, and its content then tells more than its time
        else:
            yield from _broken_share(placed, source, expected)
    if source is not None:
        yield from _changed_source(operation, source, expected)


def _broken_share(placed: Placed, source: FileFacts, expected: Expected) -> Iterator[Found]:
    """Judge a hard link that is none: another file is in its place, or its source was replaced."""
    if source.kind == "file":
        yield _error(LINKS, "not-same-inode", placed.image, "a file of its own, not the same file as its source")
    yield from _own_image(placed, expected)


def _changed_source(operation: Operation, source: FileFacts, expected: Expected) -> Iterator[Found]:
    """Judge a source against what was planned: size, then content where both sides know it, else the time."""
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


def _own_image(placed: Placed, expected: Expected) -> Iterator[Found]:
    operation, facts = placed.operation, placed.image_facts
    if facts.size != operation.image_size:
        yield _error(FILES, "size", placed.image, f"{facts.size} bytes, {operation.image_size} were planned")
    elif facts.digest and (message := _other_bytes(placed.image, facts, operation.image_sha256, expected)):
        yield _error(IMAGE_SUMS, "checksum", placed.image, message)
    if not expected.linked and placed.source is not None:
        yield from _changed_source(operation, placed.source, expected)


def _other_bytes(path: str, facts: FileFacts, planned: str, expected: Expected) -> str:
    """Return what content differs from: the plan's sum first, then the manifest's."""
    found = facts.digest.hex()
    if planned and found != planned:
        return "has other bytes than planned"
    known = None if expected.manifest is None else expected.manifest.sum_of(path)
    return "" if known in (None, found) else "has other bytes than the manifest says"


# ---- labels ---------------------------------------------------------------------------------------------------------


def _label(placed: Placed, expected: Expected) -> Iterator[Found]:
    operation, facts, reading = placed.operation, placed.label_facts, expected.reading
    target = None
    if reading.same_labels and reading.mode == "symlink" and operation.label is not None:
        target = f"{reading.planned_inputs[operation.input]}/{operation.label}"
    wrong = _wrong_kind(placed.label, facts, target, reading.moved)
    if wrong:
        yield from wrong
    elif facts.size != operation.label_size:
        yield _error(FILES, "size", placed.label, f"{facts.size} bytes, {operation.label_size} were planned")
    elif facts.digest and (message := _other_bytes(placed.label, facts, operation.label_sha256, expected)):
        yield _error(LABEL_SUMS, "checksum", placed.label, message)


def _invalid_lines(placed: Placed, expected: Expected) -> Iterator[Found]:
    assert placed.contents is not None
    for line, message in placed.contents.problems:
        yield LABELS, Problem("label-invalid", expected.invalid_labels, f"{placed.label}:{line}", message)


# ---- list mode: images and labels stay in the input -----------------------------------------------------------------


def _listed_image(placed: Placed, expected: Expected) -> Iterator[Found]:
    if placed.image_facts.kind == "missing":
        yield _error(LINKS, "dangling", placed.image, "listed, and gone")
    else:
        yield from _changed_source(placed.operation, placed.image_facts, expected)


def _listed_label(placed: Placed) -> Iterator[Found]:
    operation, facts = placed.operation, placed.label_facts
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
        yield _error(SOURCES, "source-changed", placed.label, message)
