"""List one folder and sort its entries by name; take one `stat` of each image and label, and read the labels.

Both run in this process, in threads, or in worker processes, so they take and return plain values.
"""

import os
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from planbalance import packed_dataset
from planbalance.model import IMAGE_SUFFIXES, Keypoints, Problem
from planbalance.packed_dataset import Inside
from planbalance.platform_calls import PLACE
from planbalance.scan.content import LabelContent, read_label_file, read_packed_label
from planbalance.text import error_text, text_fault

IS_FOLDER: Final = "is a folder"
DANGLING: Final = "is a link to nothing"

_IMAGE, _LABEL, _LEFTOVER = 1, 2, 3
_KINDS: Final[Mapping[str, int]] = {
    **dict.fromkeys(IMAGE_SUFFIXES, _IMAGE),
    "txt": _LABEL,
    "cache": _LEFTOVER,
    "npy": _LEFTOVER,
}
_REGULAR, _FOLDER, _TYPE = 0o100000, 0o040000, 0o170000  # st_mode (inode(7))


class Visit(NamedTuple):
    """A folder to list."""

    input: int
    path: str  # relative to the input's root
    folder: int | None = None  # the image folder it belongs to; None: only images of text lists count
    images: bool = False  # images are wanted
    labels: bool = False  # labels are wanted
    deep: bool = True  # sub-folders too
    optional: bool = False  # it may be absent: a label folder
    above: frozenset[tuple[int, int]] = frozenset()  # device and inode of the folders above


@dataclass(slots=True)
class Listing:
    """The entries of one folder; images, labels and folders are sorted."""

    visit: Visit
    identity: tuple[int, int] = (0, 0)
    images: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: set[str] = field(default_factory=set)  # stems of images that do not belong to the dataset
    beside: list[str] = field(default_factory=list)  # `.txt` files where only images are wanted
    arrays: int = 0  # `.npy` files where images are wanted
    leftovers: int = 0
    listed: bool = False  # false: absent, unreadable, or a loop
    problems: list[Problem] = field(default_factory=list)


def list_folder(visit: Visit, path: str, listed: Mapping[str, int]) -> Listing:
    """List one folder.

    Args:
        visit: the kinds of files that are wanted.
        path: the folder, absolute.
        listed: images that text lists name, relative to the input's root.
    """
    listing = Listing(visit)
    try:
        facts = os.stat(path)
        listing.identity = (facts.st_dev, facts.st_ino)
        if listing.identity in visit.above:
            listing.problems.append(Problem("link-loop", "warning", path, "leads back to a folder above: not followed"))
            return listing
        with os.scandir(path) as entries:
            found = list(entries)
        if not _take_alike(listing, found, listed):
            _sort_entries(listing, found, listed)
        listing.listed = True
    except OSError as error:
        if not (visit.optional and isinstance(error, FileNotFoundError | NotADirectoryError)):
            listing.problems.append(
                Problem("unreadable", "error", path, f"the folder cannot be read: {error_text(error)}")
            )
    listing.images.sort()
    listing.labels.sort()
    listing.folders.sort()
    return listing


def _take_alike(listing: Listing, entries: "list[os.DirEntry[str]]", listed: Mapping[str, int]) -> bool:
    """Take all entries at once where all are images or all are labels, as in most folders; return whether they are."""
    names = [entry.name for entry in entries]
    joined = f" {' '.join(names)} "
    if listed or not (joined.isascii() and joined.isprintable()) or " ." in joined:
        return False
    suffix = names[0][names[0].rfind(".") :] if names else ""
    if joined.count(" ") > len(names) + 1 or joined.count(f"{suffix} ") < len(names):  # a name with a blank, or unlike
        return False
    kind = _KINDS.get(suffix[1:].lower(), 0)
    if kind == _IMAGE and listing.visit.images:
        listing.images = names
    elif kind == _LABEL and listing.visit.labels:
        listing.labels = names
    else:
        return False
    return True


def _sort_entries(listing: Listing, entries: "list[os.DirEntry[str]]", listed: Mapping[str, int]) -> None:
    """Sort a folder's entries into images, labels, folders and leftovers, by name as far as possible."""
    visit = listing.visit
    wanted = {_IMAGE: listing.images if visit.images else None, _LABEL: listing.labels if visit.labels else None}
    last, kind, place = "", 0, wanted.get(0)
    for entry in entries:
        name = entry.name
        stem, _, suffix = name.rpartition(".")
        if not stem:
            suffix = ""  # a name without a dot, or hidden
        if suffix != last:  # a folder's files mostly have one suffix
            last, kind = suffix, _KINDS.get(suffix.lower(), 0)
            place = wanted.get(kind)
        if name[0] == "." and below_folder(visit.path, name) not in listed:
            continue
        if kind == _LEFTOVER or (place is None and not (visit.deep and _is_folder(entry))):
            _pass_over(listing, kind, name)
        elif not (name.isascii() and name.isprintable()) and (fault := text_fault(name)) is not None:
            listing.problems.append(Problem("name-refused", "error", shown(entry.path), f"the name {fault}"))
        elif place is None:
            listing.folders.append(name)
        elif kind == _IMAGE and visit.folder is None and below_folder(visit.path, name) not in listed:
            listing.others.add(stem)
        else:
            place.append(name)


