"""The source is sacred: what would be written into an input is refused, by name, by real path, by device and inode."""

import os.path
from collections.abc import Iterable, Mapping

from planbalance import fs
from planbalance.errors import UsageError
from planbalance.places import Relation, is_within, overlap_refused, relation


def refuse_output(output: str, inputs: Iterable[str]) -> None:
    """Refuse an output that is, holds or lies in one of these absolute paths.

    Raises:
        UsageError: it does (kind `output-overlaps-input`; contract, exit code 2).
    """
    for source in dict.fromkeys(inputs):
        how = found_relation(output, source)
        if how is not None:
            raise overlap_refused(output, how, source)


def refuse_files(files: Mapping[str, str], folders: Iterable[str], *, what: str = "input") -> None:
    """Refuse files to be written (by what they are) that lie in one of these absolute folders, each `what`.

    Raises:
        UsageError: one does (kind `file-inside-input`; contract, exit code 2).
    """
    for folder in dict.fromkeys(folders):
        for name, path in files.items():
            if lies_in(path, folder):
                raise UsageError(
                    f"The {name} {path} is inside the {what} {folder}.",
                    kind="file-inside-input",
                    hint="Choose another place: what is read is never written to.",
                    paths=[path, folder],
                )


def found_relation(path: str, other: str) -> Relation | None:
    """Return how two absolute paths lie to each other, as written or as the file system resolves them."""
    written = relation(path, other)
    if written is not None:
        return written
    inside, around = lies_in(path, other), lies_in(other, path)
    if inside and around:
        return "equal to"
    return "inside" if inside else "around" if around else None


def lies_in(path: str, folder: str) -> bool:
    """Answer whether `path` is `folder` or lies in it, as written or as the file system resolves it.

    Of a path that is not there (yet), what is there of it counts.
    """
    if is_within(path, folder):
        return True
    identity = fs.identity(folder)
    if identity is None:
        return False
    place = fs.real_path(path)
    while fs.identity(place) != identity:
        parent = os.path.dirname(place)
        if parent == place:
            return False
        place = parent
    return True
