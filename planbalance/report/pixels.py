"""One slice as a picture for the page: small, embedded as a data URI, or the reason why there is none.

With Pillow (`pip install 'planbalance[report]'`) every format that it reads is scaled down and written as JPEG, without
the file's metadata; DICOM needs pydicom too. Without Pillow small PNG and JPEG files are embedded as they are.
"""

import base64
import io
import os
import stat
import struct
from typing import Any, Final, NamedTuple

from planbalance.decode import Decoded, NoPictureError, can_probe, check_pixels, decode

LONGEST: Final = 360  # pixels of the longer side: sharp at the size shown on a dense screen, about 15 KB
LARGEST_FILE: Final = 64 << 20  # bytes read for one picture
LARGEST_AS_IS: Final = 150_000  # bytes of a file embedded without scaling


class Picture(NamedTuple):
    """A picture as a data URI, with its own size in pixels."""

    uri: str
    width: int
    height: int


def picture(path: str) -> Picture:
    """Return a slice's picture.

    Raises:
        NoPictureError: it cannot be read, decoded or embedded here.
    """
    data = _read(path)
    dicom = path.lower().endswith(".dcm")
    if not dicom and not can_probe():
        return _as_it_is(data)
    return _scaled(decode(data, dicom=dicom))


def _read(path: str) -> bytes:
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise NoPictureError("not a regular file")
        if facts.st_size > LARGEST_FILE:
            raise NoPictureError(f"larger than {LARGEST_FILE >> 20} MiB")
        with open(path, "rb") as file:
            return file.read(LARGEST_FILE)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise NoPictureError(f"not readable: {reason or error}") from error


def _scaled(decoded: Decoded) -> Picture:
    """Return an image as a JPEG of at most 360 pixels a side."""
    image = decoded.image
    if image.mode.startswith(("I", "F")) or decoded.window is not None:
        wide = image.convert("F")
        image = _windowed(wide, *(decoded.window or wide.getextrema()))
    image = image.convert("L" if image.mode in {"1", "L", "LA"} else "RGB")
    image.thumbnail((LONGEST, LONGEST))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=78, optimize=True)
    return Picture(_uri("jpeg", file.getvalue()), *image.size)


def _windowed(wide: Any, low: float, high: float) -> Any:  # noqa: ANN401 - a Pillow image
    """Return an image of mode `F` with the value `low` black and `high` white."""
    scale = 255 / (high - low) if high != low else 0.0
    return wide.point(lambda value: value * scale - low * scale).convert("L")


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


# ---- without Pillow -------------------------------------------------------------------------------------------------


def _as_it_is(data: bytes) -> Picture:
    """Return a small PNG or JPEG file unchanged; its size is read from its header."""
    if len(data) > LARGEST_AS_IS:
        raise NoPictureError("too large to embed unscaled; pip install 'planbalance[report]'")
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 24:
        width, height = struct.unpack(">II", data[16:24])
        check_pixels(width, height)
        return Picture(_uri("png", data), width, height)
    if data.startswith(b"\xff\xd8"):
        width, height = jpeg_size(data)
        check_pixels(width, height)
        return Picture(_uri("jpeg", data), width, height)
    raise NoPictureError("needs Pillow to be decoded; pip install 'planbalance[report]'")


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return width and height from a JPEG's frame header (ITU T.81, B.2.2).

    Raises:
        NoPictureError: there is none.
    """
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    raise NoPictureError("not a picture that can be decoded")
