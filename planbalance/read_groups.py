"""Read who the patients are, from all sources that a request names: a CSV map, DICOM headers, .h5 files, pictures."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from planbalance.errors import InputError, UsageError
from planbalance.group_sources import (
    DICOM,
    H5,
    IDENTICAL,
    LOOK_ALIKES,
    MAP,
    NAMES,
    names_patients,
    parse_sources,
    without_map,
)
from planbalance.model import PlanHeader, Progress, Silent, Snapshot, Volume
from planbalance.options.declare import spelled
from planbalance.text import error_text, some

if TYPE_CHECKING:
    from planbalance.grouping import GroupMap
    from planbalance.look_alikes import LookAlikes, PlannedPair
    from planbalance.options.plan import ScanRequest
    from planbalance.options.reading import Reading
    from planbalance.planner import Grouped, PlanOptions
    from planbalance.slicemap import VolumeSource


_MOST_LISTED: Final = 2000  # names of a folder, for a hint
_MOST_FILES: Final = 99  # CSV files of pairs beside one plan
_LARGEST_CSV: Final = 1 << 26  # characters


# ---- what is asked for ----------------------------------------------------------------------------------------------


def asked_sources(request: "ScanRequest") -> tuple[str, ...]:
    """Return the sources of groups that a request names, and `identical` where several are joined and images hashed.

    Raises:
        UsageError: there is no such source, or options contradict each other.
    """
    words = parse_sources(request.group_from)
    if request.group_map is not None and without_map(words):
        raise UsageError(
            "--group-from and --group-map exclude each other: both say which volumes belong together.",
            kind="two-groupings",
            hint="Leave one of them out, or join both: --group-from map,... with --group-map.",
        )
    needs = (
        (MAP in words, request.group_map is not None, "--group-from map", "--group-map CSV"),
        (any(word.startswith(H5) for word in words), bool(request.h5_folder), "--group-from h5:", "--h5-folder DIR"),
    )
    for asked, given, option, other in needs:
        if asked and not given:
            raise UsageError(
                f"{option} needs a further option, which says where to read: {other}.", kind="source-without-place"
            )
    alone = (
        (request.h5_folder, H5, "h5_folder", "--group-from h5:ATTRIBUTE"),
        (request.look_alikes, LOOK_ALIKES, "look_alikes", "--group-from look-alikes"),
    )
    for value, start, name, other in alone:
        if value and not any(word.startswith(start) for word in words):
            raise UsageError(
                f"{spelled(name)} is for {other}.", kind="option-without-source", hint=f"Give {other} too."
            )
    if joined_sources(words) and getattr(request, "hash_images", False):
        words = parse_sources((*words, IDENTICAL))
    return words


def joined_sources(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sources that are joined; none where one alone gives the groups, as without `--group-from`."""
    return words if len(words) > 1 or LOOK_ALIKES in words else ()


def refuse_two_patients(source: "VolumeSource | None", request: "Reading") -> None:
    """Refuse a second source of patients beside a slice map that names them, unless both are asked for."""
    if source is None or not source.tells_patients:
        return
    words = parse_sources(getattr(request, "group_from", ()))
    others = ["group_map"] if request.group_map is not None else []
    others += ["group_from"] if any(names_patients(word) and word not in (NAMES, MAP) for word in words) else []
    if others and NAMES not in words:
        raise UsageError(
            f"The slice map has a column of patients, and {spelled(others[0])} names patients too.",
            kind="two-groupings",
            hint="Leave that option out, name the map's columns without patients: --slice-map-columns "
            "image=HEADING,volume=HEADING, or join both: --group-from names,...",
        )


def default_group_key() -> str:
    """Return where this user's key for `--group-from` and `--volume-from` lies, in the user's settings folder.

    The folder is that of the XDG Base Directory Specification.
    """
    settings = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(settings, "planbalance", "group-key")


# ---- reading --------------------------------------------------------------------------------------------------------


