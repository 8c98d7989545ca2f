"""NIfTI files as volumes: each plane along one axis is a slice, as it is stored."""

import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from planbalance.decode import MOST_PIXELS, NoPictureError, quiet_decoders
from planbalance.import_model import Frame, RawFile, RawVolume
from planbalance.raw_images.grey import Coding, Plane
from planbalance.raw_images.listing import stem_of
from planbalance.raw_images.request import ImageOptions

if TYPE_CHECKING:
    from planbalance.raw_images.grey import Array

MOST_BYTES: Final = 4 << 30  # of all values of a file, as they are stored
_MOST_PACKED: Final = 1_100  # bytes that one byte of a compressed file may stand for; deflate reaches 1,032
_NO_IMAGE: Final = "it is no NIfTI image that can be read"


class NiftiHeader(NamedTuple):
    """What is needed of one file.

    Attributes:
        fault: why it cannot be read; "" if it can.
        shape: how many values along each of its first three axes.
        times: how many values along the fourth axis.
        codes: where each axis leads, such as `RAS`: right, front (anterior), head (superior); "" if unknown.
    """

    fault: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)
    times: int = 1
    codes: str = ""


def read_nifti_headers(files: tuple[str, Sequence[str]]) -> list[NiftiHeader]:
    """Return the headers of files, given the root and paths relative to it."""
    root, paths = files
    return [_read_header(os.path.join(root, path)) for path in paths]


def _read_header(path: str) -> NiftiHeader:
    try:
        image = _load(path)
        shape = tuple(int(size) for size in image.shape)
        codes = _axis_codes(image)
    except NoPictureError as error:
        return NiftiHeader(str(error))
    except Exception:  # whatever nibabel raises for another kind of file
        return NiftiHeader(_NO_IMAGE)
    length = _length(shape)
    first, second, third = (*shape[:3], 1, 1)[:3]
    return NiftiHeader("", (first, second, third), length // (first * second * third), codes)


def _load(path: str) -> Any:  # noqa: ANN401 - nibabel has no types
    """Return an image whose values are not read yet. Raises NoPictureError, and what nibabel raises."""
    import nibabel
    import numpy as np

    with quiet_decoders:
        image: Any = nibabel.load(path, mmap=False)
    dtype = image.dataobj.dtype
    if dtype.kind not in "iuf" or dtype.itemsize > np.dtype(np.float64).itemsize:
        raise NoPictureError(f"values of the kind {dtype} are not read here")
    length = _length(tuple(image.shape)) * dtype.itemsize
    if length > MOST_BYTES:
        raise NoPictureError(f"more than {MOST_BYTES >> 30} GiB of values are not read here")
    if length > os.path.getsize(path) * (_MOST_PACKED if path.lower().endswith(".gz") else 1):
        raise NoPictureError(f"a file of {os.path.getsize(path):,} bytes cannot hold {length:,} bytes of values")
    return image


def _length(shape: tuple[int, ...]) -> int:
    if not 2 <= len(shape) <= 7 or min(shape) < 1 or any(size > 1 for size in shape[4:]):
        raise NoPictureError(f"an image of the shape {' × '.join(map(str, shape))} has no slices")
    return math.prod(int(size) for size in shape)


def _axis_codes(image: Any) -> str:  # noqa: ANN401 - as above
    from nibabel import aff2axcodes

    try:
        return "".join(code or "?" for code in aff2axcodes(image.affine))
    except Exception:  # an affine that is no rotation
        return ""


def nifti_volume(file: RawFile, header: NiftiHeader, options: ImageOptions) -> RawVolume:
    """Return the volume of a file.

    Raises:
        NoPictureError: the header does not go with the options.
    """
    if header.times > 1 and options.time is None:
        raise NoPictureError(f"it holds {header.times:,} time points: name one, from 0, with --time")
    if (options.time or 0) >= header.times:
        raise NoPictureError(f"it has no time point {options.time}; there are {header.times:,}, counted from 0")
    axis = _axis(options)
    rows, columns = _in_plane(axis, options)
    height, width = header.shape[rows], header.shape[columns]
    if width * height > MOST_PIXELS:
        raise NoPictureError(f"{width} × {height} pixels are too many")
    return RawVolume(
        name=stem_of(file.path).replace("/", "-"),
        kind="nifti",
        files=(file,),
        frames=tuple(Frame(0, plane, plane, width, height) for plane in range(header.shape[axis])),
        orientation=_orientation(header.codes, axis, options),
    )


def _axis(options: ImageOptions) -> int:
    return 2 if options.axis is None else options.axis


def _in_plane(axis: int, options: ImageOptions) -> tuple[int, int]:
    """Return the axes along which row numbers and column numbers of a slice rise."""
    first, second = (each for each in range(3) if each != axis)
    return (second, first) if options.transpose else (first, second)


_OPPOSITE: Final = dict(zip("RLAPSI?", "LRPAIS?", strict=True))


def _orientation(codes: str, axis: int, options: ImageOptions) -> str:
    """Return where slices, rows and columns of the pictures lead: R, L, A, P, S or I."""
    if not codes:
        return ""
    rows, columns = (codes[each] for each in _in_plane(axis, options))
    rows = _OPPOSITE[rows] if "up-down" in options.flip else rows
    columns = _OPPOSITE[columns] if "left-right" in options.flip else columns
    return f"axis codes {codes}: slices to {codes[axis]}, down to {rows}, right to {columns}"


def nifti_planes(path: str, planes: Sequence[int], options: ImageOptions) -> Iterator[Plane]:
    """Yield slices of a file as stored, not transposed and not flipped.

    Raises:
        NoPictureError: the file is damaged, or has no such slice.
    """
    import numpy as np

    try:
        image = _load(path)
        proxy = image.dataobj
        slope, intercept = float(proxy.slope), float(proxy.inter)
        values: Array = np.asanyarray(proxy.get_unscaled())
    except NoPictureError:
        raise
    except MemoryError:
        raise NoPictureError("its values do not fit into memory") from None
    except Exception as error:  # whatever nibabel raises for a damaged file
        raise NoPictureError(_NO_IMAGE) from error
    values = values.reshape((*values.shape[:3], *(1,) * (3 - values.ndim), -1), order="F")
    values = np.moveaxis(values[..., options.time or 0], _axis(options), 0)
    for plane in planes:
        if plane >= len(values):
            raise NoPictureError(f"it has no slice {plane:,}")
        yield coded(values[plane], slope, intercept)


def coded(values: "Array", slope: float = 1.0, intercept: float = 0.0) -> Plane:
    """Return stored values as a plane; those of up to 16 bits are indices of a table."""
    bits = 8 * values.dtype.itemsize
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind == "f" or bits > 16:
        return Plane(native, Coding(0, slope=slope, intercept=intercept))
    return Plane(native.view(f"u{bits // 8}"), Coding(bits, bits, values.dtype.kind == "i", slope, intercept))
