"""Group volumes that must stay in one split: by a CSV map, by the `patient` in names, or by equal images.

A volume is not a patient: two knees of one patient must be able to stay together (Yagis et al. 2021, Scientific Reports
11:22544). The functions take texts; the caller reads the files.
"""

import csv
import hmac
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Final, Literal

from planbalance.errors import InputError
from planbalance.model import IMAGE_SUFFIXES, SPLITS, Split, split_of_word
from planbalance.text import counted, some
from planbalance.union_find import UnionFind

MapSource = Literal["map", "dicom", "h5"]

_SIDES: Final = frozenset({"l", "r", "left", "right", "lt", "rt"})
_WORDS: Final = re.compile(r"[^_\-. ]+")
_LETTERED: Final = re.compile(r"(.*[0-9])[a-z]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class GroupMap:
    """Volume -> group, with further columns for `--stratify` and `--leave-out`.

    Attributes:
        group_of: group by volume id, as the plan shows ids (an input's prefix included).
        traits: per column name, the value by volume id.
        source: where it comes from: a CSV map, DICOM headers, or .h5 files.
        name: its name in messages, such as the file's path.
    """

    group_of: Mapping[str, str]
    traits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    source: MapSource = "map"
    name: str = "the group map"


def csv_text(data: bytes, name: str) -> str:
    """Return a CSV file's text: UTF-8, with or without the byte order mark that spreadsheets write, or UTF-16 with one.

    Raises:
        InputError: the bytes are neither (kind `bad-map`).
    """
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise bad_map(f"{name} is not UTF-8 text (byte {error.start}).", "Save it as 'CSV UTF-8'.", name) from None


def parse_group_map(
    text: str,
    *,
    volume_column: str = "volume",
    group_column: str = "group",
    columns: Sequence[str] = (),
    name: str = "the group map",
) -> GroupMap:
    """Read a group map from CSV text with a header line; comma, semicolon or tab between the fields.

    Args:
        text: the CSV text.
        volume_column: heading of the column that holds volume ids.
        group_column: heading of the column that holds groups; may be the volume column (each volume its own group).
        columns: headings of further columns, for `--stratify` and `--leave-out`.
        name: how messages call the map.

    Raises:
        InputError: a column is absent or doubled, a value is empty, a volume is in two groups (kind `bad-map`).
    """
    wanted = tuple(dict.fromkeys((volume_column, group_column, *columns)))
    groups: dict[str, str] = {}
    traits: dict[str, dict[str, str]] = {column: {} for column in columns}
    conflicts: dict[str, None] = {}
    for row in _rows(text, wanted, name):
        volume = row[volume_column]
        if groups.setdefault(volume, row[group_column]) != row[group_column]:
            conflicts[f"{volume}: groups {groups[volume]} and {row[group_column]}"] = None
        for column in columns:
            if traits[column].setdefault(volume, row[column]) != row[column]:
                conflicts[f"{volume}: {column} {traits[column][volume]} and {row[column]}"] = None
    if conflicts:
        message = f"{name} gives {counted(len(conflicts), 'volume')} two values: {some(conflicts)}."
        raise bad_map(message, "Give each volume one value in each column.", *conflicts)
    return GroupMap(group_of=groups, traits=traits, name=name)


def parse_split_map(
    text: str, *, volume_column: str = "volume", split_column: str = "split", name: str = "the split map"
) -> dict[str, Split]:
    """Read a split map, `volume,split`, from CSV text; `valid` is `val` (`model.split_of_word`).

    Raises:
        InputError: a column is absent, a value is empty or no split, a volume is in two splits (kind `bad-map`).
    """
    splits: dict[str, Split] = {}
    problems: dict[str, None] = {}
    hint = "A split map begins with the line `volume,split`, and has a line such as `knee7,test` for each volume."
    for row in _rows(text, (volume_column, split_column), name, hint):
        volume, word = row[volume_column], row[split_column]
        split = split_of_word(word)
        if split is None:
            problems[f"{volume}: {word}"] = None
        elif splits.setdefault(volume, split) != split:
            problems[f"{volume}: {splits[volume]} and {split}"] = None
    if problems:
        message = f"{name} gives {counted(len(problems), 'volume')} no split or two: {some(problems)}."
        raise bad_map(message, f"Write each volume once, with one of {', '.join(SPLITS)}.", *problems)
    return splits


def keyed_group(patient_id: str, key: bytes) -> str:
    """Return the hash that a plan stores for a patient: 32 hex digits of HMAC-SHA256, so that no file shows who it is.

    White space around the id is padding in DICOM (PS3.5, value representation LO) and does not count.
    """
    return hmac.new(key, patient_id.strip(" \0").encode("utf-8", "surrogateescape"), "sha256").hexdigest()[:32]


def keyed_value(tag: str, value: str, key: bytes) -> str:
    """Return the hash of a value of a DICOM header or an .h5 file; for all but `PatientID`, the tag is hashed too."""
    return keyed_group(value if tag == "PatientID" else f"{tag}\0{value}", key)


def require_known(volumes: Iterable[str], group_map: GroupMap) -> None:
    """Check that the map knows every volume.

    Raises:
        InputError: it does not; all are listed (kind `unknown-volumes`).
    """
    known = set(volumes)
    unknown = sorted(volume for volume in known if volume not in group_map.group_of)
    if unknown:
        alike = spelled_otherwise((volume for volume in group_map.group_of if volume not in known), unknown)
        raise InputError(
            f"{group_map.name} does not know {counted(len(unknown), 'volume')}: {some(unknown)}."
            + spelling_note(alike, group_map.name),
            kind="unknown-volumes",
            hint="Add a row for each, spelled as listed here (prefixes and leading zeros included), or --exclude it.",
            paths=unknown,
        )


def joined_by_content(contents: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the sets of volumes that share identical images, directly or through others: sorted, two or more in each.

    Args:
        contents: (volume id, hash of one image); blank images left out by the caller.
    """
    first: dict[str, str] = {}
    forest = UnionFind()
    for volume, content in contents:
        other = first.setdefault(content, volume)
        if other != volume:
            forest.join((other, volume))
    return forest.sets()


def join_groups(group_of: Mapping[str, str], joined: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return the groups, where those of joined volumes become one group with the first of their names, sorted."""
    forest = UnionFind()
    for volumes in joined:
        forest.join(group_of[volume] for volume in volumes)
    name_of = {group: names[0] for names in forest.sets() for group in names}
    return {volume: name_of.get(group, group) for volume, group in group_of.items()}


def look_like_one_patient(volumes: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the sets of ids that differ only in a side (`p7_L`, `p7_R`) or a letter after a number (`0998a`, `0998b`).

    It is a guess: good enough for a warning, and never used to group volumes.
    """
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for volume in sorted(set(volumes)):
        base = _without_side(volume)
        if base is not None:
            alike[base].append(volume)
    return sorted(tuple(ids) for ids in alike.values() if len(ids) > 1)


def _without_side(volume: str) -> str | None:
    """Return the id with `*` for its side or last letter; None where it has none."""
    lower = volume.lower()
    words = _WORDS.findall(lower)
    if len(words) > 1 and any(word in _SIDES for word in words):
        return _WORDS.sub(lambda word: "*" if word[0] in _SIDES else word[0], lower)
    match = _LETTERED.fullmatch(lower)
    return None if match is None else f"{match[1]}*"


def csv_table(text: str, name: str, columns: str) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows that are not blank; comma, semicolon or tab between the fields.

    Args:
        text: the CSV text.
        name: its name in messages.
        columns: an example of its first line, for a message.

    Raises:
        InputError: it is no CSV text, or empty (kind `bad-map`).
    """
    headings, rows = csv_lines(text, name, columns)
    return headings, [row for _, row in rows]


def csv_lines(text: str, name: str, columns: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the same as `csv_table`, each row with the number of its line in the file, from 1."""
    lines = text.removeprefix("\ufeff")
    heading = lines.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(StringIO(lines, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error as error:
        raise bad_map(f"{name} is not CSV text: {error}.", "", name) from None
    if not rows:
        raise bad_map(f"{name} is empty.", f"Its first line must name the columns: {columns}.", name)
    return [column.strip() for column in rows[0][1]], rows[1:]


def spelled_otherwise(mapped: Iterable[str], found: Iterable[str]) -> tuple[str, str] | None:
    """Return one name of a map and one of the dataset that may be the same thing, or None: a guess for a message.

    They differ in case, suffix, folder, leading zeros, separators or a `.0`; or they share a last number that no other
    name has.
    """
    ours, theirs = list(dict.fromkeys(mapped)), list(dict.fromkeys(found))
    for likeness in (str.casefold, _plain_name, _words_and_numbers):
        known = {likeness(name): name for name in reversed(theirs)}
        alike = next((name for name in ours if likeness(name) and likeness(name) in known), None)
        if alike is not None:
            return alike, known[likeness(alike)]
    ours_by, theirs_by = _by_last_number(ours), _by_last_number(theirs)
    return next(((ours_by[number], theirs_by[number]) for number in ours_by if number in theirs_by), None)


def spelling_note(alike: tuple[str, str] | None, name: str) -> str:
    """Return a sentence that shows both spellings, with a space before it; `""` where there is none."""
    return "" if alike is None else f" Perhaps spelled otherwise: {alike[0]!r} in {name}, {alike[1]!r} in the dataset."


def _plain_name(name: str) -> str:
    text = name.casefold().rpartition("/")[2].removesuffix(".0")
    stem, _, suffix = text.rpartition(".")
    return (stem if suffix in IMAGE_SUFFIXES else text).removesuffix(".0")


def _words_and_numbers(name: str) -> str:
    return " ".join(part.lstrip("0") or "0" for part in re.findall(r"[0-9]+|[a-z]+", _plain_name(name), re.ASCII))


def _by_last_number(names: Iterable[str]) -> dict[str, str]:
    """Return the names by their last number, without those that share it."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        numbers = re.findall(r"[0-9]+", _plain_name(name), re.ASCII)
        if numbers:
            found[numbers[-1].lstrip("0") or "0"].append(name)
    return {number: several[0] for number, several in found.items() if len(several) == 1}


def _rows(text: str, wanted: Sequence[str], name: str, hint: str = "") -> Iterator[dict[str, str]]:
    """Yield the wanted columns of every row that is not blank, values stripped."""
    headings, rows = csv_table(text, name, ",".join(wanted))
    example = f"--volume-column {headings[0]} --group-column {headings[-1]}, for example" if headings else "a CSV"
    hint = hint or f"Choose columns with --volume-column, --group-column, --stratify and --leave-out: {example}."
    places = column_places(headings, wanted, name, hint)
    empty: list[str] = []
    for number, row in enumerate(rows, start=2):
        values = {column: row[place].strip() if place < len(row) else "" for column, place in places.items()}
        empty += [f"row {number}: {column}" for column, value in values.items() if not value]
        if not empty:
            yield values
    if empty:
        raise bad_map(f"{name} has {counted(len(empty), 'empty value')}: {some(empty)}.", "Fill them in.", *empty)


def column_places(headings: Sequence[str], wanted: Sequence[str], name: str, hint: str) -> dict[str, int]:
    """Return the index of every wanted column.

    Raises:
        InputError: a column is absent or doubled (kind `bad-map`); `hint` says what to do.
    """
    for column in wanted:
        if headings.count(column) != 1:
            times = "no column" if column not in headings else "more than one column"
            message = f"{name} has {times} {column!r}; its columns are {some(headings)}."
            raise bad_map(message, hint, name)
    return {column: headings.index(column) for column in wanted}


def bad_map(message: str, hint: str, *paths: str) -> InputError:
    """Return the refusal of a map."""
    return InputError(message, kind="bad-map", hint=hint, paths=paths)
