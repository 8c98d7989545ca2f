"""The values of an import that its packages hand to each other: annotations, frames and raw volumes. Pure.

`annotations/` reads annotation files to `Annotation` values and decides the fate of each; `raw_images/` reads image
files to `RawVolume` values and renders their frames; `importing/` joins both to a plan, which `planfile` writes and
reads, and builds it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, get_args

from planbalance.model import Block

Fate = Literal[
    "unreadable",
    "other-reader",
    "study-level",
    "negative-mark",
    "unknown-label",
    "no-image",
    "size-mismatch",
    "no-geometry",
    "crowd",
    "degenerate",
    "outside",
    "duplicate",
    "clipped",
    "used",
]
FATES: Final[tuple[Fate, ...]] = get_args(Fate)
FormatName = Literal[
    "fastmri-plus",
    "mdai",
    "mdai-frame",
    "coco",
    "voc",
    "rsna",
    "retinanet",
    "vinbigdata",
    "deeplesion",
    "boxes-csv",
]
"""The formats of annotation files, as `--format` names them."""
BoxForm = Literal["xyxy", "xywh", "cxcywh"]
State = Literal["positive", "negative", "unreviewed", "doubtful"]
STATES: Final[tuple[State, ...]] = get_args(State)
VolumeKind = Literal["picture", "dicom", "nifti", "h5"]
ImportLayout = Literal["flat", "by-volume"]


class Box(NamedTuple):
    """A box in pixels of its image: pixel i covers [i, i + 1). It may lie over an edge, or be empty."""

    left: float
    top: float
    right: float
    bottom: float


class UidKey(NamedTuple):
    """An image named by the SOPInstanceUID of its header; of a file of several frames, one of them.

    Attributes:
        frame: the frame from 0; None where the annotation names none.
    """

    uid: str
    frame: int | None = None


class PathKey(NamedTuple):
    """An image named by a path or file name, as the annotation file has it, with `/` between folders.

    Attributes:
        path: the path or file name.
        also: another path at which the image may lie, where none lies at `path`; "" where there is no other.
    """

    path: str
    also: str = ""


class SliceKey(NamedTuple):
    """An image named by its volume and the number of its slice.

    Attributes:
        volume: the name of the volume.
        number: the slice, in the numbers that `RawVolume.frames` have.
    """

    volume: str
    number: int


class PlaneKey(NamedTuple):
    """An image named by its volume and its place in it, as its file or its series has them.

    Attributes:
        volume: the name of the volume.
        plane: which picture of the volume, from 0.
    """

    volume: str
    plane: int


class VolumeKey(NamedTuple):
    """A whole volume: by its name, its SeriesInstanceUID, or, with all its series, its StudyInstanceUID."""

    volume: str = ""
    series_uid: str = ""
    study_uid: str = ""


ImageKey = UidKey | PathKey | SliceKey | PlaneKey | VolumeKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One annotation as its file has it, before it is joined with an image.

    Attributes:
        number: its place in its file, from 1.
        where: what finds it again for a person, such as `line 17` or `annotation A_12`.
        key: the image or volume that it names; None where it names none that can be read.
        label: its label, without blanks at the ends.
        reader: who made it; "" where the format has no readers.
        label_group: the group of its label; "" where the format has none.
        kind: what it is: a box; a finding of a whole study; a mark that says that nothing was found; a finding without
            geometry from which a box could be made; a crowd; or a row that cannot be read.
        box: its box, where it has one, before it is clipped.
        stated_size: width and height of the image in pixels, as its file states them; None if not stated.
        reason: why it cannot be read, has no geometry, or names no image; else "".
    """

    number: int
    where: str
    key: ImageKey | None
    label: str
    reader: str = ""
    label_group: str = ""
    kind: Literal["box", "study", "negative-mark", "no-geometry", "crowd", "unreadable"] = "box"
    box: Box | None = None
    stated_size: tuple[int, int] | None = None
    reason: str = ""


class RawFile(NamedTuple):
    """One image file of a source.

    Attributes:
        path: relative to the image folder, with `/` between folders.
        size: in bytes.
        mtime: time of the last change, in nanoseconds.
    """

    path: str
    size: int
    mtime: int


class Frame(NamedTuple):
    """One slice of a raw volume.

    Attributes:
        file: the index of its file in `RawVolume.files`.
        plane: which picture of this file it is, from 0; 0 where the file has one.
        number: the number of the slice, unique in its volume; it becomes part of the name in the output.
        width: in pixels, as it is shown (EXIF orientation, flips and transposition applied).
        height: likewise.
        uid: its SOPInstanceUID; "" where it has none.
    """

    file: int
    plane: int
    number: int
    width: int
    height: int
    uid: str = ""


