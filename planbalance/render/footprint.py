"""What each mode would write to the disk: files, bytes and inodes of images and labels, or of the lists of them."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from planbalance.model import Operation, PlanHeader
from planbalance.modes import MODE_TABLE
from planbalance.planfile import Content, content_of

_LISTS: Final = 3  # train.txt, val.txt, test.txt


class Footprint(NamedTuple):
    """One mode's need of the file system.

    Attributes:
        files: names in the output.
        bytes: that are written.
        inodes: that are taken, folders included.
    """

    files: int
    bytes: int
    inodes: int


def footprint(header: PlanHeader, operations: Iterable[Operation]) -> dict[str, Footprint]:
    """Return the need of every mode, labels copied; the few files at the output's root are not counted."""
    return footprint_of(header, content_of(operations))


def footprint_of(header: PlanHeader, content: Content) -> dict[str, Footprint]:
    """Return the same for operations that were counted already."""
    slices, images, labels = content.slices, content.image_bytes, content.label_bytes
    folders = _folders(block.folder for block in header.blocks)
    needs: dict[str, Footprint] = {}
    for mode, traits in MODE_TABLE.items():
        if traits.places_files:
            written = labels + (images if traits.copies_images else 0)
            inodes = slices + folders + (slices if traits.takes_inode else 0)
            needs[mode] = Footprint(1, written, 1) if traits.one_file else Footprint(2 * slices, written, inodes)
        elif header.parameters["layout"] == "keep":  # lists do not change where a file is
            needs[mode] = Footprint(_LISTS, _list_bytes(header, content), _LISTS)
    return needs


def _list_bytes(header: PlanHeader, content: Content) -> int:
    """Return the bytes of all lines, each with an absolute path: root, slash, path, newline."""
    roots = sum(
        slices * (len(header.inputs[index].rstrip("/").encode()) + 2) for index, slices in content.of_input.items()
    )
    return roots + content.path_bytes


def _folders(image_folders: Iterable[str]) -> int:
    """Count the folders, their parents included, of images and as many of labels."""
    found = {"images"}
    for folder in image_folders:
        parts = folder.split("/")
        found.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return 2 * len(found)
