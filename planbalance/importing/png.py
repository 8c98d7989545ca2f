"""Reads back the PNG files that an import has written."""

import io

from planbalance.raw_images import RenderedSlice


def read_png(data: bytes, width: int, height: int) -> RenderedSlice | None:
    """Return the picture of a PNG file of this size; None where it is damaged, of another size or kind."""
    from PIL import Image  # noqa: PLC0415 - not where no picture is read

    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG",))
        if picture.size != (width, height) or picture.mode not in {"L", "RGB"}:
            return None
        return RenderedSlice(width, height, picture.tobytes())
    except Exception:  # a damaged file raises whatever the decoder stumbles over
        return None
