"""The audit of a data set that has a plan: every slice read once, then every check from what was read."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from planbalance.audit import structure
from planbalance.audit.blank import shows_nothing
from planbalance.audit.documents import DATASET_YAML, HYPS, MANIFEST, METADATA, OWN_FOLDER, counted_twice, listed_paths
from planbalance.audit.findings import Findings, not_checked
from planbalance.audit.leaks import Leak
from planbalance.audit.options import VerifyOptions
from planbalance.audit.overlap import Content, content_of, overlap_checks
from planbalance.audit.paperwork import dataset_yaml_check, document_sums, hyps_check, metadata_check, read_manifest
from planbalance.audit.placed import Placed, Reading, read_slices
from planbalance.audit.structure import Expected, Found, problems_of
from planbalance.audit.subject import Subject
from planbalance.audit.tally import Seen, Tally
from planbalance.audit.trainers_view import planned_view
from planbalance.audit.tree import Listing, list_tree, read, read_small
from planbalance.audit.volumes import VolumesByName, planned_volumes
from planbalance.destination import Destinations
from planbalance.errors import PlanError
from planbalance.model import IMAGE_SUFFIXES, SPLITS, Check, Operation, Progress, Split
from planbalance.planstore import PlanFile
from planbalance.pool import available_cores, batched, for_each_batch, run_blocking

# Small enough for a bar that moves on large images, large enough for the hop to a thread not to count.
_BATCH: Final = 128
_PICTURE_BYTES: Final = 1 << 26
_LIST_BYTES: Final = 1 << 31
_QUICK: Final = "quick: neither images nor labels were read"


@dataclass(frozen=True, slots=True)
class _Judged:
    found: list[Found]
    seen: list[Seen]
    places: list[str]
    size: int


@dataclass(slots=True)
class PlannedAudit:
    """What came out: checks in reading order, leaks, totals by split, and what others can be compared with."""

    checks: list[Check]
    leaks: list[Leak]
    totals: Counter[Split]
    content: Content


def audit_planned(subject: Subject, options: VerifyOptions, progress: Progress) -> PlannedAudit:
    """Audit a data set against its plan.

    Raises:
        InputError: the group map or naming pattern asked for does not fit the names.
        PlanError: the plan changed while it was read.
    """
    header = subject.header
    below = _paths_below(subject)
    volumes = planned_volumes(header, options.volume_pattern, below)
    listing = list_tree(subject.root, leave_out=frozenset((OWN_FOLDER,)))
    sums, manifest = read_manifest(subject)
    reading, absent = _reading(subject, options)
    invalid: Any = "warning" if header.parameters.get("invalid_label") == "keep" else "error"
    times = subject.receipt is None or not subject.receipt.moved_inputs
    expected = Expected(reading, sums, invalid, times=times)
    findings = {
        name: Findings(name)
        for name in (
            structure.FILES,
            structure.LINKS,
            structure.IMAGE_SUMS,
            structure.LABEL_SUMS,
            structure.LABELS,
            structure.SOURCES,
        )
    }
    tally = Tally()
    remaining = _Remaining(listing, sums)
    judge = _judge(subject, expected, volumes)

    def finished(judged: _Judged) -> None:
        for name, problem in judged.found:
            findings[name].add(problem)
        tally.add(judged.seen)
        for path in judged.places:
            remaining.take(path)

    _read_all(subject.plan, judge, finished, options.jobs, progress)
    lists = _Lists(subject, remaining, findings[structure.FILES])
    documents = _documents(subject, remaining)
    _strangers(remaining, volumes, findings[structure.FILES], tally)
    for path, reason in listing.unreadable:
        findings[structure.FILES].error("unreadable", path, reason)
    lists.check()
    if manifest is not None and sums is not None:
        remaining.manifest_leftovers(manifest)
        document_sums(subject, sums, manifest)
    split_of = _split_of(subject)
    overlaps = overlap_checks(
        tally,
        groups=_groups(subject, options),
        split_of=split_of,
        blank=_blank(subject),
        options=options,
    )
    state = _State(subject, options, absent, expected, sum(block.count for block in header.blocks))
    checks = [
        *overlaps.checks,
        *state.file_checks(findings),
        *_count_checks(subject, tally, documents.metadata, options),
        *documents.checks,
        manifest.check()
        if manifest is not None
        else not_checked("manifest", f"{subject.mode} mode without sums has none"),
        state.sources(findings[structure.SOURCES]),
        planned_view(header, tally, subject.mode),
    ]
    content = content_of(tally, split_of, images=not options.quick)
    return PlannedAudit(checks, overlaps.leaks, tally.totals, content)


# ---- reading --------------------------------------------------------------------------------------------------------


def _reading(subject: Subject, options: VerifyOptions) -> tuple[Reading, tuple[str, ...]]:
    """Return what to read, and the inputs that are not on this machine."""
    absent = tuple(root for root in subject.inputs if not os.path.isdir(root or "/"))
    sources = subject.mode == "hardlink" or (subject.mode in ("copy", "reflink") and not options.quick)
    names = subject.header.names
    return (
        Reading(
            root=subject.root,
            inputs=subject.inputs,
            mode=subject.mode,
            same_labels=subject.same_labels,
            images=not options.quick,
            labels=not options.quick or options.labels_by_content,
            sources=sources and not absent,
            class_count=len(names) if names is not None else None,
        ),
        absent,
    )


def _judge(subject: Subject, expected: Expected, volumes: VolumesByName) -> Callable[[Sequence[Operation]], _Judged]:
    """Return what a worker does with a batch: read every slice, and judge it."""
    header = subject.header
    classes = header.parameters.get("positive_classes")
    positive_classes = frozenset(classes) if isinstance(classes, list) else None

    def judge(operations: Sequence[Operation]) -> _Judged:
        destinations = Destinations(header.sources, header.parameters["layout"])
        slices = read_slices(operations, destinations, expected.reading)
        found = [problem for placed in slices for problem in problems_of(placed, expected)]
        seen = [_seen(placed, volumes, positive_classes) for placed in slices if placed.image_facts.kind == "file"]
        places = [path for placed in slices for path in (placed.image, placed.label)]
        size = sum(placed.image_facts.size for placed in slices) if expected.reading.images else 0
        return _Judged(found, seen, places, size)

    return judge


def _seen(placed: Placed, volumes: VolumesByName, positive_classes: frozenset[int] | None) -> Seen:
    facts, contents, operation = placed.image_facts, placed.contents, placed.operation
    positive: bool | None = None
    if contents is not None:
        positive = contents.annotations > 0
        if positive_classes is not None:
            positive = not positive_classes.isdisjoint(contents.classes)
    elif operation.label is None and not placed.label:
        positive = False  # list mode: no label file, a background
    return Seen(operation.split, volumes.of(operation), placed.image, positive, facts.digest, facts.flat)


def _read_all(
    plan: PlanFile,
    judge: Callable[[Sequence[Operation]], _Judged],
    finished: Callable[[_Judged], None],
    jobs: int | None,
    progress: Progress,
) -> None:
    """Read every slice in batches over the worker threads."""
    broken: list[PlanError] = []

    def batches() -> Iterator[list[Operation]]:
        try:
            for index in range(len(plan.header.blocks)):
                yield from batched(plan.read_block(index), _BATCH)
        except PlanError as error:  # the file changed after it was checked; raised below, outside the task group
            broken.append(error)

    async def after(batch: Sequence[Operation], judged: _Judged) -> None:
        finished(judged)
        progress.advance(len(batch), judged.size)

    async def main() -> None:
        await for_each_batch(judge, batches(), jobs=jobs or available_cores(), finished=after)

    progress.begin("Verify", sum(block.count for block in plan.header.blocks), "slices")
    try:
        run_blocking(main)
    finally:
        progress.end()
    if broken:
        raise broken[0]


def _paths_below(subject: Subject) -> Callable[[], list[str]]:
    destinations = Destinations(subject.header.sources, "keep")

    def paths() -> list[str]:
        return [destinations.below(each.input, each.image, each.volume) for each in subject.plan.operations()]

    return paths


# ---- what is left over ----------------------------------------------------------------------------------------------


class _Remaining:
    """Names in the tree, and lines of the manifest, that no slice has claimed yet."""

    def __init__(self, listing: Listing, sums: dict[str, bytes] | None) -> None:
        self.listing = listing
        self._sums = sums
        self._unnamed: list[str] = []
        self._named = 0

    def take(self, path: str) -> None:
        """Claim a planned path."""
        self.take_document(path)
        if self._sums is not None:
            if path in self._sums:
                self._named += 1
            else:
                self._unnamed.append(path)

    def take_document(self, path: str) -> None:
        """Claim a path of the tree alone."""
        folder, _, name = path.rpartition("/")
        names = self.listing.folders.get(folder)
        if names is not None:
            names.discard(name)

    def manifest_leftovers(self, found: Findings) -> None:
        """Note planned paths that the manifest does not name; and that it names more than is planned."""
        assert self._sums is not None
        found.count = len(self._sums)
        for path in sorted(self._unnamed):
            found.error("checksum", path, "not in the manifest")
        beyond = len(self._sums) - self._named - sum(path in self._sums for path in (METADATA, HYPS))
        if beyond > 0:
            found.error("checksum", MANIFEST, f"names {beyond} files that are not planned")


def _strangers(remaining: _Remaining, volumes: VolumesByName, found: Findings, tally: Tally) -> None:
    """Note what lies in the tree without being planned; images among it are slices that trainers would load."""
    kinds = remaining.listing.kinds
    for path in remaining.listing.paths():
        name = path.rpartition("/")[2]
        what = "a link that is not planned" if kinds.get(path) == "link" else "not planned"
        if name.startswith("."):
            found.warning("extra", path, f"{what}; trainers pass over hidden files")
            continue
        found.error("extra", path, what)
        parts = path.split("/", 2)
        if len(parts) == 3 and parts[0] == "images" and name.rpartition(".")[2].lower() in IMAGE_SUFFIXES:
            _add_stranger(path, parts[1], volumes.of_stranger(parts[2]), tally)


def _add_stranger(path: str, folder: str, volume: str, tally: Tally) -> None:
    split = next((one for one in SPLITS if one == folder), None)
    if split is not None:
        tally.add([Seen(split, volume, path)])


class _Lists:
    """The three text files of list mode, against what is planned."""

    def __init__(self, subject: Subject, remaining: _Remaining, found: Findings) -> None:
        self._subject = subject
        self._found = found
        if subject.mode == "list":
            for split in SPLITS:
                remaining.take_document(f"{split}.txt")

    def check(self) -> None:
        """Note listed paths that are not planned, planned ones that are not listed, and doubles."""
        if self._subject.mode != "list":
            return
        planned: dict[Split, set[str]] = {split: set() for split in SPLITS}
        for operation in self._subject.plan.operations():
            planned[operation.split].add(f"{self._subject.inputs[operation.input]}/{operation.image}")
        for split in SPLITS:
            self._check(f"{split}.txt", planned[split])

    def _check(self, name: str, planned: set[str]) -> None:
        facts = read_small(f"{self._subject.root}/{name}", _LIST_BYTES)
        if facts.data is None:
            if planned or facts.kind != "missing":
                self._found.error("missing", name, facts.error or "planned, and not there")
            return
        listed, twice = counted_twice(listed_paths(facts.data))
        for path in sorted(planned - listed):
            self._found.error("missing", name, f"does not list {path}")
        for path in sorted(listed - planned):
            self._found.error("extra", name, f"lists {path}, which is not planned")
        for path in twice:
            self._found.error("extra", name, f"lists {path} more than once")


# ---- the checks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Documents:
    checks: list[Check]
    metadata: dict[str, object] | None


def _documents(subject: Subject, remaining: _Remaining) -> _Documents:
    metadata, value = metadata_check(subject)
    hyps = hyps_check(subject)
    claimed = [DATASET_YAML, METADATA]
    if hyps.ok is not None:
        claimed.append(HYPS)
    if subject.mode == "copy" and (subject.receipt is None or subject.receipt.checksum == "sha256"):
        claimed.append(MANIFEST)
    for path in claimed:
        remaining.take_document(path)
    return _Documents([dataset_yaml_check(subject), metadata, hyps], value)


@dataclass(frozen=True, slots=True)
class _State:
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

    def _image_reason(self, found: Findings) -> str:
        if self.options.quick:
            return "quick: images were not read"
        if found.failed or self.subject.header.parameters.get("hash_images") or self.expected.sums is not None:
            return ""
        if self.expected.linked:
            return "the plan holds no sums of the images (--hash-images)"
        return "no sums to compare with: the build wrote no manifest, the plan holds none (--hash-images)"

    def _label_reason(self) -> str:
        if self.expected.reading.labels:
            return ""
        return _QUICK

    def sources(self, found: Findings) -> Check:
        """Return the check of the sources: an error only where an image here is its source."""
        if self.absent and self.subject.mode not in ("symlink", "list"):
            return not_checked("sources", f"the input {self.absent[0]} is not here")
        if not self.expected.linked and not self.expected.reading.sources:
            return not_checked("sources", "quick: a copy does not need its sources")
        return found.check()


def _count_checks(
    subject: Subject, tally: Tally, metadata: dict[str, object] | None, options: VerifyOptions
) -> list[Check]:
    """Return counts (plan, tree, metadata) and balance of train."""
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
        return not_checked("balance", _QUICK)
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


def _groups(subject: Subject, options: VerifyOptions) -> dict[str, str] | None:
    """Return group by volume where groups are known: the caller's map first, else the plan's."""
    if options.group_map is not None:
        return dict(options.group_map.group_of)
    told = subject.header.parameters.get("groups")
    if not isinstance(told, dict) or told.get("by") not in ("map", "patient", "dicom"):
        return None
    return {volume.id: volume.group for volume in subject.header.volumes}


def _split_of(subject: Subject) -> Callable[[str], tuple[Split, ...]]:
    """Return what gives an image's split by its path; in list mode the plan tells it."""
    if subject.mode != "list":
        return lambda path: tuple(split for split in SPLITS if path.startswith(f"images/{split}/"))
    known: dict[str, tuple[Split, ...]] = {}

    def listed(path: str) -> tuple[Split, ...]:
        if not known:
            for operation in subject.plan.operations():
                known[f"{subject.inputs[operation.input]}/{operation.image}"] = (operation.split,)
        return known[path]

    return listed


def _blank(subject: Subject) -> Callable[[bytes, str], bool]:
    """Return what decodes one of several identical images, to learn whether it shows anything."""

    def blank(_digest: bytes, path: str) -> bool:
        at = path if path.startswith("/") else f"{subject.root}/{path}"
        facts = read(at, follow=subject.mode in ("symlink", "list"), keep=True)
        return facts.data is not None and len(facts.data) <= _PICTURE_BYTES and shows_nothing(facts.data)

    return blank
