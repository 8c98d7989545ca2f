"""File names -> volume, slice and patient, by rules and never by plausibility (DOMAIN, "File names").

A wrong reading scatters one volume over many ids, and every one of them leaks; no statistic tells a wrong reading
from a right one. So a rule counts only if it reads every name, and two rules that disagree are refused.

The rules:

* `im-dash`: `IM<slice>-<volume>`, the guide's own names. Where every stem has this form it is the answer outright.
* `trailing-number`: `<volume><separator><slice>` with separators of `-`, `_`, `.` or a blank; a word for the slice
  (`slice`, `slc`, `sl`, `frame`) that stands alone before the number is no part of the volume.
* `parent-dir`: a folder a volume; the slice is the last number in the stem.
* `regex`: the user's own, with the named groups `volume` and, if wanted, `slice` and `patient`.

The built-in rules read the stem without what export tools append to it (`_jpg.rf.<hash>`).
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from planbalance.backtracking import longest_text
from planbalance.errors import InputError, UsageError
from planbalance.model import IMAGE_SUFFIXES, Naming

Reader = Callable[[str], "Name | None"]

REFUSED_PARTS: Final = frozenset({"", ".", "..", "images", "labels"})
PATHS_LISTED: Final = 1000  # an error carries no more paths than this, whatever the size of the data set
PATTERN_LENGTH: Final = 1000  # characters; patterns also come from plan files, which are not trusted
_SHOWN: Final = 3  # names that a message shows

_BUILT_IN: Final[dict[str, Naming]] = {
    rule.rule: rule for rule in (Naming("im-dash"), Naming("trailing-number"), Naming("parent-dir"))
}
# Longest first: the suffixes are tried in turn.
_SUFFIXES: Final = "|".join(sorted(IMAGE_SUFFIXES, key=lambda suffix: (-len(suffix), suffix)))
_EXPORT: Final = re.compile(rf"(?:[_.-](?:{_SUFFIXES}))?\.rf\.[0-9a-z]{{8,}}\Z", re.IGNORECASE | re.ASCII)
_IM_DASH: Final = re.compile(r"IM([0-9]+)-(.+)", re.DOTALL)
_DIGITS: Final = "0123456789"
_SEPARATORS: Final = "-_. "
_SLICE_WORDS: Final = ("slice", "slc", "sl", "frame")
_LAST_NUMBER: Final = re.compile(r"([0-9]+)[^0-9]*\Z")


class Name(NamedTuple):
    """What a file's name says."""

    volume: str  # may hold "/" where it is a sub-folder
    number: int | None  # position in the volume; None where the name gives none
    patient: str | None


class Names(NamedTuple):
    """What many names say, a column each, in the order of the names."""

    volumes: list[str]  # one object a volume, however many slices it has
    numbers: list[int | None]
    patients: list[str | None] | None  # None: the rule knows no patients


def find_naming(paths: Sequence[str], requested: str = "auto") -> Naming:
    """Return the rule that reads all names. Arguments and errors are those of `find_names`."""
    return find_names(paths, requested)[0]


def find_names(paths: Sequence[str], requested: str = "auto") -> tuple[Naming, Names]:
    """Return the rule that reads all names, and what it reads.

    `paths` lie below their image folder and carry a suffix. `requested` is `auto`, a rule or a regular expression.
    Where `trailing-number` and `parent-dir` give the same partition they are one, and `trailing-number` names it.

    Raises:
        UsageError: the regular expression does not compile, or has no group `volume`.
        InputError: `no-slices`, `unmatched-names`, `ambiguous-names`, or `name-refused` for an id no folder can have.
    """
    if not paths:
        raise InputError("There is no image whose name could be read.", kind="no-slices")
    naming, names = _find_by_rules(paths) if requested == "auto" else _find_requested(paths, requested)
    _refuse_ids(naming, paths, names.volumes)
    return naming, names


def read_names(naming: Naming, paths: Sequence[str]) -> Names | None:
    """Return what `reader` reads from every path; None where the rule does not apply to one of them.

    Raises:
        UsageError: as `compile_pattern`, for the rule `regex`.
    """
    names = _read_lines(naming, paths)
    return _read_each(reader(naming), paths) if names is None else names


def reader(naming: Naming) -> Reader:
    """Return the function that reads a path below its image folder; it returns None where the rule does not apply.

    Raises:
        UsageError: as `compile_pattern`, for the rule `regex`.
    """
    if naming.rule == "im-dash":
        return _read_im_dash
    if naming.rule == "trailing-number":
        return _read_trailing_number
    if naming.rule == "parent-dir":
        return _read_parent_dir
    return _regex_reader(naming.pattern or "")


