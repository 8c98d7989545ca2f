"""Audit an import against its plan: every picture by its pixels, every label, the ledger and the other documents."""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from planbalance.audit.check_builder import CheckBuilder, not_checked
from planbalance.audit.documents import UnreadableDocumentError, difference, json_value, manifest_sums, yaml_value
from planbalance.audit.file_facts import list_unplanned, look, read
from planbalance.audit.planned_dataset import Receipt, parse_receipt, reachable, refuse_unreadable_packed
from planbalance.audit.summary import failures
from planbalance.dataset_files import MANIFEST, OWN_FOLDER, PLAN, RECEIPT
from planbalance.decode import quiet_decoders
from planbalance.destination import Destination, ImportDestinations, label_of
from planbalance.errors import InputError, PlanError
from planbalance.executor import autoscaler
from planbalance.executor.processes import ProcessPool, process_count
from planbalance.fs import NOTHING_SHA256, hash_bytes
from planbalance.import_files import DATASET_YAML, LEDGER, REPORT, document_names, documents_of
from planbalance.import_model import FATES, LEDGER_COLUMNS, ImportHeader, ImportOperation
from planbalance.importing.pictures import read_png
from planbalance.importing.sources import annotation_sum
from planbalance.model import Audit, Check, Problem, Progress, Silent
from planbalance.modes import MODE_TABLE, ModeTraits
from planbalance.planstore import ImportPlan
from planbalance.raw_images import pixel_digest
from planbalance.text import counted

_SMALL: Final = 1 << 20
_LARGEST: Final = 1 << 30
_DOCUMENT: Final = 512 << 20
_BATCH: Final = 64
_QUICK: Final = "quick: neither images nor labels were read"
# In the order in which they are printed.
CHECKS: Final = ("plan", "files", "pixels", "labels", "ledger", "documents", "manifest", "sources")


class _Batch(NamedTuple):
    """Some slices to look at, as they go to a process.

    Attributes:
        root: of the dataset.
        inputs: absolute image folders.
        moved: pairs of folders that the inputs may have been moved by.
        link: what names of images are that were not rendered: `symbolic link`, `hard link`, or "".
        operations: the slices.
        paths: of their pictures below the root.
        quick: whether no content is read.
    """

    root: str
    inputs: tuple[str, ...]
    moved: tuple[tuple[str, str], ...]
    link: str
    operations: tuple[ImportOperation, ...]
    paths: tuple[str, ...]
    quick: bool


_Found = list[tuple[str, Problem]]  # name of the check, and what is wrong
_Sums = dict[str, str]  # path -> SHA-256 of files that were read


def verify_import(
    folder: str, plan: ImportPlan, *, quick: bool = False, jobs: int | None = None, progress: Progress | None = None
) -> Audit:
    """Compare an imported dataset with its plan, and change nothing.

    Args:
        folder: of the dataset, or its one file.
        plan: what it must be.
        quick: read neither images nor labels.
        jobs: how many processes; None: one for each core.
        progress: where to report to.

    Raises:
        InputError: the dataset is not there.
        PlanError: the plan is damaged or hostile.
    """
    root = os.path.abspath(folder)
    refuse_unreadable_packed(root)
    if look(root, follow=True).kind != "folder":
        raise InputError(f"The dataset {root} is not there.", kind="input-not-found", paths=[root])
    audit = _ImportAudit(root, plan, quick=quick)
    audit.read_plan()
    audit.look_at_slices(jobs, progress or Silent())
    audit.look_at_documents()
    return audit.result()


