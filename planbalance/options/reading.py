"""The options that say how names are read and which volumes belong together: `scan`, `plan` and `verify` have them."""

from dataclasses import dataclass
from typing import Literal

from planbalance.options.declare import ADVANCED, option

VolumeFrom = Literal["dicom:SeriesInstanceUID"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Where the volume and the patient of an image come from: its name, a map, or its DICOM header."""

    group_map: str | None = option(
        None,
        "The patient (group) of each volume; a group is never in two splits.",
        heading="Groups",
        metavar="CSV",
        value="path",
    )
    volume_column: str = option("volume", "Its column of volumes.", heading="Groups")
    group_column: str = option("group", "Its column of groups.", heading="Groups")
    volume_pattern: str | None = option(
        None,
        "How names are read: auto, im-dash, trailing-number, parent-dir, image (each image is a volume of its own), or "
        "a regular expression with the groups (?P<volume>), (?P<slice>) and perhaps (?P<patient>).  [default: auto]",
        heading="Reading",
        metavar="RULE",
        value="rule",
    )
    slice_map: str | None = option(
        None,
        "Where names do not show the volume: a table with one row for each image, and the columns image, volume, "
        "patient and slice (needed: image, and one of volume and patient).",
        heading="Reading",
        metavar="CSV",
        value="path",
    )
    slice_map_columns: str | None = option(
        None,
        "The names of its columns, such as image=File_name,patient=Patient_index; A+B joins two columns.",
        heading="Reading",
        metavar="ROLE=HEADING,...",
    )
    volume_from: VolumeFrom | None = option(
        None,
        "A volume is a series of the DICOM headers (extra [dicom]); only a keyed hash of its UID is stored.",
        heading="Reading",
    )
    group_key: str | None = option(
        None,
        "The key of --group-from and --volume-from; made if it is not there.  [default: group-key in your settings]",
        heading=ADVANCED,
        metavar="FILE",
        value="path",
    )