def with_groups_read(
    snapshot: Snapshot, options: "PlanOptions", request: "ScanRequest", progress: Progress | None
) -> "PlanOptions":
    """Return the options with the groups of the volumes that they choose, where `group_from` names their sources.

    Raises:
        InputError: a source does not know a volume, or contradicts the volumes. UsageError: an extra is not installed.
    """
    from planbalance import planner

    words = asked_sources(request)
    joined = joined_sources(words)
    maps: tuple[GroupMap, ...] = ()
    if words == (NAMES,) or _reads_files(words):
        selected = planner.select_slices(snapshot, options)
        if words == (NAMES,) and selected.grouped.by == "volume":
            raise planner.no_patients_in_names()
        maps = header_maps(words, snapshot, selected.volumes, request, options.volume_source, progress)
    if not joined:
        return replace(options, group_map=maps[0]) if maps else options
    options = replace(options, group_from=joined, group_maps=maps)
    if LOOK_ALIKES not in joined:
        return options
    volumes = planner.select_slices(snapshot, options).volumes  # refuses before pictures are read, which takes minutes
    older = None if options.extend is None else options.extend.header
    return replace(options, look_alikes=look_alikes_of(snapshot, volumes, request, older, progress))


def scanned_groups(
    snapshot: Snapshot,
    named: tuple[tuple[Volume, ...], Mapping[str, str]],
    options: "PlanOptions",
    request: "ScanRequest",
    progress: Progress | None,
) -> "Grouped":
    """Return the volumes of a scan with their groups.

    Args:
        snapshot: of the scan.
        named: its volumes, and the patients that names, or a slice map, give.
        options: with the group map and the source of volumes.
        request: which other sources there are.
        progress: where to report to.

    Raises:
        InputError, UsageError: as `with_groups_read`.
    """
    from planbalance import planner

    volumes, patients = named
    words = asked_sources(request)
    joined = joined_sources(words) or (words if IDENTICAL in words else ())
    if words == (NAMES,) and not patients:
        raise planner.no_patients_in_names()
    maps = header_maps(words, snapshot, volumes, request, options.volume_source, progress)
    if not joined:
        options = replace(options, group_map=maps[0] if maps else options.group_map)
        return planner.group_volumes(volumes, patients, options)
    options = replace(options, group_from=joined, group_maps=maps)
    if LOOK_ALIKES in joined:
        planner.group_volumes(volumes, patients, options)  # refuses before pictures are read, which takes minutes
        options = replace(options, look_alikes=look_alikes_of(snapshot, volumes, request, None, progress))
    return planner.group_volumes(volumes, patients, options)


def header_maps(
    words: Sequence[str],
    snapshot: Snapshot,
    volumes: Sequence[Volume],
    request: "ScanRequest",
    source: "VolumeSource | None",
    progress: Progress | None,
) -> tuple["GroupMap", ...]:
    """Return the groups that DICOM headers and .h5 files give, in the order of the sources."""
    if not _reads_files(words):
        return ()
    from planbalance.dicom import Headers, SeriesSource, group_key, groups_from_headers
    from planbalance.h5_attributes import groups_from_h5

    key = group_key(request.group_key or default_group_key())
    headers = source.headers if isinstance(source, SeriesSource) else Headers(progress=progress)
    by_names = source is None
    maps = []
    for word in words:
        if word.startswith(DICOM):
            tag = word.removeprefix(DICOM)
            maps.append(groups_from_headers(snapshot.inputs, volumes, key, headers, tag=tag, by_names=by_names))
        elif word.startswith(H5):
            prefixes = [one.prefix for one in snapshot.inputs]
            ids = [volume.id for volume in volumes]
            attribute = word.removeprefix(H5)
            maps.append(groups_from_h5(request.h5_folder, ids, key, attribute=attribute, prefixes=prefixes))
    return tuple(maps)


def _reads_files(words: Iterable[str]) -> bool:
    return any(word.startswith((DICOM, H5)) for word in words)


