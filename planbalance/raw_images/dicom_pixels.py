"""Slices of DICOM files as stored.

Uncompressed grey pixels, as almost all are, are read directly from their place in the file; pydicom decodes all others.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from planbalance.decode import MOST_PIXELS, NoPictureError
from planbalance.import_model import Window
from planbalance.raw_images.dicom_elements import (
    GROUPS,
    Dataset,
    group_of,
    items_of,
    number_of,
    read_dataset,
    signed_words_of,
    syntax_of,
    text_of,
    whole_of,
)
from planbalance.raw_images.grey import Coding, ModalityLut, Plane

if TYPE_CHECKING:
    from planbalance.raw_images.grey import Array

SHAPE_TAGS: Final = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
)
_TAGS: Final = (
    *SHAPE_TAGS,
    *GROUPS,
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
)
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"  # little endian, uncompressed (PS3.5 A.1, A.2)
_PLUGINS: Final = ("pylibjpeg", "pydicom", "pillow", "gdcm")  # in the order in which they are taken
_JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"  # it may have 12 bits, which Pillow does not decode
_RLE: Final = "1.2.840.10008.1.2.5"
_RLE_BYTES: Final = 16 << 20  # PS3.5 Annex G: two bytes may stand for 128
_PIXEL_DATA: Final = struct.pack("<HH", 0x7FE0, 0x0010)
_UNDEFINED: Final = 0xFFFFFFFF
_JPEG: Final = b"\xff\xd8"
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_SIZ: Final = b"\xff\x4f\xff\x51"
_MARKERS: Final = 1 << 10  # bytes in which JPEG 2000 pixels begin, perhaps behind boxes
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")


def is_grey(dataset: Dataset) -> bool:
    """Return whether pixels are grey, so that they need a window."""
    return text_of(dataset, "PhotometricInterpretation") in _GREY


def frame_count(dataset: Dataset) -> int:
    """Return how many frames a file holds, at least 1. Raises NoPictureError."""
    return max(1, int(number_of(dataset, "NumberOfFrames") or 1))


def least_bytes(dataset: Dataset) -> int:
    """Return how many bytes a frame takes at least; a compressed one has an item of 8 bytes (PS3.5 A.4)."""
    if syntax_of(dataset) not in (_IMPLICIT, _EXPLICIT):
        return 8
    return max(1, whole_of(dataset, "Rows") * whole_of(dataset, "Columns") * whole_of(dataset, "BitsAllocated", 8) // 8)


class DicomPixels:
    """The pixels of one open DICOM file.

    Args:
        file: open for reading, at its beginning.

    Raises:
        NoPictureError: it is no DICOM file with pixels, or is damaged; pydicom also raises other errors then.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._header = read_dataset(file, _TAGS)
        self._at = file.tell()
        self._rows, self._columns = whole_of(self._header, "Rows"), whole_of(self._header, "Columns")
        if not 0 < self._rows * self._columns <= MOST_PIXELS:
            many = self._rows * self._columns > 0
            raise NoPictureError(f"{self._columns} × {self._rows} pixels are too {'many' if many else 'few'}")
        self._grouped = any(self._header.get_item(keyword) is not None for keyword in GROUPS)

    def planes(self, frames: Sequence[int]) -> Iterator[Plane]:
        """Yield frames, from 0, as stored. Raises NoPictureError, and whatever pydicom stumbles over."""
        direct = self._direct()
        return self._decoded(frames) if direct is None else self._in_place(frames, *direct)

    def _in_place(self, frames: Sequence[int], start: int, bits: int, length: int) -> Iterator[Plane]:
        """Yield frames from where they stand in the file, given the bits of a pixel and the length of all in bytes."""
        frame_bytes = self._rows * self._columns * bits // 8
        for frame in frames:
            if (frame + 1) * frame_bytes > length:
                raise NoPictureError(f"it has fewer than {frame + 1:,} frames")
            yield Plane(self._words(start + frame * frame_bytes, frame_bytes, bits), self._coding(frame, bits))

    def window(self, frame: int) -> Window | None:
        """Return the first window that the file states for a frame (PS3.3 C.11.2.1.2), None where it states none."""
        group = group_of(self._header, frame, "FrameVOILUTSequence") if self._grouped else None
        source = self._header if group is None else group
        centre, width = number_of(source, "WindowCenter"), number_of(source, "WindowWidth")
        if centre is None or width is None or width <= 0:
            return None
        if text_of(source, "VOILUTFunction") in ("LINEAR_EXACT", "SIGMOID"):
            return Window(centre - width / 2, centre + width / 2)
        half = max(width - 1, 0) / 2
        return Window(centre - 0.5 - half, centre - 0.5 + half)

    # ---- pixels in their place ----

    def _direct(self) -> tuple[int, int, int] | None:
        """Return where pixels start, the bits of each, and their length in bytes; None: they must be decoded."""
        header = self._header
        bits = whole_of(header, "BitsAllocated")
        stored = whole_of(header, "BitsStored", bits)
        syntax = syntax_of(header)
        if syntax not in (_IMPLICIT, _EXPLICIT) or not is_grey(header) or bits not in (8, 16):
            return None
        if whole_of(header, "SamplesPerPixel", 1) != 1 or not 0 < stored <= bits:
            return None
        if whole_of(header, "HighBit", stored - 1) != stored - 1:
            return None
        self._file.seek(self._at)
        element = self._file.read(12)
        explicit = syntax == _EXPLICIT
        if len(element) < 12 or element[:4] != _PIXEL_DATA or (explicit and element[4:6] not in (b"OB", b"OW")):
            return None
        length = int.from_bytes(element[8:12] if explicit else element[4:8], "little")
        return None if length == _UNDEFINED else (self._at + (12 if explicit else 8), bits, length)

    def _words(self, start: int, count: int, bits: int) -> "Array":
        import numpy as np

        self._file.seek(start)
        data = self._file.read(count)
        if len(data) < count:
            raise NoPictureError("it ends before its last pixel")
        return np.frombuffer(data, "u1" if bits == 8 else "<u2").reshape(self._rows, self._columns)

    def _coding(self, frame: int, bits: int) -> Coding:
        stored = whole_of(self._header, "BitsStored", bits)
        signed = whole_of(self._header, "PixelRepresentation") == 1
        return self._with_values(Coding(bits, stored, signed), frame)

    def _with_values(self, coding: Coding, frame: int) -> Coding:
        """Return a coding with what the header says of values."""
        header = self._header
        group = group_of(header, frame, "PixelValueTransformationSequence") if self._grouped else None
        source = header if group is None else group
        slope, intercept = number_of(source, "RescaleSlope"), number_of(source, "RescaleIntercept")
        tables = items_of(header, "ModalityLUTSequence")
        return coding._replace(
            slope=1.0 if slope is None else slope,
            intercept=intercept or 0.0,
            lut=_modality_lut(tables[0], signed=coding.signed) if tables else None,
            padding=self._padding(coding),
            inverted=text_of(header, "PhotometricInterpretation") == "MONOCHROME1",
        )

    def _padding(self, coding: Coding) -> tuple[float, float] | None:
        one = signed_words_of(self._header, "PixelPaddingValue")
        if one is None:
            return None
        limit = signed_words_of(self._header, "PixelPaddingRangeLimit")
        ends = [_as_stored(each, coding) for each in (one, one if limit is None else limit)]
        return min(ends), max(ends)

    # ---- pixels that pydicom decodes ----

    def _decoded(self, frames: Sequence[int]) -> Iterator[Plane]:
        from pydicom import dcmread
        from pydicom.pixels.utils import iter_pixels

        self._file.seek(0)
        content = dcmread(self._file)
        plugin = self._plugin(content, frames)
        arrays = iter_pixels(content, indices=list(frames), decoding_plugin=plugin)
        for frame, array in zip(frames, arrays, strict=True):
            yield self._as_plane(content, array, frame)

    def _plugin(self, content: Dataset, frames: Sequence[int]) -> str:
        """Return the plugin of pydicom that decodes these pixels; `""` where they are not compressed.

        One is chosen, because pydicom would give what one refuses to the next, and because two may decode lossy pixels
        to values that differ by one.
        """
        from pydicom.encaps import get_frame
        from pydicom.pixels.decoders.base import get_decoder
        from pydicom.uid import UID

        syntax = syntax_of(content)
        if "PixelData" not in content and "FloatPixelData" not in content and "DoubleFloatPixelData" not in content:
            raise NoPictureError("it holds no pixels")
        if not syntax:
            raise NoPictureError("it names no transfer syntax")
        decoder = get_decoder(UID(syntax))
        if not decoder.is_available:
            raise NoPictureError(
                f"pixels of the transfer syntax {UID(syntax).name} need pip install 'planbalance[import-compressed]'"
            )
        if syntax == _RLE and len(content.PixelData) > _RLE_BYTES:
            raise NoPictureError("it is too large for RLE to be decoded here")
        if not UID(syntax).is_encapsulated:
            return ""
        for frame in frames:
            stated = _stated_size(get_frame(content.PixelData, frame, number_of_frames=frame_count(self._header)))
            if stated not in (None, (self._columns, self._rows)):
                raise NoPictureError("its compressed pixels have another size than its header says")
        order = _PLUGINS[::-1] if syntax == _JPEG_EXTENDED else _PLUGINS
        return next((plugin for plugin in order if plugin in decoder.available_plugins), "")

    def _as_plane(self, content: Dataset, array: "Array", frame: int) -> Plane:
        import numpy as np

        if not is_grey(self._header):
            return Plane(_colours(content, array), None)
        if array.ndim != 2:
            raise NoPictureError("it has several grey values for each pixel")
        bits = 8 * array.dtype.itemsize
        if array.dtype.kind not in "iu" or bits > 16:
            return Plane(array, self._with_values(Coding(0, bits, array.dtype.kind == "i"), frame))
        coding = Coding(bits, bits, array.dtype.kind == "i")
        words = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).view(f"u{bits // 8}")
        return Plane(words, self._with_values(coding, frame))


