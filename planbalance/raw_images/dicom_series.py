"""DICOM files as volumes: by series, then by size and orientation; a file of several frames is a volume of its own."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from planbalance.errors import InputError
from planbalance.import_model import Frame, RawFile, RawVolume
from planbalance.raw_images.dicom_headers import IDENTITY_TAGS, DicomHeader
from planbalance.raw_images.listing import stem_of
from planbalance.text import counted, some

_ALIKE: Final = 1e-3  # cosines that differ by no more are one orientation: programs round them differently
_ONE_PLACE: Final = 1e-3  # mm
_PLANES: Final = ("sagittal", "coronal", "axial")
# Directions of the axes of a patient (PS3.3 C.7.6.2.1.1): x to the left, y to the back, z to the head.
_ENDS: Final = (("right", "left"), ("front", "back"), ("feet", "head"))


class Image(NamedTuple):
    """A DICOM file with its header."""

    file: RawFile
    header: DicomHeader


class _SeriesPart(NamedTuple):
    """Images of one volume, before it has a name."""

    images: list[Image]
    part: int = 0  # which part of its series, from 1; 0: all of it


def volumes_of_series(images: Sequence[Image]) -> list[RawVolume]:
    """Return the volumes of DICOM images.

    Raises:
        InputError: a series holds two images at one place (kind `two-volumes`), or images that nothing puts in order
            (kind `no-order`).
    """
    single = [image for image in images if image.header.frames == 1]
    several = [image for image in images if image.header.frames > 1]
    by_series: defaultdict[str, list[Image]] = defaultdict(list)
    for image in single:
        by_series[image.header.series or f"folder {_folder(image)}"].append(image)
    folders = _folders_of_one_series(by_series.values(), several)
    volumes = [_multi_frame_volume(image) for image in several]
    for series in by_series.values():
        name = _series_name(series, folders)
        volumes += [_series_volume(group, name) for group in _divided(series)]
    return volumes


def _folder(image: Image) -> str:
    return image.file.path.rpartition("/")[0]


def _folders_of_one_series(series: Iterable[Sequence[Image]], several: Sequence[Image]) -> set[str]:
    """Return the folders whose images are one series, which has no image elsewhere."""
    holding = Counter(folder for images in series for folder in {_folder(image) for image in images})
    holding.update(_folder(image) for image in several)
    return {folder for folder, count in holding.items() if folder and count == 1}


def _series_name(images: Sequence[Image], folders: set[str]) -> str:
    """Return the path of the folder that holds this series alone, else a hash of its UID.

    The UID itself would show which series of a hospital's archive it is.
    """
    here = {_folder(image) for image in images}
    folder = next(iter(here))
    if len(here) == 1 and (folder in folders or not images[0].header.series):
        return folder.replace("/", "-") or "images"
    return f"series-{hashlib.sha256(images[0].header.series.encode()).hexdigest()[:16]}"


# ---- one series -----------------------------------------------------------------------------------------------------


def _divided(images: Sequence[Image]) -> list[_SeriesPart]:
    """Return the images of a series by size, kind of pixels and orientation, in the order of their first numbers."""
    groups: list[list[Image]] = []
    for image in sorted(images, key=_by_number):
        for group in groups:
            if _one_volume(group[0].header, image.header):
                group.append(image)
                break
        else:
            groups.append([image])
    if len(groups) == 1:
        return [_SeriesPart(groups[0])]
    return [_SeriesPart(group, part) for part, group in enumerate(groups, 1)]


def _by_number(image: Image) -> tuple[bool, int, str]:
    number = image.header.number
    return number is None, number or 0, image.file.path


def _one_volume(first: DicomHeader, other: DicomHeader) -> bool:
    same = (first.width, first.height, first.grey) == (other.width, other.height, other.grey)
    if not same or len(first.orientation) != len(other.orientation):
        return False
    return all(abs(a - b) <= _ALIKE for a, b in zip(first.orientation, other.orientation, strict=True))


def _series_volume(group: _SeriesPart, name: str) -> RawVolume:
    ordered, notes = _ordered(group.images)
    if group.part:
        notes.append("Its series holds images of several sizes or orientations; each is a volume of its own.")
    first = ordered[0][1].header
    files = sorted(image.file for image in group.images)
    at = {file.path: index for index, file in enumerate(files)}
    frames = [
        Frame(at[image.file.path], 0, number, image.header.width, image.header.height, image.header.uid)
        for number, image in ordered
    ]
    return _volume(
        f"{name}-{group.part}" if group.part else name,
        tuple(files),
        tuple(frames),
        [image.header for _, image in ordered],
        orientation=_orientation(first, ordered[-1][1].header),
        notes=tuple(notes),
    )


def _ordered(images: Sequence[Image]) -> tuple[list[tuple[int, Image]], list[str]]:
    """Return the images with their numbers, in their order, and what is to be said of that."""
    placed = all(image.header.position and image.header.orientation for image in images)
    by_place = sorted(images, key=lambda image: (_distance(image.header), image.file.path)) if placed else []
    _refuse_one_place(by_place)
    numbers = [image.header.number for image in images]
    if None not in numbers and len(set(numbers)) == len(numbers):
        numbered = [(image.header.number or 0, image) for image in images]
        return sorted(numbered, key=lambda one: one[0]), []
    if len(images) == 1:
        return [(1, images[0])], []
    if not placed:
        raise InputError(
            f"{counted(len(images), 'image')} of one DICOM series have no InstanceNumber of their own and no place in "
            f"the patient, so that nothing puts them in order: {some((image.file.path for image in images), 3)}.",
            kind="no-order",
            hint="Keep the images of one volume, with numbers, in the image folder.",
            paths=[image.file.path for image in images],
        )
    note = "Its slices are numbered by their place in the patient, since InstanceNumber is absent or not unique."
    return list(enumerate(by_place, 1)), [note]


def _refuse_one_place(by_place: Sequence[Image]) -> None:
    """Refuse images at one place: times, echoes or a second volume."""
    for before, after in pairwise(by_place):
        if math.dist(before.header.position, after.header.position) < _ONE_PLACE:
            pair = [before.file.path, after.file.path]
            raise InputError(
                f"A DICOM series holds two images at one place in the patient, so it is not one volume: "
                f"{' and '.join(pair)}.",
                kind="two-volumes",
                hint="Keep one of the volumes (one time, one echo, one copy of each file) in the image folder.",
                paths=pair,
            )


def _normal(header: DicomHeader) -> tuple[float, float, float]:
    a, b, c, d, e, f = header.orientation
    return b * f - c * e, c * d - a * f, a * e - b * d


def _distance(header: DicomHeader) -> float:
    """Return how far an image lies along the normal, in mm."""
    return math.fsum(n * p for n, p in zip(_normal(header), header.position, strict=True))


def _orientation(first: DicomHeader, last: DicomHeader) -> str:
    if not first.orientation:
        return ""
    normal = _normal(first)
    axis = max(range(3), key=lambda index: abs(normal[index]))
    plane = _PLANES[axis]
    if not (first.position and last.position) or first.position[axis] == last.position[axis]:
        return plane
    ends = _ENDS[axis] if first.position[axis] < last.position[axis] else _ENDS[axis][::-1]
    return f"{plane}, from {ends[0]} to {ends[1]}"


# ---- a file of several frames ---------------------------------------------------------------------------------------


def _multi_frame_volume(image: Image) -> RawVolume:
    header = image.header
    frames = [Frame(0, plane, plane + 1, header.width, header.height, header.uid) for plane in range(header.frames)]
    name = stem_of(image.file.path).replace("/", "-")
    return _volume(name, (image.file,), tuple(frames), [header], orientation=_orientation(header, header))


def _volume(
    name: str,
    files: tuple[RawFile, ...],
    frames: tuple[Frame, ...],
    headers: Sequence[DicomHeader],
    *,
    orientation: str,
    notes: tuple[str, ...] = (),
) -> RawVolume:
    tags = {tag for header in headers for tag in header.identity_tags}
    in_paths = {tag for header in headers for tag in header.in_path}
    patients = sorted({header.patient for header in headers if header.patient})
    if len(patients) > 1:
        raise InputError(
            f"The images of the volume {name} are of {counted(len(patients), 'patient')}, by their PatientID.",
            kind="two-patients",
            hint="Images of two patients must not have one SeriesInstanceUID: correct them, or leave the volume out.",
            paths=[file.path for file in files],
        )
    studies = sorted({header.study for header in headers})
    return RawVolume(
        name=name,
        kind="dicom",
        files=files,
        frames=frames,
        series_uid=headers[0].series,
        study_uid=studies[0] if len(studies) == 1 else "",
        patient=patients[0] if patients else "",
        orientation=orientation,
        identity_tags=tuple(tag for tag in IDENTITY_TAGS if tag in tags),
        tags_in_paths=tuple(tag for tag in IDENTITY_TAGS if tag in in_paths),
        rendered=True,
        has_units=any(header.has_units for header in headers),
        notes=notes,
    )
