"""The folder layouts of a YOLO dataset: `images/train`, `train/images`, and the label folder of an image folder."""

import os
from itertools import islice
from typing import Final

from planbalance.inputs.draft import Area, unreadable, with_slash
from planbalance.model import SPLITS, Split, split_of_word

_MOST_ENTRIES: Final = 2000  # of a folder that is looked through for split folders of any spelling


_USUAL_SPLIT_FOLDERS: Final = tuple(
    spelled
    for word in ("train", "training", "val", "valid", "validation", "test", "testing")
    for spelled in (word, word.capitalize(), word.upper())
)


def label_folder(images: str) -> str:
    """Return the label folder of an absolute image folder as trainers do: the LAST `/images/` becomes `/labels/`.

    Where there is no such part, labels lie beside the images.
    """
    before, found, after = f"{images}/".rpartition("/images/")
    return f"{before}/labels/{after}".rstrip("/") if found else images


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
