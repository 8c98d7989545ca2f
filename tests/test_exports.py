"""Datasets as labelling tools export them: class names beside them, Darknet's lists, labels beside the images."""

from collections.abc import Callable
from pathlib import Path

import pytest

from planbalance import api
from planbalance.errors import InputError
from planbalance.inputs import resolve_input, resolve_inputs
from planbalance.inputs.exports import (
    DarknetData,
    class_names_beside,
    find_darknet,
    parse_class_list,
    parse_darknet_data,
    parse_notes,
)
from planbalance.model import InputSpec, Snapshot
from planbalance.scan import scan
from tests.builders import image_bytes, write, yolo_tree

NOTES = b'{"categories": [{"id": 1, "name": "cyst"}, {"id": 0, "name": "tear"}], "info": {"version": "1.0"}}'


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"tear\ncyst\n", ("tear", "cyst")),
        (b"tear\r\ncyst\r\n\r\n", ("tear", "cyst")),
        (b"\xef\xbb\xbftear", ("tear",)),
        (b" bone bruise \n", ("bone bruise",)),
        ("Lésion\n".encode(), ("Lésion",)),
        (b"", None),
        (b"\n \r\n", None),
    ],
)
def test_one_name_a_line(text: bytes, names: tuple[str, ...] | None) -> None:
    assert parse_class_list(text) == names


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"tear\n\ncyst\n", "line 2 is empty"),
        (b"tear\x1b[31m\n", "line 1 holds a control character"),
        (b"\xff\xfet\x00", "not text in UTF-8"),
        (b"a\n" * 100_001, "names 100,001 classes"),
        (b"a" * (4 * 1024 * 1024 + 1), "more than 4,194,304 bytes"),
    ],
)
def test_a_list_that_no_class_names_can_be_taken_from(text: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        parse_class_list(text)
    assert (caught.value.kind, caught.value.exit_code) == ("class-list", 3)
    assert caught.value.message.isprintable()


def test_label_studios_notes_name_classes_by_id() -> None:
    assert parse_notes(NOTES) == ("tear", "cyst")


@pytest.mark.parametrize(
    "text", [b"", b"[1]", b'{"categories": []}', b'{"categories": ["a"]}', b"{" * 5000, b'{"notes": "my own"}', b"\xff"]
)
def test_notes_of_another_kind_are_passed_over(text: bytes) -> None:
    assert parse_notes(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"categories": [{"id": 1, "name": "tear"}]}', "do not run from 0"),
        (b'{"categories": [{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]}', "do not run from 0"),
        (b'{"categories": [{"id": 0, "name": "a\\u0000"}]}', "no class can have"),
    ],
)
def test_notes_that_name_classes_unclearly_are_refused(text: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_notes(text)


def test_what_a_data_file_says() -> None:
    text = b"classes = 2\r\ntrain = data/train.txt # lists\nvalid=data/valid.txt\nnames = data/obj.names\nbackup = b/\n"
    assert parse_darknet_data(text) == DarknetData(
        {"train": "data/train.txt", "val": "data/valid.txt"}, "data/obj.names"
    )
    assert parse_darknet_data(b"\xff\x00") is None
    assert parse_darknet_data(b"a = b\n") is None


def test_names_are_found_where_darknet_would_look_for_them(tmp_path: Path) -> None:
    write(tmp_path / "knee.data", b"train = data/train.txt\nnames = /home/me/darknet/data/../cfg/knee.names\n")
    write(tmp_path / "knee.names", b"tear\n")
    found = find_darknet(str(tmp_path))
    assert found is not None
    assert found.absent == {"train": "data/train.txt"}
    assert class_names_beside(str(tmp_path), {}, found) == [(f"{tmp_path}/knee.names", ("tear",))]


def test_a_data_file_never_leads_out_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "secret.names", b"x\n")
    write(tmp_path / "in" / "obj.data", b"names = ../secret.names\n")
    found = find_darknet(str(tmp_path / "in"))
    assert found is not None
    assert found.names is None


PLACES = ["classes.txt", "labels/classes.txt", "images/classes.txt", "images/train/classes.txt", "obj.names"]


