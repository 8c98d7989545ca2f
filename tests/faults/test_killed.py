"""SIGKILL between any two calls: the output is absent or whole, and the same apply again ends in an equal tree."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from planbalance.engine import ApplyOptions, apply_plan
from planbalance.executor import autoscaler
from tests.conftest import Trials
from tests.faults import faulty
from tests.faults.scene import ALL, PACKED, PLACING, Scene
from tests.running import in_a_child


def is_killed(scene: Scene, options: ApplyOptions, act: faulty.Act) -> bool:
    """Run an apply in a forked child to its end; return whether that was a signal."""

    def work() -> None:
        with faulty.calls(act):
            apply_plan(scene.plan(), options)

    return os.WIFSIGNALED(os.waitpid(in_a_child(work), 0)[1])


def calls_of_a_run(scene: Scene, options: ApplyOptions) -> int:
    with faulty.calls(faulty.only_count) as counter:
        apply_plan(scene.plan(), options)
    scene.remove_output()
    return len(counter.seen)


def kill_at(scene: Scene, options: ApplyOptions, at: int, total: int, *, after: bool) -> bool:
    """Kill a run at a call of about `total`; return whether it came that far.

    A batch is as large as fits into a time, and the journal takes a call for each: a run may end some calls sooner.
    """
    killed = is_killed(scene, options, faulty.kill(at, after=after))
    assert killed or at > 0.9 * total, f"the child was not killed at call {at} of {total}"
    scene.check_after_fault(options)
    scene.check_resumed(options)
    return killed


def options_of(mode: str, durability: str = "fast") -> ApplyOptions:
    return ApplyOptions(mode=mode, jobs=1, durability=durability)  # type: ignore[arg-type]  # parametrized


# Forking is safe here: no thread of this process is left after an apply, and the child has one thread only.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


@pytest.mark.parametrize("mode", ALL)
def test_a_sample_of_boundaries(tmp_path: Path, mode: str) -> None:
    scene, options = Scene(tmp_path), options_of(mode)
    scene.undisturbed(options)
    total = calls_of_a_run(scene, options)
    for at in sorted({*range(1, total + 1, max(1, total // 10)), total - 12, total - 8, total - 4, total}):
        kill_at(scene, options, at, total, after=bool(at % 2))


@pytest.mark.parametrize("mode", ALL)
def test_killed_again_during_the_resume(tmp_path: Path, mode: str) -> None:
    scene, options = Scene(tmp_path), options_of(mode)
    scene.undisturbed(options)
    total = calls_of_a_run(scene, options)
    for first, second in ((total // 2, total // 3), (total * 3 // 4, total // 2)):
        kill_twice(scene, options, first, second)


def kill_twice(scene: Scene, options: ApplyOptions, first: int, second: int) -> None:
    """Kill a run and its resume; the resume may be shorter than `second` calls, and publish."""
    assert is_killed(scene, options, faulty.kill(first, after=True))
    scene.check_after_fault(options)
    is_killed(scene, options, faulty.kill(second, after=True))
    scene.check_after_fault(options)
    scene.check_resumed(options)


@pytest.mark.torture(row=1)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("durability", ["fast", "safe"])
@pytest.mark.parametrize("mode", ALL)
def test_every_boundary(in_memory: Path, trials: Trials, mode: str, durability: str) -> None:
    scene, options = Scene(in_memory), options_of(mode, durability)
    scene.undisturbed(options)
    total = calls_of_a_run(scene, options)
    for at in range(1, total + 1):
        trials.count(kill_at(scene, options, at, total, after=True))


@pytest.mark.torture(row=1)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("durability", ["fast", "safe"])
@pytest.mark.parametrize("mode", ALL)
def test_every_run_and_its_resume(in_memory: Path, trials: Trials, mode: str, durability: str) -> None:
    scene, options = Scene(in_memory), options_of(mode, durability)
    scene.undisturbed(options)
    total = calls_of_a_run(scene, options)
    for _ in range(100):
        first, second = trials.draw.randint(1, total * 9 // 10), trials.draw.randint(1, total)
        kill_twice(scene, options, first, second)
        trials.count(2)


# ---- with all workers busy ------------------------------------------------------------------------------------------

BUSY = {f"{number:02d}-v": "+.-_" * 4 for number in range(12)}


class Busy:
    """A larger plan, applied by whole processes that have worker processes and threads of their own."""

    def __init__(self, root: Path, mode: str, jobs: int) -> None:
        self.scene = Scene(root, BUSY, "by-volume")
        self.options = ApplyOptions(mode=mode, jobs=jobs)  # type: ignore[arg-type]  # parametrized
        self.scene.undisturbed(self.options)
        self.seconds = 0.0

    def apply(self, kill_after: float | None = None) -> bool:
        """Run an apply in a child, and kill that child alone; return whether it was killed before its end."""
        child = in_a_child(lambda: apply_plan(self.scene.plan(), self.options))
        began = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        self.seconds = self.seconds or time.monotonic() - began
        assert status in (0, signal.SIGKILL), status
        return status != 0

    def trial(self, kills: int, draw: random.Random) -> int:
        """Kill, and kill the resume at once, and so on; then let it end. Return how often it was killed."""
        done = 0
        while done < kills and not self.scene.is_there(self.options):
            killed = self.apply(draw.random() * 1.1 * self.seconds)
            self.seconds *= 1.05 if killed else 0.8  # the machine may be busier or idler than when it was measured
            done += killed
            self.scene.check_after_fault(self.options)
        if not self.scene.is_there(self.options):
            assert not self.apply()
        self.scene.check_resumed(self.options)
        return done

    def measure(self) -> None:
        self.apply()
        self.scene.check_resumed(self.options)


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes for small plans too."""
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.LIMITS._replace(worth_forking=0))


@pytest.mark.parametrize("mode", [*PLACING, *PACKED])
def test_killed_with_all_workers_busy(in_memory: Path, forking: None, mode: str) -> None:
    busy, draw = Busy(in_memory, mode, jobs=2), random.Random(7)
    busy.measure()
    assert sum(busy.trial(2, draw) for _ in range(4)) > 0


@pytest.mark.torture(row=1)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("jobs", [2, 5])
@pytest.mark.parametrize("mode", [*PLACING, *PACKED])
def test_killed_with_all_workers_busy_again_and_again(
    in_memory: Path, forking: None, trials: Trials, mode: str, jobs: int
) -> None:
    busy, left = Busy(in_memory, mode, jobs), 250
    busy.measure()
    while left > 0:
        done = busy.trial(trials.draw.randint(1, 4), trials.draw)
        trials.count(done)
        left -= done
