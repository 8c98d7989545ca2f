"""The rules that read one name: volume, slice number, patient. One registry; a further rule is one entry in `RULES`.

* `im-dash`: `IM<slice>-<volume>`, the guide's own names.
* `trailing-number`: `<volume><separator><slice>` with separators of `-`, `_`, `.` or a blank; a word for the slice
  (`slice`, `slc`, `sl`, `frame`) that stands alone before the number is no part of the volume.
* `parent-dir`: each folder is a volume; the slice is the last number in the stem.
* `image`: each image is a volume of its own.
* `regex`: a regular expression with the named groups `volume` and, if wanted, `slice` and `patient`; the user's own, or
  the one that `auto` has found (`naming.search`).
* `slice-map`, `dicom`: a table or DICOM headers give the volume; names do not.

The rules with a name read the stem without what export tools append to it (`_jpg.rf.<hash>`).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from planbalance.backtracking import longest_text
from planbalance.errors import UsageError
from planbalance.model import EXTERNAL_RULES, Naming
from planbalance.naming.fields import without_export_suffix

PATTERN_LENGTH: Final = 1000  # characters; patterns also come from plan files, which are not trusted

_IM_DASH: Final = re.compile(r"IM([0-9]+)-(.+)", re.DOTALL)
_DIGITS: Final = "0123456789"
_SEPARATORS: Final = "-_. "
_SLICE_WORDS: Final = ("slice", "slc", "sl", "frame")
_LAST_NUMBER: Final = re.compile(r"([0-9]+)[^0-9]*\Z")


Text = TypeVar("Text", bound=str | None)


class Name(NamedTuple):
    """What a file's name says."""

    volume: str  # may hold "/" where it is a sub-folder
    number: int | None  # position in the volume; None where the name gives none
    patient: str | None


class Names(NamedTuple):
    """What many names say, a column each, in the order of the names."""

    volumes: list[str]  # equal ids are one object
    numbers: list[int | None]
    patients: list[str | None] | None  # None: the rule knows no patients


Reader = Callable[[str], Name | None]


class Rule(NamedTuple):
    """One entry of the registry.

    Attributes:
        name: as `--volume-pattern` and plans spell it.
        reader: makes the function that reads one path below its image folder; given the pattern of `regex`. None where
            the names do not tell the volume.
        lines: the rule as one search over all names, one per line, which takes a third of the time of a call for each
            name; None where there is no such search.
        offered: whether a user may ask for it by name.
    """

    name: str
    reader: Callable[[str | None], Reader] | None
    lines: re.Pattern[str] | None = None
    offered: bool = True


def _read_im_dash(path: str) -> Name | None:
    match = _IM_DASH.fullmatch(_stem(path))
    return Name(match[2], int(match[1]), None) if match else None


def _read_trailing_number(path: str) -> Name | None:
    stem = _stem(path)
    before = stem.rstrip(_DIGITS)
    volume = before.rstrip(_SEPARATORS)
    if not volume or len(before) == len(stem):
        return None
    if volume[-5:].lower().endswith(_SLICE_WORDS):
        rest = _without_slice_word(volume)
        if rest is not None:  # empty for `slice_034`, which names no volume
            return Name(rest, int(stem[len(before) :]), None) if rest else None
    return Name(volume, int(stem[len(before) :]), None) if volume != before else None


def _without_slice_word(text: str) -> str | None:
    """Return what stands before a slice word that stands alone; None where the word is the end of a longer one."""
    length = next(len(word) for word in _SLICE_WORDS if text[-5:].lower().endswith(word))
    volume = text[:-length]
    return volume.rstrip(_SEPARATORS) if not volume or volume[-1] in _SEPARATORS else None


def _read_parent_dir(path: str) -> Name | None:
    folder = path.rpartition("/")[0]
    if not folder:
        return None
    number = _LAST_NUMBER.search(_stem(path))
    return Name(folder, int(number[1]) if number else None, None)


def _read_image(path: str) -> Name | None:
    volume = path[: path.rfind(".")]
    return Name(volume, None, None) if volume else None


def _regex_reader(pattern: str | None) -> Reader:
    compiled = compile_pattern(pattern or "")
    on_path = "/" in (pattern or "")
    longest = longest_text(pattern or "")
    has_slice, has_patient = "slice" in compiled.groupindex, "patient" in compiled.groupindex

    def read(path: str) -> Name | None:
        text = path[: path.rfind(".")] if on_path else path[path.rfind("/") + 1 : path.rfind(".")]
        match = compiled.fullmatch(text) if len(text) <= longest else None
        if match is None or not match["volume"]:
            return None
        number = match["slice"] if has_slice else None
        if number is not None and not number.isdecimal():  # such as ²: no number
            return None
        patient = match["patient"] if has_patient else None
        return Name(match["volume"], None if number is None else int(number), patient or None)

    return read


RULES: Final[dict[str, Rule]] = {
    rule.name: rule
    for rule in (
        Rule(
            "im-dash",
            lambda _: _read_im_dash,
            re.compile(r"^IM(?P<number>[0-9]+)-(?P<volume>.+)\.[^.\n]*$", re.MULTILINE),
        ),
        Rule(
            "trailing-number",
            lambda _: _read_trailing_number,
            re.compile(r"^(?P<volume>.*[^-_. \n])[-_. ]+(?P<number>[0-9]+)\.[^.\n]*$", re.MULTILINE),
        ),
        Rule("parent-dir", lambda _: _read_parent_dir),
        Rule("image", lambda _: _read_image),
        Rule("regex", _regex_reader, offered=False),
        *(Rule(name, None, offered=False) for name in EXTERNAL_RULES),
    )
}
OFFERED: Final = tuple(rule.name for rule in RULES.values() if rule.offered)


