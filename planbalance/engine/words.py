"""What the kernel's refusals mean for a person who builds a data set, and what to do."""

import errno
from typing import Final

FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))

# A mode is pinned once a build was begun.
_OTHER_MODE: Final = "use --mode symlink or copy, with --restart where the build was begun already"

_WORDS: Final = {
    errno.ENOSPC: ("no space (or no inodes) left", "make room, then run the same command again"),
    errno.EDQUOT: ("your disk quota is used up", "make room or ask for quota, then run the same command again"),
    errno.EXDEV: (
        "source and output lie on different file systems (or file sets)",
        f"build on the source's file system, or {_OTHER_MODE}",
    ),
    errno.EMLINK: (
        "the source file has as many hard links as this file system allows",
        _OTHER_MODE,
    ),
    errno.EPERM: (
        "not permitted (the kernel refuses hard links to another user's files: fs.protected_hardlinks)",
        _OTHER_MODE,
    ),
    errno.EACCES: ("permission denied", "ask the owner for access"),
    errno.EROFS: ("the file system is read-only", "choose another output"),
    errno.EMFILE: ("too many open files", "raise `ulimit -n` or lower --jobs"),
    errno.ENFILE: ("the system has too many open files", "lower --jobs"),
    errno.ESTALE: ("the network file system lost the file (stale handle)", "run the same command again"),
    errno.ETIMEDOUT: ("the file system did not answer in time", "run the same command again"),
    errno.EIO: ("the disk or the network file system failed to read or write", "check the system log"),
    errno.EOPNOTSUPP: ("this file system does not support it", _OTHER_MODE),
    errno.EEXIST: ("the name is taken already", "use --restart"),
}


def reason(error: OSError) -> str:
    """Return what went wrong, in words."""
    known = _WORDS.get(error.errno or 0)
    return known[0] if known else (error.strerror or str(error)).lower()


def advice(number: int | None) -> str:
    """Return what to do about an error number; running again where nothing better is known."""
    known = _WORDS.get(number or 0)
    return known[1] if known else "run the same command again to resume"
