"""The values of an import that its packages hand to each other: annotations, frames and raw volumes. Pure.

`annotations/` reads annotation files to `Annotation` values and decides the fate of each; `raw_images/` reads image
files to `RawVolume` values and renders their frames; `importing/` joins both to a plan and builds it.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

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
State = Literal["positive", "negative", "unreviewed", "doubtful"]


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
    """An image named by a path or file name, as the annotation file has it, with `/` between folders."""

    path: str


class SliceKey(NamedTuple):
    """An image named by its volume and the number of its slice.

    Attributes:
        volume: the name of the volume.
        number: the slice, in the numbers that `RawVolume.frames` have.
    """

    volume: str
    number: int


class VolumeKey(NamedTuple):
    """A whole volume: by its name, its SeriesInstanceUID, or, with all its series, its StudyInstanceUID."""

    volume: str = ""
    series_uid: str = ""
    study_uid: str = ""


ImageKey = UidKey | PathKey | SliceKey | VolumeKey


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
        reason: why it cannot be read, or has no geometry; else "".
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
        tags_in_paths: those of `PatientID`, `PatientName` and `AccessionNumber` whose value stands in a path.
        rendered: whether its slices must be rendered; False for 8-bit pictures, which are taken as they are.
        has_units: whether its values have a unit, such as the Hounsfield units of CT.
        notes: what people should know, a sentence each.
    """

    name: str
    kind: Literal["picture", "dicom", "nifti", "h5"]
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
