"""Far-away file systems on one machine, each client with a mount of its own: a FUSE pass-through with latency, MooseFS.

A client is a command in a mount namespace of its own, so that all of them see the file system at the same path, as the
nodes of a cluster do. Needs root.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_ADDRESS = "10.77.0.1"


@dataclass(frozen=True)
class Place:
    """A file system that clients can mount.

    Attributes:
        name: as the table shows it.
        point: where every client sees it.
        mount: shell words that mount it at `point` in the background of a client's namespace.
        within: words that come before a client's command (a network namespace), or none.
        direct: shell words that mount it at `point` without any delay, to prepare the data.
    """

    name: str
    point: str
    mount: str
    within: Sequence[str]
    direct: str


def client(place: Place, command: Sequence[str], *, mount: str | None = None, go: Path | None = None) -> list[str]:
    """Return the words that run a command in a namespace with its own mount.

    Before the command's output stands when it began, behind it when it ended, and then, as bash's `times` prints them,
    what this client used of the CPU, its mount included. With `go` it waits for that file once it has mounted.
    """
    wait = f"until [ -e {shlex.quote(str(go))} ]; do sleep 0.02; done" if go is not None else ":"
    script = f"""
        {mount or place.mount} &
        until mountpoint -q {place.point}; do sleep 0.05; done
        {wait}
        date +%s.%N
        {shlex.join(command)}
        code=$?
        date +%s.%N
        umount -l {place.point}
        wait
        times
        exit $code
    """
    return [*place.within, "unshare", "--mount", "--propagation", "private", "bash", "-c", script]


@contextmanager
def slow(meta_us: int, data_us: int) -> Iterator[Place]:
    """Give a FUSE pass-through over a folder in memory where each metadata call takes `meta_us` microseconds."""
    folder = Path(tempfile.mkdtemp(prefix="pb-slow-", dir="/dev/shm"))
    point = Path(tempfile.mkdtemp(prefix="pb-point-"))
    try:
        (folder / "root").mkdir()
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True, text=True, check=True
        )
        program = folder / "slowfs"
        subprocess.run(["gcc", "-O2", "-o", program, HERE / "slowfs.c", *flags.stdout.split()], check=True)
        options = f"meta_us={meta_us},data_us={data_us},max_threads=64"
        yield Place(
            f"{meta_us / 1000:g} ms a metadata call (FUSE)",
            str(point),
            f"{program} -f {folder}/root {point} -o {options}",
            (),
            f"mount --bind {folder}/root {point}",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        point.rmdir()


@contextmanager
def moosefs() -> Iterator[Place]:
    """Give a MooseFS of one master and one chunk server, in a network namespace of its own."""
    folder = Path(tempfile.mkdtemp(prefix="pb-mfs-", dir="/dev/shm"))
    point = Path(tempfile.mkdtemp(prefix="pb-point-"))
    namespace = f"pb{os.getpid()}"
    within = ("nsenter", f"--net=/run/netns/{namespace}")
    running: list[list[str]] = []
    try:
        for words in (
            ["ip", "netns", "add", namespace],
            [*within, "ip", "link", "set", "lo", "up"],
            [*within, "ip", "addr", "add", f"{_ADDRESS}/32", "dev", "lo"],
        ):
            subprocess.run(words, check=True)
        for name, text in _moosefs_files(folder).items():
            (folder / name).write_text(text)
        for each in ("master", "chunks", "disk"):
            (folder / each).mkdir()
        shutil.copy("/var/lib/mfs/metadata.mfs.empty", folder / "master" / "metadata.mfs")
        for program in ("mfsmaster", "mfschunkserver"):
            words = [*within, program, "-c", str(folder / f"{program}.cfg")]
            subprocess.run([*words, "start"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            running.append(words)
            time.sleep(6)
        mount = f"mfsmount {point} -f -H {_ADDRESS} -o nonempty >/dev/null 2>&1"
        yield Place("MooseFS 3", str(point), mount, within, mount)
    finally:
        for words in reversed(running):
            subprocess.run([*words, "stop"], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "delete", namespace], check=False)
        shutil.rmtree(folder, ignore_errors=True)
        point.rmdir()


def _moosefs_files(folder: Path) -> dict[str, str]:
    master = {
        "WORKING_USER": "root",
        "WORKING_GROUP": "root",
        "DATA_PATH": f"{folder}/master",
        "EXPORTS_FILENAME": f"{folder}/exports.cfg",
        "MATOML_LISTEN_HOST": _ADDRESS,
        "MATOCS_LISTEN_HOST": _ADDRESS,
        "MATOCL_LISTEN_HOST": _ADDRESS,
    }
    chunks = {
        "WORKING_USER": "root",
        "WORKING_GROUP": "root",
        "DATA_PATH": f"{folder}/chunks",
        "HDD_CONF_FILENAME": f"{folder}/hdd.cfg",
        "MASTER_HOST": _ADDRESS,
        "CSSERV_LISTEN_HOST": _ADDRESS,
        "BIND_HOST": _ADDRESS,
        "HDD_LEAVE_SPACE_DEFAULT": "16MiB",
    }
    return {
        "exports.cfg": f"{_ADDRESS} / rw,alldirs,admin,maproot=0:0\n",
        "hdd.cfg": f"{folder}/disk\n",
        "mfsmaster.cfg": "".join(f"{name} = {value}\n" for name, value in master.items()),
        "mfschunkserver.cfg": "".join(f"{name} = {value}\n" for name, value in chunks.items()),
    }
