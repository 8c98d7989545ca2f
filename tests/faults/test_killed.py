"""SIGKILL between any two calls: the output is absent or whole, and the same apply again ends in an equal tree."""

import os
from pathlib import Path

import pytest

from planbalance.engine import ApplyOptions, apply_plan
from tests.faults import faulty
from tests.faults.scene import MODES, Scene


def in_a_child(scene: Scene, options: ApplyOptions, act: faulty.Act) -> int:
    """Run an apply in a forked child; return its wait status."""
    child = os.fork()
    if child == 0:
        try:
            with faulty.calls(act):
                apply_plan(scene.plan(), options)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def calls_of_a_run(scene: Scene, options: ApplyOptions) -> int:
    with faulty.calls(faulty.only_count) as counter:
        apply_plan(scene.plan(), options)
    scene.remove_output()
    return len(counter.seen)


def kill_at(scene: Scene, options: ApplyOptions, at: int, *, after: bool) -> None:
    status = in_a_child(scene, options, faulty.kill(at, after=after))
    assert os.WIFSIGNALED(status), "the child was not killed"
    scene.check_after_fault(options)
    scene.check_resumed(options)


def options_of(mode: str, durability: str = "fast") -> ApplyOptions:
    return ApplyOptions(mode=mode, jobs=1, durability=durability)  # type: ignore[arg-type]  # parametrized


# Forking is safe here: no thread of this process is left after an apply, and the child has one thread only.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


@pytest.mark.parametrize("mode", MODES)
def test_a_sample_of_boundaries(tmp_path: Path, mode: str) -> None:
    scene, options = Scene(tmp_path), options_of(mode)
    scene.undisturbed(options)
    total = calls_of_a_run(scene, options)
    for at in sorted({*range(1, total + 1, max(1, total // 10)), total - 12, total - 8, total - 4, total}):
        kill_at(scene, options, at, after=bool(at % 2))


@pytest.mark.parametrize("mode", MODES)
def test_killed_again_during_the_resume(tmp_path: Path, mode: str) -> None:
    scene, options = Scene(tmp_path), options_of(mode)
    scene.undisturbed(options)
    total = calls_of_a_run(scene, options)
    for first, second in ((total // 2, total // 3), (total * 3 // 4, total // 2)):
        assert os.WIFSIGNALED(in_a_child(scene, options, faulty.kill(first, after=True)))
        scene.check_after_fault(options)
        in_a_child(scene, options, faulty.kill(second, after=False))
        scene.check_after_fault(options)
        scene.check_resumed(options)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("durability", ["fast", "safe"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_every_boundary(tmp_path: Path, mode: str, after: bool, durability: str) -> None:
    scene, options = Scene(tmp_path), options_of(mode, durability)
    scene.undisturbed(options)
    for at in range(1, calls_of_a_run(scene, options) + 1):
        kill_at(scene, options, at, after=after)
