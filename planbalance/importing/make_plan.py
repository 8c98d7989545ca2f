"""Make the plan of an import: read the sources, join annotations with images, read pixels once, and seal it all."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from planbalance import fs, path_safety
from planbalance.annotations import (
    AnnotationSource,
    ClassMap,
    Joined,
    LedgerRow,
    choose_classes,
    join,
    read_annotations,
    require_boxes,
)
from planbalance.dataset_files import PLAN
from planbalance.destination import clashing_ids, id_fault, path_fault
from planbalance.dicom import group_key
from planbalance.errors import InputError, UsageError
from planbalance.executor.processes import available_cores
from planbalance.executor.threads import batched, run_in_threads
from planbalance.grouping import keyed_value
from planbalance.import_model import (
    FATES,
    LEDGER_COLUMNS,
    STATES,
    ImportHeader,
    ImportOperation,
    ImportVolume,
    LedgerBlock,
    LedgerLine,
    RawVolume,
)
from planbalance.importing.source_options import image_options_json
from planbalance.importing.sources import ReadSource, asked_sources, read_source
from planbalance.model import IMAGE_SUFFIXES, Progress, Silent
from planbalance.options.importing import ImportRequest
from planbalance.planfile import SealedImport, seal_import
from planbalance.planstore import ImportPlan
from planbalance.raw_images import FoundVolumes, VolumeFacts, find_volumes, read_facts
from planbalance.text import counted, some, text_fault

_FILES_A_BATCH: Final = 64
_PLAN_BEGINS: Final = b'{"schema":"planbalance/'  # any plan
_WRITTEN: Final = ("positive", "negative")


class _JoinedSource(NamedTuple):
    """One source whose annotations were joined with its volumes."""

    read: ReadSource
    said: AnnotationSource
    found: FoundVolumes
    joined: Joined


def make_import(
    request: ImportRequest,
    *,
    output: str,
    key_file: str,
    plan_file: str | None = None,
    progress: Progress | None = None,
) -> SealedImport:
    """Return the plan of an import. Files of the sources are read; nothing is written but a new group key.

    Args:
        request: what is asked for.
        output: absolute; where the dataset is to be.
        key_file: the key under which patients are hashed; made where it is not there and a patient is known.
        plan_file: where the plan will be written; refused within a folder of images.
        progress: where to report to.

    Raises:
        UsageError: options are missing or contradict each other; the output or the plan file lies in an input.
        InputError: what the sources say cannot be imported (see `annotations.join` and `raw_images.find_volumes`).
        PlanError: the older import to extend is refused.
    """
    progress = progress or Silent()
    older = None if request.extend is None else open_older(request.extend)
    if older is not None and request.layout == "by-volume" != older.header.layout:
        raise UsageError(
            f"The import to extend has --layout {older.header.layout}, and its slices keep their places.",
            kind="usage",
            hint="Leave --layout out.",
        )
    asked = asked_sources(request)
    keep = request.render == "keep"
    sources = []
    for name, prefix, choices in asked.sources:
        finding = _finding(choices.format, asked.classes)
        sources.append(read_source(name, prefix, choices, finding, keep=keep))
    if older is not None:
        sources = _renamed(sources, older.header)
    reuse = None if request.reuse is None else _reused_folder(request.reuse)
    kept = [] if request.extend is None else [os.path.abspath(request.extend)]
    read = [source.root for source in sources] + kept + ([reuse] if reuse else [])
    _refuse_places(read, sources, output, plan_file)
    said = [read_annotations(each.format.name, each.files, each.read) for each in sources]
    classes = _class_map(said, asked.classes, asked.mapping, older)
    joined = []
    for source, annotations in zip(sources, said, strict=True):
        found = find_volumes(source.root, source.images, jobs=request.jobs, progress=progress)
        volumes = found.volumes
        result = join(annotations, volumes, classes, source.join, name=source.name)
        joined.append(_JoinedSource(source, annotations, found, result))
    require_boxes([each.joined for each in joined])
    facts = [_facts(each, keep=keep, jobs=request.jobs, progress=progress) for each in joined]
    return _ImportDraft(request, output, classes, key_file, older, reuse).sealed(joined, facts)


def open_older(path: str) -> ImportPlan:
    """Return the plan of an older import: a plan file, or the folder of one that was built. Raises PlanError."""
    return ImportPlan.open(os.path.join(path, PLAN) if os.path.isdir(path) else path)


def _reused_folder(path: str) -> str:
    """Return the absolute folder of an import whose pictures are used again. Raises InputError where there is none."""
    if not os.path.isfile(os.path.join(path, PLAN)):
        raise InputError(
            f"{path} is no dataset that planbalance imported, so nothing of it can be used again.",
            kind="input-not-found",
            hint="Give --reuse the output of an earlier import.",
            paths=[path],
        )
    return os.path.abspath(path)


def _finding(name: str | None, classes: Sequence[str]) -> str:
    """Return the name of the only finding of files that name none; "" where it is not clear, and readers ask for it."""
    from planbalance.annotations import FORMATS  # noqa: PLC0415 - beside its only use

    if name is not None and name in FORMATS and FORMATS[name].one_class and len(classes) > 1:
        raise UsageError(
            f"--format {name} knows one finding only, and --classes names several.",
            kind="usage",
            hint="Name it with --classes NAME.",
        )
    return classes[0] if len(classes) == 1 else ""


def _renamed(sources: Sequence[ReadSource], older: ImportHeader) -> list[ReadSource]:
    """Return the sources under names that the older import does not have."""
    taken = {str(source.get("name", "")) for source in older.sources}
    renamed = []
    for number, source in enumerate(sources, len(older.sources) + 1):
        name = source.name or f"source{number}"
        if name in taken:
            raise UsageError(
                f"The import to extend has a source of the name {name} already.",
                kind="usage",
                hint="Give the new source another `name` in the file of --sources.",
            )
        renamed.append(source._replace(name=name))
    return renamed


def _refuse_places(roots: Sequence[str], sources: Sequence[ReadSource], output: str, plan_file: str | None) -> None:
    path_safety.refuse_output(output, roots)
    path_safety.refuse_files({} if plan_file is None else {"plan file": os.path.abspath(plan_file)}, roots)
    if plan_file is not None:
        _refuse_to_replace(plan_file)
    for source in sources:
        for path, *_ in source.sums:
            if path_safety.lies_in(path, output):
                raise UsageError(
                    f"The annotations {path} lie inside the output {output}.",
                    kind="output-overlaps-input",
                    hint="Choose another --output: what is read is never written to.",
                    paths=[path, output],
                )


def _refuse_to_replace(path: str) -> None:
    """Refuse to write the plan over a file that is no plan (UsageError): it may be what is to be imported."""
    try:
        if not os.path.isfile(path) or not os.path.getsize(path):
            return
        with open(path, "rb") as file:
            begin = file.read(len(_PLAN_BEGINS))
    except OSError:
        return  # the plan is written last, and says why it cannot be
    if begin != _PLAN_BEGINS:
        raise UsageError(
            f"The plan would replace {path}, which is a file of another kind.",
            kind="bad-plan-file",
            hint="Give --plan-file another name.",
            paths=[path],
        )


def _class_map(
    said: Sequence[AnnotationSource],
    classes: Sequence[str],
    mapping: Sequence[tuple[str, str]],
    older: ImportPlan | None,
) -> ClassMap:
    """Return the classes; those of an older import keep their ids, and new ones follow."""
    if older is None:
        return choose_classes(said, classes, mapping)
    names = older.header.names
    if not classes and not mapping:
        labels = {label for source in said for label in source.labels}
        classes = [name for name in names if name in labels]
    chosen = choose_classes(said, classes, mapping)
    every = (*names, *(name for name in chosen.names if name not in names))
    return ClassMap(every, {label: every.index(chosen.names[place]) for label, place in chosen.id_of.items()})


# ---- pixels ---------------------------------------------------------------------------------------------------------


def _facts(source: _JoinedSource, *, keep: bool, jobs: int | None, progress: Progress) -> dict[int, VolumeFacts]:
    """Return what pixels say of each volume of which a slice is written; of files taken as they are, their sums."""
    volumes, root = source.found.volumes, source.read.root
    written = [
        index for index, frames in enumerate(source.joined.frames) if any(frame.state in _WRITTEN for frame in frames)
    ]
    rendered = [index for index in written if volumes[index].rendered and not keep]
    as_they_are = [index for index in written if index not in set(rendered)]
    for index in as_they_are:
        _refuse_several_slices(volumes[index])
    facts: dict[int, VolumeFacts] = {}
    if rendered:
        chosen = [volumes[index] for index in rendered]
        found = read_facts(root, chosen, source.read.images, jobs=jobs, progress=progress)
        facts.update(zip(rendered, found, strict=True))
    facts.update(_file_sums(root, {index: volumes[index] for index in as_they_are}, jobs, progress))
    return facts


def _refuse_several_slices(volume: RawVolume) -> None:
    suffixes = {file.path.rpartition(".")[2].lower() for file in volume.files}
    if len(volume.frames) != len({frame.file for frame in volume.frames}) or not suffixes <= IMAGE_SUFFIXES:
        raise InputError(
            f"The files of volume {volume.name} cannot be taken as they are: they hold several slices, or no trainer "
            "reads their kind.",
            kind="cannot-keep",
            hint="Leave --render keep out.",
            paths=[file.path for file in volume.files],
        )


def _file_sums(
    root: str, volumes: Mapping[int, RawVolume], jobs: int | None, progress: Progress
) -> dict[int, VolumeFacts]:
    """Return the SHA-256 of files that are taken as they are, in the order of the frames."""
    paths = [(index, frame) for index, volume in volumes.items() for frame in range(len(volume.frames))]
    sums: dict[tuple[int, int], str] = {}

    def work(batch: Sequence[tuple[int, int]]) -> list[str]:
        return [_sum(root, volumes[index].files[volumes[index].frames[frame].file].path) for index, frame in batch]

    if not paths:
        return {}
    batches = list(batched(paths, _FILES_A_BATCH))
    progress.begin("hash pictures", len(paths), "images")
    try:
        for number, found in run_in_threads(work, batches, min(16, jobs or 2 * available_cores())):
            sums.update(zip(batches[number], found, strict=True))
            progress.advance(len(found))
    finally:
        progress.end()
    return {
        index: VolumeFacts(None, tuple(sums[index, frame] for frame in range(len(volume.frames))))
        for index, volume in volumes.items()
    }


def _sum(root: str, path: str) -> str:
    digest = hashlib.sha256()
    try:
        for chunk in fs.chunks_of(os.path.join(root, path)):
            digest.update(chunk)
    except OSError as error:
        raise InputError(
            f"The image {path} cannot be read: {error.strerror}.", kind="unreadable-image", paths=[path]
        ) from None
    return digest.hexdigest()


# ---- the draft ------------------------------------------------------------------------------------------------------


class _ImportDraft:
    """Collects what the plan holds.

    Args:
        request: what is asked for.
        output: absolute.
        classes: names and wanted labels.
        key_file: the key under which patients are hashed.
        older: the import that is extended.
        reuse: the output of an import whose pictures are used again, absolute.
    """

    def __init__(
        self,
        request: ImportRequest,
        output: str,
        classes: ClassMap,
        key_file: str,
        older: ImportPlan | None,
        reuse: str | None,
    ) -> None:
        self._request = request
        self._reuse = reuse
        self._output = output
        self._classes = classes
        self._key_file = key_file
        self._older = older
        header = None if older is None else older.header
        self._inputs = [] if header is None else list(header.inputs)
        self._sources: list[Mapping[str, Any]] = [] if header is None else list(header.sources)
        self._volumes: list[ImportVolume] = [] if header is None else list(header.volumes)
        self._operations = [] if older is None else [(each.volume, each) for each in older.operations()]
        self._ledger: list[LedgerLine] = [] if older is None else older.ledger()
        self._warnings: list[str] = [] if header is None else list(header.warnings)

    def sealed(self, joined: Sequence[_JoinedSource], facts: Sequence[Mapping[int, VolumeFacts]]) -> SealedImport:
        """Return the plan."""
        patients = _Patients(self._key_file)
        for source, of_source in zip(joined, facts, strict=True):
            self._add(source, of_source, patients)
        self._warnings += patients.warnings(self._volumes)
        self._refuse_names()
        order = sorted(range(len(self._volumes)), key=lambda index: self._volumes[index].id)
        place = {index: at for at, index in enumerate(order)}
        fates: Counter[str] = Counter()
        for each in self._sources:
            fates.update(each["fates"])
        parameters = self._parameters()
        draft = ImportHeader(
            digest="",
            inputs=tuple(self._inputs),
            output=self._output,
            names=self._classes.names,
            parameters=parameters,
            sources=tuple(self._sources),
            fates={fate: fates[fate] for fate in FATES},
            warnings=tuple(dict.fromkeys(map(_plain, self._warnings))),
            volumes=tuple(self._volumes[index] for index in order),
            ledger=LedgerBlock(0, 0, ""),
            blocks=(),
        )
        operations = (each._replace(volume=place[index]) for index, each in self._operations)
        sealed = seal_import(draft, operations, self._ledger)
        ImportPlan.of(sealed).check()  # what cannot be read must not be written
        return sealed

    def _parameters(self) -> dict[str, Any]:
        request = self._request
        layout = request.layout if self._older is None else self._older.header.layout
        wanted = {label: self._classes.names[index] for label, index in sorted(self._classes.id_of.items())}
        labels = {_plain(label): wanted[label] for label in wanted}
        parameters: dict[str, Any] = {"layout": layout, "render": request.render, "labels": labels}
        if self._reuse is not None:
            if self._reuse not in self._inputs:
                self._inputs.append(self._reuse)
            parameters["reuse"] = self._inputs.index(self._reuse)
        return parameters

    def _add(self, source: _JoinedSource, facts: Mapping[int, VolumeFacts], patients: "_Patients") -> None:
        """Add the volumes, slices and annotations of one source."""
        read, joined = source.read, source.joined
        if read.root not in self._inputs:
            self._inputs.append(read.root)
        root, number = self._inputs.index(read.root), len(self._sources)
        reviewed = dict.fromkeys(joined.reviewed, "all") | dict.fromkeys(joined.partly_reviewed, "some")
        for index, volume in enumerate(source.found.volumes):
            frames = joined.frames[index]
            states = Counter(frame.state for frame in frames)
            of_volume = facts.get(index, VolumeFacts(None, ()))
            here = len(self._volumes)
            boxes = 0
            for at, (frame, outcome) in enumerate(zip(volume.frames, frames, strict=True)):
                if outcome.state not in _WRITTEN:
                    continue
                file = volume.files[frame.file]
                sums = (of_volume.digests[at], "") if of_volume.window is not None else ("", of_volume.digests[at])
                boxes += outcome.label.count("\n")
                operation = ImportOperation(
                    here, frame.number, root, file.path, frame.plane, frame.width, frame.height, file.size, file.mtime,
                    *sums, outcome.label,
                )  # fmt: skip
                self._operations.append((here, operation))
            known: Literal["all", "some", "none"] = reviewed.get(volume.name, "none")  # type: ignore[assignment]
            self._volumes.append(
                ImportVolume(
                    id=read.prefix + volume.name,
                    source=number,
                    kind=volume.kind,
                    window=of_volume.window,
                    orientation=_plain(volume.orientation),
                    flipped="up-down" in read.images.flip,
                    patient=patients.group_of(volume, joined.patients[index]),
                    reviewed=known,
                    states=tuple(states[state] for state in STATES),
                    boxes=boxes,
                )
            )
        self._sources.append(_source_document(source, root))
        self._ledger += [_ledger_line(row) for row in joined.ledger]
        self._warnings += _warnings_of(source)

    def _refuse_names(self) -> None:
        """Refuse names that collide or that no plan can hold (InputError)."""
        ids = [volume.id for volume in self._volumes]
        doubled = sorted(one for one, count in Counter(ids).items() if count > 1)
        alike = [" and ".join(group) for group in clashing_ids(ids)]
        if doubled or alike:
            raise InputError(
                f"{counted(len(doubled) + len(alike), 'volume name')} would collide in the output: "
                f"{some((*doubled, *alike))}.",
                kind="colliding-names",
                hint="Give a source a `prefix` in the file of --sources, or rename its folders.",
                paths=doubled or alike,
            )
        for volume in self._volumes:
            fault = id_fault(volume.id) or ("holds `/`" if "/" in volume.id else None)
            if fault:
                raise InputError(f"The volume name {volume.id!a} {fault}.", kind="bad-names", paths=[volume.id])
        for _, operation in self._operations:
            fault = path_fault(operation.image)
            if fault:
                raise InputError(f"The image path {operation.image!a} {fault}.", kind="bad-names")
            if operation.number < 0:
                raise InputError(
                    f"The image {operation.image} is slice {operation.number}, and slices count from 0.",
                    kind="bad-slice-number",
                    paths=[operation.image],
                )


def _source_document(source: _JoinedSource, root: int) -> dict[str, Any]:
    """Return what the plan holds of a source."""
    read, joined = source.read, source.joined
    join_options = read.join
    reviewed = join_options.reviewed
    return {
        "name": read.name,
        "format": read.format.name,
        "annotations": [each._asdict() | {"path": _plain(each.path)} for each in read.sums],
        "inputs": [root],
        "image_options": image_options_json(read.images),
        "reviewed": reviewed if isinstance(reviewed, str) else "file",
        "readers": "all" if join_options.all_readers else list(map(_plain, join_options.readers)),
        "label_groups": list(map(_plain, join_options.label_groups)),
        "fates": {fate: joined.fates[fate] for fate in FATES},
        "states": {state: joined.states[state] for state in STATES},
        "not_written": joined.not_written,
        "absent": len(joined.absent),
        "ignored": len(source.found.ignored),
        "identity": _identity(source),
    }


def _identity(source: _JoinedSource) -> dict[str, Any]:
    """Return which tags that hold identities are filled, and whose value is part of a path; names only, no values."""
    tags: Counter[str] = Counter()
    in_paths: Counter[str] = Counter()
    for volume in source.found.volumes:
        tags.update(volume.identity_tags)
        in_paths.update(volume.tags_in_paths)
    return {
        "tags": dict(sorted(tags.items())),
        "tags_in_paths": dict(sorted(in_paths.items())),
        "not_checked": "text in the pixels",
    }


def _warnings_of(source: _JoinedSource) -> Iterator[str]:
    yield from source.said.warnings
    yield from source.found.warnings
    yield from source.joined.warnings
    for note, names in _notes(source.found.volumes).items():
        yield note if len(names) == 1 else f"{note} ({counted(len(names), 'volume')})"
    units = sum(volume.has_units for volume in source.found.volumes)
    if units and not source.read.images.window.startswith("fixed:"):
        yield (
            f"The values of {counted(units, 'volume')} are Hounsfield units, which mean the same in every scan, but "
            f"--window {source.read.images.window} is another one in each volume. With --window fixed:LOW,HIGH, one "
            "value has one grey in all of them."
        )
    if source.found.ignored:
        path, why = source.found.ignored[0]
        yield f"{counted(len(source.found.ignored), 'file')} hold no image that can be read, such as {path}: {why}."
    for tag, volumes in _identity(source)["tags_in_paths"].items():
        yield (
            f"The {tag} of {counted(volumes, 'volume')} is part of a path below the image folder, and so perhaps of "
            "names in the output."
        )


def _notes(volumes: Iterable[RawVolume]) -> dict[str, list[str]]:
    notes: dict[str, list[str]] = {}
    for volume in volumes:
        for note in volume.notes:
            notes.setdefault(note, []).append(volume.name)
    return notes


def _ledger_line(row: LedgerRow) -> LedgerLine:
    assert len(row) == len(LEDGER_COLUMNS)
    return tuple(_plain(str(value)) for value in row)


def _plain(text: str) -> str:
    """Return a text from a source as a plan can hold it: control characters are written as escapes."""
    if text_fault(text) is None:
        return text
    return "".join(letter if text_fault(letter) is None else ascii(letter)[1:-1] for letter in text)


class _Patients:
    """Hashes who a volume is of. The key is read, or made, when the first patient is known."""

    def __init__(self, key_file: str) -> None:
        self._key_file = key_file
        self._key: bytes | None = None
        self._by_study = 0

    def group_of(self, volume: RawVolume, named: str) -> str:
        """Return the keyed hash of the patient; of a volume without one, of its study; "" where neither is known.

        `named`: the patient by the annotation files, which is taken before that of the headers.
        """
        patient = named or volume.patient
        if patient:
            return self._hash("PatientID", patient)
        if volume.study_uid:
            self._by_study += 1
            return self._hash("StudyInstanceUID", volume.study_uid)
        return ""

    def _hash(self, tag: str, value: str) -> str:
        if self._key is None:
            self._key = group_key(self._key_file)
        return f"group-{keyed_value(tag, value, self._key)[:16]}"

    def warnings(self, volumes: Sequence[ImportVolume]) -> Iterator[str]:
        """Yield what is not known of patients."""
        written = [volume for volume in volumes if volume.written]
        known = [volume.patient for volume in written if volume.patient]
        if not known:
            yield "Patients are not known: two volumes of one patient may come into different splits."
            return
        if self._by_study:
            yield (
                f"{counted(self._by_study, 'volume')} have no PatientID: those of one study are one group, but two "
                "studies of one patient are not known to be."
            )
        if len(known) < len(written):
            yield f"Of {counted(len(written) - len(known), 'volume')} the patient is not known: each is its own group."
        if len(set(known)) == 1 and len(known) > 1:
            which = "All volumes" if len(known) == len(written) else "All volumes whose patient is known"
            yield (
                f"{which} have one patient by their headers, perhaps because these were made anonymous: then leave "
                "--group-map out."
            )
