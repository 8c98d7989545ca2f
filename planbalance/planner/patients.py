"""Give volumes their groups: by a map, the names or headers, or by several sources at once (`--group-from`)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from planbalance.errors import InputError
from planbalance.group_sources import (
    IDENTICAL,
    LOOK_ALIKES,
    MAP,
    NAMES,
    GroupSource,
    SourceJoins,
    join_sources,
    names_patients,
    of_sets,
)
from planbalance.grouping import GroupMap, joined_by_content, require_known
from planbalance.look_alikes import DecidedPair, LookAlikes
from planbalance.model import Volume
from planbalance.planner.options import PlanOptions
from planbalance.planner.volumes import equal_images, with_equal_images_joined, with_groups
from planbalance.text import counted, some, text_fault


class Grouped(NamedTuple):
    """Volumes with their groups.

    Attributes:
        volumes: in the order given.
        by: where patients come from: `volume` (they are not known), `patient` (the names), `map`, `slice-map`, `dicom`,
            `h5`, or several of them with `+` between.
        joined: sets of volumes that became one group because they share identical images.
        sources: what each source has joined, where `--group-from` names several.
        look_alikes: the pairs of volumes that look alike, where that was asked for.
    """

    volumes: tuple[Volume, ...]
    by: str
    joined: tuple[tuple[str, ...], ...]
    sources: tuple[SourceJoins, ...] = ()
    look_alikes: tuple[DecidedPair, ...] = ()


class AskedSources(NamedTuple):
    """What is to be joined.

    Attributes:
        words: the sources that `--group-from` names, as `parse_sources` gives them.
        maps: the group map and what headers and files say, in the order of `words`.
        rule: where the patients come from that names give: `patient`, or `slice-map`.
        look_alikes: the pairs that look alike, where `words` has that source.
    """

    words: tuple[str, ...]
    maps: tuple[GroupMap, ...]
    rule: str
    look_alikes: LookAlikes | None


def group_volumes(volumes: tuple[Volume, ...], patients: Mapping[str, str], options: PlanOptions) -> Grouped:
    """Return the volumes with the groups that the options ask for.

    Raises:
        InputError: the group map has no row for a volume; a group cannot be stored in a plan (kind `bad-map`); names
            show no patient and are asked for (kind `no-patients-in-names`).
    """
    rule = "patient" if options.volume_source is None else options.volume_source.rule
    if options.group_from:
        maps = (*(() if options.group_map is None else (options.group_map,)), *options.group_maps)
        asked = AskedSources(options.group_from, maps, rule, options.look_alikes)
        return _storable(join_groups_of(volumes, patients, asked))
    joined: tuple[tuple[str, ...], ...] = ()
    by = "volume"
    if options.group_map is not None:
        require_known((volume.id for volume in volumes), options.group_map)
        volumes, by = with_groups(volumes, options.group_map.group_of), options.group_map.source
    elif patients:
        volumes, by = with_groups(volumes, patients), rule
    grouped = _storable(Grouped(volumes, by, ()))
    if options.hash_images:
        volumes, joined = with_equal_images_joined(grouped.volumes)
    return Grouped(volumes, by, joined)


def _storable(grouped: Grouped) -> Grouped:
    faults = [f"{volume.id}: {volume.group!r} {fault}" for volume in grouped.volumes if (fault := _fault(volume))]
    if faults:
        message = f"The groups of {counted(len(faults), 'volume')} cannot be stored in a plan: {some(faults, 3)}."
        raise InputError(message, kind="bad-map", paths=faults)
    return grouped


def _fault(volume: Volume) -> str | None:
    return None if volume.group == volume.id else text_fault(volume.group)


def join_groups_of(volumes: tuple[Volume, ...], patients: Mapping[str, str], asked: AskedSources) -> Grouped:
    """Return the volumes with the groups of several sources: those that any source puts together are in one.

    Where no source names patients, those of the map count, else those of the names, else each volume is its own.

    Raises:
        InputError: a map has no row for a volume; names show no patient and are asked for (kind
            `no-patients-in-names`).
    """
    ids = [volume.id for volume in volumes]
    for one in asked.maps:
        require_known(ids, one)
    sources, kinds = _patient_sources(patients, asked)
    joined: tuple[tuple[str, ...], ...] = ()
    if IDENTICAL in asked.words:
        joined = tuple(joined_by_content(equal_images(volumes)))
        sources.append(of_sets(IDENTICAL, joined))
    look_alikes = asked.look_alikes if LOOK_ALIKES in asked.words else None
    if look_alikes is not None:
        sources.append(of_sets(LOOK_ALIKES, look_alikes.joined))
    found = join_sources(ids, sources)
    return Grouped(
        with_groups(volumes, found.group_of),
        "+".join(kinds) or "volume",
        joined,
        found.joins,
        () if look_alikes is None else look_alikes.pairs,
    )


def _patient_sources(patients: Mapping[str, str], asked: AskedSources) -> tuple[list[GroupSource], list[str]]:
    """Return the sources that name patients, and for `Grouped.by` where each comes from, each once."""
    by_names = NAMES in asked.words
    if by_names and not patients:
        raise no_patients_in_names()
    if not any(map(names_patients, asked.words)):
        by_names = not asked.maps and bool(patients)
    sources: list[GroupSource] = []
    kinds: dict[str, None] = {}
    told: list[tuple[str, Mapping[str, str], str]] = [
        (MAP if one.source == "map" else one.name, one.group_of, one.source) for one in asked.maps
    ]
    if by_names:
        told.insert(sum(one.source == "map" for one in asked.maps), (NAMES, patients, asked.rule))
    for name, group_of, kind in told:
        sources.append(GroupSource(name, group_of))
        kinds[kind] = None
    return sources, list(kinds)


def no_patients_in_names() -> InputError:
    """Return the refusal where names shall give patients and do not."""
    return InputError(
        "--group-from names: the names show no patient.",
        kind="no-patients-in-names",
        hint="Leave names out, or say where the patient stands: --volume-pattern with a group (?P<patient>...).",
    )


def look_alike_warnings(pairs: Sequence[DecidedPair], volumes: Iterable[Volume]) -> Iterator[str]:
    """Yield sentences on pairs that were joined, that a person should look at, and that stay together against a no."""
    group_of = {volume.id: volume.group for volume in volumes}
    together = [_spelled(one) for one in pairs if one.joined and one.answer is None]
    if together:
        yield f"Volumes that look alike were put into one group: {some(together, 3)}."
    open_pairs = [_spelled(one) for one in pairs if not one.joined and one.answer is None]
    if open_pairs:
        yield (
            f"{counted(len(open_pairs), 'pair')} of volumes may be one patient and were NOT put into one group, as "
            f"fewer slices look alike: {some(open_pairs, 3)}. Look at the pictures, write yes or no into the CSV file "
            "of the pairs, and give it back with --look-alikes."
        )
    kept = [_spelled(one) for one in pairs if one.answer is False and _is_one(one, group_of)]
    if kept:
        yield (
            f"{counted(len(kept), 'pair')} of volumes stay in one group although --look-alikes says no, because "
            f"another source or another pair joins them: {some(kept, 3)}."
        )


def _spelled(one: DecidedPair) -> str:
    return f"{one.pair.left} / {one.pair.right}"


def _is_one(one: DecidedPair, group_of: Mapping[str, str]) -> bool:
    return group_of[one.pair.left] == group_of[one.pair.right]
