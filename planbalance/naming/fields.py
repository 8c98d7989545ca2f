"""Cut a file name into fields at its separators, without the suffixes that export tools add.

A path such as `ED_case01/case01_slice_040_flip_h` is a chain of fields, from the general to the particular. Names that
share their first fields stay together also where fewer of these fields are used as an id. The sets of words below say
what words and numbers usually mean in imaging datasets; docs/explanation/names.md lists the conventions behind them.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from planbalance.model import IMAGE_SUFFIXES

FEW: Final = 5  # fewer ids than that are classes or sites, not volumes
SURE: Final = 8  # from this many patients on, they are taken without a warning
ENOUGH: Final = 10  # names; fewer do not show what recurs
MOST_CLASSES: Final = 20  # this many ids without a digit are too many to be classes
SINGLE: Final = 0.8  # share of ids with one image, from which on ids are taken for images
LONGEST_NUMBER: Final = 7  # digits of a slice number; more are a time or an identity


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Longest first: the suffixes are tried in turn.
_SUFFIXES: Final = "|".join(sorted(IMAGE_SUFFIXES, key=lambda suffix: (-len(suffix), suffix)))
_EXPORT: Final = re.compile(rf"(?:[_.-](?:{_SUFFIXES}))?\.rf\.[0-9a-z]{{8,}}\Z", re.IGNORECASE | re.ASCII)

# A word beside a number that names a person, an animal or a specimen: what must stay together.
PATIENT_WORDS: Final = _words(
    """
    case caso donor fall hasta malade mouse mrn pacient paciente pacjent participant pat patid patient patiente
    patientid paziente person pid probando sub subj subject volunteer пациент مريض
    """
)
# A word beside a number that names one recording: a volume, or several of one patient.
VOLUME_WORDS: Final = _words(
    """
    acq clip exam file movie scan seq sequence ser series ses session stack study vid video visit vol volume wsi
    """
)
# A word beside a number that says where in a volume, a film or a picture something lies.
POSITION_WORDS: Final = _words(
    """
    corte coupe f fatia fetta fr frame frm i idx im image images img index instance kesit layer page pic picture
    pos position przekroj schicht section sl slc slice t timepoint tranche z срез شريحة
    """
)
# Those of them that always mean a slice: no volume's id may hold one.
SLICE_WORDS: Final = _words(
    "corte coupe fatia fetta frame frm kesit przekroj schicht sl slc slice tranche z срез شريحة"
)
# A word beside a number that says which part or which finding of one picture is meant.
PART_WORDS: Final = _words(
    """
    annotation bbox block box cell class col component crop instance label lesion mask nodule obj object part
    patch piece region roi row tile tumor tumour x y
    """
)
# What tools write behind (or before) the name of an image that they have made from another.
MADE_WORDS: Final = _words(
    """
    aug augment augmented blur blurred bright brighter brightness clahe contrast copy crop cropped cutmix cutout
    dark darker distort elastic enhanced equalized flip fliplr flipped flipud gamma gaussian gray grey hflip
    hist horizontal hsv hue invert inverted jitter mirror mirrored mixup mosaic noise noisy norm normalized orig
    original resize resized rot rotate rotated rotation salt saturation scale scaled sharp sharpen sharpness
    shear sheared shift shifted translate translated transposed vertical vflip warp zoom
    """
)
# Words for the folders that images are sorted into, such as classes and splits: never one volume.
CLASS_WORDS: Final = _words(
    """
    abnormal all background benign cancer class data dataset dev eval fold holdout malignant neg negative no
    none normal other others pos positive test testing train training trainval unlabeled val valid validation
    yes
    """
)
# Words for where data come from: numbers behind them start again in each.
PLACE_WORDS: Final = frozenset(
    [
        "batch",
        "center",
        "cv",
        "fold",
        "part",
        "subset",
        "split",
        "centre",
        "clinic",
        "cohort",
        "group",
        "hospital",
        "institution",
        "scanner",
        "set",
        "site",
        "vendor",
    ]
)
# Those of `VOLUME_WORDS` that name scenes rather than several recordings of one person.
SCENE_WORDS: Final = frozenset("clip movie seq sequence vid video".split())  # noqa: SIM905 - reads better
# A frame's name keeps the suffix of the film it was taken from.
FILM_WORDS: Final = frozenset("avi gif m4v mkv mov mp4 mpeg mpg webm wmv".split())  # noqa: SIM905 - reads better

_UUID: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_DAY: Final = r"(?:19|20)[0-9]{2}([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = r"[-_T ]?(?:[01][0-9]|2[0-3])([-_]?)[0-5][0-9]\2[0-5][0-9]"
_MONTH: Final = r"(?:19|20)[0-9]{2}[-_](?:0[1-9]|1[0-2])"
_END: Final = r"(?![0-9A-Za-z])"
# Fields that hold separators: a UUID, groups of hexadecimal digits (MIMIC-CXR), a DICOM UID, a date.
_FIELD: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?:{_UUID}|(?:[0-9a-f]{{8}}-){{2,}}[0-9a-f]{{8}}{_END}|[0-9]+(?:\.[0-9]+){{3,}}"
    rf"|{_DAY}(?:{_CLOCK})?{_END}|{_MONTH}{_END}(?![-_][0-9]{{2}}{_END}))|[^-_. ()\[\]{{}},;+=@#~&'^!$%]+"
)
_NUMBERED: Final = re.compile(r"([^0-9]*)([0-9]+)([^0-9]*)\Z")
_DATE: Final = re.compile(rf"(?:{_DAY}|{_MONTH}|(?:19[89]|20[0-3])[0-9])\Z")
_STAMP: Final = re.compile(rf"{_DAY}{_CLOCK}\Z")


class Field(NamedTuple):
    """One field of a path: its text, where it stands, and the part of the path (folder or name) that holds it."""

    text: str
    start: int
    end: int
    part: int

    @property
    def word(self) -> str:
        """The letters before the number in lower case (`slice037` -> `slice`); all of it where there is no number."""
        found = _NUMBERED.match(self.text)
        return (found[1] if found else self.text).lower()

    @property
    def is_number(self) -> bool:
        """Whether the field is digits only."""
        return self.text.isdigit()

    @property
    def is_stamp(self) -> bool:
        """Whether it is a date with a time to the second: when one recording began."""
        return _STAMP.match(self.text) is not None

    @property
    def letters(self) -> str:
        """The letters beside a number in lower case, whichever side (`x12`, `512x`)."""
        found = _NUMBERED.match(self.text)
        return (found[1] or found[3]).lower() if found else ""

    @property
    def ends_in_number(self) -> bool:
        """Whether the field has one number, and ends in it."""
        found = _NUMBERED.match(self.text)
        return found is not None and not found[3]

    @property
    def digits(self) -> tuple[int, int]:
        """Where in the path the number of a field with exactly one begins and ends."""
        found = _NUMBERED.match(self.text)
        assert found is not None, "a field that counts slices has a number"
        return self.start + found.start(2), self.start + found.end(2)

    @property
    def has_digit(self) -> bool:
        """Whether a digit is in it."""
        return has_digit(self.text)

    @property
    def number(self) -> str:
        """The number of a field with exactly one, `""` otherwise."""
        found = _NUMBERED.match(self.text)
        return found[2] if found else ""

    @property
    def is_date(self) -> bool:
        """Whether it looks like a date (with or without a time) or a year: never an identity."""
        return _DATE.match(self.text) is not None or self.is_stamp


def has_digit(text: str) -> bool:
    """Return whether a digit is in a text."""
    return any(map(str.isdigit, text))


def share(flags: Iterable[bool]) -> float:
    """Return how many of the flags are true, from 0 to 1; 0 where there is none."""
    listed = list(flags)
    return sum(listed) / len(listed) if listed else 0.0


def without_export_suffix(stem: str) -> str:
    """Return a stem without what Roboflow appends: `_jpg.rf.<hash>`."""
    found = _EXPORT.search(stem) if ".rf." in stem else None
    return stem[: found.start()] if found else stem


def fields_of(text: str) -> list[Field]:
    """Return the fields of a path without its suffix; what export tools append to the name is left out."""
    fields: list[Field] = []
    start = 0
    for part, piece in enumerate(without_export_suffix(text).split("/")):
        fields += [Field(each[0], start + each.start(), start + each.end(), part) for each in _FIELD.finditer(piece)]
        start += len(piece) + 1
    return fields


def bound_to(fields: Sequence[Field], index: int, words: AbstractSet[str]) -> int | None:
    """Return where the word of a field's number begins (`slice037`, `slice_037`); None where no such word is there."""
    field = fields[index]
    if field.number and not field.is_number and field.word in words:
        return index
    before = fields[index - 1] if index else None
    if before is not None and field.is_number and before.part == field.part and before.text.lower() in words:
        return index - 1
    return None


def made_from(fields: Sequence[Field]) -> int:
    """Return how many of the last fields a tool wrote behind the name of an image that it made from another.

    `..._aug_2`, `..._flip_h`, `..._rot90`: a word for what was done, single letters and numbers behind it.
    """
    for first in range(max(0, len(fields) - 4), len(fields)):
        behind = fields[first:]
        if behind[0].word in MADE_WORDS and all(
            one.word in MADE_WORDS or one.is_number or len(one.word) <= 1 for one in behind
        ):
            words = [one.word in MADE_WORDS and one.part == behind[0].part for one in reversed(fields[:first])]
            return len(behind) + (words.index(False) if False in words else len(words))
    return 0
