"""Who may read the sources of a packed dataset: its one file may be read by nobody else."""

import threading
from collections.abc import Sequence
from os import stat_result

from planbalance import fs
from planbalance.engine.schedule import ANY_PERMISSIONS


class _Look:
    """What the first worker that needed a folder has found out about it; the others wait for it."""

    def __init__(self) -> None:
        self.looking = threading.Lock()
        self.bits: int | None = None


class Enterable:
    """Who may enter the folders of the inputs, as permissions of a file that belongs to one group.

    On a remote file system a look takes as long as placing a slice, so each folder is looked at once for all workers.

    Args:
        group: that the file belongs to.
    """

    def __init__(self, group: int) -> None:
        self.group = group
        self._looks: dict[tuple[str, str], _Look] = {}

    def of(self, root: str, folder: str) -> int:
        """Return who may enter a folder of an input and all folders above it, up to the input's root."""
        key = root, folder
        look = self._looks.get(key) or self._looks.setdefault(key, _Look())
        with look.looking:
            if look.bits is None:
                above = self.of(root, folder.rpartition("/")[0]) if folder else ANY_PERMISSIONS
                look.bits = above & self._of_one(root + folder)
        return look.bits

    def _of_one(self, path: str) -> int:
        now = fs.look_through(path)
        if now is None:
            return 0o700
        bits = (now.st_mode & 0o111) * 7
        return 0o700 | (bits if now.st_gid == self.group else _of_another_group(bits))


class SourcePermissions:
    """Who may read source files; each worker has one.

    Args:
        roots: of the inputs, each with a `/` at its end.
        enterable: who may enter their folders.
    """

    def __init__(self, roots: Sequence[str], enterable: Enterable) -> None:
        self._roots = roots
        self._enterable = enterable
        self._group = enterable.group
        self._known: list[dict[str, int]] = [{} for _ in roots]  # by the path of a folder; looked up for every file

    def of(self, now: stat_result, index: int, folder: str) -> int:
        """Return who may read a source: the permissions that the one file may have because of it.

        Who may not enter the source's folder, as far as it lies in the input, may not read it. Where the one file
        belongs to another group than the source, its group may read what everybody may.

        Args:
            now: facts of the source.
            index: of its input.
            folder: that holds it, with the root of the input.
        """
        known = self._known[index]
        enterable = known.get(folder)
        if enterable is None:
            root = self._roots[index]
            enterable = known[folder] = self._enterable.of(root, folder[len(root) :])
        allowed = now.st_mode if now.st_gid == self._group else _of_another_group(now.st_mode)
        return allowed & enterable


def _of_another_group(bits: int) -> int:
    """Return permissions in which a group that is not the file's own has at most what everybody has."""
    return bits & (~0o070 | (bits & 0o007) << 3)
