"""Labels that lie elsewhere than where they are sought, or are called otherwise than their images."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from planbalance import api
from planbalance.errors import InputError
from planbalance.inputs import resolve_inputs
from planbalance.model import InputSpec, Problem, Snapshot
from planbalance.planner import PlanOptions, make_plan
from planbalance.scan import scan
from tests.builders import LABELS, image_bytes, write, yolo_tree

BOX = LABELS["+"]


def scanned(root: Path, **roots: str) -> Snapshot:
    return scan(resolve_inputs([InputSpec("" if roots else str(root), **roots)]))


def only(snapshot: Snapshot) -> Problem:
    (problem,) = snapshot.problems
    return problem


def labels_of(snapshot: Snapshot) -> dict[str, tuple[str | None, int]]:
    return {os.path.basename(one.path): (one.label, one.annotations) for one in snapshot.images}


def refusal(snapshot: Snapshot) -> InputError:
    with pytest.raises(InputError) as caught:
        make_plan(snapshot, PlanOptions(output="/data/out"))
    return caught.value


def labelimg(root: Path, **volumes: str) -> Path:
    """Write labels beside the pictures, as labelImg does."""
    return yolo_tree(root, volumes, images="images", labels="images", names=None)


# ---- beside the images ----------------------------------------------------------------------------------------------


def test_labels_that_lie_beside_the_images_only_are_the_labels(tmp_path: Path) -> None:
    snapshot = scanned(labelimg(tmp_path, v1="+.-", v2="+"))
    assert labels_of(snapshot) == {
        "IM1-v1.png": ("images/IM1-v1.txt", 1),
        "IM2-v1.png": ("images/IM2-v1.txt", 0),
        "IM3-v1.png": (None, 0),
        "IM1-v2.png": ("images/IM1-v2.txt", 1),
    }
    assert [(folder.images, folder.labels) for folder in snapshot.inputs[0].folders] == [("images", "images")]
    problem = only(snapshot)
    assert (problem.kind, problem.severity, problem.path) == ("labels-beside", "warning", f"{tmp_path}/images")
    assert f"look for them in {tmp_path}/labels and would find none" in problem.message


def test_one_sentence_says_that_trainers_would_not_find_the_labels_of_all_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / f"images/{split}/{split}.png", split.encode())
        write(tmp_path / f"images/{split}/{split}.txt", BOX)
    write(tmp_path / "data.yaml", b"train: images/train\nval: images/val\nnames: [tear]\n")
    problem = only(scan(resolve_inputs([InputSpec(f"{tmp_path}/data.yaml")])))
    assert (problem.kind, problem.path) == ("labels-beside", f"{tmp_path}/images")
    assert "2 labels lie" in problem.message
    assert f"look for them in {tmp_path}/labels and" in problem.message


def test_labels_beside_are_read_in_folders_below_and_may_be_written_in_capitals(tmp_path: Path) -> None:
    root = labelimg(tmp_path, v1="+.")
    write(root / "images/deep/a.png", b"a")
    write(root / "images/deep/a.TXT", BOX)
    write(root / "images/classes.txt", b"tear\n")
    write(root / "images/a.npy", b"array")
    snapshot = scanned(root)
    assert labels_of(snapshot)["a.png"] == ("images/deep/a.TXT", 1)
    assert {problem.kind for problem in snapshot.problems} == {"labels-beside"}
    assert snapshot.leftovers == 1


def test_a_plan_of_labels_beside_goes_where_trainers_look(tmp_path: Path) -> None:
    plan = make_plan(scanned(labelimg(tmp_path, v1="+...", v2="....", v3="+.")), PlanOptions(output="/data/out"))
    assert plan.header.statistics["total_positive"] == 2
    assert any(warning.startswith("labels-beside: ") for warning in plan.header.warnings)


@pytest.mark.parametrize(
    ("sought", "said"), [(None, "1 missing"), (b"", "1 empty"), (b" \n", "1 empty"), (b"1 .5 .5 .2 .2", "1 different")]
)
def test_a_finding_beside_an_image_is_not_turned_into_background(
    tmp_path: Path, sought: bytes | None, said: str
) -> None:
    root = yolo_tree(tmp_path / "a b", {"v1": "+..", "v2": "..", "v3": "+."}, images="images", names=None)
    write(root / "images/IM1-v2.txt", BOX)
    (root / "labels/IM1-v2.txt").unlink()
    if sought is not None:
        write(root / "labels/IM1-v2.txt", sought)
    snapshot = scanned(root)
    problem = only(snapshot)
    assert (problem.kind, problem.severity, problem.path) == ("label-beside", "error", f"{root}/images")
    assert "images/IM1-v2.txt" in problem.message
    assert f"({said} there)" in problem.message
    assert refusal(snapshot).exit_code == 3
    for labels in ("images", "labels"):
        line = f"--images '{root}/images' --labels '{root}/{labels}'"
        assert line in refusal(snapshot).message
        again = scanned(root, images=f"{root}/images", labels=f"{root}/{labels}")
        assert not [one for one in again.problems if one.severity == "error"]


@pytest.mark.parametrize(("sought", "beside"), [(BOX, BOX), (BOX, b""), (b"", b"\n"), (None, b"")])
def test_labels_in_two_places_that_say_the_same_are_fine(tmp_path: Path, sought: bytes | None, beside: bytes) -> None:
    root = yolo_tree(tmp_path, {"v1": "+.", "v2": "--"}, names=None)
    write(root / "images/train/IM1-v2.txt", beside)
    if sought is not None:
        write(root / "labels/train/IM1-v2.txt", sought)
    assert scanned(root).problems == ()


def test_labels_that_are_said_to_lie_apart_are_not_taken_from_beside_the_images(tmp_path: Path) -> None:
    root = labelimg(tmp_path, v1="+.", v2="..")
    (root / "other").mkdir()
    snapshot = scanned(root, images=f"{root}/images", labels=f"{root}/other")
    assert (only(snapshot).kind, only(snapshot).severity) == ("label-beside", "error")
    assert f"--images {root}/images --labels {root}/images" in only(snapshot).message


def test_the_line_covers_all_folders_that_a_yaml_names(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"v1": "+.", "v2": "+."}, split_of={"v1": "train", "v2": "val"}, names=None)
    write(root / "data.yaml", b"train: images/train\nval: images/val\nnames: [tear]\n")
    write(root / "images/val/IM2-v2.txt", BOX)
    snapshot = scan(resolve_inputs([InputSpec(f"{root}/data.yaml")]))
    assert f"give --images {root}/images --labels {root}/labels" in only(snapshot).message


def test_where_splits_have_image_folders_of_their_own_no_line_can_decide(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / split / "images/a.png", split.encode())
    write(tmp_path / "train/labels/a.txt", BOX)
    write(tmp_path / "val/images/a.txt", BOX)
    problem = only(scanned(tmp_path))
    assert problem.kind == "label-beside"
    assert "Keep one of the two" in problem.message


def test_a_text_beside_images_that_is_no_label_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = yolo_tree(tmp_path, {"v1": "+.", "v2": ".."}, names=None)
    write(root / "images/train/README.txt", b"knees")
    looked: list[str] = []

    def watched(call: Callable[..., object]) -> Callable[..., object]:
        def called(name: object, *rest: object, **more: object) -> object:
            looked.append(str(name))
            return call(name, *rest, **more)

        return called

    for call in ("stat", "open"):
        monkeypatch.setattr(os, call, watched(getattr(os, call)))
    assert scan(resolve_inputs([InputSpec(str(root))]), jobs=1).problems == ()
    assert any("IM1-v1" in name for name in looked)
    assert not [name for name in looked if "README" in name]


# ---- called otherwise -----------------------------------------------------------------------------------------------

MISNAMED = [
    ("case_1.txt", ["case_1_flair.png", "case_1_t1.png"], ["case_1_flair.png", "case_1_t1.png"]),
    ("case_1.txt", ["case_1_jpg.rf.0a1b.jpg", "case_10.png"], ["case_1_jpg.rf.0a1b.jpg"]),
    ("case_1.png.txt", ["case_1.png"], ["case_1.png"]),
    ("0123abcd-case_1.txt", ["case_1.png"], ["case_1.png"]),
    ("case_1.txt", ["0123abcd-case_1.png"], ["0123abcd-case_1.png"]),
    ("Case_1.txt", ["case_1.png"], ["case_1.png"]),
    ("caf\u00e9.txt", ["cafe\u0301.png"], ["cafe\u0301.png"]),
]


@pytest.mark.parametrize(("label", "images", "meant"), MISNAMED)
def test_a_label_that_seems_meant_for_images_without_one_is_refused(
    tmp_path: Path, label: str, images: list[str], meant: list[str]
) -> None:
    root = yolo_tree(tmp_path, {"v1": "+.", "v2": "+", "v3": "."}, images="images", names=None)
    write(root / "labels" / label, BOX)
    for image in images:
        write(root / "images" / image, image_bytes(image))
    snapshot = scanned(root)
    problem = only(snapshot)
    assert (problem.kind, problem.severity, problem.path) == ("label-misnamed", "error", f"{root}/labels/{label}")
    assert all(image in problem.message for image in meant)
    assert not any(image in problem.message for image in set(images) - set(meant))
    assert "become background" in problem.message


@pytest.mark.parametrize(
    ("label", "text", "image"),
    [("IM1-v1.txt", BOX, "IM15-v1.png"), ("case_2.txt", BOX, "case_1.png"), ("case_1.txt", b"\n", "case_1_t1.png")],
)
def test_an_orphan_of_another_image_or_without_content_is_a_warning(
    tmp_path: Path, label: str, text: bytes, image: str
) -> None:
    write(tmp_path / "labels" / label, text)
    write(tmp_path / "images" / image, b"image")
    assert (only(scanned(tmp_path)).kind, only(scanned(tmp_path)).severity) == ("orphan-label", "warning")


def test_a_label_that_seems_meant_can_be_excluded(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"v1": "+.-", "v2": "+", "v3": "."}, images="images", names=None)
    write(root / "labels/IM3-v1-old.txt", BOX)
    assert "become background" in refusal(scanned(root)).message
    options = PlanOptions(output="/data/out", exclude=("IM3-v1-old*",), missing_label="empty")
    assert make_plan(scanned(root), options).header.statistics["total_positive"] == 2


# ---- class names in the folders of single volumes -------------------------------------------------------------------


def labelled_folders(root: Path, **lists: bytes) -> Path:
    """Write a folder a volume with a list of classes in each, as labelImg does."""
    for volume, listed in lists.items():
        labelimg(root, **{volume: "+."}).joinpath("images", volume).mkdir()
        for name in ("IM1", "IM2"):
            for suffix in ("png", "txt"):
                (root / f"images/{name}-{volume}.{suffix}").rename(root / f"images/{volume}/{name}.{suffix}")
        write(root / f"images/{volume}/classes.txt", listed)
    return root


def test_the_longest_list_of_classes_names_them_where_the_others_are_its_beginning(tmp_path: Path) -> None:
    root = labelled_folders(tmp_path, v1=b"tear\n", v2=b"tear\r\ncyst\r\n", v3=b"")
    assert scanned(root).inputs[0].names == ("tear", "cyst")
    write(root / "classes.txt", b"meniscus\n")
    assert scanned(root).inputs[0].names == ("meniscus",), "what the dataset's own folder says comes first"


def test_lists_of_classes_that_disagree_are_refused(tmp_path: Path) -> None:
    """An id would mean one class in one volume and another in the next."""
    root = labelled_folders(tmp_path, v1=b"tear\ncyst\n", v2=b"cyst\ntear\n")
    with pytest.raises(InputError, match=r"v1/classes.txt has \[tear, cyst\] \(2\) and .*v2/classes.txt") as caught:
        scanned(root)
    assert (caught.value.kind, caught.value.exit_code) == ("class-names-disagree", 3)
    yaml = write(root / "data.yaml", b"train: images\nval: images\nnames: [tear, cyst]\n")
    assert scanned(yaml).inputs[0].names == ("tear", "cyst")


def test_lists_that_lack_a_class_of_the_labels_are_refused(tmp_path: Path) -> None:
    root = labelled_folders(tmp_path, v1=b"tear\n")
    write(root / "images/v1/IM2.txt", b"1 0.5 0.5 0.1 0.2\n")
    with pytest.raises(InputError, match=r"v1/classes.txt names 1 class, but labels hold class 1\.") as caught:
        scanned(root)
    assert caught.value.kind == "class-list"


def test_two_inputs_whose_folders_name_other_classes_are_refused(tmp_path: Path) -> None:
    specs = [
        InputSpec(str(labelled_folders(tmp_path / "a", v1=b"tear\n"))),
        InputSpec(str(labelled_folders(tmp_path / "b", v2=b"cyst\n"))),
    ]
    with pytest.raises(InputError, match="Class names disagree"):
        scan(resolve_inputs(specs))


# ---- arrays ---------------------------------------------------------------------------------------------------------


def test_slices_saved_as_arrays_are_named_where_there_is_no_image(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path / f"images/v1/s{number}.npy", b"array")
        write(tmp_path / f"labels/v1/s{number}.txt", BOX)
    snapshot = scanned(tmp_path)
    (problem,) = (one for one in snapshot.problems if one.severity == "error")
    assert (problem.kind, problem.path) == ("npy-slices", f"{tmp_path}/images/v1")
    assert problem.message.startswith("holds 2 .npy files, and there is no image: YOLOv5 and Ultralytics read")
    assert refusal(snapshot).kind == "npy-slices"
    with pytest.raises(InputError, match=f"No images found in {tmp_path}: {tmp_path}/images/v1 holds 2 .npy files"):
        api.scan(str(tmp_path))


def test_caches_beside_images_are_no_slices(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"v1": "+."}, names=None)
    write(root / "images/train/IM1-v1.npy", b"array")
    assert (scanned(root).problems, scanned(root).leftovers) == ((), 1)
