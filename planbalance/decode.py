"""Pictures from the bytes of image files, by Pillow; DICOM by pydicom and numpy (extra `dicom`). First frame only.

A file may be damaged, also on purpose. Decoding returns a picture or raises `NoPictureError` with the reason; nothing
else is raised. The libraries are imported where the first picture is opened, since most commands open none.
"""

import io
import warnings
from contextlib import ContextDecorator
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS: Final = 50_000_000
# Formats that are decoded, by Pillow's names. Others stop after their header: EPS would start Ghostscript.
_FORMATS: Final = frozenset(("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP"))

_MODES: Final = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I", "F"))


class NoPictureError(Exception):
    """There is no picture; the message says why, in a few words."""


class Decoded(NamedTuple):
    """A picture as stored.

    Attributes:
        image: a Pillow image of a mode in `_MODES`; grey pixels of more than 8 bits have the mode `I` or `F`.
        window: the stored values that shall be black and white, where the file says so.
        format: as Pillow calls it, such as `PNG`; `DICOM`.
    """

    image: "Image"
    window: tuple[float, float] | None
    format: str


def decode(data: bytes, *, dicom: bool) -> Decoded:
    """Return the pixels of an image file.

    Raises:
        NoPictureError: it cannot be decoded here, also where the extra is not installed.
    """
    with quiet_decoders:
        try:
            return _decode_dicom(data) if dicom else _decode(data)
        except NoPictureError:
            raise
        except Exception as error:  # a damaged file raises whatever the decoder stumbles over
            raise NoPictureError(f"not a {'DICOM ' * dicom}picture that can be decoded") from error


def _decode(data: bytes) -> Decoded:
    from PIL import Image

    file = Image.open(io.BytesIO(data))
    _check_pixels(*file.size)
    if file.format not in _FORMATS:
        raise NoPictureError(f"{file.format} is not decoded here")
    rounded = not file.mode.startswith("I") and any(";16" in str(args) for *_, args in file.tile)
    file.load()
    image = file.convert("I") if file.mode.startswith("I;") else file
    if image.mode not in _MODES:
        raise NoPictureError(f"pixels of the kind {image.mode} are not decoded here")
    if rounded and is_one_value(image):
        raise NoPictureError("16 bits a channel, of which only the upper 8 are decoded, and these are one value")
    return Decoded(image, None, file.format)


def _check_pixels(width: int, height: int) -> None:
    """Refuse sizes that would fill memory, and pictures without a pixel."""
    if not 0 < width * height <= MOST_PIXELS:
        raise NoPictureError(f"{width} × {height} pixels are too {'many' if width * height > 0 else 'few'}")


def is_one_value(image: "Image") -> bool:
    """Return whether all pixels of an image are the same."""
    if image.mode == "F":  # getextrema ignores NaN
        pixels = image.tobytes()
        return pixels == pixels[:4] * (len(pixels) // 4)
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in bands)


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
    from PIL import Image

    with quiet_decoders:
        try:
            image = Image.open(io.BytesIO(data))
            size = image.size
            image.verify()
        except Exception as error:  # a damaged file raises whatever the decoder stumbles over
            raise NoPictureError("not a picture that can be opened") from error
    return Probed(image.format or "", *size)


class _QuietDecoders(ContextDecorator):
    """Inside, warnings of Pillow and pydicom are not shown: they are about odd metadata, not about pixels.

    `warnings.catch_warnings` alone is not for threads: of two that overlap, the one that ends last would put back the
    filters of the other, and these would stay.
    """

    def __init__(self) -> None:
        self._lock, self._entered, self._filters = Lock(), 0, warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._entered:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"(PIL|pydicom)\b")
            self._entered += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._entered -= 1
            if not self._entered:
                self._filters.__exit__(None, None, None)


quiet_decoders: Final = _QuietDecoders()


# ---- DICOM ----------------------------------------------------------------------------------------------------------

_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"  # PS3.5 A.5: the whole file is inflated before anything is known of it
_PLUGINS: Final = ("pydicom", "pillow")
_RLE_BYTES: Final = 16 << 20  # PS3.5 Annex G: two bytes may stand for 128


def _decode_dicom(data: bytes) -> Decoded:
    try:
        import numpy as np
        from pydicom import dcmread
        from pydicom.pixels.decoders.base import get_decoder
        from pydicom.pixels.utils import pixel_array
        from pydicom.uid import RLELossless
    except ImportError as error:
        raise NoPictureError("DICOM needs pydicom: pip install 'planbalance[dicom]'") from error
    from PIL import Image

    if _DEFLATED in data:
        raise NoPictureError("deflated DICOM is not decoded here")
    content = dcmread(io.BytesIO(data))
    _check_pixels(int(content.Columns), int(content.Rows))
    syntax = content.file_meta.TransferSyntaxUID
    plugin = ""  # pydicom's own code, for pixels that are not compressed
    if syntax.is_encapsulated:
        # Other libraries that pydicom may find can end the process where pixels are damaged.
        plugin = next((name for name in _PLUGINS if name in get_decoder(syntax).available_plugins), "")
        if not plugin:
            raise NoPictureError("DICOM of this compression is not decoded here")
    if syntax == RLELossless and len(content.PixelData) > _RLE_BYTES:
        raise NoPictureError("too large for RLE to be decoded here")
    frame = pixel_array(content, index=0, decoding_plugin=plugin)
    if frame.ndim > 2:  # several samples a pixel
        return Decoded(Image.fromarray(frame), None, "DICOM")
    image = Image.fromarray(frame.astype(np.int32 if frame.dtype.itemsize <= 2 else np.float32))
    low, high = _window(content) or (float(frame.min()), float(frame.max()))
    white_is_low = content.PhotometricInterpretation == "MONOCHROME1"
    return Decoded(image, (high, low) if white_is_low else (low, high), "DICOM")


def _window(content: Any) -> tuple[float, float] | None:  # noqa: ANN401 - a pydicom dataset
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
