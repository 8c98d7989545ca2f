"""Metadata files are written while slices are placed, and an error there is reported after those of the slices."""

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.engine.placer import BatchResult, Placer
from planbalance.engine.schedule import Range
from planbalance.errors import IncompleteError, PlanError
from tests.builders import tree_content
from tests.faults.scene import Scene

OPTIONS = ApplyOptions(jobs=1)


def no_room(name: str, *_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)


def test_a_metadata_file_that_cannot_be_written_ends_the_build_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path)
    scene.undisturbed(OPTIONS)
    with monkeypatch.context() as broken:
        broken.setattr(fs, "write_all_new", no_room)
        with pytest.raises(IncompleteError) as caught:
            apply_plan(scene.plan(), OPTIONS)
    assert "no space" in caught.value.message
    assert "balanced_dataset_metadata.json" in caught.value.message
    assert "make room" in str(caught.value.hint)
    scene.check_after_fault(OPTIONS)
    scene.check_resumed(OPTIONS)


def test_a_stale_source_is_reported_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running again would help against the full disk, and not against that."""
    scene = Scene(tmp_path)
    with (scene.source / "images/train/IM1-02-b.png").open("ab") as image:
        image.write(b"more")
    placed, place = threading.Event(), Placer.place

    def seen(placer: Placer, batch: Sequence[Range]) -> BatchResult:
        try:
            return place(placer, batch)
        finally:
            placed.set()

    def no_room_then(name: str, *_: object) -> None:
        assert placed.wait(60)
        no_room(name)

    monkeypatch.setattr(Placer, "place", seen)
    monkeypatch.setattr(fs, "write_all_new", no_room_then)
    with pytest.raises(PlanError) as caught:
        apply_plan(scene.plan(), OPTIONS)
    assert caught.value.kind == "plan-stale"


def test_metadata_files_of_an_interrupted_run_are_written_again(tmp_path: Path) -> None:
    """Whatever stands under their names: half a file, or the whole one."""
    scene = Scene(tmp_path)
    expected = scene.undisturbed(OPTIONS)
    image, aside = scene.source / "images/train/IM1-02-b.png", tmp_path / "aside"
    image.rename(aside)
    with pytest.raises(PlanError):
        apply_plan(scene.plan(), OPTIONS)
    (scene.staging / "dataset.yaml").write_bytes(b"path: half")
    aside.rename(image)
    apply_plan(scene.plan(), OPTIONS)
    assert tree_content(scene.output) == expected
