"""Datasets that this tool never built: what an audit says of them, and what it does not claim."""

import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from planbalance.audit import VerifyOptions, verify
from planbalance.errors import InputError, UsageError
from planbalance.grouping import GroupMap
from planbalance.model import Audit, Check
from tests.audit.built import built, found
from tests.audit.pictures import png
from tests.builders import TRAILING, image_bytes, tree_state, write, yolo_tree


def audit(path: Path, **options: Any) -> Audit:
    return verify(str(path), VerifyOptions(**options))


def check(result: Audit, name: str) -> Check:
    return next(each for each in result.checks if each.name == name)


def shares(result: Audit, kind: str = "volume-overlap") -> dict[tuple[str, str], float]:
    return {(leak["from"], leak["to"]): leak["share"] for leak in result.leaks if leak["kind"] == kind}


def scattered(root: Path, places: Mapping[str, list[tuple[str, str]]]) -> Path:
    """Write images/<split> and labels/<split>: split -> (stem, label text)."""
    for split, slices in places.items():
        for stem, label in slices:
            write(root / f"images/{split}/{stem}.png", image_bytes(stem))
            write(root / f"labels/{split}/{stem}.txt", label.encode())
    return root


def slices(volumes: int, length: int) -> Iterator[tuple[str, str]]:
    for volume in range(volumes):
        for number in range(1, length + 1):
            yield f"IM{number}-01-02-{volume:05d}", "0 0.5 0.5 0.1 0.1\n" if number == 3 else ""


def test_a_slice_level_split_leaks_wholly_and_the_sentence_says_so(tmp_path: Path) -> None:
    """Every volume has slices in every split: all of val and test is touched (Yagis et al. 2021)."""
    places: dict[str, list[tuple[str, str]]] = {"train": [], "val": [], "test": []}
    for index, one in enumerate(slices(12, 20)):
        places[("train", "val", "test", "train", "train")[index % 5]].append(one)
    result = audit(scattered(tmp_path, places))
    assert not result.ok
    pairs = [(one, other) for one in places for other in places if one != other]
    assert shares(result) == dict.fromkeys(pairs, 1.0)
    assert result.summary.startswith("100 % of test slices and 100 % of val slices share a volume with train; 100 % of")
    assert result.summary.endswith("not checked: patients, look-alikes, checksums of images.")
    assert "96 slices would have to change their split" in check(result, "volume-overlap").reason
    assert shares(audit(tmp_path, quick=True)) == shares(result)


def test_a_split_by_the_wrong_reading_of_im_names(tmp_path: Path) -> None:
    """The last number read as the slice: `IM5-01-02-00011` would be slice 11 of volume `IM5-01-02`, and all leaks."""
    places: dict[str, list[tuple[str, str]]] = {"train": [], "val": [], "test": []}
    for stem, label in slices(10, 10):
        wrong_volume = int(stem.partition("-")[0][2:])
        places["train" if wrong_volume <= 7 else "val" if wrong_volume == 8 else "test"].append((stem, label))
    result = audit(scattered(tmp_path, places))
    assert shares(result)["test", "train"] == shares(result)["val", "train"] == 1.0
    assert check(result, "volume-overlap").count == 10
    as_they_saw_it = audit(tmp_path, volume_pattern=r"(?P<volume>IM\d+-\d+-\d+)-(?P<slice>\d+)")
    assert shares(as_they_saw_it) == {}


def test_one_misplaced_slice_is_a_share_and_is_never_rounded_away(tmp_path: Path) -> None:
    places = {"train": list(slices(1, 3)), "test": [(f"IM{i}-9", "") for i in range(1, 2100)]}
    places["test"].append(("IM4-01-02-00000", ""))
    result = audit(scattered(tmp_path, places))
    assert result.summary.startswith("Less than 0.1 % of test slices share a volume with train;")
    assert "1 slice would have" in check(result, "volume-overlap").reason


