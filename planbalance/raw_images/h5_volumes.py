"""HDF5 files as volumes: one dataset of each file holds its slices (slices, rows, columns), as in fastMRI."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from planbalance.decode import MOST_PIXELS, NoPictureError
from planbalance.import_model import Frame, RawFile, RawVolume
from planbalance.raw_images.grey import Plane
from planbalance.raw_images.listing import stands_in, stem_of
from planbalance.raw_images.nifti import MOST_BYTES, coded
from planbalance.raw_images.request import ImageOptions
from planbalance.text import some

_KSPACE: Final = "kspace"
_PATIENT: Final = "patient_id"
_NO_FILE: Final = "it is no HDF5 file that can be read"


class H5Header(NamedTuple):
    """What is needed of one file.

    Attributes:
        fault: why it cannot be read; "" if it can.
        lacking: why it has no slices; "" if it has.
        shape: slices, rows and columns.
        patient: its attribute `patient_id`.
    """

    fault: str = ""
    lacking: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)
    patient: str = ""


def read_h5_headers(files: tuple[str, Sequence[str], str]) -> list[H5Header]:
    """Return the headers of files, given the root, paths relative to it, and the name of the dataset."""
    root, paths, name = files
    return [_read_header(os.path.join(root, path), name) for path in paths]


def _read_header(path: str, name: str) -> H5Header:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if name not in file:
                return H5Header(lacking=_lacking(list(file), name))
            shape = _dataset(file, name).shape
            return H5Header("", "", (shape[0], shape[1], shape[2]), _patient(file))
    except NoPictureError as error:
        return H5Header(str(error))
    except Exception:  # whatever HDF5 raises for another kind of file
        return H5Header(_NO_FILE)


def _lacking(names: list[str], name: str) -> str:
    if _KSPACE in names:
        return f"it holds k-space but no {name}, as the test files of fastMRI"
    return f"it has no dataset {name}, but {some(names)}" if names else f"it has no dataset {name}"


def _dataset(file: Any, name: str) -> Any:  # noqa: ANN401 - h5py has no types
    """Return the dataset with the slices. Raises NoPictureError, also for one whose values stand in another file."""
    import h5py

    link, found = file.get(name, getlink=True), None
    if isinstance(link, h5py.HardLink):
        found = file[name]
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise NoPictureError(f"its {name} is no dataset of its own")
    if found.ndim != 3 or found.dtype.kind not in "iuf" or found.dtype.itemsize > 8 or 0 in found.shape:
        shape = " × ".join(map(str, found.shape))
        raise NoPictureError(f"its {name} ({found.dtype}, {shape}) holds no slices of rows and columns")
    if found.nbytes > MOST_BYTES:
        raise NoPictureError(f"more than {MOST_BYTES >> 30} GiB of values are not read here")
    if found.shape[1] * found.shape[2] > MOST_PIXELS:
        raise NoPictureError(f"{found.shape[2]} × {found.shape[1]} pixels are too many")
    return found


def _patient(file: Any) -> str:  # noqa: ANN401 - as above
    """Return the attribute as `planbalance.h5_attributes` reads it, so that both have one keyed hash."""
    value = file.attrs.get(_PATIENT, "")
    if getattr(value, "shape", ()) != ():
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip(" \0")


def h5_volume(file: RawFile, header: H5Header, options: ImageOptions) -> RawVolume:
    """Return the volume of a file, which has the name of the file."""
    slices, rows, columns = header.shape
    height, width = (columns, rows) if options.transpose else (rows, columns)
    return RawVolume(
        name=stem_of(file.path).rpartition("/")[2],
        kind="h5",
        files=(file,),
        frames=tuple(Frame(0, plane, plane, width, height) for plane in range(slices)),
        patient=header.patient,
        orientation=f"flipped {' and '.join(options.flip)}" if options.flip else "as stored",
        identity_tags=(_PATIENT,) if header.patient else (),
        tags_in_paths=(_PATIENT,) if stands_in(file.path, header.patient) else (),
    )


def h5_planes(path: str, planes: Sequence[int], options: ImageOptions) -> Iterator[Plane]:
    """Yield slices of a file as stored, not transposed and not flipped.

    Raises:
        NoPictureError: the file is damaged, or has no such slice.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            dataset = _dataset(file, options.h5_dataset)
            _check_planes(planes, len(dataset))
            for plane in planes:
                yield coded(dataset[plane])
    except NoPictureError:
        raise
    except Exception as error:  # whatever HDF5 raises for a damaged file
        raise NoPictureError(_NO_FILE) from error


def _check_planes(planes: Sequence[int], count: int) -> None:
    if max(planes, default=0) >= count:
        raise NoPictureError(f"it has no slice {max(planes):,}")
