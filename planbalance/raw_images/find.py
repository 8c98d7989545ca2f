"""Find the volumes below a folder."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from planbalance.decode import NoPictureError
from planbalance.errors import InputError, UsageError
from planbalance.executor.autoscaler import LIMITS
from planbalance.executor.processes import ProcessPool, process_count
from planbalance.import_model import RawFile, RawVolume
from planbalance.model import Progress, Silent
from planbalance.raw_images.dicom_headers import read_headers
from planbalance.raw_images.dicom_series import Image, volumes_of_series
from planbalance.raw_images.h5_volumes import h5_volume, read_h5_headers
from planbalance.raw_images.listing import list_files, require, unreadable
from planbalance.raw_images.nifti import nifti_volume, read_nifti_headers
from planbalance.raw_images.pictures import Picture, read_picture_headers, volumes_of_pictures
from planbalance.raw_images.request import ImageOptions, Kind, check_options
from planbalance.text import counted, some

_BATCH: Final = 200  # headers that a worker process reads at a time

Header = TypeVar("Header")


class FoundVolumes(NamedTuple):
    """What a folder holds.

    Attributes:
        volumes: sorted by name; no two have one name.
        ignored: files that hold no image that could be read here, each with the reason, by path: DICOM files without
            pixels or with a segmentation, .h5 files with k-space only. Files of other kinds are not listed.
        warnings: sentences on names of pictures that may be read wrongly, with the options that decide.
    """

    volumes: list[RawVolume]
    ignored: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


def find_volumes(
    root: str, options: ImageOptions, *, jobs: int | None = None, progress: Progress | None = None
) -> FoundVolumes:
    """Return the volumes of all image files below a folder, from their headers alone.

    Many headers are read by several processes. A volume's name is the path of its folder or file below `root`, with `-`
    for `/` and without suffix; of pictures, what their names say; of a DICOM series that has no folder of its own, a
    hash of its SeriesInstanceUID; of an .h5 file, its name without suffix. Numbers of slices: of DICOM, the
    InstanceNumber, else the place along the normal, from 1; frames of a file from 1; planes of NIfTI and .h5 files
    from 0; of pictures, what their names say.

    Args:
        root: the folder.
        options: how its images are read.
        jobs: how many processes; None: one for each core.
        progress: where to report to.

    Raises:
        UsageError: options contradict themselves or the files, or a library is not installed (kind `extra-missing`).
        InputError: there is no image (kind `no-images`), files cannot be read (kind `unreadable-image`), names collide
            (kind `colliding-names`), a series holds two images at one place (kind `two-volumes`), and others. `paths`
            lists all files concerned.
    """
    check_options(options)
    files = list_files(root, options.kinds)
    _check_used(options, files)
    reader = _HeaderReader(root, jobs, progress or Silent())
    volumes: list[RawVolume] = []
    warnings: tuple[str, ...] = ()
    for kind, of_kind in sorted(files.items()):
        if kind == "picture":
            headers = reader.read(read_picture_headers, of_kind)
            of_pictures, warnings = volumes_of_pictures(list(map(Picture, of_kind, headers)), options)
            volumes += of_pictures
        else:
            require(kind)
            volumes += _FINDERS[kind](reader, of_kind, options)
    if not volumes:
        raise _no_images(root, reader.ignored)
    _refuse_one_name(volumes)
    return FoundVolumes(sorted(volumes, key=lambda volume: volume.name), tuple(sorted(reader.ignored)), warnings)


class _HeaderReader:
    """Reads the headers of files, and keeps what is to be ignored."""

    def __init__(self, root: str, jobs: int | None, progress: Progress) -> None:
        self.root, self._jobs, self._progress = root, jobs, progress
        self.ignored: list[tuple[str, str]] = []

    def read(self, read: Callable[[Any], list[Header]], files: Sequence[RawFile], *more: object) -> list[Header]:
        """Return the headers of files, read in batches by worker processes.

        Raises:
            InputError: files cannot be read; all are listed.
        """
        paths = [file.path for file in files]
        batches = [(self.root, paths[start : start + _BATCH], *more) for start in range(0, len(paths), _BATCH)]
        found: dict[int, list[Header]] = {}
        self._progress.begin("read headers", len(paths), "images")
        try:
            with ProcessPool(process_count(len(paths), self._jobs, LIMITS)) as pool:
                for number, headers in pool.work_off(read, batches):
                    found[number] = headers
                    self._progress.advance(len(headers))
        finally:
            self._progress.end()
        headers = [header for number in range(len(batches)) for header in found[number]]
        self.refuse((path, getattr(header, "fault", "")) for path, header in zip(paths, headers, strict=True))
        return headers

    def refuse(self, faults: Iterable[tuple[str, str]]) -> None:
        """Refuse files with a fault."""
        found = [(os.path.join(self.root, path), fault) for path, fault in faults if fault]
        if len(found) == 1:
            raise unreadable(*found[0])
        if found:
            shown = some((f"{path} ({fault})" for path, fault in found), 3)
            raise InputError(
                f"{counted(len(found), 'image file')} cannot be read: {shown}.",
                kind="unreadable-image",
                hint="Repair the files, or move them out of the image folder.",
                paths=[path for path, _ in found],
            )


def _dicom_volumes(reader: _HeaderReader, files: Sequence[RawFile], _: ImageOptions) -> list[RawVolume]:
    images = list(map(Image, files, reader.read(read_headers, files)))
    reader.ignored += [(image.file.path, image.header.lacking) for image in images if image.header.lacking]
    return volumes_of_series([image for image in images if not image.header.lacking])


def _nifti_volumes(reader: _HeaderReader, files: Sequence[RawFile], options: ImageOptions) -> list[RawVolume]:
    volumes, faults = [], []
    for file, header in zip(files, reader.read(read_nifti_headers, files), strict=True):
        try:
            volumes.append(nifti_volume(file, header, options))
        except NoPictureError as error:
            faults.append((file.path, str(error)))
    reader.refuse(faults)
    return volumes


def _h5_volumes(reader: _HeaderReader, files: Sequence[RawFile], options: ImageOptions) -> list[RawVolume]:
    headers = reader.read(read_h5_headers, files, options.h5_dataset)
    both = list(zip(files, headers, strict=True))
    reader.ignored += [(file.path, header.lacking) for file, header in both if header.lacking]
    return [h5_volume(file, header, options) for file, header in both if not header.lacking]


_FINDERS: Final[dict[Kind, Callable[[_HeaderReader, Sequence[RawFile], ImageOptions], list[RawVolume]]]] = {
    "dicom": _dicom_volumes,
    "nifti": _nifti_volumes,
    "h5": _h5_volumes,
}


# Options that are about some kinds of files only, with the words for them.
_ABOUT: Final[dict[str, tuple[frozenset[Kind], str]]] = {
    "axis": (frozenset(("nifti",)), "--axis is about NIfTI files"),
    "time": (frozenset(("nifti",)), "--time is about NIfTI files"),
    "transpose": (frozenset(("nifti", "h5")), "--transpose is about NIfTI and .h5 files"),
    "flip": (frozenset(("nifti", "h5")), "Only slices of NIfTI and .h5 files are flipped"),
    "h5_dataset": (frozenset(("h5",)), "--h5-dataset is about .h5 files"),
    "volume_pattern": (frozenset(("picture",)), "--volume-pattern is about names of pictures"),
}


def _check_used(options: ImageOptions, files: dict[Kind, list[RawFile]]) -> None:
    """Refuse options that no file here obeys: they would be ignored without a word."""
    default = ImageOptions()
    for name, (kinds, what) in _ABOUT.items():
        if files and getattr(options, name) != getattr(default, name) and not kinds & files.keys():
            raise UsageError(f"{what}, and there is none in the image folder.", kind="bad-geometry")


def _no_images(root: str, ignored: Sequence[tuple[str, str]]) -> InputError:
    reasons = f": {some((f'{path}, {reason}' for path, reason in ignored), 3)}" if ignored else ""
    return InputError(
        f"There is no image in {root} that can be read{reasons}.",
        kind="no-images",
        hint="Name the folder that holds pictures, DICOM, NIfTI or .h5 files with --images.",
        paths=[root, *(path for path, _ in ignored)],
    )


def _refuse_one_name(volumes: Sequence[RawVolume]) -> None:
    """Refuse volumes of one name; names that differ in case only collide on some file systems."""
    by_name: defaultdict[str, list[RawVolume]] = defaultdict(list)
    for volume in volumes:
        by_name[volume.name.casefold()].append(volume)
    for alike in by_name.values():
        if len(alike) > 1:
            paths = [volume.files[0].path for volume in alike]
            raise InputError(
                f"{counted(len(alike), 'volume')} would have the name {alike[0].name}: {some(paths)}.",
                kind="colliding-names",
                hint="Keep one of them in the image folder, or give the folders or files names that differ.",
                paths=paths,
            )