def _pass_over(listing: Listing, kind: int, name: str) -> None:
    """Count or note a file that is neither an image nor a label here, where a later check needs it."""
    if kind == _LEFTOVER:
        listing.leftovers += 1
        listing.arrays += listing.visit.images and name[-4:].lower() == ".npy"
    elif kind == _LABEL and listing.visit.images:
        listing.beside.append(name)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to a folder without permission: nothing to read
        return False


class FilesToRead(NamedTuple):
    """Files of one folder, all images or all labels, that need a `stat`."""

    folder: str  # absolute
    names: list[str]
    labels: bool
    class_count: int | None  # labels are checked against it
    keypoints: Keypoints | None = None  # likewise


class FileColumns(NamedTuple):
    """The facts of files, a column each, in the order of the files."""

    sizes: "array[int]"  # in bytes, from `stat`; -1 where there is a fault
    mtimes: "array[int]"  # in ns
    faults: list[tuple[int, str]]  # position, what is wrong
    contents: list[tuple[int, LabelContent]]  # position and content, of labels that are not empty


def stat_and_read(batch: list[FilesToRead]) -> list[FileColumns]:
    """Take one `stat` of every file, relative to its open folder; read the labels that are not empty.

    Links are followed.
    """
    return [_stat_and_read(files) for files in batch]


def _stat_and_read(files: FilesToRead) -> FileColumns:
    place = packed_dataset.inside(files.folder) if files.labels else None
    if place is not None:
        return _packed_labels(place, files)
    try:
        folder = os.open(files.folder, PLACE)
    except OSError as error:
        absent = array("q", [-1]) * len(files.names)
        return FileColumns(absent, absent, [(index, _unreadable(error)) for index in range(len(files.names))], [])
    try:
        facts = _stat_all(folder, files.names)
        if files.labels:
            facts.contents.extend(
                (index, read_label_file(files.names[index], size, *files[3:], folder=folder))
                for index, size in enumerate(facts.sizes)
                if size > 0
            )
        return facts
    finally:
        os.close(folder)


def _packed_labels(place: Inside, files: FilesToRead) -> FileColumns:
    """Return the same of labels in a dataset in one file: the folder that stands for it lacks their content."""
    found = FileColumns(array("q"), array("q"), [], [])
    for index, name in enumerate(files.names):
        entry = place.dataset.entry(below_folder(place.path, name))
        if entry is None or entry.kind != "file":
            found.faults.append((index, IS_FOLDER))  # neither links nor devices are laid out
            found.sizes.append(-1)
            found.mtimes.append(0)
            continue
        if entry.size:
            found.contents.append((index, read_packed_label(place.dataset, entry, *files[3:])))
        found.sizes.append(entry.size)
        found.mtimes.append(entry.mtime * 1_000_000_000)
    return found


def _stat_all(folder: int, names: list[str]) -> FileColumns:
    sizes, mtimes = array("q"), array("q")
    faults: list[tuple[int, str]] = []
    for name in names:
        size, mtime = -1, 0
        try:
            facts = os.stat(name, dir_fd=folder)
        except OSError as error:
            faults.append((len(sizes), _fault(folder, name, error)))
        else:
            if facts.st_mode & _TYPE == _REGULAR:
                size, mtime = facts.st_size, facts.st_mtime_ns
            else:
                faults.append((len(sizes), _no_file(facts.st_mode)))
        sizes.append(size)
        mtimes.append(mtime)
    return FileColumns(sizes, mtimes, faults, [])


def _fault(folder: int, name: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError) and _is_link(folder, name):
        return DANGLING
    return _unreadable(error)


def _is_link(folder: int, name: str) -> bool:
    try:
        os.readlink(name, dir_fd=folder)
    except OSError:
        return False
    return True


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error_text(error)}"


def _no_file(mode: int) -> str:
    return IS_FOLDER if mode & _TYPE == _FOLDER else "is not a regular file"


def below_folder(folder: str, name: str) -> str:
    """Return the path of a name in a folder; both are relative, the folder may be `""`."""
    return f"{folder}/{name}" if folder else name


def shown(path: str) -> str:
    """Return a path for people and for JSON, with control characters and bytes that are not UTF-8 escaped."""
    plain = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in plain)
