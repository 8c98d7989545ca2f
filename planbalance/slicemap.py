"""Read the volume of each image from a table with one row for each image (`--slice-map CSV`).

Rows and images are matched by what people write into such tables: a path, with or without its folders and its suffix. A
row counts only if it can mean no more than one image, and every image needs a row: nothing is guessed.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

from planbalance.errors import InputError, UsageError
from planbalance.grouping import bad_map, csv_table, csv_text, spelled_otherwise, spelling_note
from planbalance.model import IMAGE_SUFFIXES
from planbalance.naming import Name, Names, format_example, shared_texts
from planbalance.path_relation import path_in
from planbalance.text import counted, some

ROLES: Final = ("image", "volume", "patient", "slice")
# Headings that public tables use for a role, in lower case, without blanks, `_` and `-`.
_HEADINGS: Final[Mapping[str, frozenset[str]]] = {
    "image": frozenset(
        (
            *("image", "imageid", "imagename", "imagepath", "imagefile", "imagefilename", "img"),
            *("file", "filename", "filepath", "path", "sopinstanceuid"),
        )
    ),
    "volume": frozenset(("volume", "volumeid", "scan", "scanid", "seriesinstanceuid", "seriesuid")),
    "patient": frozenset(("patient", "patientid", "patientindex", "subject", "subjectid", "pid")),
    "slice": frozenset(("slice", "slicenumber", "sliceindex", "slicenum", "instancenumber", "keysliceindex")),
}
_WHOLE: Final = re.compile(r"([0-9]{1,18})(?:\.0*)?", re.ASCII)  # pandas writes 5 as 5.0 where a value is missing


class Place(NamedTuple):
    """Where an image lies: a table may name it by any of these.

    Attributes:
        root: of its input, absolute.
        path: below the root.
        below: below its image folder.
        prefix: put before its file name in the output.
        at: where its bytes are read, absolute; `""`: below the root.
    """

    root: str
    path: str
    below: str
    prefix: str = ""
    at: str = ""

    @property
    def absolute(self) -> str:
        """The path from the root of the file system."""
        return path_in(self.root, self.path)


class SourceReading(NamedTuple):
    """The volumes, slice numbers and patients of images, in their order, by a table or DICOM headers; and warnings."""

    names: Names
    warnings: tuple[str, ...] = ()


class VolumeSource(Protocol):
    """A table or DICOM headers that give the volume of every image, instead of its name."""

    @property
    def rule(self) -> Literal["slice-map", "dicom"]:
        """The naming rule of a plan that is made so."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the plan stores of the source: JSON values."""

    @property
    def tells_patients(self) -> bool:
        """Whether it gives the patients, who are then the groups."""

    def read(self, places: Sequence[Place]) -> SourceReading:
        """Return volume, slice number and patient of each image. Raises InputError where an image has none."""


def examples(places: Sequence[Place], names: Names) -> tuple[str, ...]:
    """Return sentences on up to two images: the first, and the first of another volume."""
    other = next((at for at, volume in enumerate(names.volumes) if volume != names.volumes[0]), min(1, len(places) - 1))
    patients = names.patients
    return tuple(
        format_example(
            places[at].below, Name(names.volumes[at], names.numbers[at], None if patients is None else patients[at])
        )
        for at in dict.fromkeys((0, other))
    )


# ---- reading the table ----------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    line: int  # as a spreadsheet counts rows, without blank lines
    image: str
    volume: str
    patient: str | None
    number: int | None

    @property
    def says(self) -> tuple[str, str | None, int | None]:
        return self.volume, self.patient, self.number


