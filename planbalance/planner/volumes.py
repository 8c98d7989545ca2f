"""Read slices from images by the naming rule, collect them into volumes, and give the volumes groups."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Final

from planbalance.destination import Destinations, clashing_ids, id_fault
from planbalance.errors import InputError
from planbalance.grouping import GroupMap, join_groups, joined_by_content, require_known
from planbalance.model import (
    EXTERNAL_RULES,
    ImageFile,
    Input,
    Naming,
    SharedIds,
    Slice,
    Snapshot,
    Source,
    Volume,
)
from planbalance.naming import Names, read_names, reader
from planbalance.path_relation import path_in
from planbalance.slicemap import Place
from planbalance.text import counted, some


def below_folders(inputs: Sequence[Input]) -> Callable[[ImageFile], str]:
    """Return a function that gives an image's path below its image folder."""
    cuts = _starts_below(inputs)

    def below(file: ImageFile) -> str:
        return file.path[cuts[file.input][file.folder] :]

    return below


def _starts_below(inputs: Sequence[Input]) -> list[list[int]]:
    """Return for each input and image folder where in an image's path the path below the folder begins."""
    return [[len(folder.images) + 1 if folder.images else 0 for folder in source.folders] for source in inputs]


def class_names(snapshot: Snapshot) -> list[str]:
    """Return the class names of all inputs: the naming rules must not take one of them for a volume."""
    return [name for source in snapshot.inputs for name in source.names or ()]


def paths_below(inputs: Sequence[Input], images: Iterable[ImageFile]) -> list[str]:
    """Return the images' paths below their image folders."""
    cuts = _starts_below(inputs)
    return [file.path[cuts[file.input][file.folder] :] for file in images]


def places_of(inputs: Sequence[Input], images: Sequence[ImageFile], paths: Sequence[str]) -> list[Place]:
    """Return where the images lie, for a table that names them; `paths` are those below their image folders."""
    return [
        Place(inputs[file.input].root, file.path, below, inputs[file.input].prefix)
        for file, below in zip(images, paths, strict=True)
    ]


def sources_of(inputs: Iterable[Input]) -> tuple[Source, ...]:
    """Return the source of each input, from which destinations are derived."""
    return tuple(Source(source.prefix, source.folders, source.guarded) for source in inputs)


def place_of(inputs: Sequence[Input], file: ImageFile) -> str:
    """Return an image's absolute path."""
    return path_in(inputs[file.input].root, file.path)


def is_positive(file: ImageFile, positive_classes: frozenset[int] | None) -> bool:
    """Return whether a slice is positive: it has an annotation, or one of the chosen classes."""
    if positive_classes is None:
        return file.annotations > 0
    return not positive_classes.isdisjoint(file.classes)


def read_slices(
    inputs: Sequence[Input],
    images: Sequence[ImageFile],
    naming: Naming,
    positive_classes: frozenset[int] | None = None,
    names: Names | None = None,
    paths: Sequence[str] | None = None,
    shared_ids: SharedIds | None = None,
) -> tuple[list[Slice], dict[str, str]]:
    """Read every image's name.

    Args:
        inputs: of the snapshot.
        images: of the snapshot, all or some.
        naming: the rule.
        positive_classes: class ids that make a slice positive; None: any annotation.
        names: the result of the rule for the paths below the image folders, where the caller knows it already.
        paths: those paths, where the caller knows them already.
        shared_ids: `different` puts each input's prefix before its volume ids too.

    Returns:
        The slices, in the order of `images`, and the patient of each volume whose names hold one.

    Raises:
        InputError: the rule does not read a name (kind `unmatched-names`), or a volume's names hold two patients
            (kind `two-patients`).
    """
    paths = paths_below(inputs, images) if paths is None else paths
    if names is None:
        names = read_names(naming, paths)
    if names is None:
        read, below = reader(naming), below_folders(inputs)
        raise _unread(inputs, [file for file in images if read(below(file)) is None], naming)
    volumes = names.volumes
    if shared_ids == "different" and any(source.prefix for source in inputs):
        owned = list(zip([file.input for file in images], volumes, strict=True))
        ids = {(index, volume): inputs[index].prefix + volume for index, volume in set(owned)}
        volumes = [ids[each] for each in owned]
    if positive_classes is None:
        positive = [file.annotations > 0 for file in images]
    else:
        positive = [is_positive(file, positive_classes) for file in images]
    kept = _paths_kept(inputs, images, paths)
    slices = list(map(_new_slice, zip(images, volumes, names.numbers, positive, kept, strict=True)))
    return slices, {} if names.patients is None else _patients(volumes, names.patients, naming)