def test_a_patient_with_two_volumes(tmp_path: Path) -> None:
    """Warned about without a map, found with it."""
    tree = {"p01_L": "..+.", "p01_R": "....", "p02_L": ".+..", "p03_R": "....."}
    homes = {"p01_L": "train", "p01_R": "test", "p02_L": "train", "p03_R": "test"}
    root = yolo_tree(tmp_path, tree, name=TRAILING, split_of=homes)
    result = audit(root)
    groups = check(result, "group-overlap")
    assert (result.ok, groups.ok) == (True, None)
    assert [(problem.severity, problem.path) for problem in groups.problems] == [("warning", "p01_L")]
    assert "p01_L in train, p01_R in test" in groups.problems[0].message
    assert "not checked: patients" in result.summary
    by_patient = GroupMap({volume: volume[:3] for volume in tree})
    result = audit(root, group_map=by_patient)
    assert (result.ok, check(result, "group-overlap").ok, check(result, "volume-overlap").ok) == (False, False, True)
    assert found(result, "error") == {("group-overlap", "p01")}
    assert shares(result, "group-overlap") == {
        ("test", "train"): pytest.approx(4 / 9, abs=1e-6),
        ("train", "test"): 0.5,
    }
    assert "44.4 % of test slices share a patient with train" in result.summary
    assert audit(root, group_map=GroupMap({v: v for v in tree})).ok
    with pytest.raises(InputError):
        audit(root, group_map=GroupMap({"p01_L": "p01"}))


def test_patients_that_the_names_tell_need_no_map(tmp_path: Path) -> None:
    tree = {"7-1": "..+", "7-2": "...", "8-1": "+..", "9-1": "..."}
    root = yolo_tree(tmp_path, tree, split_of={"7-1": "train", "7-2": "val", "8-1": "train", "9-1": "val"})
    result = audit(root, volume_pattern=r"IM(?P<slice>\d+)-(?P<volume>(?P<patient>\d+)-\d+)")
    assert found(result, "error") == {("group-overlap", "7")}


def test_a_clean_dataset_is_not_called_more_than_it_is(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"1": "..+", "2": "+..", "3": ".+."}, split_of={"1": "train", "2": "val", "3": "test"})
    before = tree_state(root)
    result = audit(root)
    assert tree_state(root) == before
    assert result.ok
    assert result.summary == (
        "No slice of val or test shares a volume or identical images with train or with each other; "
        "not checked: patients, look-alikes, checksums of images."
    )
    quick = audit(root, quick=True)
    assert (quick.ok, check(quick, "labels").ok, check(quick, "duplicate-content").ok) == (True, None, None)
    assert "identical images" in quick.summary.partition("not checked")[2]


def test_one_split_or_none_proves_nothing(tmp_path: Path) -> None:
    for name, folder in (("one", "images/train"), ("none", "images")):
        root = yolo_tree(tmp_path / name, {"1": "..+", "2": "..."}, images=folder, names=None)
        result = audit(root)
        assert [check(result, each).ok for each in ("volume-overlap", "group-overlap", "duplicate-content")] == [
            None
        ] * 3
        assert "o slice of" not in result.summary


def test_identical_images_in_two_splits(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"1": "..+.", "2": "....", "3": "...."}, split_of={"1": "train", "2": "val", "3": "val"})
    data = (root / "images/train/IM2-1.png").read_bytes()
    write(root / "images/val/IM4-2.png", data)
    write(root / "images/val/IM1-3.png", data)
    result = audit(root)
    copies = [f"{root}/images/val/IM1-3.png", f"{root}/images/val/IM4-2.png"]
    assert found(result, "error") == {("duplicate-content", path) for path in copies}
    assert shares(result, "duplicate-content") == {("val", "train"): 0.25, ("train", "val"): 0.25}
    assert "25 % of val slices share identical images with train" in result.summary


def test_blank_images_are_counted_and_no_leak(tmp_path: Path) -> None:
    root = yolo_tree(
        tmp_path, {"1": "..+.", "2": "....", "3": "...."}, split_of={"1": "train", "2": "val", "3": "test"}
    )
    black = png([bytes(12)] * 12, 12, filters=(1, 2))
    for path, data in {
        "train/IM1-1": black,
        "val/IM1-2": black,
        "test/IM1-3": b"\0" * 700,
        "val/IM2-2": b"\0" * 700,
        "train/IM4-1": b"",
        "test/IM4-3": b"",
    }.items():
        write(root / f"images/{path}.png", data)
    result = audit(root)
    assert result.ok
    assert "6 blank images" in check(result, "duplicate-content").reason
    assert (
        check(audit(root, against=(str(copy_of(root, tmp_path / "other")),)), f"against {tmp_path / 'other'}").count
        == 12
    )


def copy_of(root: Path, other: Path) -> Path:
    for split in ("train", "val", "test"):
        for path in sorted((root / "images" / split).iterdir()):
            write(other / "images" / split / f"IM1-x{path.stem}.png", path.read_bytes())
    return other


