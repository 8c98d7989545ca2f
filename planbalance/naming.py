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


def find_naming(paths: Sequence[str], requested: str = "auto") -> Naming:
    """Return the rule that reads all names.

    `paths` lie below their image folder and carry a suffix. `requested` is `auto`, a rule or a regular expression.
    Where `trailing-number` and `parent-dir` give the same partition they are one, and `trailing-number` names it.

    Raises:
        UsageError: the regular expression does not compile, or has no group `volume`.
        InputError: `no-slices`, `unmatched-names`, `ambiguous-names`, or `name-refused` for an id no folder can have.
    """
    if not paths:
        raise InputError("There is no image whose name could be read.", kind="no-slices")
    naming, volumes = _find_by_rules(paths) if requested == "auto" else _find_requested(paths, requested)
    _refuse_ids(naming, paths, volumes)
    return naming


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
        UsageError: it is too long, does not compile, or has no group `volume`.
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
    has_slice, has_patient = "slice" in compiled.groupindex, "patient" in compiled.groupindex

    def read(path: str) -> Name | None:
        folder, slash, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        match = compiled.fullmatch(folder + slash + stem if on_path else stem)
        if match is None or not match["volume"]:
            return None
        number = match["slice"] if has_slice else None
        if number is not None and not number.isdecimal():  # a slice that cannot be counted was not read
            return None
        patient = match["patient"] if has_patient else None
        return Name(match["volume"], None if number is None else int(number), patient or None)

    return read


# ---- choosing -------------------------------------------------------------------------------------------------------


def _find_requested(paths: Sequence[str], requested: str) -> tuple[Naming, list[str]]:
    rule = _BUILT_IN.get(requested)
    naming = Naming("regex", requested) if rule is None else rule
    read = reader(naming)
    volumes = _volumes(read, paths)
    if volumes is None:
        unread = [path for path in paths if read(path) is None]
        what = f"The rule {naming.rule}" if naming.pattern is None else f"The volume pattern {naming.pattern!r}"
        raise _unmatched(f"{what} does not read {len(unread):,} of {len(paths):,} names", unread)
    return naming, volumes


def _find_by_rules(paths: Sequence[str]) -> tuple[Naming, list[str]]:
    if (volumes := _volumes(_read_im_dash, paths)) is not None:
        return _BUILT_IN["im-dash"], volumes
    by_number, by_folder = _BUILT_IN["trailing-number"], _BUILT_IN["parent-dir"]
    trailing, parents = _volumes(_read_trailing_number, paths), _volumes(_read_parent_dir, paths)
    if trailing is not None and parents is not None and not _same_partition(trailing, parents):
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


def _volumes(read: Reader, paths: Sequence[str]) -> list[str] | None:
    """Return the volume of every path, or None as soon as one cannot be read."""
    volumes = []
    for path in paths:
        name = read(path)
        if name is None:
            return None
        volumes.append(name.volume)
    return volumes


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