def reader(naming: Naming) -> Reader:
    """Return the function that reads a path below its image folder; it returns None where the rule does not apply.

    Raises:
        UsageError: as `compile_pattern`, for the rule `regex`.
    """
    make = RULES[naming.rule].reader
    return (lambda _: None) if make is None else make(naming.pattern)


def says_volumes(naming: Naming) -> bool:
    """Return whether this rule reads volumes from names; if not, a table or DICOM headers gave them."""
    return RULES[naming.rule].reader is not None


def read_names(naming: Naming, paths: Sequence[str]) -> Names | None:
    """Return what `reader` reads from every path; None where the rule does not apply to one of them.

    Raises:
        UsageError: as `compile_pattern`, for the rule `regex`.
    """
    names = _read_lines(naming, paths)
    return _read_each(reader(naming), paths) if names is None else names


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern of the rule `regex`.

    Raises:
        UsageError: it is too long, does not compile, has no group `volume`, or can backtrack exponentially.
    """
    hint = r"Name the groups: (?P<volume>...), and if wanted (?P<slice>\d+) and (?P<patient>...)."
    if len(pattern) > PATTERN_LENGTH:
        raise UsageError(
            f"The volume pattern has {len(pattern)} characters, more than {PATTERN_LENGTH}.",
            kind="volume-pattern",
            hint=hint,
        )
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"The volume pattern `{pattern}` is neither a rule's name nor a regular expression: {error}.",
            kind="volume-pattern",
            hint=f"Rules: auto, {', '.join(OFFERED)}. {hint}",
        ) from error
    if "volume" not in compiled.groupindex:
        from difflib import get_close_matches  # noqa: PLC0415 - only for a refusal: it takes a while to import

        close = get_close_matches(pattern.lower().replace("_", "-"), ("auto", *OFFERED), n=1)
        near = f" Did you mean {close[0]}?" if close else ""
        raise UsageError(
            f"The volume pattern `{pattern}` is no rule's name, and as a regular expression has no group named "
            f"volume.{near}",
            kind="volume-pattern",
            hint=f"Rules: auto, {', '.join(OFFERED)}. {hint}",
        )
    try:
        longest_text(pattern)
    except ValueError as error:
        raise UsageError(
            f"The volume pattern {error}: `{pattern}`.",
            kind="volume-pattern",
            hint="Write what is inside a repetition possessively, such as (?:[A-Z]++-)+, and use few repetitions.",
        ) from None
    return compiled


def too_long_for(naming: Naming, paths: Sequence[str]) -> tuple[list[str], int]:
    """Return the paths that are longer than the pattern of `regex` may search, and that limit in characters."""
    if naming.pattern is None:
        return [], 0
    longest = longest_text(naming.pattern)
    on_path = "/" in naming.pattern
    cut = [path if on_path else path[path.rfind("/") + 1 :] for path in paths]
    return [path for path, text in zip(paths, cut, strict=True) if text.rfind(".") > longest], longest


def _stem(path: str) -> str:
    """Return the file name without its suffix and without what export tools append."""
    name = path[path.rfind("/") + 1 :]
    return without_export_suffix(name[: name.rfind(".")])


def _read_lines(naming: Naming, paths: Sequence[str]) -> Names | None:
    """Return what a rule reads from all names; None where one must be read alone, or cannot be read."""
    pattern = RULES[naming.rule].lines
    text = "\n".join(paths)
    if pattern is None or ".rf." in text or text.count("\n") != len(paths) - 1:
        return None
    if "/" in text:
        text = "\n".join([path[path.rfind("/") + 1 :] for path in paths])
    found = pattern.findall(text)
    if len(found) != len(paths):
        return None
    volume, number = pattern.groupindex["volume"] - 1, pattern.groupindex["number"] - 1
    volumes = shared_texts([groups[volume] for groups in found])
    if naming.rule == "trailing-number" and any(each[-5:].lower().endswith(_SLICE_WORDS) for each in set(volumes)):
        return None
    return Names(volumes, [int(groups[number]) for groups in found], None)


def _read_each(read: Reader, paths: Sequence[str]) -> Names | None:
    names: list[Name] = []
    for path in paths:
        name = read(path)
        if name is None:
            return None
        names.append(name)
    patients = [name.patient for name in names]
    return Names(
        shared_texts([name.volume for name in names]),
        [name.number for name in names],
        patients if any(patients) else None,
    )


def same_partition(first: Sequence[str], second: Sequence[str]) -> bool:
    """Return whether two lists of ids group the positions in the same way: the pairs are one to one."""
    pairs = set(zip(first, second, strict=True))
    return len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})


def shared_texts(texts: Iterable[Text]) -> list[Text]:
    """Return equal texts as one object, which saves memory: many slices have the same volume."""
    known: dict[Text, Text] = {}
    return [known.setdefault(text, text) for text in texts]
