"""Inputs of every layout -> roots, image folders, label folders and class names."""

import os
from pathlib import Path

import pytest

from planbalance.errors import HoldsDatasetsError, InputError, UsageError
from planbalance.inputs import absolute, common_keys, label_folder, resolve_input, resolve_inputs
from planbalance.model import Folder, InputSpec, Split
from tests.builders import write


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
    return root


def spec(path: Path | str, name: str = "") -> InputSpec:
    return InputSpec(str(path), name)


# ---- folders --------------------------------------------------------------------------------------------------------

LAYOUTS = [
    (
        "the guide's",
        ["images/train", "images/val", "images/test", "labels/train"],
        [
            ("images/train", "labels/train", "train"),
            ("images/val", "labels/val", "val"),
            ("images/test", "labels/test", "test"),
            ("images", "labels", None),
        ],
    ),
    ("valid is val", ["images/valid"], [("images/valid", "labels/valid", "val"), ("images", "labels", None)]),
    ("without splits", ["images/v1", "labels"], [("images", "labels", None)]),
    (
        "Roboflow's",
        ["train/images", "valid/images", "train/labels"],
        [("train/images", "train/labels", "train"), ("valid/images", "valid/labels", "val")],
    ),
    ("both", ["images", "test/images"], [("images", "labels", None), ("test/images", "test/labels", "test")]),
]


@pytest.mark.parametrize(("made", "wanted"), [case[1:] for case in LAYOUTS], ids=[case[0] for case in LAYOUTS])
def test_a_folder_is_read_by_its_layout(
    tmp_path: Path, made: list[str], wanted: list[tuple[str, str, str | None]]
) -> None:
    found = resolve_input(spec(folders(tmp_path, *made)))
    assert found.input.root == str(tmp_path)
    assert [(f.images, f.labels, f.split) for f in found.input.folders] == wanted
    assert found.walked == tuple(range(len(wanted)))
    assert (found.input.names, found.input.prefix, found.problems) == (None, "", ())


@pytest.mark.parametrize("name", ["data.yaml", "dataset.yaml", "knees.yml", "KNEES.YAML"])
def test_names_come_from_the_yaml_at_the_root(tmp_path: Path, name: str) -> None:
    write(folders(tmp_path, "images") / name, b"names: [tear, cyst]")
    assert resolve_input(spec(tmp_path)).input.names == ("tear", "cyst")


def test_two_yaml_files_of_other_names_say_nothing(tmp_path: Path) -> None:
    write(folders(tmp_path, "images") / "a.yaml", b"names: [tear]")
    write(tmp_path / "b.yaml", b"names: [cyst]")
    assert resolve_input(spec(tmp_path)).input.names is None
    write(tmp_path / "data.yaml", b"names: [knee]")
    assert resolve_input(spec(tmp_path)).input.names == ("knee",)


def test_hidden_yaml_files_and_those_in_folders_are_not_read(tmp_path: Path) -> None:
    write(folders(tmp_path, "images") / ".pre-commit-config.yaml", b"names: [x]")
    write(tmp_path / "hyps" / "hyp.yaml", b"names: [x]")
    assert resolve_input(spec(tmp_path)).input.names is None


def test_data_yaml_and_dataset_yaml_must_agree(tmp_path: Path) -> None:
    write(folders(tmp_path, "images") / "data.yaml", b"names: [tear]")
    write(tmp_path / "dataset.yaml", b"names: [cyst]")
    with pytest.raises(InputError, match=r"data.yaml has \[tear\] \(1\) and .*dataset.yaml has \[cyst\]") as caught:
        resolve_input(spec(tmp_path))
    assert caught.value.kind == "class-names-disagree"


def test_a_broken_yaml_is_named(tmp_path: Path) -> None:
    path = write(folders(tmp_path, "images") / "data.yaml", b"names: [tear")
    with pytest.raises(InputError, match="not valid YAML") as caught:
        resolve_input(spec(tmp_path))
    assert caught.value.paths == (str(path),)
    assert str(path) in caught.value.message


def test_links_in_the_path_are_kept_and_dots_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders(tmp_path, "real/images", "work")
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "work")
    assert resolve_input(spec("../link/./")).input.root == f"{tmp_path}/link"
    assert absolute("/") == "/"
    assert absolute("//a//b/../c/") == "/a/c"


