"""Read text files that list the images of a split, also those from Windows or from another machine.

Ultralytics and YOLOv5 read such a file line by line as UTF-8. Lists by which they would not find the images are read
here too; the scan then warns, so that nobody trains with such a list.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from planbalance.model import IMAGE_SUFFIXES

_DRIVE: Final = re.compile(r"[A-Za-z]:/")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
# The least share of the images listed in one folder that must be in the folder taken for it.
_MOST: Final = 0.95


class TextList(NamedTuple):
    """The images that a text file lists.

    Attributes:
        images: absolute paths, in the order of the lines.
        passed_over: numbers of the lines that name no image, from 1.
        moved: the folder of another machine that the lines name; "" where their folders are on this machine.
        below: the folder on this machine that is taken for it, else "".
        lost: the first line, where none of the folders that the lines name is on this machine; else "".
        encoding: "UTF-16" where the file is written so, which trainers do not read; else "".
        backslashes: whether lines name folders by backslashes, which trainers read on Windows only.
    """

    images: list[str]
    passed_over: list[int]
    moved: str = ""
    below: str = ""
    lost: str = ""
    encoding: str = ""
    backslashes: bool = False


def read_text_list(path: str, root: str) -> TextList:
    """Return the images that a text file lists.

    A line that begins with `./` is relative to the file's own folder, any other relative line to the dataset's root.
    Where folders of the lines are not on this machine, the longest end of each path that is a folder below the root
    and holds the images is taken for it. It must hold for nearly all lines, and the same beginning must be left out of
    all.

    Args:
        path: the text file, absolute.
        root: the dataset's root, absolute.

    Raises:
        OSError: the file cannot be read.
    """
    lines, wide = lines_of(path)
    own = os.path.dirname(path)
    backslashes = _names_folders_by_backslashes(lines, root)
    images: list[str] = []
    passed_over: list[int] = []
    for number, line in enumerate(lines, start=1):
        place = line.strip()
        if is_image(place):
            place = place.replace("\\", "/") if backslashes else place
            images.append(joined(own if place.startswith("./") else root, place))
        elif place:
            passed_over.append(number)
    found = TextList(images, passed_over, encoding="UTF-16" if wide else "", backslashes=backslashes)
    return _with_folders_here(found, (root, own), next((line.strip() for line in lines if is_image(line.strip())), ""))


def lines_of(path: str) -> tuple[list[str], bool]:
    """Return the lines of a text file, and whether it is written in UTF-16.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    wide = data[:2] in _UTF_16
    text = data.decode("utf-16", "replace") if wide else data.decode("utf-8-sig", "surrogateescape")
    return text.splitlines(), wide


def is_image(place: str) -> bool:
    """Return whether a path names an image by its suffix."""
    return place.rpartition(".")[2].lower() in IMAGE_SUFFIXES


def is_absolute(place: str) -> bool:
    """Return whether a path, with `/` between its parts, is absolute, on Windows too."""
    return place.startswith("/") or _DRIVE.match(place) is not None


def joined(folder: str, place: str) -> str:
    """Return the path of `place` below `folder`, or `place` where it is absolute; `..` is removed lexically."""
    path = place if is_absolute(place) else f"{folder.rstrip('/')}/{place}"
    if "/." in path or "//" in path or path.endswith("/"):
        path = os.path.normpath(path)
        return "/" + path.lstrip("/") if path.startswith("/") else path
    return path


def longest_end_here(path: str, root: str) -> tuple[str, str] | None:
    """Return the longest end of a path that is there below the root, and the beginning that was left out."""
    parts = path.strip("/").split("/")
    for start in range(len(parts)):
        here = f"{root.rstrip('/')}/{'/'.join(parts[start:])}"
        if os.path.exists(here):
            return here, _beginning(path, parts[:start])
    return None


# ---- folders that are not here --------------------------------------------------------------------------------------


def _names_folders_by_backslashes(lines: Iterable[str], root: str) -> bool:
    """Return whether backslashes separate folders: on Linux a backslash may be part of a file's name."""
    first = next((line.strip() for line in lines if "\\" in line), None)
    return first is not None and not os.path.exists(joined(root, first))


def _with_folders_here(found: TextList, bases: Sequence[str], first: str) -> TextList:
    """Return the list with paths of this machine, where its folders can be found here."""
    folders = {image.rpartition("/")[0] for image in found.images}
    absent = {folder for folder in folders if not os.path.isdir(folder)}
    if not absent:
        return found
    names: dict[str, set[str]] = {folder: set() for folder in absent}
    for image in found.images:
        folder, _, name = image.rpartition("/")
        if folder in absent:
            names[folder].add(name)
    for base in bases:
        moved = _moved(names, base)
        if moved is not None:
            beginning, here = moved
            images = [_placed(image, here) for image in found.images]
            return found._replace(images=images, moved=_as_written(beginning, first), below=base)
    return found._replace(lost=first) if len(absent) == len(folders) else found


def _moved(names: Mapping[str, set[str]], base: str) -> tuple[str, dict[str, str]] | None:
    """Return the beginning that all folders share, and the folder here for each; None where that is not clear."""
    beginnings: set[str] = set()
    here: dict[str, str] = {}
    for folder, wanted in names.items():
        place = _folder_of(folder, wanted, base)
        if place is not None:
            here[folder] = place[0]
            beginnings.add(place[1])
    placed = sum(len(names[folder]) for folder in here)
    if len(beginnings) != 1 or placed < _MOST * sum(map(len, names.values())):
        return None
    return beginnings.pop(), here


def _folder_of(folder: str, names: set[str], base: str) -> tuple[str, str] | None:
    """Return the longest end of a folder's path that is here, with the names in it, and the beginning left out."""
    parts = folder.strip("/").split("/")
    for start in range(len(parts) + 1):
        here = "/".join((base.rstrip("/"), *parts[start:]))
        try:
            there = names.intersection(os.listdir(here))
        except OSError:
            continue
        if len(there) >= _MOST * len(names):
            return here, _beginning(folder, parts[:start])
    return None


def _beginning(path: str, parts: Sequence[str]) -> str:
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def _placed(image: str, here: Mapping[str, str]) -> str:
    folder, _, name = image.rpartition("/")
    return f"{here[folder]}/{name}" if folder in here else image


def _as_written(beginning: str, line: str) -> str:
    return beginning.replace("/", "\\") if "\\" in line else beginning