class _ImportAudit:
    """One audit: its checks as they are made."""

    def __init__(self, root: str, plan: ImportPlan, *, quick: bool) -> None:
        self._root = root
        self._plan = plan
        self._header: ImportHeader = plan.header
        self._quick = quick
        self._checks = {name: CheckBuilder(name) for name in CHECKS}
        self._left_out: dict[str, str] = {}
        self._receipt: Receipt | None = None
        self._sums: _Sums = {}

    @property
    def _traits(self) -> ModeTraits:
        return MODE_TABLE["copy" if self._receipt is None else self._receipt.mode]

    # ---- the plan

    def read_plan(self) -> None:
        """Check the plan as a whole, the one that the dataset carries, and the receipt. Raises PlanError."""
        found = self._checks["plan"]
        self._plan.check()
        found.count = 1
        inside = f"{self._root}/{PLAN}"
        try:
            carried = ImportPlan.open(inside)
            if carried.header.digest != self._header.digest:
                found.error("plan", PLAN, "the dataset carries another plan than the one it is compared with")
            else:
                carried.check()
        except PlanError as error:
            found.error("plan", PLAN, error.message)
        receipt = read(f"{self._root}/{RECEIPT}", keep=True, most=_SMALL)
        try:
            self._receipt = parse_receipt(receipt.data or b"")
        except (UnreadableDocumentError, ValueError):
            found.warning("plan", RECEIPT, "is not there or damaged, so how pictures were placed is not known")
            return
        if self._receipt.digest != self._header.digest:
            found.error("plan", RECEIPT, "names another plan")

    # ---- slices

    def look_at_slices(self, jobs: int | None, progress: Progress) -> None:
        """Look at each slice of the plan, in several processes."""
        total = sum(block.count for block in self._header.blocks)
        for name in ("files", "pixels", "labels"):
            self._checks[name].count = total
        if self._quick:
            self._left_out |= dict.fromkeys(("pixels", "labels"), _QUICK)
        limits = autoscaler.LIMITS._replace(worth_forking=2 * _BATCH, most_processes=64)
        with ProcessPool(process_count(total, jobs, limits)) as pool:
            progress.begin("verify", total, "slices")
            try:
                for _, (looked_at, found, sums) in pool.work_off(_look_at, self._batches()):
                    for name, problem in found:
                        self._checks[name].add(problem)
                    self._sums.update(sums)
                    progress.advance(looked_at)
            finally:
                progress.end()
        self._look_for_others()

    def _batches(self) -> Iterator[_Batch]:
        moved = () if self._receipt is None else self._receipt.moved_inputs
        header, destinations = self._header, _destinations(self._header)
        for index in range(len(header.blocks)):
            operations = self._plan.read_block(index)
            for start in range(0, len(operations), _BATCH):
                part = tuple(operations[start : start + _BATCH])
                paths = tuple(_path(destinations.of(each)) for each in part)
                yield _Batch(self._root, header.inputs, moved, self._traits.link, part, paths, self._quick)

    def _look_for_others(self) -> None:
        """Find files that the plan does not name."""
        files = self._checks["files"]
        names: dict[str, set[str]] = {"": {*document_names(self._header), MANIFEST}}
        destinations = _destinations(self._header)
        for operation in self._plan.operations():
            image = destinations.of(operation)
            for each in (image, label_of(image)):
                names.setdefault(each.folder, set()).add(each.name)
        listing = list_unplanned(self._root, names, leave_out=frozenset((OWN_FOLDER,)))
        for path, kind in sorted(listing.kinds.items()):
            files.error("extra", path, f"is not in the plan ({kind})")
        for path, why in listing.unreadable:
            files.error("missing", path, f"cannot be listed: {why}")

    # ---- documents

    def look_at_documents(self) -> None:
        """Compare the ledger, the other documents and the manifest with what the plan gives."""
        ledger = self._plan.ledger()
        planned = documents_of(self._header, ledger)
        self._look_at_ledger(planned[LEDGER], len(ledger))
        documents = self._checks["documents"]
        for path, data in planned.items():
            if path == LEDGER:
                continue
            documents.count += 1
            fault = _document_fault(path, self._read(path), data)
            if fault:
                kind = "dataset-yaml" if path == DATASET_YAML else "metadata"
                documents.error(kind, path, fault)
        self._look_at_manifest(planned)
        self._look_at_sources()

    def _look_at_ledger(self, planned: bytes, rows: int) -> None:
        found = self._checks["ledger"]
        found.count = rows
        data = self._read(LEDGER)
        if data is None:
            found.error("missing", LEDGER, "is missing, or cannot be read")
            return
        try:
            lines = list(csv.reader(io.StringIO(data.decode(), newline="")))
        except (UnicodeDecodeError, csv.Error) as error:
            found.error("metadata", LEDGER, f"is no CSV: {error}")
            return
        expected = list(csv.reader(io.StringIO(planned.decode(), newline="")))
        if lines != expected:
            at = next((i for i, pair in enumerate(zip(lines, expected, strict=False)) if pair[0] != pair[1]), None)
            where = f"line {at + 1} is not that of the plan" if at is not None else "it has another number of lines"
            found.error("metadata", LEDGER, where)
        place = LEDGER_COLUMNS.index("fate")
        fates = Counter(line[place] for line in lines[1:] if len(line) > place)
        for fate in FATES:
            if fates[fate] != self._header.fates[fate]:
                found.error(
                    "counts", LEDGER, f"has {fates[fate]:,} of fate {fate}, planned {self._header.fates[fate]:,}"
                )
        found.notes.append(f"{counted(rows, 'annotation')}, each with one fate")

    def _look_at_manifest(self, planned: dict[str, bytes]) -> None:
        found = self._checks["manifest"]
        wanted = self._receipt is not None and self._receipt.checksum == "sha256" and self._traits.copies_images
        data = self._read(MANIFEST)
        if not wanted:
            self._left_out["manifest"] = "images were linked, or no sums were asked for"
            return
        if data is None:
            found.error("missing", MANIFEST, "is missing, or cannot be read")
            return
        named, bad = manifest_sums(data)
        for number in bad:
            found.error("metadata", MANIFEST, f"line {number} cannot be read, or names a file again")
        sums = self._sums | {path: hash_bytes(content) for path, content in planned.items()}
        found.count = len(named)
        expected = {path for operation in self._plan.operations() for path in self._paths(operation)} | set(planned)
        for path in sorted(expected ^ set(named)):
            found.error("metadata", path, "is not in the manifest" if path in expected else "is in the manifest only")
        for path, sha256 in sums.items():
            if path in named and named[path] != sha256:
                found.error("checksum", path, "does not have the sum of the manifest")
        if self._quick:
            found.notes.append("sums of images and labels were not compared")

    def _paths(self, operation: ImportOperation) -> tuple[str, str]:
        image = _path(_destinations(self._header).of(operation))
        return image, _label_path(image)

    def _look_at_sources(self) -> None:
        """Say whether the annotation files are still those of the plan, where they are here."""
        found = self._checks["sources"]
        for source in self._header.sources:
            for file in source.get("annotations", ()):
                path = str(file.get("path"))
                if look(path, follow=True).kind not in {"file", "folder"}:
                    continue
                found.count += 1
                if _sum_of(path, str(file.get("suffix", ""))) != file.get("sha256"):
                    found.warning("source-changed", path, "was changed after the import was planned")
        if not found.count:
            self._left_out["sources"] = "no annotation file is here; `planbalance apply --dry-run` checks the images"

    def _read(self, path: str) -> bytes | None:
        facts = read(f"{self._root}/{path}", keep=True, most=_DOCUMENT)
        return facts.data if facts.kind == "file" else None

    # ---- the result

    def result(self) -> Audit:
        """Return the audit."""
        checks = tuple(self._check(name) for name in CHECKS)
        failed = [check.name for check in checks if check.ok is False]
        header = self._header
        slices, rows = sum(block.count for block in header.blocks), sum(header.fates.values())
        verdict = f"{', '.join(failed)} failed" if failed else "all of it is as planned"
        read_all = "" if not self._quick else "; neither pictures nor labels were read"
        summary = (
            f"Import of {counted(rows, 'annotation')} into {counted(slices, 'slice')}: {verdict}{read_all}. It is not "
            "split yet, so nothing is said of leaks."
        )
        groups = {volume.patient or volume.id for volume in header.volumes if volume.written}
        known = any(volume.patient for volume in header.volumes)
        return Audit(
            ok=not failed,
            summary=summary,
            checks=checks,
            leaks=(),
            failures=failures(checks, ()),
            plan_digest=header.digest,
            grouped_by="map" if known else "volume",
            groups=len(groups),
        )

    def _check(self, name: str) -> Check:
        if name in self._left_out:
            return not_checked(name, self._left_out[name])
        return self._checks[name].check()


