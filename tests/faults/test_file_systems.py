"""The file systems that this machine can make: every mode that each has, cut off in the middle and resumed."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import IncompleteError, PlanError
from planbalance.modes import Mode
from tests.builders import tree_content
from tests.disks import made_disk
from tests.faults import faulty
from tests.faults.scene import Scene
from tests.faults.test_killed import calls_of_a_run
from tests.systems import SYSTEM, needs_linux

KINDS = ("ext4", "xfs", "btrfs")
HAVE_REFLINK = ("xfs", "btrfs")


@pytest.fixture(params=KINDS)
def scene(in_memory: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Source and output on one such file system."""
    with made_disk(in_memory, request.param) as disk:
        (disk.folder / request.param).mkdir()
        yield Scene(disk.folder / request.param, layout="by-volume")


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink", "reflink"])
def test_built_and_resumed(scene: Scene, mode: Mode) -> None:
    options = ApplyOptions(mode=mode, jobs=1, durability="safe")
    if mode == "reflink" and (SYSTEM == "bare" or scene.root.name not in HAVE_REFLINK):
        with pytest.raises(PlanError, match="does not work"):
            apply_plan(scene.plan(), options)
        assert list(scene.output.parent.iterdir()) == []
        return
    scene.undisturbed(options)
    total = calls_of_a_run(scene, options)
    for at in (total // 3, total // 2, total - 12):
        with suppress(IncompleteError, PlanError), faulty.calls(faulty.fail(at, 5, for_good=True)):
            apply_plan(scene.plan(), options)
        scene.check_after_fault(options)
        scene.check_resumed(options)


@needs_linux("FICLONE")
@pytest.mark.parametrize("kind", HAVE_REFLINK)
@pytest.mark.parametrize("sums", [True, False])
def test_a_copy_shares_blocks_where_it_can_and_writes_none(in_memory: Path, kind: str, *, sums: bool) -> None:
    data = os.urandom(3 << 18)
    with made_disk(in_memory, kind) as disk:
        (disk.folder / "a").write_bytes(data)
        digest = hashlib.sha256() if sums else None
        with (
            open(disk.folder / "a", "rb") as source,
            open(disk.folder / "b", "wb") as target,
            faulty.calls(faulty.only_count) as calls,
        ):
            assert fs.Copier().copy(source.fileno(), target.fileno(), len(data), digest=digest) == len(data)
        assert not {"write", "copy_file_range", "sendfile"} & set(calls.seen)
        assert (disk.folder / "b").read_bytes() == data
        assert digest is None or digest.digest() == hashlib.sha256(data).digest()
        with open(disk.folder / "b", "r+b") as target:
            target.write(b"changed")
        assert (disk.folder / "a").read_bytes() == data


def test_a_hard_link_to_another_file_system_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """A real one: EXDEV."""
    if not os.access("/dev/shm", os.W_OK) or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is no second file system to write to")
    scene = Scene(tmp_path)
    elsewhere = Path("/dev/shm") / f"planbalance-{os.getpid()}-{tmp_path.name}"
    try:
        with pytest.raises(PlanError, match="different file systems") as caught:
            apply_plan(scene.plan(), ApplyOptions(mode="hardlink", output=str(elsewhere / "set")))
        assert caught.value.kind == "mode-refused"
        assert "--mode symlink" in caught.value.hint
        assert not elsewhere.exists()
        apply_plan(scene.plan(), ApplyOptions(mode="hardlink", output=str(elsewhere / "set"), fallback="copy"))
        assert "images/train/IM1-01-a.png" in tree_content(elsewhere / "set")
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)


NOBODY = 65534


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_hard_links_to_another_users_files_are_refused_before_anything_is_written(in_memory: Path) -> None:
    """A real refusal by fs.protected_hardlinks, which does not apply to root."""
    protected = Path("/proc/sys/fs/protected_hardlinks")
    if os.geteuid() != 0 or not protected.exists() or protected.read_text().strip() != "1":
        pytest.skip("needs root, and fs.protected_hardlinks=1")
    in_memory.chmod(0o755)
    scene = Scene(in_memory)
    os.chown(scene.output.parent, NOBODY, NOBODY)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            apply_plan(scene.plan(), ApplyOptions(mode="hardlink"))
        except PlanError as error:
            os.write(theirs, f"{error.kind}: {error.message}".encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, encoding="utf-8") as told:
        said = told.read()
    os.waitpid(child, 0)
    assert said.startswith("mode-refused")
    assert "another user's files: fs.protected_hardlinks" in said
    assert list(scene.output.parent.iterdir()) == []
