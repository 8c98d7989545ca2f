"""Join annotations with images: one fate for each annotation, one state for each slice, and the texts of the labels.

The order of `FATES` is their precedence: an annotation has the first fate that fits.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from planbalance.annotations.classes import ClassMap
from planbalance.annotations.drafts import shown
from planbalance.annotations.image_index import FoundFrames, ImageIndex, Place
from planbalance.annotations.label_text import ClipFault, clip, yolo_line
from planbalance.annotations.readers import chosen_readers
from planbalance.annotations.source import AnnotationSource, Reviewed, SourceFile, refused
from planbalance.annotations.tables import decoded
from planbalance.errors import InputError
from planbalance.import_model import (
    FATES,
    STATES,
    Annotation,
    Box,
    Fate,
    ImageKey,
    PathKey,
    RawVolume,
    State,
    UidKey,
    VolumeKey,
)
from planbalance.text import counted, some, text_fault

_EXAMPLES: Final = 3
# Kinds of annotations that have their fate whatever their label is.
_WITHOUT_LABEL: Final[Mapping[str, Fate]] = {"study": "study-level", "negative-mark": "negative-mark"}
# Fates of a wanted finding that leave it open what its slice shows.
_DOUBTFUL: Final[Mapping[Fate, str]] = {
    "unreadable": "an annotation that cannot be read",
    "study-level": "a finding of the whole study",
    "no-image": "a finding on one of the slices of this file",
    "size-mismatch": "a box for an image of another size",
    "no-geometry": "a finding without a box",
    "crowd": "a crowd",
    "degenerate": "a box without a size",
    "outside": "a box outside of the image",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinOptions:
    """What decides which annotations count, and which slices were looked at.

    Attributes:
        readers: only annotations of these readers count (`--reader`); empty: not said.
        label_groups: only annotations of these label groups count (`--label-group`); empty: not said.
        all_readers: annotations of all readers and label groups count (`--readers all`).
        reviewed: `auto`: as the format says (`Format.reviewed`); `volume`: every slice of a volume with an annotation
            that counts; `slice`: only slices with one; `all`: every slice; or the lines of a file that names volumes
            and images (`review_lines`).
        doubtful: whether doubtful slices are left out (`skip`) or refused (`error`).
    """

    readers: tuple[str, ...] = ()
    label_groups: tuple[str, ...] = ()
    all_readers: bool = False
    reviewed: Literal["auto", "volume", "slice", "all"] | tuple[str, ...] = "auto"
    doubtful: Literal["skip", "error"] = "skip"


class LedgerRow(NamedTuple):
    """One line of the ledger: an annotation and its fate.

    Attributes:
        source: the name of its source.
        number: its place in its source, from 1.
        where: what finds it again for a person, such as `line 17`.
        image: the image that it names: path of its file, and after `#` its slice where the file has several; where no
            image was found, what the annotation names.
        label: its label.
        class_name: the class that this label becomes; "" where it is not wanted.
        reader: who made it.
        fate: its fate.
        reason: why, in a few words; "" where the fate says it all.
    """

    source: str
    number: int
    where: str
    image: str
    label: str
    class_name: str
    reader: str
    fate: Fate
    reason: str


class FrameOutcome(NamedTuple):
    """What is known of one slice.

    Attributes:
        state: only positive and negative slices are written.
        label: the text of its label file; "" for a slice that is not positive.
        reasons: why it is doubtful, without repetitions.
    """

    state: State
    label: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The annotations of one source, joined with its volumes.

    Attributes:
        source: its name.
        class_names: by id.
        frames: for each volume, in the order in which they were given, and for each of its frames.
        ledger: one row for each annotation, in their order.
        fates: how many annotations have each fate; all fates, in their order of precedence. They sum to the
            annotations.
        examples: for each fate that occurs, its first three rows.
        not_written: how many annotations that are used or clipped are on doubtful slices, which are not written.
        states: how many slices have each state; all states.
        reviewed: names of the volumes of which every slice was looked at.
        partly_reviewed: names of the volumes of which only some slices were looked at.
        unreviewed: names of the volumes of which no slice was.
        absent: what was reviewed and is not among the volumes, as the source names it, in its order.
        patients: for each volume, who it is of, as the annotation files say; "" where they do not.
        warnings: what people should know, a sentence each.
    """

    source: str
    class_names: tuple[str, ...]
    frames: tuple[tuple[FrameOutcome, ...], ...]
    ledger: tuple[LedgerRow, ...]
    fates: Mapping[Fate, int]
    examples: Mapping[Fate, tuple[LedgerRow, ...]]
    not_written: int
    states: Mapping[State, int]
    reviewed: tuple[str, ...]
    partly_reviewed: tuple[str, ...]
    unreviewed: tuple[str, ...]
    absent: tuple[str, ...]
    patients: tuple[str, ...]
    warnings: tuple[str, ...]


