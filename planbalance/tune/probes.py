"""What works on a file system: each operation is done once, and its result is checked."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from planbalance import fs
from planbalance.text import error_text

_DATA: Final = b"0 0.5 0.5 0.1 0.2\n" * 512  # more than one block, so that a reflink has something to share


class Probe(NamedTuple):
    """Whether one operation works, and if not, why."""

    works: bool
    reason: str


def probe_all(tree: fs.Tree) -> dict[str, Probe]:
    """Try everything that `apply` may use, in a folder of its own."""
    return {name: _probed(name, attempt, tree) for name, (_, attempt) in _ATTEMPTS.items()}


def described(name: str) -> str:
    """Return in words what a probe tries."""
    return _ATTEMPTS[name][0]


def _probed(name: str, attempt: Callable[[int, str], str], tree: fs.Tree) -> Probe:
    folder = tree.folder(name, make=True)
    try:
        reason = attempt(folder, f"{tree.path}/{name}")
    except OSError as error:
        reason = error_text(error)
    finally:
        fs.close(folder)
    return Probe(not reason, reason)


# Each returns "", or how the result differs from what the call should have done.


def _hard_link(folder: int, _path: str) -> str:
    fs.write_new("file", folder, _DATA)
    fs.hard_link("file", folder, "link", folder)
    same = fs.facts("file", folder).st_ino == fs.facts("link", folder).st_ino
    return "" if same else "the link is a file of its own"


def _symlink(folder: int, _path: str) -> str:
    fs.symlink("nowhere", "link", folder)
    return "" if fs.link_target("link", folder) == "nowhere" else "the link has another target than was written"


def _reflink(folder: int, _path: str) -> str:
    fs.write_new("file", folder, _DATA)
    source = fs.open_source("file", folder)
    try:
        with fs.new_clone(source, "copy", folder):
            pass
    finally:
        fs.close(source)
    return _compared(folder)


def _copy_file_range(folder: int, _path: str) -> str:
    def copy(source: int, target: int) -> None:
        fs.copy_range(source, target, len(_DATA))

    return _copied(folder, copy)


def _copied(folder: int, copy: Callable[[int, int], None]) -> str:
    fs.write_new("file", folder, _DATA)
    source = fs.open_source("file", folder)
    try:
        with fs.new_file("copy", folder) as target:
            copy(source, target)
    finally:
        fs.close(source)
    return _compared(folder)


def _compared(folder: int) -> str:
    return "" if fs.read_whole("copy", folder) == _DATA else "the copy holds other bytes"


def _unnamed(folder: int, _path: str) -> str:
    fs.close(fs.open_unnamed(folder))
    return ""


def _publish(folder: int, path: str) -> str:
    """Rename a folder to a free name, then to one that exists, which must be refused."""
    for name in ("staged", "taken"):
        fs.make_folder(f"{path}/{name}")
    fs.rename_if_free(f"{path}/staged", f"{path}/published")
    try:
        fs.rename_if_free(f"{path}/published", f"{path}/taken")
    except FileExistsError:
        return ""
    return "" if fs.has("published", folder) else "an existing folder was replaced"


def _locks(folder: int, _path: str) -> str:
    return "" if fs.keeps_locks("lock", folder) else "a second holder was let in"


# A mode that a file system may refuse has a probe of its name.
_ATTEMPTS: Final[Mapping[str, tuple[str, Callable[[int, str], str]]]] = {
    "hardlink": ("hard links", _hard_link),
    "symlink": ("symbolic links", _symlink),
    "reflink": ("reflinks (shared blocks)", _reflink),
    "copy_file_range": ("copies inside the kernel", _copy_file_range),
    "o_tmpfile": ("files without a name", _unnamed),
    "atomic_publish": ("publishing that replaces nothing", _publish),
    "fcntl_locks": ("locks", _locks),
}
