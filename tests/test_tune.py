"""Tune: what it measures, what it refuses, and that it leaves nothing."""

import errno
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from planbalance import api, fs, platform_calls
from planbalance.errors import InputError, PlanError, UsageError
from planbalance.executor import autoscaler
from planbalance.executor.autoscaler import Kind
from planbalance.model import Silent
from planbalance.render.tune import tune_text
from planbalance.tune import document_of, latency, rates, tune
from planbalance.tune.names import file_system
from planbalance.tune.probes import Probe, described, probe_all
from planbalance.tune.rates import Rate
from planbalance.tune.settings import settings
from tests.builders import tree_state, yolo_tree
from tests.systems import needs_linux

PROBES = {
    "hardlink": Probe(works=True, reason=""),
    "symlink": Probe(works=True, reason=""),
    "reflink": Probe(works=False, reason="Operation not supported"),
    "copy_file_range": Probe(works=True, reason=""),
    "o_tmpfile": Probe(works=True, reason=""),
    "atomic_publish": Probe(works=True, reason=""),
    "fcntl_locks": Probe(works=True, reason=""),
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure for milliseconds only: the figures are not looked at."""
    monkeypatch.setattr(latency, "MOST_ROUNDS", 12)
    monkeypatch.setattr(rates, "POINT_SECONDS", 0.005)
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.Limits(most_threads=4))


# ---- names ----------------------------------------------------------------------------------------------------------

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /gpfs/scratch rw shared:9 - gpfs scratch rw
31 22 0:27 / /lustre rw - lustre mgs@tcp:/work rw,flock
32 22 0:28 / /home rw - nfs4 filer:/home rw
33 22 0:29 / /mnt/bee rw - beegfs beegfs_nodev rw
34 22 0:30 / /mnt/with\040blank rw - xfs /dev/sdb rw
35 22 0:31 / /mnt/mfs rw - fuse.mfs mfs#master:9421 rw
36 22 0:32 / /dev/shm rw - tmpfs tmpfs rw
37 36 0:33 / /dev/shm rw - btrfs /dev/sdc rw
not a line of the table
"""


@pytest.mark.parametrize(
    ("path", "number", "name", "point"),
    [
        ("/somewhere", 0xEF53, "ext4", "/"),
        ("/gpfs/scratch/me", 0x47504653, "GPFS", "/gpfs/scratch"),
        ("/gpfs/scratchpad", None, "ext4", "/"),
        ("/lustre", 0x0BD00BD0, "Lustre", "/lustre"),
        ("/home/me/x", 0x6969, "NFS", "/home"),
        ("/mnt/bee/x", 0x19830326, "BeeGFS", "/mnt/bee"),
        ("/mnt/with blank/x", 0x58465342, "XFS", "/mnt/with blank"),
        ("/mnt/mfs/x", 0x65735546, "FUSE (mfs)", "/mnt/mfs"),
        ("/dev/shm/x", 0x9123683E, "btrfs", "/dev/shm"),
    ],
)
def test_a_file_system_is_called_as_its_mount_says(path: str, number: int | None, name: str, point: str) -> None:
    found = file_system(path, MOUNTS, number)
    assert (found.name, found.mount_point, found.number) == (name, point, number)


@pytest.mark.parametrize(
    ("number", "name"),
    [(0x47504653, "GPFS"), (-0x6EDC97C2, "btrfs"), (0x01021994, "tmpfs"), (0x12345678, "unknown"), (None, "unknown")],
)
def test_without_a_mount_table_the_number_tells(number: int | None, name: str) -> None:
    """`f_type` is signed on some machines: btrfs is a negative number there."""
    assert file_system("/x", "", number).name == name


@needs_linux("statfs with a number")
def test_the_number_is_the_one_that_stat_prints(tmp_path: Path) -> None:
    told = subprocess.run(["stat", "-f", "-c", "%t", tmp_path], capture_output=True, text=True, check=True).stdout
    number = fs.file_system_number(str(tmp_path))
    assert number is not None
    assert number & 0xFFFFFFFF == int(told, 16)


# ---- what works -----------------------------------------------------------------------------------------------------


def probed(tmp_path: Path) -> dict[str, Probe]:
    tree = fs.Tree(str(tmp_path))
    try:
        return probe_all(tree)
    finally:
        tree.close()


def test_what_every_linux_file_system_can(tmp_path: Path) -> None:
    found = probed(tmp_path)
    assert list(found) == list(PROBES)
    assert found["symlink"] == Probe(works=True, reason="")
    assert found["fcntl_locks"] == Probe(works=True, reason="")


@pytest.mark.parametrize(
    ("call", "name"),
    [("link", "hardlink"), ("symlink", "symlink"), ("copy_file_range", "copy_file_range")],
)
def test_what_is_refused_is_said_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, name: str
) -> None:
    class Refusing:
        def __getattr__(self, asked: str) -> Any:
            return self.refuse if asked == call else getattr(os, asked)

        def refuse(self, *_: Any, **__: Any) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    for module in (fs, platform_calls):
        monkeypatch.setattr(module, "os", Refusing())
    assert probed(tmp_path)[name] == Probe(works=False, reason="Operation not permitted")


