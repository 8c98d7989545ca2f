"""What a plan needs to know of pixels: the window of a volume, and a digest of each of its slices."""

from collections.abc import Sequence
from typing import NamedTuple

from planbalance.import_model import RawVolume, Window
from planbalance.model import Progress
from planbalance.raw_images.request import ImageOptions


class VolumeFacts(NamedTuple):
    """What the pixels of a volume say.

    Attributes:
        window: what becomes black and white in all its slices; None where slices have 8 bits or colours, which are
            taken as they are.
        digests: `pixel_digest` of each frame as `render` returns it, in the order of `RawVolume.frames`.
    """

    window: Window | None
    digests: tuple[str, ...]


def read_volume_facts(root: str, volume: RawVolume, options: ImageOptions) -> VolumeFacts:
    """Return the window of a volume and the digests of its slices; its files are read once.

    Raises:
        InputError: a file cannot be read (kind `unreadable-image`), or `voi` is asked for and no file has a window
            (kind `no-window`).
        UsageError: a library is not installed (kind `extra-missing`).
    """
    raise NotImplementedError


def read_facts(
    root: str,
    volumes: Sequence[RawVolume],
    options: ImageOptions,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[VolumeFacts]:
    """Return the facts of many volumes, in their order, read by several processes, a volume each at a time.

    Raises:
        InputError: as `read_volume_facts`.
        UsageError: likewise.
    """
    raise NotImplementedError