def _sum_of(path: str, suffix: str) -> str:
    """Return the sum of an annotation file, or of all files of a folder; "" where it cannot be read."""
    try:
        return annotation_sum(path, suffix).sha256
    except InputError:
        return ""


def _destinations(header: ImportHeader) -> ImportDestinations:
    return ImportDestinations(header.volumes, by_volume=header.layout == "by-volume")


def _path(destination: Destination) -> str:
    return f"{destination.folder}/{destination.name}"


def _label_path(image: str) -> str:
    folder, _, name = image.rpartition("/")
    return _path(label_of(Destination(folder, name)))


def _document_fault(path: str, found: bytes | None, planned: bytes) -> str:
    """Return in what way a document is not the planned one; "" where it is, by its content."""
    if found is None:
        return "is missing, or cannot be read"
    if found == planned:
        return ""
    try:
        if path == DATASET_YAML:
            return difference(yaml_value(found), yaml_value(planned))
        if path == REPORT:
            return difference(json_value(found), json_value(planned))
    except UnreadableDocumentError as error:
        return str(error)
    return "is not what the plan gives"


# ---- one slice, in a process ----------------------------------------------------------------------------------------


def _look_at(batch: _Batch) -> tuple[int, _Found, _Sums]:
    """Return how many slices were looked at, what is wrong with them, and the sums of what was read."""
    found: _Found = []
    sums: _Sums = {}
    with quiet_decoders:
        for operation, path in zip(batch.operations, batch.paths, strict=True):
            found += _look_at_image(batch, operation, path, sums)
            found += _look_at_label(batch, operation, _label_path(path), sums)
    return len(batch.operations), found, sums


