"""Power loss on real file systems: they are shut down in the middle of a build, as xfstests do, and mounted again.

A cross-check of the model in `powerloss`, with the losses that ext4 and XFS really make. Needs root, loop devices and
the file system's mkfs; skips with the reason where one is missing.
"""

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from planbalance import fs, lock_owner
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import PlanError
from tests.builders import tree_content, tree_state, yolo_tree
from tests.conftest import Trials
from tests.disks import Disk, made_disk
from tests.engine.plans import saved_plan
from tests.running import in_a_child
from tests.systems import needs_linux

VOLUMES = {f"{number:02d}-v": "+.-_" for number in range(6)}


class Lost:
    """A build on such a disk, its source on another one; with `sharing` on the same, and copies share its blocks."""

    def __init__(self, root: Path, disk: Disk, patch: pytest.MonkeyPatch, *, sharing: bool) -> None:
        self.disk, self.out = disk, disk.folder / "out"
        self.out.mkdir()
        self.source = yolo_tree((disk.folder if sharing else root) / "in", VOLUMES)
        if sharing:
            patch.setattr(fs, "SMALL", 0)
        self.plan = saved_plan([self.source], self.out / "set", root / "plan.json", layout="by-volume")
        self.before = tree_state(self.source)
        self.boot = 0
        patch.setattr(lock_owner, "boot_id", lambda: f"boot-{self.boot}")
        self.options = ApplyOptions(jobs=1, durability="safe")
        with patch.context() as counting:
            cloned: list[int] = []
            real = fs.clone

            def clone(source: int, target: int) -> None:
                real(source, target)
                cloned.append(target)

            counting.setattr(fs, "clone", clone)
            apply_plan(self.plan, self.options)
        assert bool(cloned) == sharing
        self.whole = tree_content(self.out / "set")
        self.remove()

    def remove(self) -> None:
        shutil.rmtree(self.out)
        self.out.mkdir()
        os.sync()

    def trial(self, draw: random.Random, seconds: float) -> None:
        """Lose the power once or twice in the middle, then build to the end; lose it once more: all is still there."""
        for _ in range(draw.randint(1, 2)):
            self.lose_during(draw.random() * seconds)
            if (self.out / "set").exists():
                break
        if (self.out / "set").exists():
            with pytest.raises(PlanError, match="already built"):
                apply_plan(self.plan, self.options)
        else:
            apply_plan(self.plan, self.options)
        self.disk.lose_power()
        self.again()
        assert tree_content(self.out / "set") == self.whole
        assert [path.name for path in self.out.iterdir()] == ["set"]
        assert tree_state(self.source) == self.before
        self.remove()

    def lose_during(self, seconds: float) -> None:
        child = in_a_child(lambda: apply_plan(self.plan, self.options))
        time.sleep(seconds)
        self.disk.lose_power()
        os.waitpid(child, 0)
        self.again()
        if (self.out / "set").exists():
            assert tree_content(self.out / "set") == self.whole

    def again(self) -> None:
        """Boot once more."""
        self.disk.unmount()
        self.disk.mount()
        self.boot += 1


# Forking is safe here: no thread of this process is left after an apply.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


def lose(
    root: Path, kind: str, patch: pytest.MonkeyPatch, draw: random.Random, count: int, *, sharing: bool = False
) -> None:
    patch.setattr("planbalance.engine.journal.SYNC_SECONDS", 0.0)
    with made_disk(root, kind) as disk:
        lost = Lost(root, disk, patch, sharing=sharing)
        began = time.monotonic()
        apply_plan(lost.plan, lost.options)
        seconds = 1.2 * (time.monotonic() - began)
        lost.remove()
        for _ in range(count):
            lost.trial(draw, seconds)


def test_ext4_loses_its_power(in_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lose(in_memory, "ext4", monkeypatch, random.Random(1), 2)


@needs_linux("FICLONE")
def test_xfs_loses_its_power_where_copies_share_blocks(in_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lose(in_memory, "xfs", monkeypatch, random.Random(1), 2, sharing=True)


@pytest.mark.torture(row=4)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("kind", "sharing"), [("ext4", False), ("xfs", False), ("xfs", True)])
def test_real_disks_lose_their_power(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch, trials: Trials, kind: str, *, sharing: bool
) -> None:
    lose(in_memory, kind, monkeypatch, trials.draw, 60, sharing=sharing)
    trials.count(60)
