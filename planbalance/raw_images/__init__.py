"""Raw images: pictures, DICOM series, NIfTI and .h5 files as volumes, and their slices as 8-bit pictures.

Everything here opens files for reading only. `find_volumes` reads headers, `read_facts` reads the pixels of volumes
once and returns the window of each and a digest of each slice as it will be rendered, and `render` renders slices.
The values are those of `planbalance.import_model`. Pixels are the same on every machine; the bytes of a PNG file depend
on the libraries that compress them, so a plan holds digests of pixels (`pixel_digest`) and not of PNG files.

Needs the extra `import` for DICOM, NIfTI, .h5 files and pictures of more than 8 bits.
"""

from planbalance.raw_images.facts import VolumeFacts, read_facts, read_volume_facts
from planbalance.raw_images.find import FoundVolumes, find_volumes
from planbalance.raw_images.render import RenderedSlice, pixel_digest, png_bytes, render
from planbalance.raw_images.request import (
    DEFAULT_DATASET,
    DEFAULT_WINDOW,
    FLIPS,
    ImageOptions,
    WindowRule,
    check_options,
    window_rule,
)

__all__ = [
    "DEFAULT_DATASET",
    "DEFAULT_WINDOW",
    "FLIPS",
    "FoundVolumes",
    "ImageOptions",
    "RenderedSlice",
    "VolumeFacts",
    "WindowRule",
    "check_options",
    "find_volumes",
    "pixel_digest",
    "png_bytes",
    "read_facts",
    "read_volume_facts",
    "render",
    "window_rule",
]
