"""Slices as 8-bit pictures."""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from planbalance.import_model import RawVolume, Window
from planbalance.raw_images.request import ImageOptions


class RenderedSlice(NamedTuple):
    """One slice as an 8-bit picture.

    Attributes:
        width: in pixels.
        height: in pixels.
        pixels: row by row, from the top; one byte a pixel (grey), or three (red, green, blue).
    """

    width: int
    height: int
    pixels: bytes


def render(
    root: str, volume: RawVolume, frames: Sequence[int], window: Window | None, options: ImageOptions
) -> Iterator[RenderedSlice]:
    """Yield slices of a volume as 8-bit pictures, in the order in which they are asked for.

    A file that holds several slices is opened once for neighbours in `frames`, so ask for all slices of such a file in
    one call.

    Args:
        root: the folder of the images.
        volume: from `find_volumes`, or with the same files and frames.
        frames: indices into `volume.frames`.
        window: from `read_volume_facts`; None only where that returned None.
        options: as for `find_volumes`.

    Raises:
        InputError: a file cannot be read, or is another one than it was (kind `unreadable-image`).
        UsageError: a library is not installed (kind `extra-missing`).
    """
    raise NotImplementedError


def png_bytes(picture: RenderedSlice) -> bytes:
    """Return a picture as a PNG file. Its bytes depend on the version of zlib, its pixels do not."""
    raise NotImplementedError


def pixel_digest(width: int, height: int, pixels: bytes) -> str:
    """Return the SHA-256 of a picture's size and pixels, in hexadecimal digits.

    Args:
        width: in pixels, hashed as 4 bytes, the highest first.
        height: likewise.
        pixels: as in `RenderedSlice`.
    """
    return hashlib.sha256(struct.pack(">II", width, height) + pixels).hexdigest()
