"""Read annotation files of every format, and join them with images, so that every annotation has exactly one fate.

`FORMATS` has one row for each format. `read_annotations` reads the files of a source, `choose_classes` says which
labels are wanted, and `join` gives each annotation its fate and each slice its state and label text. Nothing here opens
a file.
"""

from planbalance.annotations.classes import ClassMap, choose_classes
from planbalance.annotations.fates import (
    FrameOutcome,
    Joined,
    JoinOptions,
    LedgerRow,
    join,
    require_boxes,
    review_lines,
)
from planbalance.annotations.formats import FORMATS, Format, read_annotations
from planbalance.annotations.source import COLUMN_NAMES, AnnotationSource, FormatOptions, Reviewed, SourceFile
from planbalance.import_model import BoxForm, FormatName

__all__ = [
    "COLUMN_NAMES",
    "FORMATS",
    "AnnotationSource",
    "BoxForm",
    "ClassMap",
    "Format",
    "FormatName",
    "FormatOptions",
    "FrameOutcome",
    "JoinOptions",
    "Joined",
    "LedgerRow",
    "Reviewed",
    "SourceFile",
    "choose_classes",
    "join",
    "read_annotations",
    "require_boxes",
    "review_lines",
]
