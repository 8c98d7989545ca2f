"""An MD.ai export as a data frame, written as CSV, with a key that gives each image its place in its series.

The shape of an annotation is a Python dict as text. A volume is the folder that is named as TBreconID; a slice is the
InstanceNumber that the key has for the SOPInstanceUID_anon.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from planbalance.annotations.drafts import (
    Draft,
    UnreadableError,
    drafted,
    shown,
    size_of,
    source_of,
    text_of,
    whole_of,
)
from planbalance.annotations.mdai_shapes import box_of_shape
from planbalance.annotations.python_text import parse_python_value
from planbalance.annotations.source import (
    AnnotationSource,
    FormatOptions,
    Reviewed,
    SourceFile,
    option_missing,
)
from planbalance.annotations.tables import TableRow, read_columns, read_table
from planbalance.errors import InputError
from planbalance.import_model import Annotation, SliceKey, UidKey, VolumeKey
from planbalance.text import counted

_KEY_COLUMNS: Final = ("tbrecon_id", "SOPInstanceUID_anon", "InstanceNumber")
_NUMBER_NAME: Final = re.compile(r"([0-9]+)\.0+", re.ASCII)
_NOTHING: Final = frozenset({"", "nan", "NaN", "None", "null"})


def read_mdai_frame(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:
    """Return what the CSV and its key say.

    Raises:
        InputError: a file is not of this format (kind `other-format`), or the key gives an image two places, or a place
            two images (kind `bad-image-key`).
        UsageError: there is no key (kind `option-missing`).
    """
    if options.key is None:
        raise option_missing("--key FILE", "mdai-frame finds the slices by a CSV with " + ", ".join(_KEY_COLUMNS))
    places, faults = _key(options.key)
    annotations = [_annotation(row, places) for file in files for row in read_table(file, "mdai-frame")[1]]
    warnings = [f"{options.key.name}: {counted(len(faults), 'row')} cannot be read: {faults[0]}."] if faults else []
    return source_of("mdai-frame", annotations, map(Reviewed, dict.fromkeys(places.values())), warnings=warnings)


def _name(text: str) -> str:
    """Return a name that is a whole number without the `.0` that data frames write."""
    found = _NUMBER_NAME.fullmatch(text)
    return found[1] if found else text


def _key(file: SourceFile) -> tuple[dict[str, SliceKey], list[str]]:
    """Return SOPInstanceUID_anon -> slice, and the faults of rows that cannot be read."""
    places: dict[str, SliceKey] = {}
    uid_of: dict[SliceKey, str] = {}
    faults = []
    for row in read_columns(file, "mdai-frame", _KEY_COLUMNS):
        try:
            uid = text_of(row.field("SOPInstanceUID_anon"), "SOPInstanceUID_anon")
            volume = _name(text_of(row.field("tbrecon_id"), "tbrecon_id"))
            place = SliceKey(volume, whole_of(row.field("InstanceNumber"), "InstanceNumber"))
        except UnreadableError as error:
            faults.append(f"{row.where}: {error}")
            continue
        if places.setdefault(uid, place) != place:
            raise InputError(
                f"The key {file.name} gives the image {shown(uid)} two places: slice {places[uid].number} of "
                f"{shown(places[uid].volume)} and slice {place.number} of {shown(volume)} ({row.where}).",
                kind="bad-image-key",
                hint="Each SOPInstanceUID_anon must have one tbrecon_id and one InstanceNumber.",
                paths=[file.name],
            )
        if uid_of.setdefault(place, uid) != uid:
            raise InputError(
                f"The key {file.name} has two images at slice {place.number} of {shown(volume)}: "
                f"{shown(uid_of[place])} and {shown(uid)} ({row.where}).",
                kind="bad-image-key",
                hint="Leave one series of each tbrecon_id in the key.",
                paths=[file.name],
            )
    return places, faults


def _annotation(row: TableRow, places: Mapping[str, SliceKey]) -> Annotation:
    def fill(draft: Draft) -> None:
        volume = _name(text_of(row.field("TBreconID"), "TBreconID"))
        uid = text_of(row.field("SOPInstanceUID_anon"), "SOPInstanceUID_anon", needed=False)
        draft.key = _place(volume, "" if uid in _NOTHING else uid, places, draft)
        row.require_fit()
        draft.reader = text_of(row.fields.get("createdById"), "createdById", needed=False)
        draft.label_group = text_of(row.fields.get("labelGroupName"), "labelGroupName", needed=False)
        draft.label = text_of(row.field("labelName"), "labelName")
        data = row.field("data")
        shape = None if data in _NOTHING else parse_python_value(data)
        if isinstance(draft.key, VolumeKey):
            if shape:
                raise UnreadableError("it has a shape, but names no image")
            draft.kind = "study"
            return
        draft.stated_size = _size(row)
        draft.box = box_of_shape(shape)

    return drafted(row.number, row.where, fill)


def _place(volume: str, uid: str, places: Mapping[str, SliceKey], draft: Draft) -> SliceKey | UidKey | VolumeKey:
    if not uid:
        return VolumeKey(volume=volume)
    place = places.get(uid)
    if place is None:
        draft.reason = "the key has no row of this SOPInstanceUID_anon"
        return UidKey(uid)
    if place.volume != volume:
        raise UnreadableError(f"TBreconID is {shown(volume)}, but the key has {shown(place.volume)} for its image")
    return place


def _size(row: TableRow) -> tuple[int, int] | None:
    """Return the size of the image, where the data frame has it."""
    width, height = (row.fields.get(name, "") for name in ("width", "height"))
    return None if width in _NOTHING or height in _NOTHING else size_of(width, height)
