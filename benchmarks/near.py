"""File systems of this machine: a folder of anybody's, and kinds that are mounted from a file.

What is mounted or made here is taken down whatever happens.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.place import Place, UnavailableError, need_root_and, unmount
from planbalance import fs
from planbalance.platform_calls import mount_table
from planbalance.tune.latency import latencies
from planbalance.tune.names import file_system


@contextmanager
def folder(root: str) -> Iterator[Place]:
    """Give a folder of our own below `root`, named as the tool calls its file system."""
    path = Path(tempfile.mkdtemp(prefix="planbalance-bench-", dir=root))
    try:
        name = file_system(os.path.realpath(root), mount_table(), fs.file_system_number(root)).name
        yield Place(name, path, _wait(path))
    finally:
        shutil.rmtree(path)


def _wait(path: Path) -> float:
    """Return the milliseconds that a call waits there; 0 where it hardly does."""
    tree = fs.Tree(str(path))
    try:
        milliseconds = 1000 * latencies(tree)["create"].median
        fs.remove_below(tree.fd)
    finally:
        tree.close()
    return milliseconds if milliseconds > 0.5 else 0.0


@contextmanager
def loop(kind: str, gigabytes: int = 12) -> Iterator[Place]:
    """Give a file system of a kind in a file in memory that is mounted; the file takes no more than is written."""
    need_root_and(f"mkfs.{kind}")
    free = shutil.disk_usage("/dev/shm").free
    path = Path(tempfile.mkdtemp(prefix=f"pb-{kind}-", dir="/dev/shm"))
    image, point = path / "disk", path / "mounted"
    point.mkdir()
    try:
        with open(image, "wb") as file:
            file.truncate(min(gigabytes << 30, free * 3 // 4))
        subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
        told = subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, text=True, check=False)
        if told.returncode != 0:
            raise UnavailableError(told.stderr.strip())
        try:
            yield Place(f"{kind} (loop)", point)
        finally:
            unmount(point)
    finally:
        shutil.rmtree(path, ignore_errors=True)
