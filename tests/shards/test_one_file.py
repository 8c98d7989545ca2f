"""Shards of one file that die, are resumed by other numbers of workers, run twice, and are finished too early."""

import hashlib
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.executor import autoscaler
from planbalance.model import Outcome
from planbalance.modes import MODE_TABLE, Mode
from planbalance.planstore import PlanFile
from planbalance.shards import Shard
from tests.builders import tree_state
from tests.conftest import Trials
from tests.shards.scene import Scene
from tests.shards.test_row_8 import Trial, seeds

# Forking is safe here: no thread of this process is left after an apply, and a child begins with one thread only.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


@pytest.fixture(params=["squashfs", "tar"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Mode:
    """A mode, with worker processes for small plans too, and segments of a few slices."""
    one: Mode = request.param
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.LIMITS._replace(worth_forking=0))
    monkeypatch.setattr("planbalance.engine.packing.LEAST", 2)
    monkeypatch.setattr("planbalance.engine.packing.BOUNDARY", 1 << (10 if one == "tar" else 8))
    return one


class OneFile(Scene):
    """A scene whose output is one file with its sum beside it."""

    def __init__(self, root: Path, mode: Mode, draw: random.Random, **options: Any) -> None:
        super().__init__(root, **options)
        self.output = Path(f"{self.output}{MODE_TABLE[mode].one_file}")
        self.staging = Path(fs.partial_path(str(self.output)))
        self._draw = draw

    def reference(self, options: ApplyOptions) -> dict[str, str]:
        apply_plan(self.plan, options)
        content = self.content()
        for name in content:
            (self.parent / name).unlink()
        return content

    def content(self) -> dict[str, str]:
        beside = Path(f"{self.output}.sha256")
        return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in (self.output, beside)}

    def shard(self, number: int, total: int, options: ApplyOptions | None = None, **more: Any) -> Outcome:
        """Build a shard by one worker, or by a few processes."""
        chosen = replace(options or ApplyOptions(**more), shard=Shard(number, total), jobs=self._draw.choice([1, 2, 5]))
        return apply_plan(PlanFile.open(str(self.path)), chosen)

    def check(self, expected: dict[str, str], *, killed: bool = False) -> None:
        assert self.content() == expected
        names = {path.name for path in self.parent.iterdir()}
        assert names - ({self.staging.name} if killed else set()) == set(expected)
        assert not (self.staging / self.output.name).exists()
        assert tree_state(self.source) == self.source_state


class OneFileTrial(Trial):
    """A trial of one file. A worker that is killed ends its shard with exit code 5."""

    dies = frozenset((0, -9, 5))

    def __init__(self, root: Path, seed: int, mode: Mode) -> None:
        self.draw = random.Random(seed)
        self.scene = OneFile(root, mode, self.draw, layout=self.draw.choice(["by-volume", "keep"]))
        self.total = self.draw.choice([2, 4, 8])
        self.options = ApplyOptions(mode=mode)
        self.expected = self.scene.reference(self.options)
        self.published = 0


def test_a_few_trials(in_memory: Path, mode: Mode) -> None:
    for number, seed in enumerate(seeds(3, 8)):
        folder = in_memory / str(number)
        folder.mkdir()
        OneFileTrial(folder, seed, mode).run()


@pytest.mark.torture(row=8)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(4))
def test_200_trials(in_memory: Path, trials: Trials, mode: Mode, share: int) -> None:
    for number, seed in enumerate(seeds(25, trials.seed + 1_000 * share)):
        folder = in_memory / str(number)
        folder.mkdir()
        OneFileTrial(folder, seed, mode).run()
        trials.count()