class Window(NamedTuple):
    """The stored values (after rescale) that become black and white in every slice of a volume."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RawVolume:
    """One volume of raw images.

    Attributes:
        name: its name; it becomes part of the names in the output.
        kind: what its files are.
        files: its files.
        frames: its slices, by number.
        series_uid: SeriesInstanceUID; "" where it has none.
        study_uid: StudyInstanceUID; "" where it has none.
        patient: who it is of, as the file says. Never written as it is: only a keyed hash leaves this process.
        orientation: for people, such as `sagittal, from right to left` or axis codes `RAS`; "" if unknown.
        identity_tags: names of the tags that hold identities in its headers; never their values.
        tags_in_paths: those of them that name a patient or a visit, and whose value stands in a path.
        rendered: whether its slices must be rendered; False for 8-bit pictures, which are taken as they are.
        has_units: whether its values have a unit, such as the Hounsfield units of CT.
        notes: what people should know, a sentence each.
    """

    name: str
    kind: VolumeKind
    files: tuple[RawFile, ...]
    frames: tuple[Frame, ...]
    series_uid: str = ""
    study_uid: str = ""
    patient: str = ""
    orientation: str = ""
    identity_tags: tuple[str, ...] = ()
    tags_in_paths: tuple[str, ...] = ()
    rendered: bool = True
    has_units: bool = False
    notes: tuple[str, ...] = field(default=())


# ---- the plan of an import ------------------------------------------------------------------------------------------


class ImportOperation(NamedTuple):
    """One slice to write: a line of the plan of an import, its fields in the file's order.

    The destination is never stored: `destination.ImportDestinations` derives it from volume, number and layout.

    Attributes:
        volume: index into `ImportHeader.volumes`.
        number: of the slice in its volume.
        input: index into `ImportHeader.inputs`.
        image: path of the source file relative to its input.
        plane: which picture of this file it is, from 0.
        width: of the slice as it is written, in pixels.
        height: likewise.
        image_size: bytes of the source file.
        image_mtime_ns: time of its last change; in the file a string of seconds and nine digits.
        pixels: SHA-256 of size and pixels of the slice as it is rendered; "" where the file is taken as it is.
        image_sha256: SHA-256 of the file, where it is taken as it is; else "".
        label: the text of the label file; "" for a negative slice.
    """

    volume: int
    number: int
    input: int
    image: str
    plane: int
    width: int
    height: int
    image_size: int
    image_mtime_ns: int
    pixels: str
    image_sha256: str
    label: str

    @property
    def label_size(self) -> int:
        """How many bytes the label has."""
        return len(self.label)  # ASCII

    @property
    def label_sha256(self) -> str:
        """SHA-256 of the label in hex; "" where it is empty."""
        return hashlib.sha256(self.label.encode()).hexdigest() if self.label else ""


class ImportVolume(NamedTuple):
    """One volume in the header of an import's plan.

    Attributes:
        id: its name; it becomes part of the names in the output.
        source: index into `ImportHeader.sources`.
        kind: what its files are.
        window: the stored values that become black and white; None where files are taken as they are.
        orientation: for people; "" if unknown.
        flipped: its pictures are turned upside down, since its boxes refer to such pictures.
        patient: keyed hash of who it is of; "" where that is not known.
        reviewed: whether every slice of it was looked at, some were, or none.
        states: how many slices have each state, in the order of `STATES`.
        boxes: how many annotations are written.
    """

    id: str
    source: int
    kind: VolumeKind
    window: Window | None
    orientation: str
    flipped: bool
    patient: str
    reviewed: Literal["all", "some", "none"]
    states: tuple[int, ...]
    boxes: int

    @property
    def written(self) -> int:
        """How many slices are written: those that are positive or negative."""
        return self.states[0] + self.states[1]


class LedgerBlock(NamedTuple):
    """Where the ledger lies in the plan file, behind the operations.

    Attributes:
        count: rows.
        bytes: length, with each line's `,` and newline.
        sha256: hex, of those bytes.
    """

    count: int  # type: ignore[assignment]  # hides tuple's method, as in `Block`
    bytes: int
    sha256: str


class ImportHeader(NamedTuple):
    """The first line of an import's plan. Attribute names are the JSON members.

    Attributes:
        digest: hex; "" in a draft that was not sealed yet.
        inputs: absolute image folders.
        output: absolute.
        names: class names by id.
        parameters: the options that decided the plan, JSON values only.
        sources: for each source its name, format, annotation files with their sums, inputs and fates.
        fates: how many annotations of all sources have each fate, in the order of `FATES`.
        warnings: sentences.
        volumes: one for each volume, also those of which no slice is written; sorted by id.
        ledger: where the rows of the ledger lie.
        blocks: where the operations lie.
    """

    digest: str
    inputs: tuple[str, ...]
    output: str
    names: tuple[str, ...]
    parameters: Mapping[str, Any]
    sources: tuple[Mapping[str, Any], ...]
    fates: Mapping[str, int]
    warnings: tuple[str, ...]
    volumes: tuple[ImportVolume, ...]
    ledger: LedgerBlock
    blocks: tuple[Block, ...]

    @property
    def reuse(self) -> int | None:
        """Index of the input that is an older import, whose pictures are used again; None where there is none."""
        found: int | None = self.parameters.get("reuse")
        return found

    @property
    def layout(self) -> ImportLayout:
        """Whether slices of all volumes are in one folder, or in one for each volume."""
        found: ImportLayout = self.parameters["layout"]
        return found


LEDGER_COLUMNS: Final = ("source", "number", "where", "image", "label", "class", "reader", "fate", "reason")
LedgerLine = tuple[str, ...]  # one text for each of `LEDGER_COLUMNS`
