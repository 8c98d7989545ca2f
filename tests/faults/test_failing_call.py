"""The n-th call fails, once or for good: the right exit code, an untouched source, and a resume to an equal tree."""

import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import IncompleteError, PlanError
from tests.conftest import Trials
from tests.faults import faulty
from tests.faults.scene import ALL, Scene
from tests.faults.test_killed import calls_of_a_run, options_of
from tests.systems import needs_linux


def fail_at(scene: Scene, options: ApplyOptions, at: int, number: int, *, for_good: bool) -> None:
    """One trial; the fault may go unnoticed (a probe, a tidy-up), then the output must be whole."""
    open_before = _open_below(scene.root)
    with (
        suppress(IncompleteError, PlanError),  # any other exception is a traceback that a user sees
        faulty.calls(faulty.fail(at, number, for_good=for_good)),
    ):
        apply_plan(scene.plan(), options)
    scene.check_after_fault(options)
    assert _open_below(scene.root) == open_before, (at, number)
    scene.check_resumed(options)


def _open_below(root: Path) -> list[str]:
    """Return what this process has open below a folder, but for the plan: it closes when nobody holds it."""
    there = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            there.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(path for path in there if path.startswith(str(root)) and not path.endswith("/plan.json"))


def drawn(total: int, count: int, draw: random.Random) -> list[tuple[int, int, bool]]:
    return [(draw.randint(1, total), draw.choice(faulty.ERRNOS), draw.random() < 0.5) for _ in range(count)]


@pytest.mark.parametrize("mode", ALL)
def test_a_sample_of_faults(in_memory: Path, mode: str) -> None:
    scene, options = Scene(in_memory), options_of(mode)
    scene.undisturbed(options)
    for at, number, for_good in drawn(calls_of_a_run(scene, options), 30, random.Random(5)):
        fail_at(scene, options, at, number, for_good=for_good)


@pytest.mark.torture(row=2)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("durability", ["fast", "safe"])
@pytest.mark.parametrize("mode", ALL)
def test_many_faults(in_memory: Path, trials: Trials, mode: str, durability: str) -> None:
    scene, options = Scene(in_memory), options_of(mode, durability)
    scene.undisturbed(options)
    for at, number, for_good in drawn(calls_of_a_run(scene, options), 840, trials.draw):
        fail_at(scene, options, at, number, for_good=for_good)
        trials.count()


@pytest.mark.parametrize("checksum", ["sha256", "none"])
@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("mode", ["copy", "squashfs", "tar"])
def test_short_reads_and_writes_change_nothing(tmp_path: Path, mode: str, every: int, checksum: str) -> None:
    scene = Scene(tmp_path)
    options = ApplyOptions(mode=mode, jobs=1, checksum=checksum)  # type: ignore[arg-type]  # parametrized
    scene.undisturbed(options)
    with faulty.calls(faulty.short(every)):
        apply_plan(scene.plan(), options)
    scene.check_resumed(options)


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param("copy_file_range", marks=needs_linux("copy_file_range")),
        pytest.param("copy_file_range sendfile", marks=needs_linux("copy_file_range")),
        "mknod",
        "rename_new",
    ],
)
def test_a_call_that_this_file_system_lacks_is_done_another_way(
    tmp_path: Path, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "SMALL", 0)
    monkeypatch.setattr(fs, "clone", faulty.not_supported)
    scene, options = Scene(tmp_path), ApplyOptions(mode="copy", jobs=1, checksum="none")
    scene.undisturbed(options)

    def act(count: int, name: str, real: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        if name in refused.split():
            raise OSError(22, "Invalid argument")
        return faulty.only_count(count, name, real, args, kwargs)  # type: ignore[arg-type]  # a callable

    with faulty.calls(act) as counter:
        apply_plan(scene.plan(), options)
    if "copy_file_range" in refused:
        assert counter.seen.count("copy_file_range") == 1, "it was not learnt"
    scene.check_resumed(options)