_new_slice: Final[Callable[[tuple[ImageFile, str, int | None, bool, str]], Slice]] = partial(tuple.__new__, Slice)


def _paths_kept(inputs: Sequence[Input], images: Sequence[ImageFile], paths: Sequence[str]) -> Sequence[str]:
    """Return the images' paths below the split's folder in layout `keep`: `paths`, where no prefix changes them."""
    if not any(source.prefix or _are_nested([folder.images for folder in source.folders]) for source in inputs):
        return paths
    below = Destinations(sources_of(inputs), "keep").all_below
    return below([file.input for file in images], [file.path for file in images], paths)


def _are_nested(folders: Iterable[str]) -> bool:
    """Return whether one of the folders lies in another, so that an image has two paths below its folder."""
    found = [f"{folder}/" if folder else "" for folder in sorted(set(folders))]
    return any(inner.startswith(outer) for outer in found for inner in found if inner is not outer)


def _patients(volumes: Sequence[str], patients: Sequence[str | None], naming: Naming) -> dict[str, str]:
    """Return the patient of each volume that has one."""
    found: dict[str, str] = {}
    with_two: dict[str, str] = {}
    for volume, patient in zip(volumes, patients, strict=True):
        if patient is not None and found.setdefault(volume, patient) != patient:
            with_two.setdefault(volume, f"{volume}: {found[volume]} and {patient}")
    disagreeing = list(with_two.values())
    if disagreeing:
        several = counted(len(disagreeing), "volume")
        if naming.rule in EXTERNAL_RULES:
            message = f"The slice map gives {several} two patients: {some(disagreeing)}."
            hint = (
                "Where volumes are counted within each patient, join the columns: "
                "--slice-map-columns image=...,patient=PATIENT,volume=PATIENT+VOLUME."
            )
        else:
            message = f"The names give {several} two patients: {some(disagreeing)}."
            hint = "Correct the `patient` group of --volume-pattern, or name the patients with --group-map."
        raise InputError(message, kind="two-patients", hint=hint, paths=disagreeing)
    return found


def into_volumes(slices: Iterable[Slice]) -> tuple[Volume, ...]:
    """Return the volumes, sorted by id, each a group of its own, with their slices in order."""
    by_volume: defaultdict[str, list[Slice]] = defaultdict(list)
    for one in slices:
        by_volume[one.volume].append(one)
    return tuple(_volume(identity, by_volume.pop(identity)) for identity in sorted(by_volume))


def group_into_volumes(
    snapshot: Snapshot,
    naming: Naming,
    *,
    positive_classes: frozenset[int] | None = None,
    group_map: GroupMap | None = None,
    shared_ids: SharedIds | None = None,
    names: Names | None = None,
) -> tuple[Volume, ...]:
    """Return all volumes of a snapshot, sorted by id; no slice is left out. `scan` and `verify` use them.

    Without a map, a volume's group is the `patient` of its names, or the volume itself. `names` are the volumes and
    numbers that the rule reads, or that a table or DICOM headers give.

    Raises:
        InputError: the rule does not read a name, a volume's names hold two patients, the map has no row for a volume,
            or `--shared-ids` is needed for an id in several inputs (`refuse_shared_ids`).
    """
    slices, patients = read_slices(
        snapshot.inputs, snapshot.images, naming, positive_classes, names, shared_ids=shared_ids
    )
    refuse_shared_ids(snapshot.inputs, slices, shared_ids)
    volumes = into_volumes(slices)
    if group_map is not None:
        require_known((volume.id for volume in volumes), group_map)
    return with_groups(volumes, patients if group_map is None else group_map.group_of)


def with_groups(volumes: Iterable[Volume], group_of: Mapping[str, str]) -> tuple[Volume, ...]:
    """Return the volumes with their groups; a volume that the mapping does not hold is a group of its own."""
    return tuple(
        Volume(volume.id, group_of.get(volume.id, volume.id), volume.slices, volume.positives) for volume in volumes
    )


def with_equal_images_joined(volumes: Sequence[Volume]) -> tuple[tuple[Volume, ...], tuple[tuple[str, ...], ...]]:
    """Join the groups of volumes that share identical images (blank ones do not count); return the joined sets too."""
    joined = joined_by_content(equal_images(volumes))
    group_of = join_groups({volume.id: volume.group for volume in volumes}, joined)
    return with_groups(volumes, group_of), tuple(joined)