@pytest.mark.parametrize(
    ("made", "given", "hint"),
    [
        (["ds/labels"], "ds/labels", "Give the folder above it: {root}/ds."),
        (["ds/pictures"], "ds", "--images DIR --labels DIR"),
    ],
)
def test_a_folder_of_no_known_layout(tmp_path: Path, made: list[str], given: str, hint: str) -> None:
    folders(tmp_path, *made)
    with pytest.raises(InputError, match="No dataset layout") as caught:
        resolve_input(spec(tmp_path / given))
    assert (caught.value.kind, caught.value.exit_code) == ("no-layout", 3)
    assert hint.format(root=tmp_path) in caught.value.hint


@pytest.mark.parametrize("part", ["images", "images/train", "labels", "labels/train/more"])
def test_a_part_of_a_dataset_names_the_dataset(tmp_path: Path, part: str) -> None:
    folders(tmp_path, "ds/images/train", "ds/labels/train/more")
    with pytest.raises(InputError, match=f"only a part of it: give {tmp_path}/ds.$") as caught:
        resolve_input(spec(tmp_path / "ds" / part))
    assert caught.value.kind == "no-layout"


def test_a_folder_of_datasets_names_them(tmp_path: Path) -> None:
    folders(tmp_path, "all/b/images/train", "all/a/train/images", "all/notes", "all/.hidden/images")
    with pytest.raises(HoldsDatasetsError, match=r"all is no dataset itself, but holds 2 datasets: a, b.$") as caught:
        resolve_input(spec(tmp_path / "all"))
    assert (caught.value.kind, caught.value.exit_code) == ("no-layout", 3)
    assert caught.value.paths == (f"{tmp_path}/all/a", f"{tmp_path}/all/b")


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a folder nor a yaml"):
        resolve_input(spec(write(tmp_path / "plan.json", b"{}")))


def test_not_found_says_how_far_the_path_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders(tmp_path, "data/yolo_dataset")
    with pytest.raises(InputError, match=r"^Input directory not found: ") as caught:
        resolve_input(spec(tmp_path / "data/yolo_datset/x"))
    assert caught.value.kind == "input-not-found"
    assert caught.value.message == (
        f"Input directory not found: {tmp_path}/data/yolo_datset/x. Did you mean {tmp_path}/data/yolo_dataset?"
    )
    assert caught.value.hint == f"{tmp_path}/data exists, but holds no 'yolo_datset'."
    with pytest.raises(InputError, match=f"not found: {tmp_path}/data/knees; {tmp_path}/data holds yolo_dataset.$"):
        resolve_input(spec(tmp_path / "data/knees"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="Input file not found") as caught:
        resolve_input(spec("no.yaml"))
    assert "give an absolute path" in caught.value.hint


@pytest.mark.parametrize("path", ["a\nb", "a\udcffb", "a\x1b[31m"])
def test_a_path_that_no_plan_can_hold(path: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_input(spec(f"/{path}"))
    assert caught.value.kind == "name-refused"
    assert caught.value.message.isprintable()
    assert all(text.isprintable() for text in caught.value.paths)


def test_names_of_inputs_become_prefixes(tmp_path: Path) -> None:
    folders(tmp_path, "images")
    assert resolve_input(spec(tmp_path, "tear")).input.prefix == "tear-"
    for name in ("a/b", "..", ".x", "a\tb", "\udcff"):
        with pytest.raises(UsageError):
            resolve_input(spec(tmp_path, name))


def test_no_input_is_wrong_usage() -> None:
    with pytest.raises(UsageError):
        resolve_input(spec(""))


# ---- roots apart ----------------------------------------------------------------------------------------------------


def test_roots_apart_have_their_common_ancestor_as_root(tmp_path: Path) -> None:
    folders(tmp_path, "a/pictures/train", "a/b/texts")
    write(tmp_path / "a" / "data.yaml", b"names: [tear]")
    found = resolve_input(InputSpec("", images=f"{tmp_path}/a/pictures", labels=f"{tmp_path}/a/b/texts"))
    assert found.input.root == f"{tmp_path}/a"
    assert found.input.names == ("tear",)
    assert found.input.folders == (
        Folder("pictures/train", "b/texts/train", "train"),
        Folder("pictures", "b/texts", None),
    )


def test_roots_apart_may_be_one_inside_the_other_or_the_same(tmp_path: Path) -> None:
    folders(tmp_path, "labels")
    inner = resolve_input(InputSpec("", images=str(tmp_path), labels=f"{tmp_path}/labels"))
    assert (inner.input.root, inner.input.folders) == (str(tmp_path), (Folder("", "labels", None),))
    same = resolve_input(InputSpec("", images=str(tmp_path), labels=str(tmp_path)))
    assert same.input.folders == (Folder("", "", None),)


def test_roots_apart_take_names_from_the_path(tmp_path: Path) -> None:
    folders(tmp_path, "p", "t")
    yaml = write(tmp_path / "y" / "names.yaml", b"names: [cyst]")
    for path in (yaml, yaml.parent):
        found = resolve_input(InputSpec(str(path), images=f"{tmp_path}/p", labels=f"{tmp_path}/t"))
        assert (found.input.names, found.input.root) == (("cyst",), str(tmp_path))


def test_roots_apart_must_both_be_given_and_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        resolve_input(InputSpec("", images=str(tmp_path)))
    with pytest.raises(InputError, match="Label directory not found"):
        resolve_input(InputSpec("", images=str(tmp_path), labels=f"{tmp_path}/none"))


# ---- yaml -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("/d/images", "/d/labels"),
        ("/d/images/train", "/d/labels/train"),
        ("/images/a", "/labels/a"),
        ("/d/images/x/images/y", "/d/images/x/labels/y"),
        ("/d/train", "/d/train"),
        ("/d/myimages", "/d/myimages"),
        ("/d/Images/a", "/d/Images/a"),
    ],
)
def test_labels_lie_where_trainers_look(images: str, labels: str) -> None:
    assert label_folder(images) == labels