def look_alikes_of(
    snapshot: Snapshot,
    volumes: Sequence[Volume],
    request: "ScanRequest",
    older: PlanHeader | None,
    progress: Progress | None,
) -> "LookAlikes":
    """Return the pairs of volumes that look alike, with what the CSV, else the older plan, says of them.

    Raises:
        UsageError: numpy is not installed (kind `extra-missing`). InputError: the CSV is refused, or no picture can be
            decoded.
    """
    from planbalance.look_alikes import answers_of, decide, parse_answers, planned_pairs, refuse_undecoded

    ids = {volume.id for volume in volumes}
    answers = {} if older is None else answers_of(planned_pairs(older.parameters))
    answers = {pair: answer for pair, answer in answers.items() if ids.issuperset(pair)}
    if request.look_alikes is not None:
        from planbalance.grouping import csv_text

        text = csv_text(read_input(request.look_alikes, "file of look-alikes"), request.look_alikes)
        answers |= parse_answers(text, ids, request.look_alikes)
    try:
        from planbalance.alike_volumes import find_alike_volumes
    except ImportError:
        raise UsageError(
            "--group-from look-alikes needs numpy, which is not installed.",
            kind="extra-missing",
            hint="pip install 'planbalance[near-duplicates]'",
        ) from None
    found = find_alike_volumes(snapshot.inputs, volumes, jobs=request.jobs, progress=progress or Silent())
    refuse_undecoded(found, sum(len(volume.slices) for volume in volumes))
    return decide(found, answers)


def save_pairs(plan_file: str, pairs: "Sequence[PlannedPair]") -> tuple[str, str]:
    """Write the pairs of volumes that look alike into a CSV beside the plan file, for a person to fill.

    A CSV that a person has filled is never overwritten: where it has all pairs it stays, else another name is taken.

    Returns:
        The path of the CSV, and a warning or `""`.

    Raises:
        UsageError: it cannot be written (kind `pairs-not-written`).
    """
    from planbalance import fs
    from planbalance.look_alikes import csv_of, edited_csv

    stem = f"{os.path.splitext(plan_file)[0]}-look-alikes"
    kept = ""
    for number in range(1, _MOST_FILES + 1):
        path = f"{stem}{'' if number == 1 else f'-{number}'}.csv"
        there = edited_csv(_text_of(path), pairs) if os.path.lexists(path) else None
        if there is not None and there.edited:
            if there.has_all and not there.unknown:
                return path, ""
            kept = kept or (path if there.unknown else "")
            continue
        try:
            fs.write_path(path, (csv_of(pairs).encode(),))
        except OSError as error:
            raise UsageError(
                f"The pairs of volumes that look alike cannot be written to {path}: {error_text(error)}.",
                kind="pairs-not-written",
                paths=[path],
            ) from error
        return path, _kept_note(kept, path)
    return "", _kept_note(kept, "no file")


def _kept_note(kept: str, path: str) -> str:
    if not kept:
        return ""
    return (
        f"{kept} has answers that were not used: it was left as it is, and the pairs were written to {path}. To use "
        f"them, give --look-alikes {kept}."
    )


def _text_of(path: str) -> str:
    """Return the text of a file that may be anything; what is no text of ours counts as written by a person."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(_LARGEST_CSV)
    except (OSError, ValueError):
        return ""


def read_input(path: str, what: str) -> bytes:
    """Return the bytes of a file that an option names.

    Raises:
        InputError: it cannot be read (kind `input-not-found`).
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise _no_such_file(path, what) from error
    except OSError as error:
        raise InputError(
            f"The {what} {path} cannot be read: {error_text(error)}.", kind="input-not-found", paths=[path]
        ) from error


def _no_such_file(path: str, what: str) -> InputError:
    """Return the refusal of a file that is not there: it names files that are."""
    from difflib import get_close_matches
    from itertools import islice

    folder, name = os.path.split(path)
    suffix = os.path.splitext(name)[1].lower()
    try:
        with os.scandir(folder or ".") as entries:
            names = sorted(each.name for each in islice(entries, _MOST_LISTED) if each.name.lower().endswith(suffix))
    except OSError:
        names = []
    close = get_close_matches(name, names, n=1)
    if close:
        near = f"Did you mean {os.path.join(folder, close[0])}?"
    elif names and suffix:
        near = f"{folder or 'The working folder'} holds {some(names)}."
    else:
        near = "Give the path of a file that is there; relative paths count from the working folder."
    return InputError(f"The {what} {path} does not exist. {near}", kind="input-not-found", paths=[path])
