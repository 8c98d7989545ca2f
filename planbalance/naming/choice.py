"""Choose the rule that reads all names of a dataset: the one that the user names, or the one that `auto` finds."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from planbalance.errors import InputError
from planbalance.model import GUIDES_RULE, Naming
from planbalance.naming.checks import Doubt, doubts, long_numbers, recurring_ids
from planbalance.naming.fields import ENOUGH, FEW, fields_of, has_digit, made_from
from planbalance.naming.rules import OFFERED, Name, Names, read_names, reader, same_partition, too_long_for
from planbalance.text import some

if TYPE_CHECKING:
    from planbalance.naming.auto import Other

REFUSED_PARTS: Final = frozenset({"", ".", "..", "images", "labels"})
PATHS_LISTED: Final = 1000  # an error carries no more paths than this, whatever the size of the dataset
_SHOWN: Final = 3  # names that a message shows
_BY_NUMBER, _BY_FOLDER, _IM_DASH = Naming("trailing-number"), Naming("parent-dir"), Naming(GUIDES_RULE)
_MAP: Final = "--slice-map CSV (image, volume)"
_OR_GROUPS: Final = ", or --group-map"


class NamesReading(NamedTuple):
    """How names are read.

    Attributes:
        naming: the rule.
        names: what it reads.
        warnings: sentences: the reading may be wrong, with the options that decide.
        notes: sentences on other readings that the user may want, with the option for each.
    """

    naming: Naming
    names: Names
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_names(
    paths: Sequence[str], requested: str = "auto", *, class_names: Collection[str] = (), tables: bool = True
) -> NamesReading:
    """Return the rule that reads all names, and what it reads.

    Args:
        paths: below their image folder, with a suffix.
        requested: `auto`, a rule or a regular expression.
        class_names: of the labels; ids that are equal to them are no volumes.
        tables: whether the command takes tables of volumes and patients; else no text names the options for them.

    Raises:
        UsageError: the regular expression does not compile, or has no group `volume`.
        InputError: `no-slices`, `unmatched-names`, `ambiguous-names`, `name-refused` for an id no folder can have, or
            what `auto` refuses: `image-names`, `class-names`, `slice-names`.
    """
    if not paths:
        raise InputError("There is no image whose name could be read.", kind="no-slices")
    try:
        reading = _find(paths, class_names) if requested == "auto" else _requested(paths, requested, class_names)
    except InputError as error:
        if tables:
            raise
        hint = _without_tables(error.hint)
        raise InputError(error.message, kind=error.kind, hint=hint, paths=error.paths) from None
    _refuse_ids(reading.naming, paths, reading.names.volumes)
    return reading if tables else reading._replace(warnings=tuple(map(_without_tables, reading.warnings)))


def _without_tables(text: str) -> str:
    """Return a text without the options that name tables."""
    return text.replace(f", or {_MAP}", "").replace(f"{_MAP}, ", "").replace(_OR_GROUPS, "")


def find_naming(paths: Sequence[str], requested: str = "auto") -> Naming:
    """Return the rule that reads all names. Arguments and errors are those of `find_names`."""
    return find_names(paths, requested).naming


def format_examples(naming: Naming, paths: Sequence[str]) -> tuple[str, ...]:
    """Return up to two names as the rule reads them: the first, and the first of another volume or else the next."""
    read = reader(naming)
    first = next(((path, name) for path in paths if (name := read(path)) is not None), None)
    if first is None:
        return ()
    other = next(((p, name) for p in paths if (name := read(p)) is not None and name.volume != first[1].volume), None)
    if other is None:
        other = next(((p, name) for p in paths if p != first[0] and (name := read(p)) is not None), None)
    return tuple(format_example(path, name) for path, name in filter(None, (first, other)))


def format_example(path: str, name: Name) -> str:
    """Return which slice of which volume an image is, as a sentence without its full stop."""
    place = f"slice {name.number} of volume {name.volume}" if name.number is not None else f"in volume {name.volume}"
    return f"{path} is {place}" + (f" of patient {name.patient}" if name.patient is not None else "")


# ---- a rule that the user named -------------------------------------------------------------------------------------


def _requested(paths: Sequence[str], requested: str, class_names: Collection[str]) -> NamesReading:
    naming = Naming(requested) if requested in OFFERED else Naming("regex", requested)
    names = read_names(naming, paths)
    if names is None:
        raise _not_read(naming, paths)
    if naming.rule in ("image", "im-dash"):
        return NamesReading(naming, names)
    shown = "; ".join(format_examples(naming, paths))
    warnings = [f"{doubt.text}. {shown}." for doubt in doubts(names, class_names) if doubt.fatal]
    if naming.pattern is None and long_numbers(names.numbers):
        warnings.append(f"The slice numbers have more than 7 digits, as UIDs and times have: {shown}.")
    if (pair := recurring_ids(names)) is not None:
        warnings.append(
            f"The volumes {pair[0]} and {pair[1]} differ in their first word only and may be of one patient. "
            f"To keep such volumes together, give a --volume-pattern with (?P<patient>...){_OR_GROUPS}."
        )
    return NamesReading(naming, names, tuple(warnings))


def _doubted(doubt: Doubt, naming: Naming, paths: Sequence[str]) -> str:
    shown = "; ".join(format_examples(naming, paths))
    kept = f"keep this reading with --volume-pattern '{naming.pattern or naming.rule}'"
    return f"{doubt.text}. {shown}. If that is right, {kept}; else give another pattern, or {_MAP}."


def _not_read(naming: Naming, paths: Sequence[str]) -> InputError:
    read = reader(naming)
    unread = [path for path in paths if read(path) is None]
    what = f"The rule {naming.rule}" if naming.pattern is None else f"The volume pattern `{naming.pattern}`"
    long, longest = too_long_for(naming, unread)
    if long:
        message = (
            f"{what} can read names of at most {longest:,} characters: to match longer ones could take very long. "
            f"{len(long):,} of {len(paths):,} names are longer: {some(sorted(long), _SHOWN)}."
        )
        hint = "Write the pattern with fewer repetitions, or with fields that end at a separator, such as [^_]+_."
        return InputError(message, kind="unmatched-names", hint=hint, paths=sorted(long)[:PATHS_LISTED])
    return _unmatched(f"{what} does not read {len(unread):,} of {len(paths):,} names", unread)


# ---- auto -----------------------------------------------------------------------------------------------------------


def _find(paths: Sequence[str], class_names: Collection[str]) -> NamesReading:
    found = _as_im_dash(paths)
    if found is not None:
        return found
    return _of_few(paths) if len(paths) < ENOUGH else _of_many(paths, class_names)


def _of_many(paths: Sequence[str], class_names: Collection[str]) -> NamesReading:
    """Search, and refuse what cannot be volumes."""
    # not needed for names of the form im-dash; imports take time in every command
    from planbalance.naming.auto import NoPatternError, search_names  # noqa: PLC0415
    from planbalance.naming.search import NoReadingError  # noqa: PLC0415

    try:
        naming, names, other, apart, crosses = search_names(paths)
    except NoReadingError as error:
        raise _refused(f"The names {error}", "image-names", paths) from None
    except NoPatternError as error:
        if error.unread:
            unread = f"the best one does not read {len(error.unread):,} of {len(paths):,}"
            raise _unmatched(f"{error}; {unread}", error.unread) from None
        raise _refused(str(error), "ambiguous-names", paths) from None
    found = doubts(names, class_names)
    if found and found[0].fatal:
        raise _refused(found[0].text, found[0].kind, paths)
    warnings = [_doubted(doubt, naming, paths) for doubt in found]
    if other is not None:
        if crosses:
            raise _ambiguous(naming, paths, other)
        warnings.append(_undecided(naming, paths, other))
    notes = [] if names.patients is None else [_patients_found(names, naming)]
    if apart is not None:
        notes.append(_joined_across_folders(apart))
    return NamesReading(naming, names, tuple(warnings), tuple(notes))


def _of_few(paths: Sequence[str]) -> NamesReading:
    """Return the reading of fewer than 10 names: too few for a search, so only named rules are tried."""
    both = [(naming, names) for naming in (_BY_NUMBER, _BY_FOLDER) if (names := read_names(naming, paths)) is not None]
    if not both:
        raise _no_rule_reads_all(paths)
    if len(both) > 1 and not same_partition(both[0][1].volumes, both[1][1].volumes):
        raise InputError(
            "The names can be read in two ways that give different volumes: "
            f"by trailing-number, {' and '.join(format_examples(_BY_NUMBER, paths))}; "
            f"by parent-dir, {' and '.join(format_examples(_BY_FOLDER, paths))}.",
            kind="ambiguous-names",
            hint="Say which: --volume-pattern trailing-number or --volume-pattern parent-dir, or a regular expression.",
        )
    return NamesReading(*both[0])


def _as_im_dash(paths: Sequence[str]) -> NamesReading | None:
    """Return the reading by im-dash, where all names have this form and no tool has added words to them."""
    names = read_names(_IM_DASH, paths)
    if names is None:
        return None
    volumes = set(names.volumes)
    if any(map(_has_made_end, volumes)):
        return None
    if all(map(str.isdigit, volumes)):
        _refuse_series_for_volumes(paths, names)
    shorter = sorted({volume.rpartition("-")[0] for volume in volumes})
    if not FEW <= len(shorter) < len(volumes) or not all(shorter):
        return NamesReading(_IM_DASH, names)
    note = f"{len(volumes):,} volumes begin with one of {len(shorter):,} shorter ids, such as {shorter[0]}. "
    pattern = r"IM(?P<slice>\d+)-(?P<volume>(?P<patient>.+)-[^-]+)"
    return NamesReading(_IM_DASH, names, notes=(f"{note}If those are patients: --volume-pattern '{pattern}'.",))


def _has_made_end(volume: str) -> bool:
    fields = fields_of(volume)
    return len(fields) > 1 and 0 < made_from(fields) < len(fields)


def _refuse_series_for_volumes(paths: Sequence[str], names: Names) -> None:
    """Refuse `PAT001/IM0001-0045`: behind `IM` a series and a slice, of a patient that the folder names."""
    folders: defaultdict[str, set[str]] = defaultdict(set)
    for path, volume in zip(paths, names.volumes, strict=True):
        folders[volume].add(path.rpartition("/")[0])
    several = sum(len(each) > 1 for each in folders.values())
    all_folders = {folder for each in folders.values() for folder in each}
    patients = len(all_folders) > 1 and all(has_digit(folder) for folder in all_folders)
    if several < 0.5 * len(folders) or not patients:
        return
    pattern = r"(?P<volume>(?P<patient>.+)/IM\d+)-(?P<slice>\d+)"
    raise InputError(
        f"The names can be read in two ways: {format_examples(_IM_DASH, paths)[0]} (by im-dash), or the folder is the "
        "patient and the first number is a series.",
        kind="ambiguous-names",
        hint=f"Say which: --volume-pattern im-dash, or --volume-pattern '{pattern}'.",
        paths=sorted(paths)[:PATHS_LISTED],
    )


# ---- messages -------------------------------------------------------------------------------------------------------


def _patients_found(names: Names, naming: Naming) -> str:
    volumes, patients = len(set(names.volumes)), len(set(names.patients or ()))
    finer = (naming.pattern or "").replace("(?P<patient>", "(?:")
    return (
        f"The names show {patients:,} patients of {volumes:,} volumes; all volumes of a patient stay in one split. "
        f"To split by volume instead: --volume-pattern '{finer}'."
    )


def _joined_across_folders(apart: "Other") -> str:
    return (
        "Images of several folders have the same volume or patient, and stay in one split. If each folder holds "
        f"volumes of its own, such as {apart.unit} ({apart.units:,} in all): --volume-pattern '{apart.pattern}'."
    )


def _undecided(naming: Naming, paths: Sequence[str], other: "Other") -> str:
    """Return the warning that the names allow two readings, with two real names and both patterns."""
    kind = "patient" if other.of_patients else "volume"
    return (
        f"The names do not decide what must stay in one split. Read now: {'; '.join(format_examples(naming, paths))}. "
        f"They could also show {other.units:,} {kind}s: {other.image} of {kind} {other.unit}. Keep this reading "
        f"with --volume-pattern '{naming.pattern or naming.rule}', or take the other one with "
        f"--volume-pattern '{other.pattern}'."
    )


def _ambiguous(naming: Naming, paths: Sequence[str], other: "Other") -> InputError:
    """Return the refusal of names of which two readings divide each other's volumes."""
    return InputError(
        "The names can be read in two ways that give different volumes: "
        f"{'; '.join(format_examples(naming, paths))}; or {other.image} is of volume {other.unit}.",
        kind="ambiguous-names",
        hint=f"Say which: --volume-pattern '{naming.pattern or naming.rule}', or --volume-pattern '{other.pattern}'.",
        paths=sorted(paths)[:PATHS_LISTED],
    )