@pytest.mark.parametrize(
    "text",
    [
        "train: images/train\nval: images/val\n",
        "path: {root}\ntrain: images/train\nval: images/val\n",
        "path: ../ds\ntrain: images/train\nval: images/val\n",
        "path: .\ntrain: {root}/images/train\nvalid: ./images/val/\n",
        "train: ../images/train\nval: ../images/val\n",
        "train: [images/train]\nval: [images/val, images/val]\n",
        "path: ds\ntrain: images/train\nval: images/val\n",
    ],
    ids=["no path", "absolute", "relative", "dots", "Roboflow", "lists", "below the working folder"],
)
def test_a_yaml_names_folders(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folders(tmp_path / "ds", "images/train", "images/val", "images/other")
    monkeypatch.chdir(tmp_path)
    path = write(root / "data.yaml", text.format(root=root).encode() + b"names: [tear]\n")
    found = resolve_input(spec(path))
    assert found.input.root == str(root)
    assert found.input.names == ("tear",)
    assert found.input.folders == (
        Folder("images/train", "labels/train", "train"),
        Folder("images/val", "labels/val", "val"),
    )
    assert not found.problems


def test_a_yaml_elsewhere(tmp_path: Path) -> None:
    folders(tmp_path / "ds", "images/train", "pics")
    path = write(tmp_path / "cfg" / "k.yaml", f"path: {tmp_path}/ds\ntrain: images/train\nval: pics\n".encode())
    found = resolve_input(spec(path))
    assert found.input.root == f"{tmp_path}/ds"
    assert found.input.folders == (Folder("images/train", "labels/train", "train"), Folder("pics", "pics", "val"))


def test_images_or_labels_outside_the_root_move_it_up(tmp_path: Path) -> None:
    folders(tmp_path, "ds", "images/knee/train")
    path = write(tmp_path / "ds" / "k.yaml", f"train: {tmp_path}/images/knee/train\n".encode())
    found = resolve_input(spec(path))
    assert found.input.root == str(tmp_path)
    assert found.input.folders == (Folder("images/knee/train", "labels/knee/train", "train"),)
    path = write(tmp_path / "l.yaml", f"path: {tmp_path}/images/knee\ntrain: train\n".encode())
    assert resolve_input(spec(path)).input == found.input


def test_split_folders_inside_a_named_folder_are_no_volumes(tmp_path: Path) -> None:
    folders(tmp_path, "images/train", "images/test", "images/v1")
    path = write(tmp_path / "k.yaml", b"train: images\n")
    assert resolve_input(spec(path)).input.folders == (
        Folder("images", "labels", "train"),
        Folder("images/test", "labels/test", "train"),
        Folder("images/train", "labels/train", "train"),
    )


def test_one_folder_named_for_two_splits_is_said(tmp_path: Path) -> None:
    folders(tmp_path, "images/train", "images/val")
    found = resolve_input(spec(write(tmp_path / "k.yaml", b"train: images\nval: images\n")))
    assert [(f.images, f.split) for f in found.input.folders] == [
        ("images", "train"),
        ("images/train", "train"),
        ("images/val", "val"),
    ]
    assert {(p.kind, p.severity, p.path) for p in found.problems} == {
        ("split-overlap", "warning", f"{tmp_path}/images{below}") for below in ("", "/train", "/val")
    }
    nested = resolve_input(spec(write(tmp_path / "k.yaml", b"train: images\nval: images/val\n")))
    assert [(p.kind, p.path) for p in nested.problems] == [("split-overlap", f"{tmp_path}/images/val")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("train: images/trian\n", "train: images/trian"),
        ("train: images/train\nval: images/val\n", "val: images/val"),
        ("test: images/test\n", "test: images/test"),
        ("path: /nowhere/at/all\ntrain: pictures/train\n", "/nowhere/at/all"),
    ],
)
def test_what_a_yaml_names_must_be_there(tmp_path: Path, text: str, reason: str) -> None:
    folders(tmp_path, "images/train")
    with pytest.raises(InputError, match=reason) as caught:
        resolve_input(spec(write(tmp_path / "k.yaml", text.encode())))
    assert caught.value.kind == "input-not-found"


