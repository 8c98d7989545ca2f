"""File systems of a test's own: a tmpfs that can be full or read-only, and real ones that can lose their power."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a tmpfs, which `remount` makes smaller, larger or read-only; skips where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk of its own")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)], check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(disk: Path, options: str) -> None:
    """Change a mounted disk's limits, or make it read-only (`ro`)."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


# As small as each may be, in MiB.
_SIZES = {"ext4": 16, "xfs": 304, "btrfs": 112}
_SHUTDOWN = 0x8004587D  # XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN
_AT_ONCE = 2  # nothing is flushed, the journal neither


class Disk:
    """A file system in a file, which can lose its power."""

    def __init__(self, root: Path, kind: str) -> None:
        self.kind, self.image, self.folder = kind, root / "disk", root / "mounted"
        self.folder.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(_SIZES[kind] << 20)
        _run("mkfs." + kind, *(["-q", "-F"] if kind == "ext4" else ["-q"]), str(self.image))
        self.device = _run("losetup", "--find", "--show", str(self.image))  # one for all mounts: two would not agree

    def mount(self) -> None:
        """Mount it; skips where that cannot be done."""
        told = subprocess.run(["mount", self.device, str(self.folder)], capture_output=True, check=False)
        if told.returncode != 0:
            pytest.skip(f"{self.kind} cannot be mounted here")

    def lose_power(self) -> None:
        """Stop at once: what is not on disk now never will be."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _AT_ONCE.to_bytes(4, "little"))
        except OSError as error:
            pytest.skip(f"{self.kind} cannot be shut down: {error.strerror}")
        finally:
            os.close(fd)

    def unmount(self) -> None:
        """Unmount it."""
        _run("umount", str(self.folder))


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def made_disk(root: Path, kind: str) -> Iterator[Disk]:
    """Make and mount a file system of a kind; skips where that cannot be done."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk of its own")
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"there is no mkfs.{kind}")
    try:
        disk = Disk(root, kind)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{error.cmd[0]}: {error.stderr.strip()}")
    try:
        disk.mount()
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk.folder)], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", disk.device], check=False, capture_output=True)