@pytest.mark.parametrize("place", PLACES)
def test_classes_are_named_by_a_list_in_any_of_its_usual_places(tmp_path: Path, place: str) -> None:
    write(yolo_tree(tmp_path, {"v1": "+."}, names=None) / place, b"nodule\r\n")
    assert resolve_input(InputSpec(str(tmp_path))).input.names == ("nodule",)
    apart = InputSpec("", images=f"{tmp_path}/images", labels=f"{tmp_path}/labels")
    assert resolve_input(apart).input.names == ("nodule",)


def test_label_studios_two_files_agree(tmp_path: Path) -> None:
    write(yolo_tree(tmp_path, {"v1": "+."}, names=None) / "notes.json", NOTES)
    write(tmp_path / "classes.txt", b"tear\ncyst\n")
    assert resolve_input(InputSpec(str(tmp_path))).input.names == ("tear", "cyst")
    write(tmp_path / "classes.txt", b"cyst\ntear\n")
    with pytest.raises(InputError, match=r"classes.txt has \[cyst, tear\] \(2\) and .*notes.json has \[tear, cyst\]"):
        resolve_input(InputSpec(str(tmp_path)))


def test_a_yaml_and_a_list_that_disagree_are_refused_with_both_named(tmp_path: Path) -> None:
    write(yolo_tree(tmp_path, {"v1": "+."}) / "labels/classes.txt", b"nodule\n")
    with pytest.raises(
        InputError, match=r"dataset.yaml has \[tear\] \(1\) and .*labels/classes.txt has \[nodule\]"
    ) as it:
        resolve_input(InputSpec(str(tmp_path)))
    assert (it.value.kind, it.value.exit_code) == ("class-names-disagree", 3)
    chosen = resolve_input(InputSpec(f"{tmp_path}/dataset.yaml"))
    assert chosen.input.names == ("tear",)


def test_a_yaml_that_only_counts_takes_the_names_of_a_list_as_long(tmp_path: Path) -> None:
    write(yolo_tree(tmp_path, {"v1": "+."}, names=None) / "data.yaml", b"train: images\nval: images\nnc: 2\n")
    write(tmp_path / "classes.txt", b"tear\ncyst\n")
    assert resolve_input(InputSpec(str(tmp_path))).input.names == ("tear", "cyst")
    write(tmp_path / "classes.txt", b"tear\n")
    with pytest.raises(InputError, match="Class names disagree"):
        resolve_input(InputSpec(str(tmp_path)))


def test_a_broken_list_is_named(tmp_path: Path) -> None:
    path = write(yolo_tree(tmp_path, {"v1": "+."}, names=None) / "classes.txt", b"a\n\nb\n")
    with pytest.raises(InputError) as caught:
        resolve_input(InputSpec(str(tmp_path)))
    assert caught.value.paths == (str(path),)
    assert str(path) in caught.value.message


# ---- layouts --------------------------------------------------------------------------------------------------------

BOX = b"0 0.5 0.5 0.1 0.2\n"


KNEES = {"train": "k1", "valid": "k2", "test": "k3"}


def cvat(root: Path, **subsets: int) -> Path:
    """Write CVAT's "YOLO 1.1" export: subset -> slices of one volume, the first of them positive."""
    data = "classes = 2\n"
    for subset, slices in subsets.items():
        lines = []
        for number in range(1, slices + 1):
            stem = f"obj_{subset}_data/{KNEES[subset]}_{number}"
            write(root / f"{stem}.png", image_bytes(stem))
            write(root / f"{stem}.txt", BOX if number == 1 else b"")
            lines.append(f"data/{stem}.png\n")
        write(root / f"{subset}.txt", "".join(lines).encode())
        data += f"{subset} = data/{subset}.txt\n"
    write(root / "obj.data", f"{data}names = data/obj.names\nbackup = backup/\n".encode())
    write(root / "obj.names", b"mass\ncalcification\n")
    return root


def scanned(root: Path) -> Snapshot:
    return scan(resolve_inputs([InputSpec(str(root))]))


