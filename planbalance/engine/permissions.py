"""Who may read the sources of a packed dataset: its one file may be read by nobody else."""

from collections.abc import Iterator, Sequence
from os import stat_result

from planbalance import fs
from planbalance.engine.schedule import ANY_PERMISSIONS


class SourcePermissions:
    """Who may read source files; what is known of folders is kept.

    Args:
        roots: of the inputs, each with a `/` at its end.
        group: that the one file belongs to.
    """

    def __init__(self, roots: Sequence[str], group: int) -> None:
        self._roots = roots
        self._group = group
        # For each input, by the path of a folder: who may enter it.
        self._enterable: list[dict[str, int]] = [{} for _ in roots]

    def of(self, now: stat_result, index: int, folder: str) -> int:
        """Return who may read a source: the permissions that the one file may have because of it.

        Who may not enter the source's folder, as far as it lies in the input, may not read it. Where the one file
        belongs to another group than the source, its group may read what everybody may.

        Args:
            now: facts of the source.
            index: of its input.
            folder: that holds it, with the root of the input.
        """
        of_input = self._enterable[index]
        enterable = of_input.get(folder)
        if enterable is None:
            root = self._roots[index]
            enterable = of_input[folder] = self._of_folders(root, folder[len(root) :])
        allowed = now.st_mode
        if now.st_gid != self._group:
            allowed &= ~0o070 | (allowed & 0o007) << 3
        return allowed & enterable

    def _of_folders(self, root: str, folder: str) -> int:
        allowed = ANY_PERMISSIONS
        for path in _with_outer(folder):
            now = fs.look_through(root + path)
            enter = now.st_mode & 0o111 if now is not None else 0
            bits = enter * 7
            if now is not None and now.st_gid != self._group:
                bits &= ~0o070 | (bits & 0o007) << 3
            allowed &= bits | 0o700
        return allowed


def _with_outer(folder: str) -> Iterator[str]:
    """Yield a folder and the folders that hold it, up to the root of the input."""
    yield ""
    parts = folder.split("/") if folder else []
    for depth in range(1, len(parts) + 1):
        yield "/".join(parts[:depth])
