"""fastMRI+ (Zhao et al. 2022, Scientific Data 9:152): a CSV of boxes, and the list of the files that were reviewed.

Boxes refer to the picture flipped up-down. Slices count from 0. Labels may have blanks at their ends.
"""

import re
from collections.abc import Sequence
from typing import Final

from planbalance.annotations.drafts import (
    Draft,
    UnreadableError,
    box_of_size,
    drafted,
    number_of,
    shown,
    source_of,
    text_of,
    whole_of,
)
from planbalance.annotations.source import AnnotationSource, FormatOptions, Reviewed, SourceFile
from planbalance.annotations.tables import TableRow, decoded, read_table
from planbalance.import_model import Annotation, PlaneKey, VolumeKey
from planbalance.text import counted, some

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)
_ENDINGS: Final = (".h5", ".hdf5")


def read_fastmri_plus(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:
    """Return what the CSV and the list beside it say. Raises InputError for a file of another format."""
    annotations = [_annotation(row) for file in files for row in read_table(file, "fastmri-plus")[1]]
    if options.file_list is None:
        return source_of("fastmri-plus", annotations, None)
    names, others = _listed(options.file_list)
    warnings = []
    if others:
        lines = counted(len(others), "line is no name of a file", "lines are no names of files")
        warnings.append(f"{options.file_list.name}: {lines}: {some(map(repr, others))}.")
    return source_of(
        "fastmri-plus", annotations, [Reviewed(VolumeKey(volume=name)) for name in names], warnings=warnings
    )


def _annotation(row: TableRow) -> Annotation:
    def fill(draft: Draft) -> None:
        volume = volume_name(text_of(row.field("file"), "file"))
        study_level = row.field("study_level")
        if study_level.lower() not in ("yes", "no"):
            raise UnreadableError(f"study_level is neither Yes nor No: {shown(study_level)}")
        if study_level.lower() == "yes":
            draft.kind, draft.key = "study", VolumeKey(volume=volume)
        else:
            draft.key = PlaneKey(volume, whole_of(row.field("slice"), "slice"))
        row.require_fit()
        draft.label = text_of(row.field("label"), "label")
        if draft.kind == "study":
            return
        x, y, width, height = (number_of(row.field(name), name) for name in ("x", "y", "width", "height"))
        draft.box = box_of_size(x, y, width, height)

    return drafted(row.number, row.where, fill)


def volume_name(file: str) -> str:
    """Return the name of a volume without the ending of its file."""
    return next((file[: -len(end)] for end in _ENDINGS if file.lower().endswith(end) and len(file) > len(end)), file)


def _listed(file: SourceFile) -> tuple[list[str], list[str]]:
    """Return the names in a list of files, and the lines that are none."""
    lines = [line.strip() for line in decoded(file).splitlines() if line.strip()]
    names = [volume_name(line) for line in lines if _FILE_NAME.fullmatch(line)]
    return names, [line[:60] for line in lines if not _FILE_NAME.fullmatch(line)]