@dataclass(frozen=True, slots=True)
class SliceMap:
    """A table that says of each image which volume, patient and slice it is.

    Attributes:
        rows: of the table.
        columns: which heading gives which role, such as `{"image": "File_name"}`.
        sha256: of the file, hex.
        name: its name in messages, such as its path.
    """

    rows: tuple[_Row, ...]
    columns: Mapping[str, str]
    sha256: str
    name: str

    @property
    def rule(self) -> Literal["slice-map"]:
        """The naming rule of a plan that is made so."""
        return "slice-map"

    @property
    def parameters(self) -> dict[str, Any]:
        """What the plan stores of the map."""
        return {"slice_map": {"entries": len(self.rows), "sha256": self.sha256, "columns": dict(self.columns)}}

    @property
    def tells_patients(self) -> bool:
        """Whether it has a column of patients, who are then the groups."""
        return "patient" in self.columns

    def read(self, places: Sequence[Place]) -> SourceReading:
        """Return what the rows say of the images.

        Raises:
            InputError: a row may mean several images (kind `ambiguous-slice-map`), two rows say different things of
                one image (`bad-map`), or images have no row (`images-without-row`); all are listed.
        """
        found = _matched(self, places)
        row_of = [self.rows[rows[0]] if rows else None for rows in found.rows_of]
        lacking = [place for place, row in zip(places, row_of, strict=True) if row is None]
        unused = [self.rows[at].image for at in found.unused]
        if lacking:
            raise self._without_row(lacking, len(places), unused)
        rows = [row for row in row_of if row is not None]
        names = Names(
            shared_texts([row.volume for row in rows]),
            [row.number for row in rows],
            shared_texts([row.patient or "" for row in rows]) if self.tells_patients else None,
        )
        if not unused:
            return SourceReading(names)
        return SourceReading(
            names, (f"{self.name}: {counted(len(unused), 'row')} of no image here: {some(unused, 3)}.",)
        )

    def _without_row(self, lacking: Sequence[Place], total: int, unused: Sequence[str]) -> InputError:
        shown = some((place.path for place in lacking), 3)
        rows = f" {counted(len(unused), 'row of it names', 'rows of it name')} no image." if unused else ""
        alike = spelled_otherwise(unused, [place.below for place in lacking])
        return InputError(
            f"{self.name} has no row for {len(lacking):,} of {counted(total, 'image')}: {shown}.{rows}"
            + spelling_note(alike, self.name),
            kind="images-without-row",
            hint="Add a row for each image, with its path below the image folder (suffix or not), or leave images out "
            "with `plan --exclude`; --json lists all.",
            paths=[place.absolute for place in lacking],
        )


def parse_columns(text: str) -> dict[str, str]:
    """Return role -> heading of `--slice-map-columns image=File_name,patient=Patient_index`.

    Raises:
        UsageError: a part is no `ROLE=HEADING`, a role is doubled, or `image` or what tells volumes is not there.
    """
    pairs = [part.partition("=") for part in text.split(",")]
    columns = {role.strip().lower(): heading.strip() for role, _, heading in pairs}
    unknown = [role for role in columns if role not in ROLES]
    if unknown or len(columns) != len(pairs) or not all(columns.values()):
        raise UsageError(
            f"--slice-map-columns {text!r} is not a list of {', '.join(f'{role}=HEADING' for role in ROLES)}.",
            kind="slice-map-columns",
            hint="Such as --slice-map-columns image=File_name,patient=Patient_index,volume=Patient_index+Series_ID",
        )
    if "image" not in columns or not {"volume", "patient"} & set(columns):
        raise UsageError(
            f"--slice-map-columns {text!r} must name the column of images, and one of volumes or of patients.",
            kind="slice-map-columns",
        )
    return columns


def parse_slice_map(data: bytes, *, columns: Mapping[str, str] | None = None, name: str = "the slice map") -> SliceMap:
    """Read a slice map from the bytes of a CSV file with a header line.

    Args:
        data: the file; comma, semicolon or tab between the fields.
        columns: role -> heading, for `image` and at least one of `volume` and `patient`, perhaps `slice`; headings
            joined by `+` give one value, such as `Patient_index+Study_index`. None: the headings are named so, or as
            public tables name them.
        name: the map's name in messages.

    Raises:
        InputError: a column is absent, doubled or not clear, a value is empty or no slice number (kind `bad-map`).
    """
    headings, rows = csv_table(csv_text(data, name), name, "image,volume,slice")
    chosen = _found_columns(headings, name) if columns is None else dict(columns)
    places = {role: _places(role, heading, headings, name) for role, heading in chosen.items()}
    read = tuple(_rows(rows, places, name))
    return SliceMap(read, chosen, hashlib.sha256(data).hexdigest(), name)


