"""Trainers' caches that are older than a label: an edit of the same size would not be trained on."""

import os
from pathlib import Path

import pytest

from planbalance.audit import VerifyOptions, verify
from planbalance.audit.shards import finish_audit, verify_shard
from planbalance.model import Audit, Problem
from planbalance.modes import Mode
from planbalance.shards import Shard
from tests.audit.built import built
from tests.builders import TRAILING, write, yolo_tree

HOUR = 3_600 * 10**9


def stale(audit: Audit) -> list[Problem]:
    return [each for check in audit.checks for each in check.problems if each.kind == "stale-cache"]


def cache_at(path: Path, newer_than: Path) -> Path:
    """Write a cache an hour after all labels of a folder."""
    latest = max(label.stat().st_mtime_ns for label in newer_than.rglob("*.txt"))
    write(path, b"not a pickle, and nobody looks")
    os.utime(path, ns=(latest + HOUR, latest + HOUR))
    return path


def edit(label: Path, *, move: bool = True) -> None:
    """Write a label anew two hours later, its size the same; `move` its box, or leave it where it was."""
    later = label.stat().st_mtime_ns + 2 * HOUR
    if move:
        label.write_bytes(label.read_bytes().replace(b"0 0.5 0.5", b"0 0.5 0.4"))
    os.utime(label, ns=(later, later))


def positive(folder: Path) -> Path:
    return next(path for path in sorted(folder.rglob("*.txt")) if path.stat().st_size > 10)


@pytest.mark.parametrize("mode", ["copy", "symlink", "hardlink"])
@pytest.mark.parametrize("restored", [False, True])
def test_a_label_of_a_build_that_was_edited_after_the_training(tmp_path: Path, mode: Mode, restored: bool) -> None:
    made = built(tmp_path, mode=mode)
    labels = made.output / "labels/train"
    cache_at(made.output / "labels/train.cache", labels)
    cache_at(made.output / "labels/val.cache", made.output / "labels/val")
    assert stale(made.audit()) == []
    label = positive(labels)
    edit(label, move=not restored)
    audit = made.audit()
    (problem,) = stale(audit)
    assert (problem.path, problem.severity) == ("labels/train.cache", "warning")
    assert f"older than the label labels/train/{label.name}" in problem.message
    assert "delete this file" in problem.message
    assert audit.ok == restored, "the cache itself is no error, and no stranger"
    assert stale(made.audit(quick=True)) == [], "not checked there: labels are not read"


def test_a_label_of_a_list_that_was_edited_and_planned_anew(tmp_path: Path) -> None:
    """The plan knows the edit, so all else is right: the cache in the source is all that tells."""

    def source_edited(source: Path) -> None:
        cache_at(source / "labels/train.cache", source)
        edit(positive(source / "labels"))

    made = built(tmp_path, mode="list")
    assert stale(made.audit()) == []
    cache_at(made.output / "val.cache", made.source)
    made = built(tmp_path / "again", mode="list", edit=source_edited)
    found = stale(made.audit())
    assert [each.path for each in found] == [f"{made.source}/labels/train.cache"]
    assert made.audit().ok


def test_the_cache_beside_a_list(tmp_path: Path) -> None:
    made = built(tmp_path, mode="list")
    train = (made.output / "train.txt").read_text().splitlines()
    cache_at(made.output / "train.cache", made.source / "labels")
    assert stale(made.audit()) == []
    labels = [Path(made.label_of(image)) for image in train]
    label = next(path for path in labels if path.stat().st_size > 10)
    edit(label, move=False)
    assert [each.path for each in stale(made.audit())] == ["train.cache"]


def test_shards_tell_of_it_too(tmp_path: Path) -> None:
    made = built(tmp_path)
    cache_at(made.output / "labels/train.cache", made.output / "labels/train")
    edit(positive(made.output / "labels/train"))
    for number in (1, 2):
        verify_shard(str(made.output), VerifyOptions(), Shard(number, 2))
    assert stale(finish_audit(str(made.output), VerifyOptions())) == stale(made.audit()) != []


@pytest.mark.parametrize(
    ("images", "cache"),
    [
        ("images/train", "labels/train.cache"),
        ("train/images", "train/labels.cache"),
    ],
)
def test_a_label_of_any_dataset(tmp_path: Path, images: str, cache: str) -> None:
    root = yolo_tree(tmp_path / "set", {"v01": "+.", "v02": ".+"}, name=TRAILING, images=images, names=None)
    yolo_tree(root, {"v03": "+."}, name=TRAILING, images=images.replace("train", "val"), names=None)
    labels = root / images.replace("images", "labels")
    cache_at(root / cache, labels)
    assert stale(verify(str(root), VerifyOptions())) == []
    edit(labels / "v01_001.txt")
    (problem,) = stale(verify(str(root), VerifyOptions()))
    assert problem.path == f"{root}/{cache}"
    assert str(labels / "v01_001.txt") in problem.message
    assert stale(verify(str(root), VerifyOptions(quick=True))) == []


def test_a_folder_a_volume_has_the_cache_beside_the_first_one(tmp_path: Path) -> None:
    """It holds the labels of all folders of the split; what follows the last dot of a name gives way to the suffix."""
    volumes = {"1.2.3": "+.", "1.2.4": ".+"}
    root = yolo_tree(tmp_path / "set", volumes, name="{volume}/{slice:03d}.png", names=None)
    cache_at(root / "labels/train/1.2.cache", root / "labels")
    assert stale(verify(str(root), VerifyOptions())) == []
    edit(root / "labels/train/1.2.4/002.txt")
    assert [each.path for each in stale(verify(str(root), VerifyOptions()))] == [f"{root}/labels/train/1.2.cache"]


@pytest.mark.parametrize("what", ["folder", "pipe", "dangling link"])
def test_what_only_has_the_name_of_a_cache(tmp_path: Path, what: str) -> None:
    made = built(tmp_path)
    path = made.output / "labels/train.cache"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("gone")
    edit(positive(made.output / "labels/train"))
    assert stale(made.audit()) == []
