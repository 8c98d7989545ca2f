"""Read class names and image lists that other tools write beside a YOLO dataset without a yaml.

`classes.txt` (labelImg, Label Studio), `obj.names` (CVAT "YOLO 1.1", Darknet), `_darknet.labels` (Roboflow): one name
per line, the first is class 0. `notes.json` (Label Studio): `categories` with `id` and `name`. `obj.data` (Darknet):
lines such as `train = data/train.txt`. The texts are not trusted: size, number of classes and the characters of names
have the same limits as those of a yaml.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from planbalance.errors import InputError
from planbalance.inputs.draft import read_document, unreadable
from planbalance.inputs.text_lists import is_image, lines_of
from planbalance.model import CLASS_COUNT_LIMIT, DOCUMENT_SIZE_LIMIT, Split, split_of_word
from planbalance.text import text_fault

_BOM: Final = "\ufeff"
_DATA_FOLDER: Final = re.compile("obj_(.+)_data")
_CLASS_LISTS: Final = ("classes.txt", "_darknet.labels")
_SPLIT_KEYS: Final[Mapping[str, Split]] = {"train": "train", "valid": "val", "val": "val", "test": "test"}

Value = TypeVar("Value")
ClassSource = tuple[str, tuple[str, ...]]  # absolute path, class names by id
_Parser = Callable[[bytes], tuple[str, ...] | None]


class DarknetData(NamedTuple):
    """What a Darknet `.data` file says.

    Attributes:
        lists: by split, the text file that lists its images, as written.
        names: the file of class names, as written, or None.
    """

    lists: Mapping[Split, str]
    names: str | None


class DarknetFile(NamedTuple):
    """A `.data` file in a dataset's folder, and where on this machine the files are that it names.

    Attributes:
        path: absolute.
        lists: by split, the text file that lists its images, absolute.
        absent: by split, what was written for a text file that is not here.
        names: the file of class names, absolute, or None.
    """

    path: str
    lists: Mapping[Split, str]
    absent: Mapping[Split, str]
    names: str | None


def find_darknet(root: str) -> DarknetFile | None:
    """Return the `.data` file of a folder: `obj.data`, or the only one; None where there is none of Darknet's.

    Darknet looks for `data/train.txt` below its own folder, so the longest end of such a path that is here is taken.

    Raises:
        InputError: `class-list`, or `unreadable`.
    """
    names = sorted(name for name in _names_in(root) if name.endswith(".data") and text_fault(name) is None)
    found = [(path, data) for path in (f"{root.rstrip('/')}/{name}" for name in names) if (data := _parsed(path))]
    usual = [one for one in found if one[0].endswith("/obj.data")] or found
    if len(usual) != 1:
        return None
    path, data = usual[0]
    here = {split: end_below(root, place) for split, place in data.lists.items()}
    return DarknetFile(
        path,
        {split: place for split, place in here.items() if place is not None},
        {split: data.lists[split] for split, place in here.items() if place is None},
        None if data.names is None else end_below(root, data.names),
    )


def class_names_beside(root: str, folders: Mapping[str, bool], darknet: DarknetFile | None) -> list[ClassSource]:
    """Return the files that name classes, each with its names.

    Args:
        root: of the dataset, absolute.
        folders: its image and label folders, absolute, and whether images and labels lie side by side there.
        darknet: its `.data` file, if it has one.

    Raises:
        InputError: `class-list`, or `unreadable`.
    """
    start = root.rstrip("/")
    there = {*_names_in(root)}  # one call instead of one for each name: each is a round trip to a far server
    lists = [f"{start}/{name}" for name in ("obj.names", *_CLASS_LISTS) if name in there]
    lists += [] if darknet is None or darknet.names is None else [darknet.names]
    for folder, side_by_side in folders.items():
        lists += [f"{folder.rstrip('/')}/{name}" for name in (_CLASS_LISTS if side_by_side else _CLASS_LISTS[:1])]
    wanted: dict[str, _Parser] = dict.fromkeys(lists, parse_class_list)
    if "notes.json" in there:
        wanted[f"{start}/notes.json"] = parse_notes
    return [(path, names) for path, parse in wanted.items() if (names := _read(path, parse)) is not None]


def read_class_list(path: str) -> tuple[str, ...] | None:
    """Return the class names of a file such as `classes.txt`; None where it names none.

    Raises:
        InputError: `class-list`, or `unreadable`.
    """
    return _read(path, parse_class_list)


def parse_class_list(data: bytes) -> tuple[str, ...] | None:
    """Return the class names of a text with one name per line; None where there is none.

    A byte order mark, CRLF line ends, blanks around names and empty lines at the end change nothing.

    Raises:
        InputError: kind `class-list`: too large, not UTF-8, a control character, or an empty line between names. The
            message does not name the file: the caller knows it.
    """
    lines = [line.strip() for line in _text_of(data, "a list of class names").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line:
            raise _refused(f"line {number} is empty, so the ids of the names after it are not clear")
        if text_fault(line) is not None:
            raise _refused(f"line {number} holds a control character: {line[:40]!a}")
    return _bounded(lines)


def parse_notes(data: bytes) -> tuple[str, ...] | None:
    """Return the class names of Label Studio's `notes.json`; None where it is another tool's or names no class.

    Raises:
        InputError: kind `class-list`: the ids do not run from 0 without a gap, or a name holds a control character.
    """
    try:
        document = orjson.loads(data) if len(data) <= DOCUMENT_SIZE_LIMIT else None
    except orjson.JSONDecodeError:
        return None
    categories = document.get("categories") if isinstance(document, dict) else None
    if not isinstance(categories, list) or not categories or not all(map(_is_category, categories)):
        return None
    by_id = {one["id"]: one["name"] for one in categories}
    if len(by_id) < len(categories) or set(by_id) != set(range(len(by_id))):
        raise _refused("the ids of its categories do not run from 0 without a gap")
    for name in by_id.values():
        if text_fault(name) is not None or not name.strip():
            raise _refused(f"a category has a name that no class can have: {name[:40]!a}")
    return _bounded([by_id[index].strip() for index in range(len(by_id))])


def parse_darknet_data(data: bytes) -> DarknetData | None:
    """Return what a `.data` file says; None where it is not Darknet's: it names neither a list of images nor names.

    Raises:
        InputError: kind `class-list`, for a value with a control character.
    """
    try:
        text = _text_of(data, "a .data file")
    except InputError:
        return None  # other programs write `.data` files too
    values: dict[str, str] = {}
    for line in text.split("\n"):
        key, found, value = line.partition("#")[0].partition("=")
        if found and value.strip():
            values[key.strip().lower()] = value.strip()
    lists = {split: values[key] for key, split in _SPLIT_KEYS.items() if key in values}
    names = values.get("names")
    if not lists and names is None:
        return None
    for value in (*lists.values(), names or ""):
        if text_fault(value) is not None:
            raise _refused(f"it holds a control character: {value[:40]!a}")
    return DarknetData(lists, names)


def _parsed(path: str) -> DarknetData | None:
    return _read(path, parse_darknet_data)


def _read(path: str, parse: Callable[[bytes], Value | None]) -> Value | None:
    """Return what a file says; None where there is no such file, or none of that kind."""
    return read_document(path, parse) if os.path.isfile(path) else None


def end_below(root: str, place: str, is_there: Callable[[str], bool] = os.path.isfile) -> str | None:
    """Return the longest end of a path that is a file below the root; parts up to the last `..` are left out."""
    parts = [part for part in place.replace("\\", "/").split("/") if part not in ("", ".")]
    first = max((index + 1 for index, part in enumerate(parts) if part == ".."), default=0)
    candidates = ("/".join((root.rstrip("/"), *parts[start:])) for start in range(first, len(parts)))
    return next((path for path in candidates if is_there(path)), None)


def data_folders(root: str) -> list[tuple[str, Split | None]]:
    """Return the folders of images and labels of CVAT's "YOLO 1.1" export, `obj_train_data/` and so on, with splits.

    Their names are those of CVAT's subsets: where such a name is no split's, the folder has none.
    """
    found = [(name, match[1]) for name in sorted(_names_in(root)) if (match := _DATA_FOLDER.fullmatch(name))]
    folders = ((f"{root.rstrip('/')}/{name}", split_of_word(word)) for name, word in found)
    return [(path, split) for path, split in folders if text_fault(path) is None and os.path.isdir(path)]


def image_folders(root: str, folders: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return for folders of listed images, below the root, the image folder and the label folder that they belong to.

    Darknet looks for the label beside the image, or for `/labels/` in place of `/images/`. The image folder is
    `images/`, one of CVAT's, or where neither is there, what all such folders have in common.
    """
    start = len(root.rstrip("/")) + 1
    found: dict[str, tuple[str, str]] = {}
    others: list[str] = []
    for folder in dict.fromkeys(folders):
        before, images, _ = f"/{folder[start:]}/".rpartition("/images/")
        first = folder[start:].partition("/")[0]
        if images and os.path.isdir(labels := f"{root.rstrip('/')}{before}/labels"):
            found[folder] = (f"{root.rstrip('/')}{before}/images", labels)
        elif _DATA_FOLDER.fullmatch(first):
            found[folder] = (f"{folder[:start]}{first}",) * 2
        else:
            others.append(folder)
    if others:
        found.update(dict.fromkeys(others, (os.path.commonpath(others),) * 2))
    return found


