"""The folder layouts of a YOLO dataset: `images/train`, `train/images`, and the label folder of an image folder.

Where a yaml names the splits, `differences` finds image folders that it names for no split, or for another one than
their names: trainers follow the yaml.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from planbalance.inputs.draft import Area, unreadable, upwards, with_slash
from planbalance.inputs.text_lists import is_image
from planbalance.model import SPLITS, LayoutDifference, Problem, Split, split_of_word
from planbalance.path_relation import label_for_trainers
from planbalance.text import counted

_MOST_ENTRIES: Final = 2000  # of a folder that is looked through for split folders of any spelling
_MOST_NAMED: Final = 20  # folders that get a warning of their own
# The most images that are counted in one folder: all data of a laboratory may lie below a yaml's root.
_MOST_COUNTED: Final = 200_000
_USUAL_SPLIT_FOLDERS: Final = tuple(
    spelled
    for word in ("train", "training", "val", "valid", "validation", "test", "testing")
    for spelled in (word, word.capitalize(), word.upper())
)


def label_folder(images: str) -> str:
    """Return the folder in which trainers look for the labels of an absolute image folder."""
    return os.path.dirname(label_for_trainers(f"{images}/x"))


def layout_areas(root: str) -> list[Area]:
    """Return the image folders of a dataset's layout, with their label folders and splits."""
    areas: list[Area] = []
    if os.path.isdir(f"{with_slash(root)}images"):
        areas += areas_with_splits(f"{with_slash(root)}images", f"{with_slash(root)}labels")
    for name, split in _split_folders(root):
        folder = f"{with_slash(root)}{name}"
        if os.path.isdir(f"{folder}/images"):
            areas.append(Area(f"{folder}/images", f"{folder}/labels", split))
    return areas


def areas_with_splits(images: str, labels: str) -> list[Area]:
    """Return an area for every split's folder, and last one for all images that lie beside these folders."""
    areas = [
        Area(f"{with_slash(images)}{name}", f"{with_slash(labels)}{name}", split)
        for name, split in _split_folders(images)
    ]
    return [*areas, Area(images, labels, None)]


def _split_folders(folder: str) -> list[tuple[str, Split]]:
    """Return the split folders in a folder with the split that each stands for, train first.

    A folder of very many files is not listed to its end: there only the usual spellings are looked for.
    """
    try:
        with os.scandir(folder) as entries:
            first = [entry.name for entry in islice(entries, _MOST_ENTRIES + 1)]
    except OSError as error:
        raise unreadable(folder, error) from error
    found = [
        (name, split)
        for name in (first if len(first) <= _MOST_ENTRIES else _USUAL_SPLIT_FOLDERS)
        if (split := split_of_word(name)) is not None and os.path.isdir(f"{with_slash(folder)}{name}")
    ]
    return sorted(found, key=lambda pair: (SPLITS.index(pair[1]), pair[0]))


def image_folders(root: str) -> dict[str, Split | None]:
    """Return the image folders of a layout, and `images/` of other folders at the root, with their names' splits."""
    folders = {area.images: area.split for area in layout_areas(root)}
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in islice(entries, _MOST_ENTRIES)]
    except OSError:
        return folders
    for name in names:
        images = f"{with_slash(root)}{name}/images"
        if not name.startswith(".") and name != "images" and os.path.isdir(images):
            folders.setdefault(images, None)
    return folders


# ---- folders that contradict a yaml ---------------------------------------------------------------------------------


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
