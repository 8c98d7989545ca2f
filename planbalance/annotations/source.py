"""What a reader takes and returns: the files of a source with their options, and what these files say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from planbalance.errors import InputError, UsageError
from planbalance.import_model import Annotation, BoxForm, FormatName, ImageKey

# Names of `--columns` and what they hold.
COLUMN_NAMES: Final = (
    *("image", "volume", "slice"),
    *("left", "top", "right", "bottom", "x", "y", "width", "height"),
    *("label", "reader"),
)


class SourceFile(NamedTuple):
    """A file that was read.

    Attributes:
        name: its path, as people gave it; of a folder of files, relative to this folder.
        data: its bytes.
    """

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """The options that decide how files of a format are read; each format's row says which ones it needs.

    Attributes:
        finding: the name of the only finding that a format of one class knows (`--classes NAME`).
        key: the key CSV of `mdai-frame` (`--key`).
        file_list: the list of reviewed files that lies beside an annotation file (`Format.list_beside`).
        frame_base: what the first frame of a file is called, 0 or 1 (`--frame-base`).
        slice_base: what the first slice of a volume is called (`--slice-base`).
        origin: what the first pixel of a row is called (`--origin`).
        box: what the four numbers of a box are (`--box`).
        columns: name of `COLUMN_NAMES` -> heading of its column (`--columns`).
    """

    finding: str = ""
    key: SourceFile | None = None
    file_list: SourceFile | None = None
    frame_base: int | None = None
    slice_base: int | None = None
    origin: int | None = None
    box: BoxForm | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


class Reviewed(NamedTuple):
    """An image or volume that somebody looked at, as the files of a source say.

    Attributes:
        key: the image or the volume.
        reader: who looked at it; "" where the files do not say.
        label_group: the group of labels that was used; "" likewise.
    """

    key: ImageKey
    reader: str = ""
    label_group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationSource:
    """What the annotation files of one source say.

    Attributes:
        format: how they were read.
        annotations: every annotation, also those that cannot be read, in the order of the files.
        labels: every label with the number of its annotations; 0 for one that is only declared. Sorted.
        reviewed: what was looked at, as `--reviewed auto` understands this format; None where its files do not say it.
        stated_sizes: width and height in pixels of images, as the files state them.
        patients: image or volume -> who it is of, where the files say it. Never written as it is.
        frame_base: what the first frame of a file is called; None where nobody said it, and frames are as written.
        warnings: what people should know, a sentence each.
    """

    format: FormatName
    annotations: tuple[Annotation, ...]
    labels: Mapping[str, int]
    reviewed: tuple[Reviewed, ...] | None
    stated_sizes: Mapping[ImageKey, tuple[int, int]] = field(default_factory=dict)
    patients: Mapping[ImageKey, str] = field(default_factory=dict)
    frame_base: int | None = 0
    warnings: tuple[str, ...] = ()


def refused(name: str, fault: str, hint: str = "") -> InputError:
    """Return the refusal of a file that cannot be read; `fault` continues its name: `is not CSV text`."""
    return InputError(f"The file {name} {fault}.", kind="bad-annotations", hint=hint, paths=[name])


def finding_missing(why: str) -> InputError:
    """Return the refusal of files that name no label, where `--classes` names none either."""
    return InputError(
        f"It is not clear what the boxes show: {why}.", kind="no-classes", hint="Name the finding with --classes NAME."
    )


def option_missing(option: str, why: str) -> UsageError:
    """Return the refusal of a call without an option that a format needs."""
    return UsageError(f"{option} is missing: {why}.", kind="option-missing", hint=f"Add {option.partition(' ')[0]}.")