def test_a_test_split_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    folders(tmp_path, "images/train")
    found = resolve_input(spec(write(tmp_path / "k.yaml", b"train: images/train\ntest: ../test/images\n")))
    assert [f.split for f in found.input.folders] == ["train"]
    assert [(p.kind, p.severity) for p in found.problems] == [("missing", "warning")]


def test_a_yaml_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no images") as caught:
        resolve_input(spec(write(tmp_path / "k.yaml", b"names: [a]")))
    assert caught.value.kind == "no-layout"


# ---- text lists -----------------------------------------------------------------------------------------------------


def test_text_lists_name_images(tmp_path: Path) -> None:
    folders(tmp_path, "images/train", "images/more", "lists")
    write(tmp_path / "lists" / "train.txt", b"images/train/a.png\n./../images/more/b.JPG\n\n/abs/images/c.dcm\r\n")
    write(tmp_path / "lists" / "val.txt", b"\xef\xbb\xbfimages/more/d.png\n")
    found = resolve_input(spec(write(tmp_path / "k.yaml", b"train: lists/train.txt\nval: lists/val.txt\nnames: [x]\n")))
    assert found.input.root == "/"  # /abs lies outside
    start = str(tmp_path)[1:]
    assert found.walked == ()
    assert {path: found.input.folders[index] for path, index in found.listed.items()} == {
        f"{start}/images/train/a.png": Folder(f"{start}/images/train", f"{start}/labels/train", "train"),
        f"{start}/images/more/b.JPG": Folder(f"{start}/images", f"{start}/labels", "train"),
        "abs/images/c.dcm": Folder("abs/images", "abs/labels", "train"),
        f"{start}/images/more/d.png": Folder(f"{start}/images", f"{start}/labels", "val"),
    }
    assert found.texts == {f"{start}/lists/train.txt", f"{start}/lists/val.txt"}


def test_listed_images_outside_of_images_have_labels_beside(tmp_path: Path) -> None:
    folders(tmp_path, "p/v1", "p/v2")
    write(tmp_path / "train.txt", b"./p/v1/a.png\n./p/v2/b.png\n")
    found = resolve_input(spec(write(tmp_path / "k.yaml", b"train: train.txt\n")))
    assert found.input.root == str(tmp_path)
    assert found.input.folders == (Folder("p", "p", "train"),)
    assert dict(found.listed) == {"p/v1/a.png": 0, "p/v2/b.png": 0}


def test_a_folder_without_a_layout_is_read_by_its_yaml(tmp_path: Path) -> None:
    folders(tmp_path, "d/images", "lists")
    write(tmp_path / "lists/train.txt", f"{tmp_path}/d/images/a.png\n".encode())
    write(tmp_path / "lists/dataset.yaml", b"train: train.txt\n")
    found = resolve_input(spec(tmp_path / "lists"))
    assert (found.input.root, dict(found.listed)) == (f"{tmp_path}/d", {"images/a.png": 0})