def read_aloud(naming: Naming, paths: Sequence[str]) -> tuple[str, ...]:
    """Return up to two names as the rule reads them: the first, and the first of another volume or else the next."""
    read = reader(naming)
    first = next(((path, name) for path in paths if (name := read(path)) is not None), None)
    if first is None:
        return ()
    other = next(((p, name) for p in paths if (name := read(p)) is not None and name.volume != first[1].volume), None)
    if other is None:
        other = next(((p, name) for p in paths if p != first[0] and (name := read(p)) is not None), None)
    return tuple(_aloud(path, name) for path, name in filter(None, (first, other)))


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern of the rule `regex`.

    Raises:
        UsageError: it is too long, does not compile, has no group `volume`, or may search for years.
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
            f"The volume pattern {pattern!r} is neither a rule's name nor a regular expression: {error}.",
            kind="volume-pattern",
            hint=f"Rules: auto, im-dash, trailing-number, parent-dir. {hint}",
        ) from error
    if "volume" not in compiled.groupindex:
        raise UsageError(
            f"The volume pattern {pattern!r} is no rule's name, and as a regular expression has no group named volume.",
            kind="volume-pattern",
            hint=f"Rules: auto, im-dash, trailing-number, parent-dir. {hint}",
        )
    try:
        longest_text(pattern)
    except ValueError as error:
        raise UsageError(
            f"The volume pattern {error}: {pattern!r}.",
            kind="volume-pattern",
            hint="Write what is inside a repetition possessively, such as (?:[A-Z]++-)+, and use few repetitions.",
        ) from None
    return compiled


