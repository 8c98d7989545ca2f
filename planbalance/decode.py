"""Bytes of an image file -> its pixels, by Pillow (an extra), DICOM by pydicom (another): first frame, metadata left.

A file may be anybody's and damaged on purpose: it is a picture, or there is a reason in a few words why it is none.
"""

import io
import struct
import warnings
import zlib
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

MOST_PIXELS: Final = 50_000_000


class NoPictureError(Exception):
    """There is no picture; the message says why, in a few words."""


class Decoded(NamedTuple):
    """A picture as stored.

    Attributes:
        image: a Pillow image; grey pixels of more than 8 bits have the mode `I` or `F`.
        window: the stored values that shall be black and white, where the file says so.
        format: as Pillow calls it, such as `PNG`; `DICOM`.
    """

    image: Any
    window: tuple[float, float] | None
    format: str


def decode(data: bytes, *, dicom: bool) -> Decoded:
    """Return the pixels of an image file.

    Raises:
        NoPictureError: it cannot be decoded here, also for want of an extra.
    """
    try:
        from PIL import Image  # noqa: PLC0415 - an extra: only who wants pixels needs it
    except ImportError as error:
        raise NoPictureError("needs Pillow to be decoded; pip install 'planbalance[report]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decoders warn of odd metadata; the pixels count
        if dicom:
            return _dicom(data, Image)
        try:
            image = Image.open(io.BytesIO(data))
            check_pixels(*image.size)
            image.load()
        except NoPictureError:
            raise
        except Exception as error:  # a damaged file raises whatever the decoder stumbles over
            raise NoPictureError("not a picture that can be decoded") from error
    return Decoded(image, None, image.format or "")


class Probed(NamedTuple):
    """What a file says that it is, once its checks were made: format as Pillow calls it, size in pixels."""

    format: str
    width: int
    height: int


def probe(data: bytes) -> Probed:
    """Check a picture without decoding it, as trainers do (`PIL.Image.verify`).

    Raises:
        NoPictureError: it does not open, or is damaged as far as that can tell.
    """
    if (plain := _plain_png(data)) is not None:
        return plain
    try:
        from PIL import Image  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoPictureError("needs Pillow to be decoded; pip install 'planbalance[report]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data))
            size = image.size
            image.verify()
        except Exception as error:  # a damaged file raises whatever the decoder stumbles over
            raise NoPictureError("not a picture that can be opened") from error
    return Probed(image.format or "", *size)


# PNG specification, 2nd edition, clauses 5 and 11: what opens and verifies for sure, without asking Pillow.
_PNG_START: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_HEADER: Final = struct.Struct(">IIHBBBI")  # width, height, depth and colour, compression, filter, interlace, CRC
_PNG_CHUNK: Final = struct.Struct(">I4s")
_PNG_SUM: Final = struct.Struct(">I")
_PNG_COLOURS: Final = frozenset((0x0100, 0x0200, 0x0400, 0x0800, 0x1000, 0x0802, 0x1002, 0x0804, 0x0806, 0x1006))
_PNG_SIZES: Final = {b"gAMA": 4, b"sRGB": 1, b"pHYs": 9}  # chunks that Pillow reads, and how long they are


def _plain_png(data: bytes) -> Probed | None:
    """Return what a PNG of common chunks with right sums is; None for all else, also for one that is no PNG."""
    try:
        width, height, kind, compression, filtering, interlace, checksum = _PNG_HEADER.unpack_from(data, 16)
        if not data.startswith(_PNG_START) or zlib.crc32(data[12:29]) != checksum or kind not in _PNG_COLOURS:
            return None
        if compression or filtering or interlace > 1 or not 0 < width * height <= MOST_PIXELS:
            return None
        return Probed("PNG", width, height) if _chunks_are_plain(data) else None
    except struct.error:
        return None


def _chunks_are_plain(data: bytes) -> bool:
    """Tell whether what follows a PNG's header is whole. Raises struct.error where it ends too early."""
    place, pixels, view = 33, 0, memoryview(data)
    while True:
        length, name = _PNG_CHUNK.unpack_from(data, place)
        end = place + 8 + length
        if (zlib.crc32(view[place + 4 : end]),) != _PNG_SUM.unpack_from(data, end):
            return False
        if name == b"IEND":
            return pixels > 0 and not length
        if name == b"IDAT":
            pixels += length
        elif _PNG_SIZES.get(name) != length:
            return False
        place = end + 4


def can_probe() -> bool:
    """Return whether Pillow is installed."""
    try:
        return find_spec("PIL") is not None
    except ValueError:  # blocked in sys.modules
        return False


def check_pixels(width: int, height: int) -> None:
    """Refuse sizes that would fill memory. Raises NoPictureError."""
    if width * height > MOST_PIXELS or width * height <= 0:
        raise NoPictureError(f"{width} × {height} pixels are too many")


# ---- DICOM ----------------------------------------------------------------------------------------------------------


def _dicom(data: bytes, image: Any) -> Decoded:  # noqa: ANN401 - the extra's module
    try:
        import pydicom  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoPictureError("DICOM needs pip install 'planbalance[dicom,report]'") from error
    try:
        return _native(pydicom.dcmread(io.BytesIO(data)), image)
    except NoPictureError:
        raise
    except Exception as error:  # a damaged file raises whatever the parser stumbles over
        raise NoPictureError("not a DICOM picture that can be decoded") from error


def _native(content: Any, image: Any) -> Decoded:  # noqa: ANN401 - values of the two extras
    """Return a grey frame as it is stored (DICOM PS3.5 section 8, PS3.3 C.11.2), all of it in Pillow's loops."""
    if int(getattr(content, "SamplesPerPixel", 1)) != 1:
        raise NoPictureError("coloured DICOM is not decoded here")
    width, height = int(content.Columns), int(content.Rows)
    check_pixels(width, height)
    syntax = content.file_meta.TransferSyntaxUID
    stored = _compressed(content, image) if syntax.is_compressed else _raw(content, image, (width, height))
    low, high = _window(content) or stored.getextrema()
    if content.PhotometricInterpretation == "MONOCHROME1":
        low, high = high, low
    return Decoded(stored, (low, high), "DICOM")


def _raw(content: Any, image: Any, size: tuple[int, int]) -> Any:  # noqa: ANN401 - values of the two extras
    bits, signed = int(content.BitsAllocated), bool(int(getattr(content, "PixelRepresentation", 0)))
    if bits not in {8, 16}:
        raise NoPictureError(f"DICOM of {bits} bits is not decoded here")
    big = "" if content.file_meta.TransferSyntaxUID.is_little_endian else "B"
    reader = {8: "I;8", 16: f"I;16{big}"}[bits] + ("S" if signed else "")
    data = bytes(content.PixelData[: size[0] * size[1] * bits // 8])
    return image.frombytes("I", size, data, "raw", reader)


def _compressed(content: Any, image: Any) -> Any:  # noqa: ANN401 - values of the two extras
    """Return the first frame of a compressed file where Pillow knows how: JPEG and JPEG 2000."""
    from pydicom import encaps  # noqa: PLC0415 - an extra

    frames = getattr(encaps, "generate_frames", None)
    data = content.PixelData
    # pydicom before 3 has the other one
    found = encaps.generate_pixel_data_frame(data, 1) if frames is None else frames(data, number_of_frames=1)
    try:
        frame = image.open(io.BytesIO(next(found)))
        frame.load()
    except OSError as error:
        raise NoPictureError("DICOM of this compression is not decoded here") from error
    return frame


def _window(content: Any) -> tuple[float, float] | None:  # noqa: ANN401 - a pydicom data set
    """Return the stored values that shall be black and white, or None where the file does not say."""
    centre, width = _first(content.get("WindowCenter")), _first(content.get("WindowWidth"))
    if centre is None or width is None or width <= 1:
        return None
    slope, intercept = float(content.get("RescaleSlope", 1) or 1), float(content.get("RescaleIntercept", 0) or 0)
    return (centre - width / 2 - intercept) / slope, (centre + width / 2 - intercept) / slope


def _first(value: Any) -> float | None:  # noqa: ANN401 - a number, several, or none
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