def join(
    source: AnnotationSource,
    volumes: Sequence[RawVolume],
    classes: ClassMap,
    options: JoinOptions,
    *,
    name: str = "",
) -> Joined:
    """Return the fate of each annotation and the state of each slice.

    Args:
        source: what the annotation files say.
        volumes: the images.
        classes: which labels are wanted.
        options: which annotations count, and which slices were looked at.
        name: of the source, for messages and the ledger.

    Raises:
        InputError: several readers or label groups carry wanted labels and none was chosen (kind `several-readers`,
            `several-label-groups`); one that was chosen does not exist (kind `unknown-reader`); an annotation fits
            several images, or two names mean one image (kind `ambiguous-image`); frames are numbered from an unknown
            base (kind `frame-base`), or slices in two ways (kind `slice-numbers`); the files do not say what was
            reviewed (kind `reviewed-unknown`); a slice is doubtful and that is refused (kind `doubtful-slices`); a
            volume has two patients (kind `two-patients`).
    """
    counts_of = chosen_readers(source, classes, options.readers, options.label_groups, all_readers=options.all_readers)
    joining = _Joining(source, volumes, classes, counts_of, name)
    for annotation in source.annotations:
        joining.add(annotation)
    reviewed, absent = joining.reviewed(options.reviewed)
    frames = joining.outcomes(reviewed)
    if options.doubtful == "error":
        _refuse_doubtful(volumes, frames)
    return joining.result(frames, reviewed, absent)


Counts = Callable[[str, str], bool]


