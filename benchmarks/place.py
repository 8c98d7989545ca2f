"""A file system to measure on, how it is mounted, and a client of it with a mount of its own."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class UnavailableError(Exception):
    """A file system cannot be had here; the text says why."""


@dataclass(frozen=True)
class Place:
    """A file system to measure on.

    Attributes:
        name: as the table shows it.
        root: a folder on it, empty; where it is mounted by `mount`, the same for every client.
        wait: milliseconds that a metadata call is known to wait; 0 for a near one.
        mount: shell words that mount it at `root` and stay; "" where it is there already.
        direct: shell words that do so without any delay, to prepare the data.
        within: words that come before these and a client's command (a network namespace), or none.
    """

    name: str
    root: Path
    wait: float = 0.0
    mount: str = ""
    direct: str = ""
    within: Sequence[str] = ()

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Let the root answer at once, while data are written."""
        with self._mounted(self.direct):
            yield

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Let the root answer as it does."""
        with self._mounted(self.mount):
            yield

    @contextmanager
    def _mounted(self, words: str) -> Iterator[None]:
        """Mount for all to see, and unmount again."""
        if not words:
            yield
            return
        serving = subprocess.Popen([*self.within, "sh", "-c", f"exec {words}"], stdin=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 30
            while not os.path.ismount(self.root):
                if time.monotonic() > until:
                    raise UnavailableError(f"{self.name} does not come up")
                time.sleep(0.05)
            yield
        finally:
            unmount(self.root)
            try:
                serving.wait(10)
            except subprocess.TimeoutExpired:
                serving.kill()
                serving.wait()


def client(place: Place, command: Sequence[str], *, mount: str | None = None, go: Path | None = None) -> list[str]:
    """Return the words that run a command in a mount namespace of its own, as on a node of a cluster. Needs root.

    Before the command's output stands when it began, behind it when it ended, in seconds since 1970. With `go` it waits
    for that file once it has mounted.
    """
    wait = f"until [ -e {shlex.quote(str(go))} ]; do sleep 0.02; done" if go is not None else ":"
    script = f"""
        {mount or place.mount} &
        until mountpoint -q {place.root}; do sleep 0.05; done
        {wait}
        date +%s.%N
        {shlex.join(command)}
        code=$?
        date +%s.%N
        umount -l {place.root}
        wait
        exit $code
    """
    return [*place.within, "unshare", "--mount", "--propagation", "private", "bash", "-c", script]


def unmount(point: Path) -> None:
    """Unmount whatever lies there, one mount over the other included."""
    while os.path.ismount(point):
        subprocess.run(["umount", "-l", point], check=True)


def need_root_and(*programs: str) -> None:
    """Raise UnavailableError where we are not root, or a program is not installed."""
    if os.geteuid() != 0:
        raise UnavailableError("needs root")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise UnavailableError(f"needs {', '.join(missing)}")
