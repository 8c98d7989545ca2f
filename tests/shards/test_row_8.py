"""Shards that die, run twice, come back, and are finished too early: by chance, many times.

Each trial runs 2, 4 or 8 shards at once as processes, some of them twice, some killed between two of their calls, with
attempts to finish in between. Whatever happens: until all shards are done nothing is published, and in the end exactly
one publication makes the tree of one undisturbed apply.
"""

import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from planbalance.engine import ApplyOptions
from planbalance.errors import IncompleteError, PlanbalanceError
from planbalance.model import Outcome
from tests.conftest import Trials
from tests.faults import faulty
from tests.shards.scene import Scene

# Forking is safe here: no thread of this process is left after an apply, and the child has one thread only.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")

_LONGEST = 400  # calls of a shard or a finish of this small plan, about
_PUBLISHED = 100  # exit code of a child


def start(work: Callable[[], Outcome], killed_at: int | None) -> int:
    """Run it in a child, which ends with its exit code, or is killed before its n-th call; return the child's id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with faulty.calls(faulty.only_count if killed_at is None else faulty.kill(killed_at, after=False)):
                code = _PUBLISHED if work().published else 0
        except PlanbalanceError as error:
            code = error.exit_code
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    """Return a child's exit code; -9 where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Trial:
    """One trial, all of it drawn from one seed.

    Attributes:
        dies: the exit codes of a shard that is done, and of one that was killed.
    """

    dies = frozenset((0, -9))

    def __init__(self, root: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.scene = Scene(root, layout=self.draw.choice(["by-volume", "keep"]))
        self.total = self.draw.choice([2, 4, 8])
        self.options = ApplyOptions(mode=self.draw.choice(["copy", "hardlink", "symlink"]), jobs=1)
        self.expected = self.scene.reference(self.options)
        self.published = 0

    def run(self) -> None:
        self.round(list(range(1, self.total + 1)), mortal=True)
        for attempt in range(20):
            missing = self.finish()
            assert bool(missing) != self.scene.output.exists()
            if not missing:
                break
            self.round(missing, mortal=attempt < 2)
        assert self.published == 1
        self.scene.check(self.expected, killed=True)

    def round(self, numbers: list[int], *, mortal: bool) -> None:
        """Run shards at once, some twice, some killed; try to finish in between."""
        runs = numbers + self.draw.sample(numbers, self.draw.randint(0, len(numbers)))
        self.draw.shuffle(runs)
        children = [start(self.shard(number), self.moment() if mortal else None) for number in runs]
        early = start(lambda: self.scene.finish(self.options), None)
        codes = [ended(child) for child in children]
        assert set(codes) <= self.dies | ({5, 4} if self.scene.output.exists() else set()), codes
        code = ended(early)
        assert code in {5, _PUBLISHED, 4}, code
        self.published += code == _PUBLISHED

    def shard(self, number: int) -> Callable[[], Outcome]:
        return lambda: self.scene.shard(number, self.total, self.options)

    def moment(self) -> int | None:
        return self.draw.randint(1, _LONGEST // self.total + 60) if self.draw.random() < 0.4 else None

    def finish(self) -> list[int]:
        """Finish, perhaps killed in the middle; return which shards it says are missing."""
        if self.draw.random() < 0.3:
            there = self.scene.output.exists()
            ended(start(lambda: self.scene.finish(self.options), self.draw.randint(1, _LONGEST)))
            self.published += self.scene.output.exists() and not there
        if self.scene.output.exists():
            assert ended(start(lambda: self.scene.finish(self.options), None)) == 4  # never twice
            return []
        try:
            self.scene.finish(self.options)
        except IncompleteError as error:
            if "has begun" in error.message:  # all that had work to do were killed before they began
                return list(range(1, self.total + 1))
            return [int(number) for number in re.findall(r"--shard (\d+)/", error.hint)][: self.total]
        self.published += 1
        return []


def seeds(count: int, first: int) -> Iterator[int]:
    for trial in range(count):
        print(f"trial {trial}: seed {first + trial}")  # noqa: T201 - pytest shows it with a failure
        yield first + trial


def test_a_few_trials(in_memory: Path) -> None:
    for number, seed in enumerate(seeds(4, 8)):
        folder = in_memory / str(number)
        folder.mkdir()
        Trial(folder, seed).run()


@pytest.mark.torture(row=8)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(4))
def test_200_trials(in_memory: Path, trials: Trials, share: int) -> None:
    for number, seed in enumerate(seeds(50, trials.seed)):
        folder = in_memory / str(number)
        folder.mkdir()
        Trial(folder, seed).run()
        trials.count()