def _wrong(check: str, kind: str, path: str, message: str) -> tuple[str, Problem]:
    return check, Problem(kind, "error", path, message)


def _look_at_image(batch: _Batch, operation: ImportOperation, path: str, sums: _Sums) -> Iterator[tuple[str, Problem]]:
    linked = batch.link == "symbolic link" and not operation.pixels
    facts = look(f"{batch.root}/{path}")
    if facts.kind != ("link" if linked else "file"):
        yield _wrong("files", "missing", path, "is missing" if facts.kind == "missing" else f"is a {facts.kind}")
        return
    if linked and facts.target not in reachable(f"{batch.inputs[operation.input]}/{operation.image}", batch.moved):
        yield _wrong("files", "link-target", path, f"leads to {facts.target}, not to its source")
    if batch.quick:
        return
    content = read(f"{batch.root}/{path}", follow=linked, keep=True, most=_LARGEST)
    if content.kind != "file" or content.data is None:
        yield _wrong("pixels", "dangling" if linked else "missing", path, "cannot be read")
        return
    sha256 = content.digest.hex()
    sums[path] = sha256
    if not operation.pixels:
        if sha256 != operation.image_sha256:
            yield _wrong("pixels", "source-changed" if batch.link else "checksum", path, "has other bytes than planned")
        return
    fault = _pixel_fault(content.data, operation)
    if fault:
        yield _wrong("pixels", "checksum", path, fault)


def _pixel_fault(data: bytes, operation: ImportOperation) -> str:
    """Return in what way a picture is not the planned one; "" where it is."""
    picture = read_png(data, operation.width, operation.height)
    if picture is None:
        return f"is no 8-bit picture of {operation.width} x {operation.height} pixels that can be read"
    return "" if pixel_digest(*picture) == operation.pixels else "has other pixels than planned"


def _look_at_label(batch: _Batch, operation: ImportOperation, path: str, sums: _Sums) -> Iterator[tuple[str, Problem]]:
    facts = look(f"{batch.root}/{path}")
    if facts.kind != "file":
        yield _wrong("files", "missing", path, "is missing" if facts.kind == "missing" else f"is a {facts.kind}")
        return
    if batch.quick:
        return
    planned = operation.label.encode()
    if facts.size != len(planned):
        yield _wrong("labels", "size", path, f"has {facts.size:,} bytes, planned {len(planned):,}")
        return
    content = read(f"{batch.root}/{path}", keep=True, most=_SMALL)
    if content.data is None:
        yield _wrong("labels", "missing", path, "cannot be read")
        return
    sums[path] = content.digest.hex() if content.data else NOTHING_SHA256
    if content.data != planned:
        yield _wrong("labels", "label-invalid", path, "is not the planned text")
