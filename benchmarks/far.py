"""Far-away file systems on one machine, which several clients can mount: a FUSE pass-through with latency, MooseFS.

All clients see the file system at the same path, as the nodes of a cluster do. Needs root. What is started here is
taken down whatever happens.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.place import Place, need_root_and

HERE = Path(__file__).parent
_ADDRESS = "10.77.0.1"
_MOOSEFS_CALL = 0.1  # milliseconds


@contextmanager
def slow(meta_us: int, data_us: int) -> Iterator[Place]:
    """Give a FUSE pass-through over a folder in memory where each metadata call takes `meta_us` microseconds."""
    need_root_and("gcc", "pkg-config", "fusermount3")
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
            point,
            wait=meta_us / 1000,
            mount=f"{program} -f {folder}/root {point} -o {options}",
            direct=f"mount --bind {folder}/root {point}",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        point.rmdir()


@contextmanager
def moosefs() -> Iterator[Place]:
    """Give a MooseFS of one master and one chunk server, in a network namespace of its own."""
    need_root_and("mfsmaster", "mfschunkserver", "mfsmount", "nsenter")
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
        yield Place("MooseFS 3", point, _MOOSEFS_CALL, mount, mount, within)
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
