"""Refuse to write into inputs: outputs and files are compared with them by name, real path, device and inode."""

import os.path
from collections.abc import Iterable, Mapping

from planbalance import fs
from planbalance.errors import UsageError
from planbalance.path_relation import Relation, is_within, overlap_refused, relation


class PathCache:
    """Remembers identities and real paths: each is asked for once, since a remote file system is slow to answer."""

    def __init__(self) -> None:
        self._identities: dict[str, tuple[int, int] | None] = {}
        self._real: dict[str, str] = {}

    def identity(self, path: str) -> tuple[int, int] | None:
        """Return `fs.identity` of a path, remembered."""
        if path not in self._identities:
            self._identities[path] = fs.identity(path)
        return self._identities[path]

    def real_path(self, path: str) -> str:
        """Return `fs.real_path` of a path, remembered."""
        if path not in self._real:
            self._real[path] = fs.real_path(path)
        return self._real[path]


def refuse_output(output: str, inputs: Iterable[str]) -> None:
    """Refuse an output that is, holds or lies in one of these absolute paths.

    Raises:
        UsageError: it does (kind `output-overlaps-input`).
    """
    cache = PathCache()
    for source in dict.fromkeys(inputs):
        how = found_relation(output, source, cache)
        if how is not None:
            raise overlap_refused(output, how, source)


def refuse_files(files: Mapping[str, str], folders: Iterable[str], *, what: str = "input") -> None:
    """Refuse files that would be written into one of these absolute folders, which are only read.

    Args:
        files: paths by what they are, such as `plan file`.
        folders: absolute paths.
        what: what each folder is, for the message.

    Raises:
        UsageError: one does (kind `file-inside-input`).
    """
    cache = PathCache()
    for folder in dict.fromkeys(folders):
        for name, path in files.items():
            if lies_in(path, folder, cache):
                raise UsageError(
                    f"The {name} {path} is inside the {what} {folder}.",
                    kind="file-inside-input",
                    hint="Choose another place: what is read is never written to.",
                    paths=[path, folder],
                )


def found_relation(path: str, other: str, cache: PathCache | None = None) -> Relation | None:
    """Return how two absolute paths overlap, as written or as the file system resolves them."""
    written = relation(path, other)
    if written is not None:
        return written
    cache = cache or PathCache()
    inside, around = lies_in(path, other, cache), lies_in(other, path, cache)
    if inside and around:
        return "equal to"
    return "inside" if inside else "around" if around else None


def lies_in(path: str, folder: str, cache: PathCache | None = None) -> bool:
    """Return whether `path` is `folder` or lies in it, as written or as the file system resolves it.

    Of a path that does not exist (yet), the existing part counts.
    """
    if is_within(path, folder):
        return True
    cache = cache or PathCache()
    identity = cache.identity(folder)
    if identity is None:
        return False
    place = cache.real_path(path)
    while cache.identity(place) != identity:
        parent = os.path.dirname(place)
        if parent == place:
            return False
        place = parent
    return True
