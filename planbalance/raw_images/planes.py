"""The slices of a volume as stored, whatever its files are; each file is opened once for neighbouring slices."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from planbalance.decode import NoPictureError, quiet_decoders
from planbalance.import_model import Frame, RawVolume, Window
from planbalance.raw_images.dicom_pixels import DicomPixels
from planbalance.raw_images.grey import Plane
from planbalance.raw_images.h5_volumes import h5_planes
from planbalance.raw_images.listing import require, unreadable
from planbalance.raw_images.nifti import nifti_planes
from planbalance.raw_images.pictures import picture_planes
from planbalance.raw_images.request import ImageOptions
from planbalance.text import error_text


def planes_of(
    root: str,
    volume: RawVolume,
    frames: Sequence[Frame],
    options: ImageOptions,
    *,
    coded: bool | None = None,
    windows: list[Window] | None = None,
) -> Iterator[Plane]:
    """Yield slices as stored, but transposed and flipped as asked for.

    Args:
        root: the folder of the images.
        volume: the volume.
        frames: the slices.
        options: as they were found.
        coded: whether pixels of more than 8 bits are expected; None: as the first slice has.
        windows: takes the windows that files state.

    Raises:
        InputError: a file cannot be read (kind `unreadable-image`).
        UsageError: a library is not installed (kind `extra-missing`).
    """
    require(volume.kind)
    for index, group in groupby(frames, key=lambda frame: frame.file):
        members = list(group)
        path = os.path.join(root, volume.files[index].path)
        with _faults_of(path):
            of_file = _planes_of_file(path, volume, [frame.plane for frame in members], options, windows)
            for frame, plane in zip(members, of_file, strict=True):
                shown = _shown(plane, volume, options)
                if shown.words.shape[:2] != (frame.height, frame.width):
                    raise NoPictureError("its size is another one than it was")
                coded = shown.coding is not None if coded is None else coded
                if coded != (shown.coding is not None):
                    raise NoPictureError("its pixels are of another kind than they were")
                yield shown


@contextmanager
def _faults_of(path: str) -> Iterator[None]:
    try:
        yield
    except NoPictureError as error:
        raise unreadable(path, str(error)) from error
    except OSError as error:
        raise unreadable(path, error_text(error)) from error


def _planes_of_file(
    path: str, volume: RawVolume, planes: list[int], options: ImageOptions, windows: list[Window] | None
) -> Iterator[Plane]:
    if volume.kind == "dicom":
        return _dicom_planes(path, planes, windows)
    of_kind = {"nifti": nifti_planes, "h5": h5_planes, "picture": picture_planes}[volume.kind]
    return of_kind(path, planes, options)


def _dicom_planes(path: str, planes: list[int], windows: list[Window] | None) -> Iterator[Plane]:
    try:
        with quiet_decoders, open(path, "rb") as file:
            pixels = DicomPixels(file)
            if windows is not None:
                windows += filter(None, map(pixels.window, planes))
            yield from pixels.planes(planes)
    except (NoPictureError, OSError):
        raise
    except MemoryError:
        raise NoPictureError("its pixels do not fit into memory") from None
    except Exception as error:  # a damaged file raises whatever pydicom and its decoders stumble over
        raise NoPictureError("its pixels cannot be decoded") from error


def _shown(plane: Plane, volume: RawVolume, options: ImageOptions) -> Plane:
    """Return a slice of a NIfTI or .h5 file transposed, then flipped, as asked for."""
    if volume.kind not in ("nifti", "h5") or not (options.transpose or options.flip):
        return plane
    words = plane.words.T if options.transpose else plane.words
    words = words[::-1] if "up-down" in options.flip else words
    words = words[:, ::-1] if "left-right" in options.flip else words
    return plane._replace(words=words)