def _stated_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height that compressed pixels state, before a decoder takes memory for them; None if unknown.

    JPEG and JPEG-LS: the frame header of ISO/IEC 10918-1 B.2.2; JPEG 2000: the SIZ marker of ISO/IEC 15444-1 A.5.1.
    """
    at = data.find(_SIZ, 0, _MARKERS)
    if at >= 0 and len(data) >= at + 24:
        right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
        return right - left, bottom - top
    at = 2
    while data[:2] == _JPEG and at + 9 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length
    return None


def _as_stored(value: int, coding: Coding) -> float:
    """Return the bits of an element as a pixel has them: with the sign, where pixels have one."""
    bits = coding.stored or 32
    value &= (1 << bits) - 1
    return float(value - (1 << bits) if coding.signed and value >> (bits - 1) else value)


def _modality_lut(item: Dataset, *, signed: bool) -> ModalityLut:
    try:
        described: Any = item["LUTDescriptor"].value
        count, first, _ = struct.unpack("<HHH", described) if isinstance(described, bytes) else map(int, described)
        data: Any = item["LUTData"].value
    except Exception as error:  # pydicom raises several kinds
        raise NoPictureError("its modality LUT is damaged") from error
    count = count & 0xFFFF or 1 << 16
    if isinstance(data, bytes):
        if len(data) < 2 * count:
            raise NoPictureError("its modality LUT is shorter than it says")
        entries: Sequence[int] = struct.unpack_from(f"<{count}H", data)
    else:
        entries = tuple(map(int, data)) if hasattr(data, "__iter__") else (int(data),)
    if not 0 < len(entries) <= 1 << 16:
        raise NoPictureError("its modality LUT has no entries, or too many")
    if signed and first > 0x7FFF:
        first -= 1 << 16
    return ModalityLut(first, tuple(entries))


def _colours(content: Dataset, array: "Array") -> "Array":
    """Return pixels with three colours of 8 bits."""
    import numpy as np

    if text_of(content, "PhotometricInterpretation") == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        array = apply_color_lut(array, content)
        if array.dtype.itemsize == 2:
            array = array >> 8
    if array.ndim != 3 or array.shape[2] < 3 or (array.dtype.itemsize > 1 and array.max() > 255):
        raise NoPictureError("colours of this kind are not decoded here")
    return np.ascontiguousarray(array[:, :, :3].astype(np.uint8))