def clashing_ids(ids: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of different ids that are equal after NFC and case folding, each sorted, in sorted order.

    Two folders of such names are one folder on some file systems, and two volumes to a reader.
    """
    folded: dict[str, set[str]] = {}
    for text in ids:
        key = text.casefold() if text.isascii() else _fold(text)
        folded.setdefault(key, set()).add(text)
    return sorted(tuple(sorted(group)) for group in folded.values() if len(group) > 1)


# ---- the rules ------------------------------------------------------------------------------------------------------


def _stem(path: str) -> str:
    """Return the file name without its suffix and without what export tools append."""
    name = path.rpartition("/")[2]
    stem = name[: name.rfind(".")]
    if ".rf." in stem:
        found = _EXPORT.search(stem)
        return stem[: found.start()] if found else stem
    return stem


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
        parted = _without_slice_word(volume)
        if parted is not None:  # empty for `slice_034`, a slice of nothing
            return Name(parted, int(stem[len(before) :]), None) if parted else None
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


def _regex_reader(pattern: str) -> Reader:
    compiled = compile_pattern(pattern)
    on_path = "/" in pattern
    longest = longest_text(pattern)
    has_slice, has_patient = "slice" in compiled.groupindex, "patient" in compiled.groupindex

    def read(path: str) -> Name | None:
        folder, slash, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        text = folder + slash + stem if on_path else stem
        match = compiled.fullmatch(text) if len(text) <= longest else None
        if match is None or not match["volume"]:
            return None
        number = match["slice"] if has_slice else None
        if number is not None and not number.isdecimal():  # a slice that cannot be counted was not read
            return None
        patient = match["patient"] if has_patient else None
        return Name(match["volume"], None if number is None else int(number), patient or None)

    return read


# ---- many names at once ---------------------------------------------------------------------------------------------

# The rules as one search over names that stand a line each: a third of the time of a call for each name.
_LINES: Final = {
    "im-dash": re.compile(r"^IM(?P<number>[0-9]+)-(?P<volume>.+)\.[^.\n]*$", re.MULTILINE),
    "trailing-number": re.compile(r"^(?P<volume>.*[^-_. \n])[-_. ]+(?P<number>[0-9]+)\.[^.\n]*$", re.MULTILINE),
}


def _read_lines(naming: Naming, paths: Sequence[str]) -> Names | None:
    """Return what a rule reads from all names; None where a name wants a closer look, or is not read at all."""
    pattern = _LINES.get(naming.rule)
    text = "\n".join(paths)
    if pattern is None or ".rf." in text or text.count("\n") != len(paths) - 1:
        return None
    if "/" in text:
        text = "\n".join([path[path.rfind("/") + 1 :] for path in paths])
    found = pattern.findall(text)
    if len(found) != len(paths):
        return None
    volume, number = pattern.groupindex["volume"] - 1, pattern.groupindex["number"] - 1
    volumes = _shared([groups[volume] for groups in found])
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
        _shared([name.volume for name in names]), [name.number for name in names], patients if any(patients) else None
    )


def _shared(texts: list[str]) -> list[str]:
    """Return equal texts as one object: a thousand slices name the same volume."""
    known: dict[str, str] = {}
    return [known.setdefault(text, text) for text in texts]


# ---- choosing -------------------------------------------------------------------------------------------------------


def _find_requested(paths: Sequence[str], requested: str) -> tuple[Naming, Names]:
    rule = _BUILT_IN.get(requested)
    naming = Naming("regex", requested) if rule is None else rule
    names = read_names(naming, paths)
    if names is None:
        read = reader(naming)
        unread = [path for path in paths if read(path) is None]
        what = f"The rule {naming.rule}" if naming.pattern is None else f"The volume pattern {naming.pattern!r}"
        raise _unmatched(f"{what} does not read {len(unread):,} of {len(paths):,} names", unread)
    return naming, names


def _find_by_rules(paths: Sequence[str]) -> tuple[Naming, Names]:
    if (names := read_names(_BUILT_IN["im-dash"], paths)) is not None:
        return _BUILT_IN["im-dash"], names
    by_number, by_folder = _BUILT_IN["trailing-number"], _BUILT_IN["parent-dir"]
    trailing, parents = read_names(by_number, paths), read_names(by_folder, paths)
    if trailing is not None and parents is not None and not _same_partition(trailing.volumes, parents.volumes):
        raise InputError(
            "The names can be read in two ways that give different volumes: "
            f"by trailing-number, {_example(by_number, paths)}; by parent-dir, {_example(by_folder, paths)}.",
            kind="ambiguous-names",
            hint="Say which: --volume-pattern trailing-number or --volume-pattern parent-dir, or a regular expression.",
        )
    if trailing is not None:
        return by_number, trailing
    if parents is not None:
        return by_folder, parents
    raise _unmatched_by_any(paths)


def _same_partition(first: Sequence[str], second: Sequence[str]) -> bool:
    """Tell whether two lists of ids group the positions alike: the pairs are one to one."""
    pairs = set(zip(first, second, strict=True))
    return len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})


def _unmatched_by_any(paths: Sequence[str]) -> InputError:
    """Name what no rule reads; where each name is read by some rule, what the widest rule misses."""
    readers = (_read_im_dash, _read_trailing_number, _read_parent_dir)
    unread = [path for path in paths if all(read(path) is None for read in readers)]
    if unread:
        return _unmatched(f"No rule reads {len(unread):,} of {len(paths):,} names", unread)
    missed = min(([path for path in paths if read(path) is None] for read in readers), key=len)
    return _unmatched(f"No rule reads all {len(paths):,} names; the best one misses {len(missed):,}", missed)


def _unmatched(what: str, unread: Sequence[str]) -> InputError:
    unread = sorted(unread)
    shown = ", ".join(unread[:_SHOWN]) + (", ..." if len(unread) > _SHOWN else "")
    return InputError(
        f"{what}: {shown}.",
        kind="unmatched-names",
        hint=r"Give a regular expression, such as --volume-pattern '(?P<volume>.+)-(?P<slice>\d+)'.",
        paths=unread[:PATHS_LISTED],
    )


def _refuse_ids(naming: Naming, paths: Sequence[str], volumes: Sequence[str]) -> None:
    """Refuse ids that cannot be a folder of the output, or that would turn trainers away from the labels."""
    refused = {volume for volume in set(volumes) if not REFUSED_PARTS.isdisjoint(volume.split("/"))}
    if refused:
        shown = ", ".join(repr(text) for text in sorted(refused)[:_SHOWN])
        found = sorted(path for path, volume in zip(paths, volumes, strict=True) if volume in refused)
        raise InputError(
            "A volume may not be called images, labels, '.' or '..', nor have an empty part: "
            f"{shown} (read by {naming.rule}).",
            kind="name-refused",
            hint="Rename the files or folders, or give another --volume-pattern.",
            paths=found[:PATHS_LISTED],
        )


def _example(naming: Naming, paths: Sequence[str]) -> str:
    return " and ".join(read_aloud(naming, paths))


def _aloud(path: str, name: Name) -> str:
    place = f"slice {name.number} of volume {name.volume}" if name.number is not None else f"in volume {name.volume}"
    return f"{path} is {place}" + (f" of patient {name.patient}" if name.patient is not None else "")


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