def test_an_image_in_two_lists_is_said_and_stays_in_the_first(tmp_path: Path) -> None:
    folders(tmp_path, "images")
    write(tmp_path / "train.txt", b"images/a.png\nimages/b.png\n")
    write(tmp_path / "val.txt", b"images/b.png\n")
    found = resolve_input(spec(write(tmp_path / "k.yaml", b"train: train.txt\nval: val.txt\ntest: val.txt\n")))
    assert [found.input.folders[index].split for index in found.listed.values()] == ["train", "train"]
    assert {(p.kind, p.path) for p in found.problems} == {
        ("split-overlap", f"{tmp_path}/val.txt"),
        ("split-overlap", f"{tmp_path}/images/b.png"),
    }


def test_an_image_listed_against_its_folder_is_said(tmp_path: Path) -> None:
    folders(tmp_path, "images/train/v")
    write(tmp_path / "val.txt", b"images/train/v/b.png\n")
    found = resolve_input(spec(write(tmp_path / "k.yaml", b"train: images/train\nval: val.txt\n")))
    assert [(p.kind, p.path) for p in found.problems] == [("split-overlap", f"{tmp_path}/images/train/v/b.png")]


def test_lines_that_name_no_image_are_counted(tmp_path: Path) -> None:
    folders(tmp_path, "images")
    write(tmp_path / "train.txt", b"images/a.png\nnotes\n# x\n\n\xff\xff\n")
    found = resolve_input(spec(write(tmp_path / "k.yaml", b"train: train.txt\n")))
    assert list(found.listed) == ["images/a.png"]
    assert [(p.kind, p.severity, p.path) for p in found.problems] == [("missing", "warning", f"{tmp_path}/train.txt:2")]
    assert found.problems[0].message.startswith("3 lines")


def test_an_image_named_itself(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.png", b"x")
    found = resolve_input(spec(write(tmp_path / "k.yaml", b"train: [images/a.png]\n")))
    assert dict(found.listed) == {"images/a.png": 0}


# ---- several inputs -------------------------------------------------------------------------------------------------


def test_names_of_several_inputs_agree_or_are_missing(tmp_path: Path) -> None:
    for name, text in (("a", b"names: [tear]"), ("b", None), ("c", b"names: [tear]"), ("d", b"names: [tear, cyst]")):
        folders(tmp_path / name, "images")
        if text is not None:
            write(tmp_path / name / "data.yaml", text)
    assert len(resolve_inputs([spec(tmp_path / name) for name in "bac"])) == 3
    with pytest.raises(InputError, match=r"a has \[tear\] \(1\) and .*/d has \[tear, cyst\] \(2\)") as caught:
        resolve_inputs([spec(tmp_path / name) for name in "bad"])
    assert caught.value.kind == "class-names-disagree"


@pytest.mark.parametrize("second", ["a", "link", "a/images", "a/images/sub"])
def test_the_same_images_in_two_inputs_are_refused(tmp_path: Path, second: str) -> None:
    folders(tmp_path / "a", "images/train", "images/images", "images/sub/images")
    os.symlink("a", tmp_path / "link")
    with pytest.raises(InputError, match="Two inputs hold the same images") as caught:
        resolve_inputs([spec(tmp_path / "a"), spec(tmp_path / second, "x")])
    assert caught.value.kind == "input-twice"


def test_inputs_side_by_side_are_pooled_in_the_order_given(tmp_path: Path) -> None:
    folders(tmp_path, "tear/images", "normal/images", "tear2/images")
    found = resolve_inputs([spec(tmp_path / name, name) for name in ("tear", "normal", "tear2")])
    assert [one.input.prefix for one in found] == ["tear-", "normal-", "tear2-"]


# ---- names of splits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("Train", "train"),
        ("TRAINING", "train"),
        ("train2017", "train"),
        ("trainset", "train"),
        ("Valid", "val"),
        ("validation", "val"),
        ("Validation", "val"),
        ("val2017", "val"),
        ("Testing", "test"),
        ("Test_set", "test"),
    ],
)
def test_split_folders_are_known_by_their_usual_names(tmp_path: Path, folder: str, split: Split) -> None:
    inside = folders(tmp_path / "inside", f"images/{folder}")
    assert resolve_input(spec(inside)).input.folders[0] == Folder(f"images/{folder}", f"labels/{folder}", split)
    above = folders(tmp_path / "above", f"{folder}/images")
    assert resolve_input(spec(above)).input.folders == (Folder(f"{folder}/images", f"{folder}/labels", split),)


