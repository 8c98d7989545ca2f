"""Which format a file looks like, for the message of a file that is not of the named one. It is never used to read."""

import csv
import re
from collections.abc import Mapping
from io import StringIO
from typing import Final, Literal

from planbalance.errors import InputError
from planbalance.import_model import FormatName

# The columns that tell a CSV format from the others: all must be there.
HEADINGS: Final[Mapping[FormatName, tuple[str, ...]]] = {
    "fastmri-plus": ("file", "slice", "study_level", "x", "y", "width", "height", "label"),
    "mdai-frame": ("TBreconID", "SOPInstanceUID_anon", "labelName", "data"),
    "rsna": ("patientId", "x", "y", "width", "height", "Target"),
    "vinbigdata": ("image_id", "class_name", "rad_id", "x_min", "y_min", "x_max", "y_max"),
    "deeplesion": ("File_name", "Key_slice_index", "Bounding_boxes"),
}
_BEGINNING: Final = 100_000  # bytes that are looked at
_JSON_KEYS: Final[tuple[tuple[bytes, FormatName], ...]] = (
    (b'"labelGroups"', "mdai"),
    (b'"labelId"', "mdai"),
    (b'"categories"', "coco"),
    (b'"bbox"', "coco"),
    (b'"file_name"', "coco"),
)


def other_format(name: str, data: bytes, wanted: FormatName, fault: str) -> InputError:
    """Return the refusal of a file that is not of the format `wanted`; `fault` says why, as in `has no column 'x'`."""
    nearest = nearest_format(data)
    hint = (
        f"It looks like {nearest}: give --format {nearest}."
        if nearest not in ("", wanted)
        else f"Check that this is the right file of the format {wanted}."
    )
    return InputError(
        f"The file {name} is not of the format {wanted}: {fault}.", kind="other-format", hint=hint, paths=[name]
    )


def nearest_format(data: bytes) -> FormatName | Literal[""]:
    """Return the format that the beginning of a file is most like; "" where it is like none."""
    beginning = data[:_BEGINNING].removeprefix(b"\xef\xbb\xbf").lstrip()
    if beginning[:1] in (b"{", b"["):
        return next((name for key, name in _JSON_KEYS if key in data), "")
    if beginning[:1] == b"<":
        return "voc" if b"<annotation" in beginning else ""
    return _nearest_table(beginning.decode("utf-8", "replace"))


def _nearest_table(text: str) -> FormatName | Literal[""]:
    line = text.split("\n", 1)[0].strip()
    try:
        row = next(csv.reader(StringIO(line), delimiter=max(",;\t", key=line.count)), [])
    except csv.Error:
        return ""
    fields = {field.strip() for field in row}
    shares = {name: len(fields & set(columns)) / len(columns) for name, columns in HEADINGS.items()}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] > 0.5:
        return best
    if len(row) == 6 and all(re.fullmatch(r"-?[0-9.]*", field.strip()) for field in row[1:5]):
        return "retinanet"
    return "boxes-csv" if len(row) > 4 else ""