def _found_columns(headings: Sequence[str], name: str) -> dict[str, str]:
    """Return role -> heading by what the headings are called."""
    found: dict[str, str] = {}
    for role in ROLES:
        exact = [heading for heading in headings if heading.lower() == role]
        known = exact or [heading for heading in headings if re.sub(r"[\s_-]", "", heading).lower() in _HEADINGS[role]]
        if len(known) > 1:
            raise _columns_unclear(f"{name} has several columns that may be the {role}: {some(known)}", headings)
        if known:
            found[role] = known[0]
    if "image" not in found:
        raise _columns_unclear(f"{name} has no column that is clearly the image", headings)
    if not {"volume", "patient"} & set(found):
        raise _columns_unclear(f"{name} has no column that is clearly the volume or the patient", headings)
    return found


def _columns_unclear(what: str, headings: Sequence[str]) -> InputError:
    return bad_map(
        f"{what}; its columns are {some(headings, 20)}.",
        "Say which column is which: --slice-map-columns image=HEADING,volume=HEADING,patient=HEADING,slice=HEADING "
        "(image and one of volume and patient are needed; A+B joins two columns).",
    )


def _places(role: str, heading: str, headings: Sequence[str], name: str) -> list[int]:
    """Return the indexes of the columns whose values, joined by `-`, give a role."""
    folded = [each.lower() for each in headings]
    parts = [heading] if heading.lower() in folded else [part.strip() for part in heading.split("+")]
    for part in parts:
        if folded.count(part.lower()) != 1:
            times = "no column" if part.lower() not in folded else "more than one column"
            raise _columns_unclear(f"{name} has {times} {part!r} for the {role}", headings)
    return [folded.index(part.lower()) for part in parts]


def _rows(rows: Iterable[Sequence[str]], places: Mapping[str, Sequence[int]], name: str) -> Iterator[_Row]:
    empty: list[str] = []
    unread: list[str] = []
    for line, row in enumerate(rows, start=2):
        cells = {role: [row[at].strip() if at < len(row) else "" for at in columns] for role, columns in places.items()}
        values = {role: "-".join(parts) for role, parts in cells.items()}
        empty += [f"row {line}: {role}" for role, parts in cells.items() if not all(parts)]
        number = _WHOLE.fullmatch(values["slice"]) if values.get("slice") else None
        if number is None and values.get("slice"):
            unread.append(f"row {line}: {values['slice']}")
        patient = values.get("patient")
        yield _Row(
            line,
            values["image"],
            values.get("volume", patient or ""),
            patient,
            None if number is None else int(number[1]),
        )
    if empty:
        message = f"{name} has {counted(len(empty), 'empty value')}: {some(empty)}."
        raise bad_map(message, "Fill them in, or remove the rows.", *empty)
    if unread:
        wrong = counted(len(unread), "slice number is not a whole number", "slice numbers are not whole numbers")
        message = f"{name}: {wrong} from 0 up: {some(unread)}."
        raise bad_map(message, "Number the slices, or leave the column of slices out.", *unread)


# ---- matching rows with images --------------------------------------------------------------------------------------


class _Matched(NamedTuple):
    rows_of: list[list[int]]  # indexes of rows, for each image
    unused: list[int]  # indexes of rows that name no image


Candidates = Callable[[str], Sequence[int]]