def found_in(snapshot: Snapshot) -> list[tuple[str, str | None, str | None]]:
    """Return path, label and split of every image."""
    folders = snapshot.inputs[0].folders
    return [(one.path, one.label, folders[one.folder].split) for one in snapshot.images]


def test_cvats_export_is_read_by_its_lists(tmp_path: Path) -> None:
    snapshot = scanned(cvat(tmp_path, train=2, valid=1, test=1))
    assert found_in(snapshot) == [
        ("obj_test_data/k3_1.png", "obj_test_data/k3_1.txt", "test"),
        ("obj_train_data/k1_1.png", "obj_train_data/k1_1.txt", "train"),
        ("obj_train_data/k1_2.png", "obj_train_data/k1_2.txt", "train"),
        ("obj_valid_data/k2_1.png", "obj_valid_data/k2_1.txt", "val"),
    ]
    assert sum(one.annotations for one in snapshot.images) == 3
    assert snapshot.inputs[0].names == ("mass", "calcification")
    assert snapshot.problems == ()


def test_cvats_folders_are_read_where_the_lists_are_gone(tmp_path: Path) -> None:
    root = cvat(tmp_path, train=2, valid=1)
    (root / "train.txt").unlink()
    (root / "valid.txt").unlink()
    snapshot = scanned(root)
    assert [(path, split) for path, _, split in found_in(snapshot)] == [
        ("obj_train_data/k1_1.png", "train"),
        ("obj_train_data/k1_2.png", "train"),
        ("obj_valid_data/k2_1.png", "val"),
    ]
    assert snapshot.inputs[0].names == ("mass", "calcification")


def test_an_image_that_no_list_names_is_left_out_and_said(tmp_path: Path) -> None:
    root = cvat(tmp_path, train=2)
    write(root / "obj_train_data/other.png", b"other")
    (problem,) = scanned(root).problems
    assert (problem.kind, problem.severity, problem.path) == ("unlisted", "warning", f"{root}/obj_train_data")
    assert problem.message.startswith("holds 1 images that no list of obj.data names, such as 'other.png'")
    assert len(scanned(root).images) == 2


def test_an_image_that_a_list_names_and_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    root = cvat(tmp_path, train=2)
    (root / "obj_train_data/k1_2.png").unlink()
    assert ("missing", "error") in {(one.kind, one.severity) for one in scanned(root).problems}


def test_an_image_in_two_of_darknets_lists_is_a_leak(tmp_path: Path) -> None:
    root = cvat(tmp_path, train=2, valid=2)
    with (root / "valid.txt").open("a") as text:
        text.write("data/obj_train_data/k1_1.png\n")
    assert {problem.kind for problem in scanned(root).problems} == {"split-overlap"}
    audit = api.verify(str(root))
    assert {"volume-overlap", "duplicate-content"} <= {check.name for check in audit.checks if check.ok is False}


def test_an_audit_goes_by_the_names_that_trainers_read(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"v1": "+.", "v2": ".."}, split_of={"v1": "train", "v2": "val"}, names=None)
    write(root / "data.yaml", b"train: images/train\nval: images/val\nnames: [tear]\n")
    write(root / "classes.txt", b"nodule\n")
    assert api.verify(str(root)).ok
    with pytest.raises(InputError, match="Class names disagree"):
        api.scan(str(root))


def test_a_flat_folder_takes_the_names_of_a_yaml_without_splits(tmp_path: Path) -> None:
    write(tmp_path / "a.png", b"a")
    write(tmp_path / "a.txt", BOX)
    write(tmp_path / "data.yaml", b"names: [tear]\n")
    assert scanned(tmp_path).inputs[0].names == ("tear",)


def test_an_export_without_its_images_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.txt", b"data/obj_train_data/a.png\n")
    write(tmp_path / "obj.data", b"train = data/train.txt\n")
    with pytest.raises(InputError, match=r"its lists name 1 images, and the folder of .* is not here") as caught:
        resolve_input(InputSpec(str(tmp_path)))
    assert caught.value.exit_code == 3
    assert "Save images" in caught.value.hint


