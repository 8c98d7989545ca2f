"""Several applies of two plans to one output at once: one of them builds it, the others say why they did not."""

import os
import random
import time
from pathlib import Path

import pytest

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.planstore import PlanFile
from tests.builders import tree_content, tree_state, yolo_tree
from tests.conftest import Trials
from tests.engine.plans import saved_plan
from tests.faults.scene import VOLUMES
from tests.running import in_a_child

# Forking is safe here: no thread of this process is left after an apply, and the child has one thread only.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


class Rivals:
    """Two plans of one output."""

    def __init__(self, root: Path) -> None:
        self.parent = root / "out"
        self.parent.mkdir()
        self.output, self.options = self.parent / "set", ApplyOptions(jobs=1)
        self.sources = [yolo_tree(root / "a", VOLUMES), yolo_tree(root / "b", {**VOLUMES, "09-x": "+."})]
        self.plans = [root / "a.json", root / "b.json"]
        for source, plan in zip(self.sources, self.plans, strict=True):
            saved_plan([source], self.output, plan)
        self.before = [tree_state(source) for source in self.sources]
        self.whole = []
        for plan in self.plans:
            apply_plan(PlanFile.open(str(plan)), self.options)
            self.whole.append(tree_content(self.output))
            self.clear()

    def clear(self) -> None:
        tree = fs.Tree(str(self.parent))
        fs.remove_below(tree.fd)
        tree.close()

    def start(self, plan: Path, at: float) -> int:
        """Run an apply in a child, from a moment on that all share; it ends with its exit code."""

        def work() -> None:
            time.sleep(max(0.0, at - time.monotonic()))
            apply_plan(PlanFile.open(str(plan)), self.options)

        return in_a_child(work)

    def trial(self, draw: random.Random) -> None:
        at = time.monotonic() + 0.01
        chosen = [draw.randrange(2) for _ in range(4)]
        children = [self.start(self.plans[which], at + draw.random() * 0.02) for which in chosen]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert sorted(codes)[:2] != [0, 0], "two of them published"
        assert set(codes) <= {0, 4, 5}, codes
        assert 0 in codes
        assert tree_content(self.output) == self.whole[chosen[codes.index(0)]]
        assert [path.name for path in self.parent.iterdir()] == ["set"]
        self.clear()

    def check_sources(self) -> None:
        now = [tree_state(source) for source in self.sources]
        assert now == self.before


def race(root: Path, draw: random.Random, count: int) -> None:
    rivals = Rivals(root)
    for _ in range(count):
        rivals.trial(draw)
    rivals.check_sources()


def test_one_of_several_builds_it(in_memory: Path) -> None:
    race(in_memory, random.Random(2), 5)


@pytest.mark.torture(row=7)
@pytest.mark.timeout(1800)
def test_one_of_several_builds_it_again_and_again(in_memory: Path, trials: Trials) -> None:
    race(in_memory, trials.draw, 300)
    trials.count(300)