def _matched(slice_map: SliceMap, places: Sequence[Place]) -> _Matched:
    """Return which rows name which image."""
    rows_of: list[list[int]] = [[] for _ in places]
    unused: list[int] = []
    unclear: list[str] = []
    known: dict[str, Sequence[int]] = {}
    ways: list[Candidates] = []
    more = _ways(places)
    for at, row in enumerate(slice_map.rows):
        key = _key(row.image.replace("\\", "/").removeprefix("./"))
        if key not in known:
            known[key] = _candidates(key, ways, more)
        found = known[key]
        if len(found) > 1:
            unclear.append(f"{row.image} (row {row.line}) may be {' or '.join(places[one].path for one in found[:2])}")
        elif found:
            rows_of[found[0]].append(at)
        else:
            unused.append(at)
    if unclear:
        raise InputError(
            f"{slice_map.name}: {counted(len(unclear), 'row')} may mean several images: {some(unclear, 2)}.",
            kind="ambiguous-slice-map",
            hint="Write the path below the image folder (or from the root of the file system) into the column of "
            "images, not the file name alone.",
            paths=unclear,
        )
    _refuse_disagreeing(slice_map, places, rows_of)
    return _Matched(rows_of, unused)


def _candidates(key: str, ways: list[Candidates], more: Iterator[Candidates]) -> Sequence[int]:
    """Return the images that a key may mean, by the first way that finds any; later ways are prepared when needed."""
    for way in ways:
        if found := way(key):
            return found
    for way in more:
        ways.append(way)
        if found := way(key):
            return found
    return ()


def _refuse_disagreeing(slice_map: SliceMap, places: Sequence[Place], rows_of: Sequence[Sequence[int]]) -> None:
    disagreeing: list[str] = []
    for place, rows in zip(places, rows_of, strict=True):
        first = slice_map.rows[rows[0]] if rows else None
        other = next((slice_map.rows[at] for at in rows if first and slice_map.rows[at].says != first.says), None)
        if first is not None and other is not None:
            disagreeing.append(f"{place.path}: {_said(first)}, and {_said(other)}")
    if disagreeing:
        message = f"{slice_map.name} says different things of {counted(len(disagreeing), 'image')}: "
        hint = "Leave one row for each image, or make its rows equal."
        raise bad_map(message + f"{some(disagreeing, 2)}.", hint, *disagreeing)


def _said(row: _Row) -> str:
    parts = [f"volume {row.volume}"]
    parts += [f"patient {row.patient}"] if row.patient is not None else []
    parts += [f"slice {row.number}"] if row.number is not None else []
    return f"row {row.line} ({row.image}): {', '.join(parts)}"


def _ways(places: Sequence[Place]) -> Iterator[Candidates]:
    """Yield the ways to find the images that a key may mean: by path, by file name or path's end, by joined names."""
    yield _index((_key(place.absolute), _key(place.path), _key(place.below)) for place in places).__getitem__
    by_name = _index(((_file(place)), place.prefix + _file(place)) for place in places)

    def by_tail(key: str) -> Sequence[int]:
        """Return the images of a file name; of a path with folders, those where one path is the other's end."""
        name = key.rpartition("/")[2]
        if name == key:
            return by_name[key]
        return [at for at in by_name[name] if _is_tail(key, places[at])]

    yield by_tail
    for separator in "_-":  # DeepLesion's table writes 000001_01_01_109.png for 000001_01_01/109.png
        joined = _index(((_key(place.below).replace("/", separator)),) for place in places)
        yield lambda key, joined=joined, separator=separator: joined.get(key.replace("/", separator), ())  # type: ignore[misc]


def _is_tail(key: str, place: Place) -> bool:
    return f"/{_key(place.absolute)}".endswith(f"/{key}") or key.endswith(f"/{_key(place.below)}")


def _index(spellings: Iterable[Iterable[str]]) -> defaultdict[str, list[int]]:
    """Return the images by spelling."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for at, several in enumerate(spellings):
        for spelling in dict.fromkeys(several):
            found[spelling].append(at)
    return found


def _key(path: str) -> str:
    """Return a path without the suffix of an image: the dots of a UID stay."""
    stem, _, suffix = path.rpartition(".")
    bare = stem if suffix.lower() in IMAGE_SUFFIXES and stem else path
    return bare if bare.isascii() else unicodedata.normalize("NFC", bare)


def _file(place: Place) -> str:
    return _key(place.below).rpartition("/")[2]
