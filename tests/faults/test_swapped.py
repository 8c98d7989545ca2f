"""While a build runs, a folder below its output is swapped for a link that leads out, again and again."""

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import IncompleteError, PlanError
from tests.conftest import Trials
from tests.faults import faulty
from tests.faults.scene import MODES, Scene

SWAPPED = ("images", "labels", "images/train", "labels/train", "images/val", ".planbalance", "hyps")


@contextmanager
def swapping(folder: Path, outside: Path) -> Iterator[None]:
    """Swap a folder for a link to `outside` and back, as fast as can be, once it is there."""
    aside, stop = folder.with_name(f"{folder.name}.aside"), threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with suppress(FileNotFoundError, FileExistsError, NotADirectoryError, OSError):
                folder.rename(aside)
                with suppress(OSError):
                    folder.symlink_to(outside)
                with suppress(OSError):
                    folder.unlink()
                with suppress(OSError):
                    aside.rename(folder)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        yield
    finally:
        stop.set()
        swapper.join()


def race(scene: Scene, options: ApplyOptions, swapped: str) -> None:
    """One race. However it ends, nothing is written outside, and the source is as it was."""
    outside = scene.root / "outside"
    for name in ("train", "val", "test", ".planbalance"):
        (outside / name).mkdir(parents=True, exist_ok=True)
    before = sorted(str(path) for path in outside.rglob("*"))
    with (
        suppress(IncompleteError, PlanError),
        swapping(scene.staging / swapped, outside),
    ):
        apply_plan(scene.plan(), options)
    assert sorted(str(path) for path in outside.rglob("*")) == before
    scene.check_source()
    scene.remove_output()


def without_openat2(count: int, name: str, real: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """A kernel before Linux 5.6."""
    if name == "openat2":
        raise OSError(38, "Function not implemented")
    return faulty.only_count(count, name, real, args, kwargs)  # type: ignore[arg-type]  # a callable


def races(root: Path, mode: str, kernel: str, count: int, draw: random.Random) -> None:
    scene = Scene(root)
    options = ApplyOptions(mode=mode, jobs=1)  # type: ignore[arg-type]  # parametrized
    with faulty.calls(without_openat2 if kernel == "old" else faulty.only_count):
        for _ in range(count):
            race(scene, options, draw.choice(SWAPPED))


@pytest.mark.parametrize("kernel", ["old", "new"])
def test_nothing_is_written_outside(in_memory: Path, kernel: str) -> None:
    races(in_memory, "copy", kernel, 10, random.Random(3))


@pytest.mark.torture(row=6)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kernel", ["old", "new"])
@pytest.mark.parametrize("mode", MODES)
def test_a_thousand_races(in_memory: Path, trials: Trials, mode: str, kernel: str) -> None:
    races(in_memory, mode, kernel, 170, trials.draw)
    trials.count(170)


def test_a_link_in_the_place_of_every_folder_is_refused(in_memory: Path) -> None:
    """Not a race: the links are there from the beginning of a resume."""
    scene, options = Scene(in_memory), ApplyOptions(jobs=1)
    outside = scene.root / "outside"
    for swapped in SWAPPED[:5]:
        with suppress(IncompleteError), faulty.calls(faulty.fail(150, 5, for_good=True)):
            apply_plan(scene.plan(), options)
        (outside / "train").mkdir(parents=True, exist_ok=True)
        place = scene.staging / swapped
        place.parent.mkdir(exist_ok=True)
        if place.exists():
            os.rename(place, scene.root / f"moved-{swapped.replace('/', '-')}")
        place.symlink_to(outside)
        with pytest.raises((IncompleteError, PlanError)):
            apply_plan(scene.plan(), options)
        assert sorted(path.name for path in outside.rglob("*")) == ["train"]
        scene.remove_output()