class _Joining:
    """The annotations of a source while they are joined, one after the other."""

    def __init__(
        self, source: AnnotationSource, volumes: Sequence[RawVolume], classes: ClassMap, counts: Counts, name: str
    ) -> None:
        self.source, self.volumes, self.classes, self.counts, self.name = source, volumes, classes, counts, name
        self.index = ImageIndex(volumes, source.frame_base)
        self.ledger: list[LedgerRow] = []
        self.lines: defaultdict[Place, list[str]] = defaultdict(list)
        self.doubts: defaultdict[Place, dict[str, None]] = defaultdict(dict)
        self.marked: set[Place] = set()  # somebody says that there is no finding
        self.touched: list[FoundFrames] = []  # targets of annotations that count
        self.boxes: set[tuple[Place, int, Box]] = set()
        self.places: list[Place | None] = []  # of each row of the ledger whose box is used
        self.by_stem = 0

    # ---- fates ------------------------------------------------------------------------------------------------------

    def add(self, annotation: Annotation) -> None:
        """Give an annotation its fate."""
        target = FoundFrames((), annotation.reason) if annotation.key is None else self.index.find(annotation.key)
        counts = self.counts(annotation.reader, annotation.label_group)
        fate, reason = self._fate(annotation, target, counts=counts)
        class_id = self.classes.id_of.get(annotation.label)
        used = fate in ("clipped", "used")
        self.places.append(target.frames[0] if used else None)
        if counts and fate != "unreadable":
            self.touched.append(target)
            self.by_stem += target.by_stem
        if fate == "negative-mark":
            self.marked.update(target.frames)
        if self._is_doubtful(annotation, fate, counts=counts):
            for place in target.frames or target.unsure:
                self.doubts[place][_DOUBTFUL[fate]] = None
        self.ledger.append(
            LedgerRow(
                self.name,
                annotation.number,
                annotation.where,
                self._image(annotation.key, target),
                annotation.label,
                "" if class_id is None else self.classes.names[class_id],
                annotation.reader,
                fate,
                reason,
            )
        )

    def _is_doubtful(self, annotation: Annotation, fate: Fate, *, counts: bool) -> bool:
        """Return whether an annotation leaves it open what its slice shows; so does one of unknown reader or label."""
        if fate == "unreadable":
            wanted = not annotation.label or annotation.label in self.classes.id_of
            return wanted and (counts or not annotation.reader)
        return fate in _DOUBTFUL and counts and annotation.label in self.classes.id_of

    def _fate(self, annotation: Annotation, target: FoundFrames, *, counts: bool) -> tuple[Fate, str]:
        if annotation.kind == "unreadable":
            return "unreadable", annotation.reason
        if not counts:
            return "other-reader", ""
        if annotation.kind in _WITHOUT_LABEL:
            return _WITHOUT_LABEL[annotation.kind], ""
        if annotation.label not in self.classes.id_of:
            return "unknown-label", ""
        if not target.frames:
            return "no-image", annotation.reason or target.reason
        return self._fate_on_image(annotation, target.frames[0])

    def _fate_on_image(self, annotation: Annotation, place: Place) -> tuple[Fate, str]:
        frame = self.volumes[place[0]].frames[place[1]]
        size, stated = (frame.width, frame.height), annotation.stated_size
        if stated is not None and stated != size:
            return "size-mismatch", f"the image is {size[0]} x {size[1]}, not {stated[0]} x {stated[1]}"
        if annotation.kind == "crowd":
            return "crowd", ""
        if annotation.kind == "no-geometry" or annotation.box is None:
            return "no-geometry", annotation.reason
        clipped = clip(annotation.box, *size)
        if isinstance(clipped, ClipFault):
            return clipped.fate, clipped.reason
        class_id = self.classes.id_of[annotation.label]
        if (place, class_id, annotation.box) in self.boxes:
            return "duplicate", ""
        self.boxes.add((place, class_id, annotation.box))
        self.lines[place].append(yolo_line(class_id, clipped, *size))
        return ("clipped", "") if clipped != annotation.box else ("used", "")

    def _image(self, key: ImageKey | None, target: FoundFrames) -> str:
        """Return how the ledger calls an image."""
        if len(target.frames) == 1:
            volume = self.volumes[target.frames[0][0]]
            frame = volume.frames[target.frames[0][1]]
            path = volume.files[frame.file].path
            several = sum(one.file == frame.file for one in volume.frames[:2]) > 1 or frame.plane > 0
            return f"{path}#{frame.number}" if several else path
        match key:
            case None:
                return ""
            case UidKey(uid, frame_number):
                return uid if frame_number is None else f"{uid}#{frame_number}"
            case PathKey():
                return key.path
            case VolumeKey():
                return key.volume or key.series_uid or key.study_uid
        return "#".join(map(str, key))

    # ---- states -----------------------------------------------------------------------------------------------------

    def reviewed(
        self, said: Literal["auto", "volume", "slice", "all"] | tuple[str, ...]
    ) -> tuple[list[bytearray], tuple[str, ...]]:
        """Return for each volume which frames were looked at, and what was and is not among the volumes."""
        flags = [bytearray(len(volume.frames)) for volume in self.volumes]
        absent: list[str] = []
        if said == "all":
            return [bytearray(b"\1" * len(each)) for each in flags], ()
        if said == "volume":
            for index in {place[0] for target in self.touched for place in target.frames}:
                flags[index][:] = b"\1" * len(flags[index])
        elif said == "slice":
            _set(flags, (target.frames[0] for target in self.touched if len(target.frames) == 1))
        else:
            for name, frames in self._listed() if said == "auto" else map(self._line, said):
                _set(flags, frames)
                absent += [name] if not frames else []
        return flags, tuple(dict.fromkeys(absent))

    def _listed(self) -> Iterator[tuple[str, tuple[Place, ...]]]:
        """Yield what the files of the source say was looked at."""
        if self.source.reviewed is None:
            of = f" of {self.name}" if self.name else ""
            raise InputError(
                f"The annotation files{of} do not say which volumes were reviewed.",
                kind="reviewed-unknown",
                hint="Put the list of reviewed files beside the annotation file, name it with --reviewed FILE, or give "
                "--reviewed volume, slice or all.",
            )
        for one in self.source.reviewed:
            if self._may_count(one):
                target = self.index.find(one.key)
                yield self._image(one.key, target), target.frames

    def _may_count(self, one: Reviewed) -> bool:
        return (not one.reader and not one.label_group) or self.counts(one.reader, one.label_group)

    def _line(self, line: str) -> tuple[str, tuple[Place, ...]]:
        return line, self.index.find_line(line)

    def outcomes(self, reviewed: Sequence[bytearray]) -> tuple[tuple[FrameOutcome, ...], ...]:
        """Return what is known of each frame of each volume."""
        return tuple(
            tuple(self._outcome((index, place), seen=bool(flag)) for place, flag in enumerate(flags))
            for index, flags in enumerate(reviewed)
        )

    def _outcome(self, place: Place, *, seen: bool) -> FrameOutcome:
        if place in self.doubts:
            return FrameOutcome("doubtful", "", tuple(self.doubts[place]))
        if place in self.lines:
            return FrameOutcome("positive", "".join(self.lines[place]))
        return FrameOutcome("negative" if seen else "unreviewed")

    # ---- the result -------------------------------------------------------------------------------------------------

    def result(
        self, frames: tuple[tuple[FrameOutcome, ...], ...], reviewed: Sequence[bytearray], absent: tuple[str, ...]
    ) -> Joined:
        """Return everything that is known now."""
        not_written = [place is not None and place in self.doubts for place in self.places]
        ledger = tuple(
            row._replace(reason="its slice is doubtful and is not written") if hidden else row
            for row, hidden in zip(self.ledger, not_written, strict=True)
        )
        fates = Counter(row.fate for row in ledger)
        examples: dict[Fate, list[LedgerRow]] = {fate: [] for fate in FATES if fates[fate]}
        for row in ledger:
            if len(examples[row.fate]) < _EXAMPLES:
                examples[row.fate].append(row)
        states = Counter(outcome.state for each in frames for outcome in each)
        named = [(volume.name, sum(flags), len(flags)) for volume, flags in zip(self.volumes, reviewed, strict=True)]
        return Joined(
            source=self.name,
            class_names=self.classes.names,
            frames=frames,
            ledger=ledger,
            fates={fate: fates[fate] for fate in FATES},
            examples={fate: tuple(rows) for fate, rows in examples.items()},
            not_written=sum(not_written),
            states={state: states[state] for state in STATES},
            reviewed=tuple(name for name, seen, count in named if 0 < seen == count),
            partly_reviewed=tuple(name for name, seen, count in named if 0 < seen < count),
            unreviewed=tuple(name for name, seen, count in named if count and not seen),
            absent=absent,
            patients=self._patients(),
            warnings=(*self.source.warnings, *self._warnings(absent)),
        )

    def _patients(self) -> tuple[str, ...]:
        patients = [""] * len(self.volumes)
        for key, patient in self.source.patients.items():
            for index in {place[0] for place in self.index.find(key).frames}:
                if patients[index] not in ("", patient):
                    raise InputError(
                        f"The annotation files give the volume {self.volumes[index].name} two patients.",
                        kind="two-patients",
                        hint="Give each patient a volume of its own.",
                        paths=[self.volumes[index].files[0].path],
                    )
                patients[index] = patient
        return tuple(patients)

    def _warnings(self, absent: Sequence[str]) -> Iterator[str]:
        if self.by_stem:
            said = counted(self.by_stem, "annotation names its image", "annotations name their images")
            yield f"{said} with another suffix."
        contradicted = sorted(self.marked & self.lines.keys())
        if contradicted:
            said = counted(len(contradicted), "slice has", "slices have")
            paths = (self._image(None, FoundFrames((place,))) for place in contradicted)
            yield f"{said} a box, but also a mark that there is no finding: {some(paths, 3)}."
        if absent:
            said = counted(len(absent), "reviewed volume or image is", "reviewed volumes or images are")
            yield f"{said} not among the images: {some(absent, 3)}."
        other_size = [key for key, size in self.source.stated_sizes.items() if self._differs(key, size)]
        if other_size:
            said = counted(len(other_size), "image has", "images have")
            paths = (self._image(key, self.index.find(key)) for key in other_size)
            yield f"{said} another size than the annotation files state: {some(paths, 3)}."

    def _differs(self, key: ImageKey, size: tuple[int, int]) -> bool:
        frames = self.index.find(key).frames
        return any(self.volumes[index].frames[place][3:5] != size for index, place in frames)