def equal_images(volumes: Iterable[Volume]) -> Iterator[tuple[str, str]]:
    """Yield the volume and the hash of each image that was hashed and is not blank."""
    return (
        (volume.id, one.file.image_sha256)
        for volume in volumes
        for one in volume.slices
        if one.file.image_sha256 and not one.file.blank
    )


def refuse_ids(volumes: Iterable[Volume]) -> None:
    """Check that ids are allowed in a plan and as folder names on every system.

    Raises:
        InputError: an id holds what a path must not (kind `name-refused`), or two differ only in case or Unicode form
            (kind `clashing-ids`).
    """
    ids = [volume.id for volume in volumes]
    faults = [f"{identity!r} {fault}" for identity in ids if (fault := id_fault(identity)) is not None]
    if faults:
        message = f"{counted(len(faults), 'volume id')} cannot be used: {some(faults)}."
        hint = "Rename the files, or read them otherwise with --volume-pattern."
        raise InputError(message, kind="name-refused", hint=hint, paths=faults)
    clashes = [" / ".join(group) for group in clashing_ids(ids)]
    if clashes:
        message = f"Volume ids differ only in upper and lower case or in Unicode form: {some(clashes)}."
        hint = "If they are one volume, rename files so that its id is spelled in one way; if not, rename one of them."
        raise InputError(message, kind="clashing-ids", hint=hint, paths=clashes)


def refuse_shared_ids(inputs: Sequence[Input], slices: Iterable[Slice], shared_ids: SharedIds | None) -> None:
    """Check that `--shared-ids` says whether a volume id in several inputs is one volume; names cannot tell it.

    Inputs without any prefix are parts of one dataset, in which an id is one volume.

    Args:
        inputs: of the snapshot.
        slices: with their ids as `read_slices` gives them for `shared_ids`.
        shared_ids: the option; with `different` no two inputs may share an id.

    Raises:
        InputError: it is needed and not given, or `different` does not hold (kind `shared-ids`); all ids are listed.
    """
    if len(inputs) == 1 or shared_ids == "same" or not (shared_ids or any(source.prefix for source in inputs)):
        return
    first: dict[str, Slice] = {}
    shared: dict[str, tuple[Slice, Slice]] = {}
    for one in slices:
        seen = first.setdefault(one.volume, one)
        if seen.file.input != one.file.input:
            shared.setdefault(one.volume, (seen, one))
    if not shared:
        return
    ids = sorted(shared)
    pairs = " and ".join(place_of(inputs, one.file) for one in shared[ids[0]])
    occur = f"{counted(len(ids), 'volume id occurs', 'volume ids occur')} in several inputs"
    if shared_ids == "different":
        message = f"{occur} without a NAME, so --shared-ids different cannot separate them: {some(ids)} ({pairs})."
        hint = "Give each of these inputs as --input NAME=DIR, or say --shared-ids same if an id is one scan."
    else:
        message = f"{occur}, and names cannot tell whether that is one volume: {some(ids)}. For example {pairs}."
        hint = (
            "Say --shared-ids same if an id is one scan in all inputs (its slices stay together), or --shared-ids "
            "different if each input counts its own scans (NAME- is then put before ids too). In doubt, `same` "
            "cannot divide a scan."
        )
    raise InputError(message, kind="shared-ids", hint=hint, paths=ids)


def _volume(identity: str, slices: list[Slice]) -> Volume:
    numbers = {one.number for one in slices}
    # where each slice has a number of its own, nothing else decides
    slices.sort(key=_number if len(numbers) == len(slices) and None not in numbers else _order)
    return Volume(identity, identity, tuple(slices), sum(map(_positive, slices)))


_number: Final[Callable[[Slice], int]] = attrgetter("number")
_positive: Final[Callable[[Slice], bool]] = attrgetter("positive")


def _order(one: Slice) -> tuple[bool, int, int, str]:
    file = one.file
    return (one.number is not None, one.number or 0, file.input, file.path)


def _unread(inputs: Sequence[Input], unmatched: Iterable[ImageFile], naming: Naming) -> InputError:
    paths = [place_of(inputs, file) for file in unmatched]
    return InputError(
        f"The rule {naming.pattern or naming.rule} does not read {counted(len(paths), 'name')}: {some(paths, 3)}.",
        kind="unmatched-names",
        hint="Choose another --volume-pattern, or leave these files out with --exclude.",
        paths=paths,
    )
