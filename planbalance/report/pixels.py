"""One slice as a picture for the page: small, embedded as a data URI, or the reason why there is none.

With Pillow (`pip install 'planbalance[report]'`) every format that it reads is scaled down and written as JPEG, without
the file's metadata; DICOM needs pydicom too. Without Pillow small PNG and JPEG files are embedded as they are.
"""

import base64
import io
import os
import stat
import struct
import warnings
from typing import Any, Final, NamedTuple

LONGEST: Final = 360  # pixels of the longer side: sharp at the size shown on a dense screen, about 15 KB
LARGEST_FILE: Final = 64 << 20  # bytes read for one picture
LARGEST_AS_IS: Final = 150_000  # bytes of a file embedded without scaling
MOST_PIXELS: Final = 50_000_000


class Picture(NamedTuple):
    """A picture as a data URI, with its own size in pixels."""

    uri: str
    width: int
    height: int


class NoPictureError(Exception):
    """There is no picture; the message says why, in a few words."""


def picture(path: str) -> Picture:
    """Return a slice's picture.

    Raises:
        NoPictureError: it cannot be read, decoded or embedded here.
    """
    data = _read(path)
    if path.lower().endswith(".dcm"):
        return _scaled(_dicom(data))
    try:
        from PIL import Image  # noqa: PLC0415 - an extra: only who wants pictures needs it
    except ImportError:
        return _as_it_is(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; the pixels count
            image = Image.open(io.BytesIO(data))
            _check_pixels(*image.size)
            image.load()
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise NoPictureError("not a picture that can be decoded") from error
    return _scaled(image)


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


def _check_pixels(width: int, height: int) -> None:
    if width * height > MOST_PIXELS or width * height <= 0:
        raise NoPictureError(f"{width} × {height} pixels are too many")


def _scaled(image: Any) -> Picture:  # noqa: ANN401 - a Pillow image: the extra may be absent
    """Return a Pillow image as a JPEG of at most 360 pixels a side."""
    if image.mode.startswith(("I", "F")):
        image = _stretched(image)
    image = image.convert("L" if image.mode in {"1", "L", "LA"} else "RGB")
    image.thumbnail((LONGEST, LONGEST))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=78, optimize=True)
    return Picture(_uri("jpeg", file.getvalue()), *image.size)


def _stretched(image: Any) -> Any:  # noqa: ANN401 - a Pillow image
    """Return an image of more than 8 bits with its darkest value black and its brightest white."""
    wide = image.convert("F")
    low, high = wide.getextrema()
    scale = 255 / (high - low) if high > low else 0.0
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
        _check_pixels(width, height)
        return Picture(_uri("png", data), width, height)
    if data.startswith(b"\xff\xd8"):
        width, height = jpeg_size(data)
        _check_pixels(width, height)
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


# ---- DICOM ----------------------------------------------------------------------------------------------------------


def _dicom(data: bytes) -> Any:  # noqa: ANN401 - a Pillow image
    """Return a DICOM file's first frame: the window that it asks for, else darkest to brightest."""
    try:
        import pydicom  # noqa: PLC0415 - an extra
        from PIL import Image  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoPictureError("DICOM needs pip install 'planbalance[dicom,report]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = pydicom.dcmread(io.BytesIO(data))
            return _native(content, Image)
    except NoPictureError:
        raise
    except Exception as error:  # a damaged file raises whatever the parser stumbles over
        raise NoPictureError("not a DICOM picture that can be decoded") from error


def _native(content: Any, image: Any) -> Any:  # noqa: ANN401 - values of the two extras
    """Return a grey frame (DICOM PS3.5 section 8, PS3.3 C.11.2) as an 8-bit image, all of it in Pillow's loops."""
    if int(getattr(content, "SamplesPerPixel", 1)) != 1:
        raise NoPictureError("coloured DICOM is not decoded here")
    width, height = int(content.Columns), int(content.Rows)
    _check_pixels(width, height)
    syntax = content.file_meta.TransferSyntaxUID
    stored = _decoded(content, image) if syntax.is_compressed else _raw(content, image, (width, height))
    wide = stored.convert("F")
    low, high = _window(content, wide.getextrema())
    scale = 255 / (high - low) if high > low else 0.0
    grey = wide.point(lambda value: value * scale - low * scale).convert("L")  # values beyond 0 to 255 are clipped
    return grey.point(lambda value: 255 - value) if content.PhotometricInterpretation == "MONOCHROME1" else grey


def _raw(content: Any, image: Any, size: tuple[int, int]) -> Any:  # noqa: ANN401 - values of the two extras
    bits, signed = int(content.BitsAllocated), bool(int(getattr(content, "PixelRepresentation", 0)))
    if bits not in {8, 16}:
        raise NoPictureError(f"DICOM of {bits} bits is not decoded here")
    big = "" if content.file_meta.TransferSyntaxUID.is_little_endian else "B"
    reader = {8: "I;8", 16: f"I;16{big}"}[bits] + ("S" if signed else "")
    data = bytes(content.PixelData[: size[0] * size[1] * bits // 8])
    return image.frombytes("I", size, data, "raw", reader)


def _decoded(content: Any, image: Any) -> Any:  # noqa: ANN401 - values of the two extras
    """Return the first frame of a compressed file where Pillow knows how: JPEG and JPEG 2000."""
    from pydicom import encaps  # noqa: PLC0415 - an extra

    frames = getattr(encaps, "generate_frames", None)
    data = content.PixelData
    # pydicom before 3 has the other one
    found = encaps.generate_pixel_data_frame(data, 1) if frames is None else frames(data, number_of_frames=1)
    try:
        return image.open(io.BytesIO(next(found)))
    except OSError as error:
        raise NoPictureError("DICOM of this compression is not decoded here") from error


def _window(content: Any, extremes: tuple[float, float]) -> tuple[float, float]:  # noqa: ANN401 - a pydicom data set
    """Return the stored values that shall be black and white: the window that the file asks for, else its extremes."""
    centre, width = _first(content.get("WindowCenter")), _first(content.get("WindowWidth"))
    if centre is None or width is None or width <= 1:
        return extremes
    slope, intercept = float(content.get("RescaleSlope", 1) or 1), float(content.get("RescaleIntercept", 0) or 0)
    return (centre - width / 2 - intercept) / slope, (centre + width / 2 - intercept) / slope


def _first(value: Any) -> float | None:  # noqa: ANN401 - a number, several, or none
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
