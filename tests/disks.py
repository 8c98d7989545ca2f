"""File systems of a test's own: a tmpfs that can be full or read-only."""

import os
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