@pytest.mark.parametrize("folder", ["dev", "holdout", "trainer", "value", "train1", "test-retest", "validate"])
def test_other_words_are_no_splits(tmp_path: Path, folder: str) -> None:
    assert resolve_input(spec(folders(tmp_path, f"images/{folder}"))).input.folders == (
        Folder("images", "labels", None),
    )


def test_a_folder_of_very_many_files_may_hold_split_folders(tmp_path: Path) -> None:
    root = folders(tmp_path, "images/Validation", "images/train")
    for number in range(2100):
        write(root / f"images/{number}.png", b"")
    assert [folder.images for folder in resolve_input(spec(root)).input.folders] == [
        "images/train",
        "images/Validation",
        "images",
    ]


# ---- further keys of the yaml ---------------------------------------------------------------------------------------


def with_yaml(root: Path, text: str, name: str = "data.yaml") -> Path:
    folders(root, "images", "labels")
    write(root / name, text.encode())
    return root


def test_further_keys_of_a_yaml_belong_to_the_input(tmp_path: Path) -> None:
    root = with_yaml(tmp_path / "in", "train: images\nnames: [tear]\nkpt_shape: [2, 3]\nlicense: {name: CC}\n")
    wanted = {"kpt_shape": [2, 3], "license": {"name": "CC"}}
    for given in (root, root / "data.yaml"):
        assert resolve_input(spec(given)).input.yaml_keys == wanted
    apart = InputSpec("", images=str(root / "images"), labels=str(root / "labels"))
    assert resolve_input(apart).input.yaml_keys == wanted


def test_what_cannot_be_carried_over_is_said(tmp_path: Path) -> None:
    root = with_yaml(tmp_path / "in", "train: images\nnames: [tear]\ndownload: https://example.org/a.zip\nx: !y z\n")
    for given in (root, root / "data.yaml"):
        found = resolve_input(spec(given))
        assert found.input.yaml_keys == {}
        (problem,) = found.problems
        assert (problem.kind, problem.severity, problem.path) == ("yaml-key", "warning", str(root / "data.yaml"))
        assert "download (it fetches" in problem.message
        assert "x (it has a tag" in problem.message


def test_a_shape_of_keypoints_that_is_none_is_refused(tmp_path: Path) -> None:
    root = with_yaml(tmp_path / "in", "names: [tear]\nkpt_shape: 17\n")
    with pytest.raises(InputError, match=r"data.yaml: 'kpt_shape' is not \[K, 2\] or \[K, 3\]") as caught:
        resolve_input(spec(root))
    assert (caught.value.kind, caught.value.exit_code) == ("dataset-yaml", 3)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("kpt_shape: [2, 3]", "kpt_shape: [3, 3]", r"has \[2, 3\] and .* has \[3, 3\]"),
        ("kpt_shape: [2, 3]", "", "has none"),
        ("channels: 1", "", "has 1 and .* has 3"),
        ("fork: {a: 1}", "fork: {a: 2}", "disagree on fork"),
    ],
)
def test_inputs_that_disagree_on_a_key_are_both_named(tmp_path: Path, one: str, other: str, said: str) -> None:
    roots = [with_yaml(tmp_path / name, f"names: [tear]\n{key}\n") for name, key in (("one", one), ("two", other))]
    with pytest.raises(InputError, match=said) as caught:
        resolve_inputs([spec(root, root.name) for root in roots])
    assert (caught.value.kind, caught.value.exit_code) == ("yaml-keys-disagree", 3)
    assert caught.value.paths == tuple(map(str, roots))


def test_keys_that_one_input_has_or_that_tell_where_data_come_from_are_no_disagreement(tmp_path: Path) -> None:
    roots = [
        with_yaml(tmp_path / "one", "names: [tear]\nroboflow: {version: 1}\nfork: 1\nchannels: 3\n"),
        with_yaml(tmp_path / "two", "names: [tear]\nroboflow: {version: 2}\n"),
        folders(tmp_path / "three", "images", "labels"),
    ]
    found = resolve_inputs([spec(root, root.name) for root in roots])
    assert common_keys(one.input for one in found) == {"fork": 1, "channels": 3}


def test_two_yaml_files_of_one_input_that_disagree_on_a_key(tmp_path: Path) -> None:
    root = with_yaml(tmp_path / "in", "names: [tear]\nchannels: 1\n")
    with_yaml(root, "names: [tear]\nchannels: 3\n", "dataset.yaml")
    with pytest.raises(InputError, match=r"data.yaml has 1 and .*dataset.yaml has 3"):
        resolve_input(spec(root))