def test_a_publish_that_replaces_a_taken_name_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "rename_if_free", os.rename)
    assert not probed(tmp_path)["atomic_publish"].works


# ---- the settings ---------------------------------------------------------------------------------------------------


def points(kind: Kind, where: rates.Where, busy: float, **per_second: float) -> list[Rate]:
    return [Rate(kind, int(count[1:]), where, rate, busy) for count, rate in per_second.items()]


def test_a_near_file_system_gets_processes() -> None:
    near = points("processes", "own", 0.9, w1=40_000, w2=70_000) + points("threads", "own", 0.9, w1=40_000, w2=30_000)
    chosen = settings(PROBES, [*near, *points("processes", "one", 0.9, w2=60_000)], cores=2)
    assert (chosen.kind, chosen.workers, chosen.layout) == ("processes", 2, "keep")
    assert chosen.modes == ("copy", "hardlink", "symlink")
    assert (chosen.copy, chosen.publish) == ("copy_file_range", platform_calls.C_LIBRARY.rename_new_call)
    sharing = {**PROBES, "reflink": Probe(works=True, reason="")}
    assert settings(sharing, near, cores=2).copy == "reflink"


def test_a_far_one_gets_as_many_threads_as_raise_the_rate_and_folders_of_their_own() -> None:
    far = points("processes", "own", 0.01, w1=80, w2=160)
    far += points("threads", "own", 0.01, w1=80, w2=160, w4=320, w8=640, w16=1280, w32=1300, w64=1290)
    far += points("threads", "one", 0.01, w1=80, w64=85)
    nothing = {name: Probe(works=False, reason="refused") for name in PROBES}
    chosen = settings(nothing, far, cores=2)
    assert (chosen.kind, chosen.layout, chosen.modes) == ("threads", "by-volume", ("copy",))
    assert 16 <= chosen.workers <= 32
    assert (chosen.copy, chosen.publish) == ("sendfile, or read and write", "rename")


# ---- the whole ------------------------------------------------------------------------------------------------------


@needs_linux("a mount table in a file")
@pytest.mark.usefixtures("quick")
def test_a_measurement_says_everything_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    before = tree_state(tmp_path)
    document = document_of(api.tune(str(tmp_path)))
    assert tree_state(tmp_path) == before
    assert document["folder"] == str(tmp_path)
    assert document["file_system"]["name"] not in ("", "unknown")
    assert set(document["works"]) == set(PROBES)
    assert {"create", "stat", "rename", "unlink"} <= set(document["latency"])
    assert all(0 < told["median"] <= told["p95"] for told in document["latency"].values())
    assert {rate["where"] for rate in document["rates"]} == {"own", "one"}
    assert document["settings"]["workers"] >= 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder") as caught:
        tune(str(tmp_path / "none"), Silent())
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("below", ["", "images", "images/train", "labels/train"])
def test_a_dataset_is_refused_and_left_as_it_is(tmp_path: Path, below: str) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "+."})
    before = tree_state(root)
    with pytest.raises(UsageError, match="dataset") as caught:
        tune(str(root / below), Silent())
    assert caught.value.exit_code == 2
    assert tree_state(root) == before


def test_a_folder_where_nothing_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(fs, "make_folder", refuse)
    with pytest.raises(PlanError, match="Permission denied") as caught:
        tune(str(tmp_path), Silent())
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(tmp_path: Path, number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "planbalance", "tune", tmp_path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while not any(tmp_path.iterdir()):  # it is at work once its folder is there
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, b"Traceback" in said) == (130, False)
    assert not any(tmp_path.iterdir())


# ---- for a person ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "encoding"), [(30, "utf-8"), (40, "ascii"), (100, "utf-8")])
def test_the_plot_fits_any_terminal(width: int, encoding: str) -> None:
    document = {
        "folder": "/scratch",
        "file_system": {"name": "GPFS", "type": "gpfs", "mount_point": "/scratch", "statfs_type": "0x47504653"},
        "works": {
            name: {"ok": probe.works, "reason": probe.reason, "what": described(name)} for name, probe in PROBES.items()
        },
        "latency": {"create": {"median": 0.0021, "p95": 0.0123, "calls": 40}},
        "rates": [
            {"kind": "threads", "workers": count, "where": where, "per_second": 80.0 * count, "busy": 0.1}
            for where in ("own", "one")
            for count in (1, 128)
        ],
        "settings": {
            "kind": "threads",
            "workers": 128,
            "modes": ["copy", "symlink"],
            "copy": "copy_file_range",
            "publish": "rename",
            "layout": "by-volume",
        },
    }

    class Stream(StringIO):
        def __getattribute__(self, name: str) -> Any:
            return encoding if name == "encoding" else super().__getattribute__(name)

    stream = Stream()
    Console(file=stream, width=width, force_terminal=False).print(tune_text(document))
    said = stream.getvalue()
    assert max(len(line.rstrip()) for line in said.splitlines()) <= width
    assert "128 threads" in said
    assert "10,240" in said
    assert ("#" in said) == (encoding == "ascii")
    assert "--layout by-volume" in " ".join(said.split())
    said.encode(encoding)