def _refused(what: str, kind: str, paths: Sequence[str]) -> InputError:
    """Return the refusal of names that `auto` cannot read: it shows how each named rule would read them."""
    ways = []
    for naming in (_BY_NUMBER, _BY_FOLDER):
        names = read_names(naming, paths)
        if names is not None:
            volumes = len(set(names.volumes))
            ways.append(f"--volume-pattern {naming.rule} (volumes: {volumes:,}; {format_examples(naming, paths)[0]})")
    if not ways and read_names(_IM_DASH, paths) is None:
        error = _no_rule_reads_all(paths)
        message = f"{error.message} {what}."
        return InputError(message, kind=error.kind, hint=error.hint, paths=error.paths)
    if all(path.lower().endswith(".dcm") for path in paths):
        ways = ["--volume-from dicom:SeriesInstanceUID"]
    ways.append("--volume-pattern image (each image stands alone)")
    shown = sorted(paths)[:: max(1, len(paths) - 1)][:2]
    return InputError(
        f"{what}. Two of them: {' and '.join(shown)}.",
        kind=kind,
        hint=f"Say what a volume is: {_MAP}, --volume-pattern with a regular expression, {', or '.join(ways)}.",
        paths=shown,
    )


def _no_rule_reads_all(paths: Sequence[str]) -> InputError:
    """Return the refusal that lists names no rule reads; if there is none, those that the best rule does not read."""
    readers = [reader(Naming(name)) for name in OFFERED if name != "image"]
    unread = [path for path in paths if all(read(path) is None for read in readers)]
    if unread:
        return _unmatched(f"No rule reads {len(unread):,} of {len(paths):,} names", unread)
    missed = min(([path for path in paths if read(path) is None] for read in readers), key=len)
    return _unmatched(f"No rule reads all {len(paths):,} names; the best one misses {len(missed):,}", missed)


def _unmatched(what: str, unread: Sequence[str]) -> InputError:
    return InputError(
        f"{what}: {some(sorted(unread), _SHOWN)}.",
        kind="unmatched-names",
        hint=r"Give a regular expression, such as --volume-pattern '(?P<volume>.+)-(?P<slice>\d+)', or " + f"{_MAP}.",
        paths=sorted(unread)[:PATHS_LISTED],
    )


def _refuse_ids(naming: Naming, paths: Sequence[str], volumes: Sequence[str]) -> None:
    """Refuse ids that cannot be a folder of the output, or by which trainers would not find the labels."""
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
