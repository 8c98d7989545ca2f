"""Find the volumes below a folder."""

from typing import NamedTuple

from planbalance.import_model import RawVolume
from planbalance.model import Progress
from planbalance.raw_images.request import ImageOptions


class FoundVolumes(NamedTuple):
    """What a folder holds.

    Attributes:
        volumes: sorted by name; no two have one name.
        ignored: files that hold no image that could be read here, each with the reason, by path: DICOM files without
            pixels, .h5 files with k-space only. Files of other kinds are not listed.
        warnings: sentences on names of pictures that may be read wrongly, with the options that decide.
    """

    volumes: list[RawVolume]
    ignored: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


def find_volumes(
    root: str, options: ImageOptions, *, jobs: int | None = None, progress: Progress | None = None
) -> FoundVolumes:
    """Return the volumes of all image files below a folder, from their headers alone.

    Many headers are read by several processes. A volume's name is the path of its folder or file below `root`, with `-`
    for `/` and without suffix; of pictures, what their names say; of a DICOM series that has no folder of its own, a
    hash of its SeriesInstanceUID; of an .h5 file, its name without suffix. Numbers of slices: of DICOM, the
    InstanceNumber, else the place along the normal, from 1; frames of a file from 1; planes of NIfTI and .h5 files
    from 0; of pictures, what their names say.

    Args:
        root: the folder.
        options: how its images are read.
        jobs: how many processes; None: one for each core.
        progress: where to report to.

    Raises:
        UsageError: options contradict themselves or the files, or a library is not installed (kind `extra-missing`).
        InputError: there is no image (kind `no-images`), files cannot be read (kind `unreadable-image`), names collide
            (kind `colliding-names`), a series holds two images at one place (kind `two-volumes`), and others. `paths`
            lists all files concerned.
    """
    raise NotImplementedError
