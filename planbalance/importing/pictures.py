"""Pictures of an import: rendered from their sources, or read back as they were written."""

import io
from collections.abc import Iterator, Sequence

from planbalance.import_model import Frame, ImportOperation, ImportVolume, RawFile, RawVolume
from planbalance.raw_images import ImageOptions, RenderedSlice, render


def render_file(
    root: str, volume: ImportVolume, operations: Sequence[ImportOperation], options: ImageOptions
) -> Iterator[RenderedSlice]:
    """Yield the slices of one source file as 8-bit pictures, in the order of the operations.

    Args:
        root: the folder of the images.
        volume: of the operations.
        operations: all of one source file.
        options: how the images of its source are read.

    Raises:
        InputError: as `raw_images.render`.
        UsageError: likewise.
    """
    first = operations[0]
    raw = RawVolume(
        name=volume.id,
        kind=volume.kind,
        files=(RawFile(first.image, first.image_size, first.image_mtime_ns),),
        frames=tuple(Frame(0, each.plane, each.number, each.width, each.height) for each in operations),
    )
    yield from render(root, raw, range(len(operations)), volume.window, options)


def read_png(data: bytes, width: int, height: int) -> RenderedSlice | None:
    """Return the picture of a PNG file of this size; None where it is damaged, of another size or kind."""
    from PIL import Image  # noqa: PLC0415 - not where no picture is read

    try:
        Image.open(io.BytesIO(data), formats=("PNG",)).verify()  # the sums of its parts, up to its end
        picture = Image.open(io.BytesIO(data), formats=("PNG",))
        if picture.size != (width, height) or picture.mode not in {"L", "RGB"}:
            return None
        return RenderedSlice(width, height, picture.tobytes())
    except Exception:  # a damaged file raises whatever the decoder stumbles over
        return None