def _set(flags: Sequence[bytearray], places: Iterable[Place]) -> None:
    for index, place in places:
        flags[index][place] = 1


def _refuse_doubtful(volumes: Sequence[RawVolume], frames: Sequence[Sequence[FrameOutcome]]) -> None:
    doubtful = [
        f"slice {volume.frames[place].number} of {volume.name} ({', '.join(outcome.reasons)})"
        for volume, outcomes in zip(volumes, frames, strict=True)
        for place, outcome in enumerate(outcomes)
        if outcome.state == "doubtful"
    ]
    if doubtful:
        raise InputError(
            f"{counted(len(doubtful), 'slice is', 'slices are')} doubtful: {some(doubtful)}.",
            kind="doubtful-slices",
            hint="Correct the annotations, or leave these slices out with --doubtful skip.",
            paths=doubtful,
        )


def require_boxes(joined: Sequence[Joined]) -> None:
    """Check that at least one slice of all sources is positive.

    Raises:
        InputError: none is (kind `no-usable-box`); the message names the fates.
    """
    if any(one.states["positive"] for one in joined):
        return
    total: Counter[Fate] = Counter()
    for one in joined:
        total.update(one.fates)
    said = ", ".join(f"{total[fate]:,} {fate}" for fate in FATES if total[fate]) or "there is no annotation"
    hidden = sum(one.not_written for one in joined)
    if hidden:
        said += f" ({hidden:,} of these on doubtful slices, which are not written)"
    lost = [row for one in joined for rows in one.examples.values() for row in rows if row.reason]
    first = f" The first is {lost[0].where}: {lost[0].reason}." if lost else ""
    raise InputError(
        f"No slice gets a box: {said}.{first}",
        kind="no-usable-box",
        hint="Check that --annotations and --images belong together, and --classes or --map.",
    )


def review_lines(data: bytes, name: str) -> tuple[str, ...]:
    """Return the lines of a file that names reviewed volumes or images, without blank ones and those that begin with #.

    Raises:
        InputError: it is no text, or empty (kind `bad-annotations`).
    """
    lines = [line.strip() for line in decoded(SourceFile(name, data)).splitlines()]
    found = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    for line in found:
        if fault := text_fault(line):
            raise refused(name, f"has a line that {fault}: {shown(line)}")
    if not found:
        raise refused(name, "names no reviewed volume or image", "Write one name a line.")
    return found