def listed_places(path: str) -> list[str]:
    """Return the images that a text file of Darknet lists, as written but with `/` between the parts.

    Raises:
        InputError: `unreadable`.
    """
    try:
        lines, _ = lines_of(path)
    except OSError as error:
        raise unreadable(path, error) from error
    return [place for line in lines if is_image(place := line.strip().replace("\\", "/"))]


def images_beside(folder: str) -> list[str]:
    """Return the names of the images in a folder, sorted, hidden ones left out."""
    return sorted(name for name in _names_in(folder) if is_image(name) and not name.startswith("."))


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # it cannot be listed: the scan reports that
        return []


def has_labels_beside(folder: str) -> bool:
    """Return whether a folder holds images with labels or a list of class names beside them, as labelImg saves them."""
    names = _names_in(folder)
    images = {name.rpartition(".")[0] for name in names if is_image(name)}
    return bool(images) and any(
        name in _CLASS_LISTS or (name[-4:].lower() == ".txt" and name[:-4] in images) for name in names
    )


def _is_category(one: Any) -> bool:  # noqa: ANN401 - a JSON value
    return isinstance(one, dict) and type(one.get("id")) is int and isinstance(one.get("name"), str)


def _text_of(data: bytes, what: str) -> str:
    if len(data) > DOCUMENT_SIZE_LIMIT:
        raise _refused(f"it has more than {DOCUMENT_SIZE_LIMIT:,} bytes, too many for {what}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused("it is not text in UTF-8", "Save it as UTF-8.") from error
    return text.removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n")


def _bounded(names: list[str]) -> tuple[str, ...] | None:
    if len(names) > CLASS_COUNT_LIMIT:
        raise _refused(f"it names {len(names):,} classes, more than {CLASS_COUNT_LIMIT:,}")
    return tuple(names) or None


def _refused(reason: str, hint: str = "Repair it: one class name per line, the first for class 0.") -> InputError:
    return InputError(f"The class names are refused: {reason}.", kind="class-list", hint=hint)
