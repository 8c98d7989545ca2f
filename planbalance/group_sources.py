"""Patients from several sources at once (`--group-from`): volumes that any source puts together are one group. Pure.

Which groups there are does not depend on the order of the sources or of the volumes, nor does any name of a group: it
is the first name that the first source has for it, in the fixed order of `parse_sources`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.errors import UsageError
from planbalance.union_find import UnionFind

MAP: Final = "map"
NAMES: Final = "names"
IDENTICAL: Final = "identical"
LOOK_ALIKES: Final = "look-alikes"
DICOM: Final = "dicom:"
H5: Final = "h5:"
GROUP_TAGS: Final = ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID")
OFFERED: Final = (MAP, NAMES, *(f"{DICOM}{tag}" for tag in GROUP_TAGS), f"{H5}patient_id", IDENTICAL, LOOK_ALIKES)


def parse_sources(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return what `--group-from` names, each source once, in a fixed order: map, names, headers, files, pictures.

    Args:
        given: one text or several, each with one source or several with commas between.

    Raises:
        UsageError: a word is no source (kind `bad-group-source`).
    """
    texts = [given] if isinstance(given, str) else list(given)
    words = {word.strip() for text in texts for word in text.split(",")}
    wrong = sorted(word for word in words if not _is_source(word))
    if wrong:
        raise UsageError(
            f"--group-from {wrong[0]!r}: there is no such source of groups.",
            kind="bad-group-source",
            hint=f"Give one or several of {', '.join(OFFERED)}, with commas between; h5: takes any attribute.",
        )
    return tuple(sorted(words, key=_rank))


def _is_source(word: str) -> bool:
    return word in OFFERED or (word.startswith(H5) and word.removeprefix(H5).isprintable() and word != H5)


def _rank(source: str) -> tuple[int, str]:
    """Return the place of a source in the fixed order; two attributes of .h5 files are in the order of their names."""
    return (OFFERED.index(source), "") if not source.startswith(H5) else (OFFERED.index(f"{H5}patient_id"), source)


def names_patients(source: str) -> bool:
    """Return whether a source gives each volume a patient; the others only find volumes that belong together."""
    return source not in (IDENTICAL, LOOK_ALIKES)


def without_map(sources: Iterable[str]) -> bool:
    """Return whether these sources name patients and a group map is not one of them."""
    told = list(filter(names_patients, sources))
    return bool(told) and MAP not in told


# ---- joining --------------------------------------------------------------------------------------------------------


class GroupSource(NamedTuple):
    """What one source says.

    Attributes:
        name: as `--group-from` calls it.
        group_of: group by volume; a volume that it does not hold is a group of its own.
    """

    name: str
    group_of: Mapping[str, str]


class SourceJoins(NamedTuple):
    """What one source has joined.

    Attributes:
        name: as `--group-from` calls it.
        joins: how many groups fewer than volumes there are by this source alone.
        alone: how many groups more there would be without it.
        sets: the volumes that it puts together and the first source does not, each set sorted.
    """

    name: str
    joins: int
    alone: int
    sets: tuple[tuple[str, ...], ...]


class JoinedSources(NamedTuple):
    """Groups by volume, and what each source has joined."""

    group_of: dict[str, str]
    joins: tuple[SourceJoins, ...]


def of_sets(name: str, sets: Iterable[Sequence[str]]) -> GroupSource:
    """Return a source that puts the volumes of each set together; sets that share a volume are one."""
    forest = UnionFind()
    for volumes in sets:
        forest.join(volumes)
    return GroupSource(name, {volume: joined[0] for joined in forest.sets() for volume in joined})


def join_sources(volumes: Sequence[str], sources: Sequence[GroupSource]) -> JoinedSources:
    """Return the groups in which volumes are together that any source puts together, directly or through others.

    Args:
        volumes: ids, each once.
        sources: in the order of `parse_sources`.
    """
    first = sources[0].group_of if sources and names_patients(sources[0].name) else {}
    forest = _forest(volumes, sources)
    name_of: dict[str, str] = {}
    for volume in volumes:
        root, name = forest.root(volume), first.get(volume, volume)
        name_of[root] = min(name, name_of.get(root, name))
    joins = []
    for source in sources:
        others = _forest(volumes, [one for one in sources if one is not source])
        alone = _count(volumes, others) - len(name_of)
        own = _forest(volumes, [source])
        sets = () if source.group_of is first else _across(volumes, source.group_of, first)
        joins.append(SourceJoins(source.name, len(volumes) - _count(volumes, own), alone, sets))
    return JoinedSources({volume: name_of[forest.root(volume)] for volume in volumes}, tuple(joins))


def sources_document(joins: Iterable[SourceJoins]) -> list[dict[str, Any]]:
    """Return what each source has joined, as JSON values."""
    return [
        {"source": one.name, "joins": one.joins, "alone": one.alone, "sets": [list(ids) for ids in one.sets]}
        for one in joins
    ]


def joins_of_plan(parameters: Mapping[str, Any]) -> list[SourceJoins]:
    """Return what the parameters of a plan say that each source has joined; nothing where there is one source."""
    groups = parameters.get("groups")
    return planned_joins(groups.get("sources") if isinstance(groups, Mapping) else None)


def planned_joins(document: object) -> list[SourceJoins]:
    """Return what a plan says that each source has joined; what does not have its form is left out."""
    joins = []
    for value in document if isinstance(document, list) else ():
        match value:
            case {"source": str(name), "joins": int(number), "alone": int(alone), "sets": [*sets]}:
                texts = (tuple(one for one in ids if isinstance(one, str)) for ids in sets if isinstance(ids, list))
                joins.append(SourceJoins(name, number, alone, tuple(ids for ids in texts if ids)))
    return joins


def _forest(volumes: Iterable[str], sources: Sequence[GroupSource]) -> UnionFind:
    forest = UnionFind()
    for source in sources:
        seen: dict[str, str] = {}
        for volume in volumes:
            group = source.group_of.get(volume, volume)
            forest.join((seen.setdefault(group, volume), volume))
    return forest


def _count(volumes: Iterable[str], forest: UnionFind) -> int:
    return len({forest.root(volume) for volume in volumes})


def _across(
    volumes: Iterable[str], group_of: Mapping[str, str], first: Mapping[str, str]
) -> tuple[tuple[str, ...], ...]:
    """Return the groups of one source whose volumes are in several groups of the first source."""
    members: defaultdict[str, list[str]] = defaultdict(list)
    for volume in volumes:
        members[group_of.get(volume, volume)].append(volume)
    several = [ids for ids in members.values() if len({first.get(volume, volume) for volume in ids}) > 1]
    return tuple(sorted(tuple(sorted(ids)) for ids in several))
