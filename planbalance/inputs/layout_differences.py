"""Find image folders that differ from the yaml that names the splits: their images are in no split, or in another."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from planbalance.inputs.draft import upwards
from planbalance.inputs.text_lists import is_image
from planbalance.model import LayoutDifference, Problem, Split
from planbalance.text import counted

_MOST_NAMED: Final = 20  # folders that get a warning of their own
# The most images that are counted in one folder: all data of a laboratory may lie below a yaml's root.
_MOST_COUNTED: Final = 200_000


def differences(
    folders: Mapping[str, Split | None], named: Mapping[str, tuple[Split, ...]], listed: Collection[str]
) -> list[LayoutDifference]:
    """Return where folders and yaml differ, sorted by path; folders without images are left out.

    Args:
        folders: the image folders of the layout, absolute, with the split of their names, if any.
        named: the folders that the yaml names, absolute, with its splits.
        listed: the images that text lists name, absolute.
    """
    found = []
    known = {*named, *folders}  # only folders below one are left out of its count, so it may be among them itself
    for folder, split in sorted(folders.items()):
        loaded_as = next((named[outer] for outer in upwards(folder) if outer in named), ())
        if loaded_as and (split is None or split in loaded_as):
            continue
        images = _count(folder, known, listed)
        if images:
            found.append(LayoutDifference(folder, images, split, loaded_as))
    return found


def difference_problems(found: Sequence[LayoutDifference], yaml: str) -> Iterator[Problem]:
    """Yield a warning for each difference; of very many, the rest in one."""
    for one in found[:_MOST_NAMED]:
        yield Problem("layout-difference", "warning", one.path, _message(one, os.path.basename(yaml)))
    rest = found[_MOST_NAMED:]
    if rest:
        images = sum(one.images for one in rest)
        message = f"{len(rest):,} more folders with {images:,} images that {os.path.basename(yaml)} does not name so"
        yield Problem("layout-difference", "warning", os.path.commonpath([one.path for one in rest]), message)


def _message(one: LayoutDifference, yaml: str) -> str:
    images = counted(one.images, "image")
    images = f"at least {images}" if one.images == _MOST_COUNTED else images
    if one.yaml_splits:
        return f"{images} in a folder called {one.folder_split}, which {yaml} names as {' and '.join(one.yaml_splits)}"
    return f"{images} that {yaml} names for no split: trainers do not load them, so they are left out here too"


def _count(folder: str, leave_out: Collection[str], listed: Collection[str]) -> int:
    """Return how many images lie in a folder and below it, at most `_MOST_COUNTED`.

    Hidden ones do not count, links to folders are not followed.

    Args:
        folder: absolute.
        leave_out: folders that are counted elsewhere.
        listed: images that are left out.
    """
    count = 0
    for images, place in _images_below(folder, leave_out):
        count += sum(f"{place}/{name}" not in listed for name in images) if listed else len(images)
        if count >= _MOST_COUNTED:
            return _MOST_COUNTED
    return count


def _images_below(folder: str, leave_out: Collection[str]) -> Iterator[tuple[list[str], str]]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and f"{place}/{name}" not in leave_out]
        yield [name for name in names if not name.startswith(".") and is_image(name)], place