def test_the_yaml_tells_the_splits_by_lists(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "set", {"1": "..+.", "2": "....", "3": "...."}, images="images", names=None)
    every = sorted(str(path) for path in (root / "images").iterdir())
    write(root / "train.txt", "\n".join(p for p in every if not p.endswith("-3.png")).encode())
    write(root / "val.txt", "\n".join(p for p in every if p.endswith("-3.png")).encode())
    yaml = write(root / "data.yaml", b"path: %b\ntrain: train.txt\nval: val.txt\nnames: [tear]\n" % str(root).encode())
    for quick in (False, True):
        assert audit(yaml, quick=quick).ok
    write(root / "val.txt", "\n".join(every[3:]).encode())
    for quick in (False, True):
        result = audit(yaml, quick=quick)
        assert not result.ok
        assert ("val", "train") in shares(result)
    both = shares(result)["train", "val"]
    assert both > 0.5


def test_relative_lists_and_a_relative_path(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "set", {"1": "..+.", "2": "...."}, images="images", names=None)
    names = sorted(path.name for path in (root / "images").iterdir())
    for split, end in (("train", "-1.png"), ("val", "-2.png")):
        write(root / f"{split}.txt", "".join(f"./images/{n}\n" for n in names if n.endswith(end)).encode())
    yaml = write(root / "data.yaml", b"path: .\ntrain: train.txt\nval: val.txt\nnames: [tear]\n")
    for quick in (False, True):
        result = audit(yaml, quick=quick)
        assert result.ok
        assert check(result, "volume-overlap").count == 2
        assert ("dataset-yaml", "path:") in found(result, "warning")


def test_one_folder_as_train_and_val_is_all_leak(tmp_path: Path) -> None:
    """As in coco128.yaml: what is measured is what was learnt."""
    root = yolo_tree(tmp_path / "set", {"1": "..+.", "2": "...."}, images="images", names=None)
    yaml = write(root / "data.yaml", b"path: %b\ntrain: images\nval: images\nnames: [tear]\n" % str(root).encode())
    for quick in (False, True):
        result = audit(yaml, quick=quick)
        assert shares(result) == {("val", "train"): 1.0, ("train", "val"): 1.0}
        assert not result.ok
    assert "100 % of val slices share a volume with train" in result.summary
    assert check(audit(yaml), "duplicate-content").ok is False


def test_what_trainers_make_of_it_is_a_warning(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"1": ".-+", "2": ".-+"}, split_of={"1": "train", "2": "val"})
    write(root / "labels/train/IM9-9.txt", b"")
    write(root / "images/val/IM7-2.dcm", b"dicom")
    write(root / "labels/val/IM7-2.txt", b"")
    write(root / "labels/train.cache", b"x")
    result = audit(root)
    assert result.ok
    kinds = {kind for kind, _ in found(result)}
    assert kinds == {"label-missing", "orphan-label", "suffix", "unreadable"}  # its images are no pictures
    assert {severity for each in result.checks for severity in (p.severity for p in each.problems)} == {"warning"}
    assert ("label-missing", f"{root}/images/train/IM2-1.png") in found(result)


def test_invalid_labels_are_errors(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"1": ".!+", "2": "..."}, split_of={"1": "train", "2": "val"})
    result = audit(root)
    assert (result.ok, check(result, "labels").ok) == (False, False)
    assert {kind for kind, _ in found(result, "error")} == {"label-invalid"}


def test_against_other_datasets(tmp_path: Path) -> None:
    here = yolo_tree(
        tmp_path / "here", {"1": "..+", "2": "...", "3": "..."}, split_of={"1": "train", "2": "val", "3": "test"}
    )
    by_name = yolo_tree(tmp_path / "name", {"3": "....+", "9": "...."}, split_of={"3": "train", "9": "val"})
    other = yolo_tree(tmp_path / "none", {"7": "..+", "8": "..."}, split_of={"7": "train", "8": "val"})
    for folder in (by_name, other):
        for path in folder.glob("images/*/*.png"):
            write(path, image_bytes(str(path)))
    by_content = copy_of(here, tmp_path / "content")
    result = audit(here, against=(str(by_name), str(other), str(by_content)))
    assert check(result, f"against {other}").ok is True
    assert shares(result) == {("test", f"{by_name}:train"): 1.0}
    assert shares(result, "duplicate-content") == {
        (split, f"{by_content}:{split}"): 1.0 for split in ("train", "val", "test")
    }
    assert f"100 % of test slices share a volume with {by_name}:train" in result.summary
    quick = audit(here, quick=True, against=(str(by_content),))
    assert quick.ok
    assert "by names only" in check(quick, f"against {by_content}").reason
    with pytest.raises(UsageError):
        audit(here, against=(str(here),))
    with pytest.raises(InputError):
        audit(here, against=(str(tmp_path / "nowhere"),))


