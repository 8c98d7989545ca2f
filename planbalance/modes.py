"""The table of modes: what each way of placing images needs and does. Pure.

A new mode is a row here (and its name in `Mode`), and in `engine/placer.py` the function that places one file.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Mode = Literal["copy", "hardlink", "symlink", "reflink", "list", "squashfs", "tar"]


class ModeTraits(NamedTuple):
    """One mode.

    Attributes:
        summary: what it does, in a few words.
        places_files: images and labels stand below the output; else only lists of the inputs' paths do.
        copies_images: the bytes of images are read and written, so that they can be summed for a manifest.
        link: what an image's name is, for people; "" where it is a file of its own.
        by_path: images are found by the inputs' paths, so the inputs must stay where they are.
        takes_inode: an image takes an inode of the output's file system.
        one_file: the output is one file that holds all others, with this suffix; "" where it is a folder.
        may_be_refused: some file systems, or pairs of them, cannot do it; it is tried before the build begins.
    """

    summary: str
    places_files: bool = True
    copies_images: bool = False
    link: str = ""
    by_path: bool = False
    takes_inode: bool = True
    one_file: str = ""
    may_be_refused: bool = False

    @property
    def owns_images(self) -> bool:
        """Whether the output stays the same when an input changes later."""
        return self.places_files and not self.link

    @property
    def pins_inputs(self) -> bool:
        """Whether files of the output name the inputs, so that a build cannot continue after these were moved."""
        return self.by_path and self.places_files


MODE_TABLE: Final[Mapping[Mode, ModeTraits]] = {
    "copy": ModeTraits(
        "copies images and labels, with a checksum of each",
        copies_images=True,
    ),
    "hardlink": ModeTraits(
        "links images, copies labels; one file system only",
        link="hard link",
        takes_inode=False,
        may_be_refused=True,
    ),
    "symlink": ModeTraits(
        "links images by absolute path, copies labels; the inputs must stay where they are",
        link="symbolic link",
        by_path=True,
        may_be_refused=True,
    ),
    "reflink": ModeTraits(
        "images share their blocks with the input (btrfs, XFS)",
        may_be_refused=True,
    ),
    "list": ModeTraits(
        "writes paths into train.txt, val.txt and test.txt; nothing is copied, and inputs must stay",
        places_files=False,
        by_path=True,
        takes_inode=False,
    ),
    "squashfs": ModeTraits(
        "copies all into one SquashFS image, to mount it where training runs",
        copies_images=True,
        takes_inode=False,
        one_file=".sqfs",
    ),
    "tar": ModeTraits(
        "copies all into one tar, to unpack it where training runs",
        copies_images=True,
        takes_inode=False,
        one_file=".tar",
    ),
}
MODES: Final[tuple[Mode, ...]] = tuple(MODE_TABLE)


def known_mode(value: object) -> Mode | None:
    """Return the mode that a value of a file names; None where it names none."""
    return next((mode for mode in MODES if mode == value), None)