@pytest.mark.parametrize(
    "line", ["data/obj/a.png", "/content/darknet/data/obj/a.png", "../data/obj/a.png", "obj/a.png"]
)
def test_darknets_lists_name_images_below_another_folder(tmp_path: Path, line: str) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"obj/{name}.png", name.encode())
        write(tmp_path / f"obj/{name}.txt", BOX)
    write(tmp_path / "train.txt", f"{line}\n".encode())
    write(tmp_path / "valid.txt", f"{line}\n".replace("a.png", "b.png").encode())
    write(tmp_path / "knee.data", b"train=data/train.txt\nvalid=data/valid.txt\nnames=knee.names\n")
    write(tmp_path / "knee.names", b"tear\n")
    snapshot = scanned(tmp_path)
    assert found_in(snapshot) == [("obj/a.png", "obj/a.txt", "train"), ("obj/b.png", "obj/b.txt", "val")]
    assert snapshot.inputs[0].names == ("tear",)
    assert snapshot.problems == ()


def test_a_flat_folder_of_labelimg_is_an_input(tmp_path: Path) -> None:
    write(tmp_path / "knee_1.png", b"1")
    write(tmp_path / "knee_1.txt", BOX)
    write(tmp_path / "knee_2.png", b"2")
    write(tmp_path / "classes.txt", b"meniscus_tear\r\n")
    snapshot = scanned(tmp_path)
    assert found_in(snapshot) == [("knee_1.png", "knee_1.txt", None), ("knee_2.png", None, None)]
    assert snapshot.inputs[0].names == ("meniscus_tear",)
    assert snapshot.problems == ()


def test_roboflows_darknet_export_has_labels_beside_the_images_of_each_split(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write(tmp_path / f"{split}/{split}_1.jpg", split.encode())
        write(tmp_path / f"{split}/{split}_1.txt", BOX)
        write(tmp_path / f"{split}/_darknet.labels", b"tear\n")
    write(tmp_path / "README.roboflow.txt", b"an export\n")
    snapshot = scanned(tmp_path)
    assert found_in(snapshot) == [
        ("train/train_1.jpg", "train/train_1.txt", "train"),
        ("valid/valid_1.jpg", "valid/valid_1.txt", "val"),
    ]
    assert snapshot.inputs[0].names == ("tear",)


@pytest.mark.parametrize(
    "files",
    [
        {"a.png": b"a"},
        {"a.png": b"a", "notes.txt": b"mine"},
        {"images/a.png": b"a", "images/a.txt": BOX},
        {"obj.data": b"classes = 1\n"},
    ],
)
def test_a_folder_without_labels_or_above_which_the_dataset_lies_is_no_export(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    for name, data in files.items():
        write(tmp_path / name, data)
    with pytest.raises(InputError, match=r"No dataset layout|is only a part of it"):
        resolve_input(InputSpec(f"{tmp_path}/images" if "images/a.png" in files else str(tmp_path)))


def labelimg(root: Path) -> Path:
    """Write labels beside the pictures in `images/`."""
    yolo_tree(
        root, {"01": "+...", "02": "....", "03": "+..", "04": "..."}, images="images", labels="images", names=None
    )
    write(root / "images/classes.txt", b"tear\r\n")
    return root


@pytest.mark.parametrize(
    "export", [lambda root: cvat(root, train=4, valid=3, test=3), labelimg], ids=["cvat", "labelImg"]
)
def test_an_export_is_built_as_trainers_read_it(tmp_path: Path, export: Callable[[Path], Path]) -> None:
    root, out = export(tmp_path / "in"), tmp_path / "out"
    plan = api.plan(str(root), output=str(out), plan_file=f"{tmp_path}/plan.json", negatives_per_positive="all", jobs=1)
    api.apply(plan.path, mode="copy", jobs=1)
    images = sorted(out.glob("images/*/*.png"))
    assert len(images) == len(scanned(root).images)
    for image in images:
        (source,) = root.rglob(image.name)
        label = Path(str(image.with_suffix(".txt")).replace("/images/", "/labels/"))
        assert label.read_bytes() == source.with_suffix(".txt").read_bytes()
    assert api.verify(str(out)).ok