def test_against_works_between_builds_and_what_they_were_built_from(tmp_path: Path) -> None:
    made = built(tmp_path)
    elsewhere = yolo_tree(tmp_path / "else", {"77": "..+", "88": "..."}, split_of={"77": "train", "88": "test"})
    result = made.audit(against=(str(elsewhere),))
    assert result.ok is False or all(leak["kind"] == "duplicate-content" for leak in result.leaks)
    result = made.audit(against=(str(made.source),))
    assert set(shares(result).values()) == {1.0}


def test_names_that_can_be_read_in_two_ways_are_refused(tmp_path: Path) -> None:
    root = scattered(tmp_path, {"train": [("v1/a_1", ""), ("v1/b_2", "")], "val": [("v2/a_2", ""), ("v2/b_1", "")]})
    with pytest.raises(InputError) as refused:
        audit(root)
    assert refused.value.kind == "ambiguous-names"
    assert audit(root, volume_pattern="parent-dir").ok


@pytest.mark.parametrize("name", ["data.yaml", "other.yml"])
def test_a_yaml_that_is_none_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        audit(write(tmp_path / name, b"[" * 50_000))


def test_a_hostile_dataset_is_audited_and_cannot_make_it_write_or_run_anything(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "set", {"1": "..+", "2": "..."}, split_of={"1": "train", "2": "val"})
    os.mkfifo(root / "images/train/IM9-1.png")
    os.mkfifo(root / "labels/val/IM9-2.txt")
    os.symlink("/dev/zero", root / "images/val/IM8-2.png")
    os.symlink("../..", root / "images/train/up")
    os.symlink("IM7-1.png", root / "images/train/IM7-1.png")
    for quick in (False, True):
        assert audit(root, quick=quick).checks


def test_the_same_dataset_gives_the_same_audit_whatever_the_jobs(tmp_path: Path) -> None:
    draw = random.Random(3)
    places: dict[str, list[tuple[str, str]]] = {"train": [], "val": [], "test": []}
    for one in slices(8, 30):
        places[draw.choice(tuple(places))].append(one)
    root = scattered(tmp_path, places)
    assert audit(root, jobs=1) == audit(root, jobs=5)


def test_what_each_trainer_would_load_is_counted(tmp_path: Path) -> None:
    rows = [bytes(range(16))] * 16
    for number, (stem, label) in enumerate({"1": "0 .5 .5 .1 .1", "2": "", "3": "9 .5 .5 .1 .1", "4": None}.items()):
        write(tmp_path / f"images/train/IM{stem}-7.png", png(rows, 16 - (number == 1) * 8))
        if label is not None:
            write(tmp_path / f"labels/train/IM{stem}-7.txt", label.encode())
    write(tmp_path / "images/val/IM1-8.dcm", b"dicom")
    write(tmp_path / "images/val/IM2-8.png", png(rows, 16))
    write(tmp_path / "labels/val/IM2-8.txt", b"0 .5 .5 .1 .1\n" * 2)
    write(tmp_path / "data.yaml", b"train: images/train\nval: images/val\nnames: [tear]\n")
    result = audit(tmp_path)
    counts = {(load.trainer, load.split): load[2:] for load in result.loads}
    assert counts == {
        ("Ultralytics", "train"): (1, 1, 2, 0),  # the second is too small, the third has a class beyond the yaml's
        ("Ultralytics", "val"): (1, 0, 0, 1),
        ("YOLOv5", "train"): (2, 1, 1, 0),
        ("YOLOv5", "val"): (1, 0, 0, 1),
    }
    trainers = check(result, "trainers")
    assert "Ultralytics loads train 1 labelled and 1 background images, 2 dropped; val 1" in trainers.reason
    kinds = {(problem.kind, Path(problem.path).name) for problem in trainers.problems}
    assert kinds >= {("unreadable", "IM2-7.png"), ("unreadable", "IM3-7.png"), ("duplicate-label", "IM2-8.txt")}
    assert not any("IM1-7" in problem.path for problem in trainers.problems)


def test_a_dataset_of_links_whose_source_was_moved_names_relocate(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", {"01-a": "+.", "02-b": ".+"})
    linked = tmp_path / "linked"
    write(linked / "data.yaml", b"train: images\nval: images\nnames: [tear]\n")
    for name in ("images", "labels"):
        for file in (source / name / "train").iterdir():
            (linked / name).mkdir(exist_ok=True)
            (linked / name / file.name).symlink_to(file)
    source.rename(tmp_path / "moved")
    with pytest.raises(InputError) as caught:
        verify(str(linked), VerifyOptions())
    assert "8 links in it lead to files that are gone" in caught.value.message
    command = f"planbalance relocate {linked} --source {source}=NEW"
    assert caught.value.hint.endswith(command)
