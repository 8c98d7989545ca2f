"""The options of `import`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from planbalance.import_model import BoxForm, FormatName, ImportLayout
from planbalance.options.declare import ADVANCED, option

Flip = Literal["up-down", "left-right"]


@dataclass(frozen=True, kw_only=True)
class SourceChoices:
    """What is asked of one source: the options of one table of `--sources`, or of the command line.

    `map` are pairs (label, class). `columns` are pairs as the format `boxes-csv` names them.
    """

    format: FormatName | None = option(
        None, "The format of the annotations. It is named, not guessed.", heading="Input"
    )
    annotations: str | None = option(
        None, "The annotation file; of voc, the folder of XML files.", heading="Input", metavar="FILE", value="path"
    )
    images: str | None = option(None, "The folder of the images.", heading="Input", metavar="DIR", value="folder")
    key: str | None = option(
        None,
        "The key of mdai-frame: a CSV with tbrecon_id, SOPInstanceUID_anon and InstanceNumber.",
        heading="Input",
        metavar="FILE",
        value="path",
    )
    reader: Sequence[str] = option((), "Only annotations of this reader count (repeatable).", heading="Annotations")
    label_group: Sequence[str] = option(
        (), "Only annotations of this label group count (repeatable).", heading="Annotations"
    )
    readers: Literal["all"] | None = option(
        None, "Annotations of all readers and label groups count.", heading="Annotations"
    )
    reviewed: str = option(
        "auto",
        "Which slices somebody looked at: auto (as the format says), volume (all slices of a volume with an "
        "annotation), slice (only slices with one), all, or a file that names volumes or images.",
        heading="Annotations",
        metavar="auto|volume|slice|all|FILE",
    )
    doubtful: Literal["skip", "error"] = option(
        "skip", "Slices with a wanted finding and no usable box: left out, or refused.", heading="Annotations"
    )
    frame_base: int | None = option(
        None, "The number of the first frame of a file of several, 0 or 1.", heading="Annotations", most=1
    )
    slice_base: int | None = option(None, "The number of the first slice, 0 or 1.", heading="Annotations", most=1)
    origin: int | None = option(None, "The number of the first pixel of a row, 0 or 1.", heading="Annotations", most=1)
    box: BoxForm | None = option(None, "What the four numbers of a box are.", heading="Annotations")
    columns: str | None = option(
        None,
        "The columns of boxes-csv; names: image, volume, slice, left, top, right, bottom, x, y, width, height, label, "
        "reader.",
        heading="Annotations",
        metavar="NAME=COLUMN,...",
    )
    volume_pattern: str | None = option(
        None,
        "How names of pictures are read, as in `planbalance plan`.  [default: auto]",
        heading="Pictures",
        metavar="RULE",
        value="rule",
    )
    window: str = option(
        "percentile:0.5,99.5",
        "Which values become black and white in a volume: percentile:LOW,HIGH, minmax, voi or fixed:LOW,HIGH.",
        heading="Pictures",
        metavar="RULE",
    )
    h5_dataset: str = option(
        "reconstruction_rss", "The dataset of .h5 files that holds the slices.", heading="Pictures", metavar="NAME"
    )
    axis: int | None = option(
        None, "The axis of NIfTI files along which the slices lie, from 0.  [default: the last one]",
        heading="Pictures", most=2,
    )  # fmt: skip
    flip: Sequence[str] = option(
        (), "Turn slices of NIfTI and .h5 files: up-down or left-right (repeatable).", heading="Pictures",
        metavar="up-down|left-right",
    )  # fmt: skip
    transpose: bool = option(False, "Exchange rows and columns of NIfTI and .h5 slices.", heading="Pictures")
    time: int | None = option(
        None, "The time point of NIfTI files of four dimensions, from 0.", heading="Pictures", most=1_000_000
    )


@dataclass(frozen=True, kw_only=True)
class ImportRequest(SourceChoices):
    """The options of `import`, each the command line's of the same name.

    `jobs` None: one for each core.
    """

    sources: str | None = option(
        None,
        "Several sources in one dataset: a TOML file with a table [[source]] for each, whose keys are these options.",
        heading="Input",
        metavar="FILE.toml",
        value="path",
    )
    extend: str | None = option(
        None,
        "An older import, or its plan: all of its slices are kept, and the sources given here are added.",
        heading="Input",
        metavar="OLD",
        value="path",
    )
    classes: str | None = option(
        None,
        "The classes, in the order of their ids; labels of these names are wanted, all others are not.",
        heading="Annotations",
        metavar="A,B,...",
    )
    map: Iterable[tuple[str, str]] = option(
        (), "A label and the class that it becomes (repeatable).", heading="Annotations", metavar="FROM=TO",
        value="label pair",
    )  # fmt: skip
    reuse: str | None = option(
        None,
        "An older import of the same layout: slices whose pixels are the same there are linked, not rendered again.",
        heading="Output",
        metavar="OLD_OUTPUT",
        value="folder",
    )
    layout: ImportLayout = option("flat", "All slices in one folder, or a folder for each volume.", heading="Output")
    render: Literal["png", "keep"] = option(
        "png",
        "png: slices that trainers do not read become 8-bit PNG files; keep: every file is taken as it is.",
        heading="Pictures",
    )
    group_key: str | None = option(
        None,
        "The key under which patients are hashed; made if it is not there.  [default: group-key in your settings]",
        heading=ADVANCED,
        metavar="FILE",
        value="path",
    )
    jobs: int | None = option(None, "Number of workers.", value="jobs")


# What a table of `--sources` may have.
SOURCE_KEYS: Final = tuple(SourceChoices.__dataclass_fields__)
FORMAT_NAMES: Final[tuple[str, ...]] = get_args(FormatName)
