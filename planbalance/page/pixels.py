"""One slice as a picture for the page: small, embedded as a data URI, or the reason why there is none.

It is scaled down and written as JPEG, without the file's metadata.
"""

import base64
import io
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from planbalance import packed_dataset
from planbalance.decode import Decoded, NoPictureError, decode, quiet_decoders
from planbalance.model import PairPicture
from planbalance.packed.entry import PackedError
from planbalance.text import error_text

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST: Final = 360  # pixels of the longer side: sharp at the size shown on a dense screen, about 15 KB
LARGEST_FILE: Final = 64 << 20  # bytes read for one picture


class EmbeddedPicture(NamedTuple):
    """A picture as a data URI, with its own size in pixels."""

    uri: str
    width: int
    height: int


def picture(path: str) -> EmbeddedPicture:
    """Return a slice's picture.

    Raises:
        NoPictureError: it cannot be read or decoded here.
    """
    return _scaled(decode(_read(path), dicom=path.lower().endswith(".dcm")))


def picture_of(width: int, height: int, pixels: bytes) -> EmbeddedPicture:
    """Return the picture of a slice that was rendered: one byte a pixel, or three."""
    from PIL import Image  # noqa: PLC0415 - takes a while to import

    return _jpeg(Image.frombytes("L" if len(pixels) == width * height else "RGB", (width, height), pixels))


class PairSide(NamedTuple):
    """One side of a pair; `picture` is None where there is none, and `reason` says why."""

    shown: PairPicture
    picture: EmbeddedPicture | None
    reason: str


def pair_side(shown: PairPicture) -> PairSide:
    """Return one side of a pair with its picture, or the reason why there is none."""
    try:
        return PairSide(shown, picture(shown.path), "")
    except NoPictureError as error:
        return PairSide(shown, None, str(error))


def _read(path: str) -> bytes:
    try:
        data = packed_dataset.file_at(path, LARGEST_FILE)
        if data is not None:
            return data
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise NoPictureError("not a regular file")
        if facts.st_size > LARGEST_FILE:
            raise NoPictureError(f"larger than {LARGEST_FILE >> 20} MiB")
        with open(path, "rb") as file:
            return file.read(LARGEST_FILE)
    except PackedError as error:
        raise NoPictureError(f"not readable: {error}") from error
    except (OSError, ValueError) as error:
        raise NoPictureError(f"not readable: {error_text(error)}") from error


@quiet_decoders
def _scaled(decoded: Decoded) -> EmbeddedPicture:
    """Return an image as a JPEG of at most 360 pixels a side."""
    image = decoded.image
    if image.mode.startswith(("I", "F")) or decoded.window is not None:
        wide = image.convert("F")
        image = _windowed(wide, *(decoded.window or wide.getextrema()))
    return _jpeg(image.convert("L" if image.mode in {"1", "L", "LA"} else "RGB"))


def _jpeg(image: "Image") -> EmbeddedPicture:
    image.thumbnail((LONGEST, LONGEST))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=78, optimize=True)
    return EmbeddedPicture(_uri("jpeg", file.getvalue()), *image.size)


def _windowed(wide: "Image", low: float, high: float) -> "Image":
    """Return an image of mode `F` with the value `low` black and `high` white."""
    scale = 255 / (high - low) if high != low else 0.0
    return wide.point(lambda value: value * scale - low * scale).convert("L")


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
