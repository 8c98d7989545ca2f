"""Datasets as people have them whose yaml and folders differ: what scan, plan and verify read, say and refuse."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.builders import LABELS, picture_bytes, write
from tests.cli.command import run, run_json

SPLITS = {"images/train": range(1, 8), "images/val": range(8, 10), "images/test": range(10, 12)}
NAMED = "train: images/train\nval: images/val\ntest: images/test\nnames: [tear]\n"


def knees(
    root: Path, places: Mapping[str, Iterable[int]], yaml: str | None = None, *, slices: Iterable[int] = range(1, 7)
) -> Path:
    """Write volumes of six slices into image folders, two of each odd one with a tear, labels where trainers look."""
    for folder, volumes in places.items():
        for volume in volumes:
            for number in slices:
                name = f"knee{volume:02d}_{number:03d}"
                write(root / folder / f"{name}.png", picture_bytes(f"{folder}/{volume}/{number}"))
                label = LABELS["+"] if volume % 2 and number in (3, 4) else b""
                write(root / folder.replace("images", "labels") / f"{name}.txt", label)
    if yaml is not None:
        write(root / "data.yaml", yaml.format(root=root).encode())
    return root


def slices_of(document: Mapping[str, Any]) -> dict[str, int]:
    return {split: found["slices"] for split, found in document["splits"].items()}


def planned(root: Path, where: Path) -> Any:
    return run_json("plan", root, "--output", where / "out", "--plan-file", where / "plan.json")


def problems(document: Mapping[str, Any], kind: str) -> list[dict[str, str]]:
    """Return the problems of one kind, of a scan or of an audit's view of the trainers."""
    found = document["problems"] if "problems" in document else trainers(document)["problems"]
    return [problem for problem in found if problem["kind"] == kind]


def trainers(document: Mapping[str, Any]) -> Any:
    return next(check for check in document["checks"] if check["name"] == "trainers")


# ---- folders that the yaml does not name ----------------------------------------------------------------------------


def test_the_yaml_names_a_folder_that_is_called_otherwise(tmp_path: Path) -> None:
    """`valid/images` in the yaml, `val/images` on the disk: trainers stop."""
    places = {"train/images": range(1, 7), "val/images": (8, 9), "holdout/images": (1, 2)}
    root = knees(tmp_path / "in", places, "path: {root}\ntrain: train/images\nval: valid/images\nnames: [tear]\n")
    for words in (["scan", root], ["plan", root, "--output", tmp_path / "out"]):
        error = run_json(*words, code=3)["error"]
        assert (error["kind"], error["paths"]) == ("input-not-found", [f"{root}/valid/images"])
        assert "val: valid/images" in error["message"]
        assert f"{root}/val/images meant, which holds 12 images" in error["hint"]
    for quick in ([], ["--quick"]):
        audit = run_json("verify", root, *quick, code=6)
        (missing,) = problems(audit, "missing")
        assert (missing["severity"], missing["path"]) == ("error", f"{root}/valid/images")
        assert "data.yaml names it as val, but it is not there: trainers stop" in missing["message"]
        assert audit["layout_differences"] == [
            {"path": f"{root}/{path}/images", "images": 12, "folder_split": split, "yaml_splits": []}
            for path, split in (("holdout", None), ("val", "val"))
        ]
        assert "belong to no split" not in trainers(audit)["reason"]
        assert "val holds no slice" in audit["summary"]


def test_the_yaml_names_another_folder_as_val(tmp_path: Path) -> None:
    """What is audited and pooled is what trainers load, and that leaks, whatever `val/images` holds."""
    places = {"train/images": range(1, 7), "val/images": (8, 9)}
    root = knees(tmp_path / "in", places, "path: {root}\ntrain: train/images\nval: holdout/images\nnames: [tear]\n")
    knees(root, {"holdout/images": (1, 2, 3, 7)}, slices=range(11, 17))
    scan = run_json("scan", root)
    assert slices_of(scan) == {"train": 36, "val": 24}
    assert scan["inputs"][0]["yaml"]["splits"] == {"train": ["train/images"], "val": ["holdout/images"]}
    (difference,) = scan["layout_differences"]
    assert (difference["path"], difference["images"]) == (f"{root}/val/images", 12)
    plan = planned(root, tmp_path)
    assert sum(counts["total"] for counts in plan["statistics"]["before"].values()) == 60
    assert any(f"{root}/val/images: 12 images that data.yaml names for no split" in text for text in plan["warnings"])
    audit = run_json("verify", root, code=6)
    assert {(leak["from"], leak["to"]): leak["share"] for leak in audit["leaks"]}["val", "train"] == 0.75


def test_a_yaml_without_splits_leaves_the_layout_in_force(tmp_path: Path) -> None:
    for number, yaml in enumerate(
        (None, "names: [tear]\n", "names: [tear]\nval: true\n", "names: [tear]\ntrain: 0.7\n")
    ):
        root = knees(tmp_path / str(number), SPLITS, yaml)
        scan = run_json("scan", root)
        assert slices_of(scan) == {"train": 42, "val": 12, "test": 12}
        assert (scan["inputs"][0]["yaml"], scan["layout_differences"]) == (None, [])
        assert run_json("verify", root)["yaml"] is None


def test_folders_whose_names_tell_another_split(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", SPLITS, "train: images/train\nval: images/test\ntest: images/val\nnames: [tear]\n")
    for document in (run_json("scan", root), run_json("verify", root)):
        assert [(d["folder_split"], d["yaml_splits"], d["images"]) for d in document["layout_differences"]] == [
            ("test", ["val"], 12),
            ("val", ["test"], 12),
        ]


def test_a_yaml_beside_settings_of_other_tools_is_the_one(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", SPLITS)
    write(root / "knee.yaml", b"train: images/train\nval: images/test\nnames: [tear]\n")
    write(root / "args.yaml", b"task: detect\nval: true\nsplit: val\n")
    write(root / "broken.yaml", b"a: [")
    scan = run_json("scan", root)
    assert (slices_of(scan), scan["names"]) == ({"train": 42, "val": 12}, ["tear"])


def test_two_yaml_files_that_name_other_splits(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", SPLITS, "train: images/train\nval: images/val\nnames: [tear]\n")
    write(root / "other.yaml", b"train: images/train\nval: images/test\nnames: [tear]\n")
    scan = run_json("scan", root)
    assert slices_of(scan) == {"train": 42, "val": 12, "test": 12}
    (problem,) = problems(scan, "dataset-yaml")
    assert "data.yaml names train: images/train, val: images/val; other.yaml names train" in problem["message"]
    assert slices_of(run_json("scan", root / "other.yaml")) == {"train": 42, "val": 12}
    write(root / "other.yaml", f"path: {root}\ntrain: ./images/train/\nval: images/val\n".encode())
    assert run_json("scan", root)["inputs"][0]["yaml"]["path"] == f"{root}/data.yaml", "both name the same"


def test_two_yaml_files_decide_nothing_where_no_folder_tells_a_split(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", {"images": range(1, 8)}, "train: a.txt\nval: b.txt\nnames: [tear]\n")
    for name, number in (("a", 1), ("b", 2), ("c", 3)):
        write(root / f"{name}.txt", f"images/knee0{number}_001.png\n".encode())
    write(root / "other.yaml", b"train: a.txt\nval: c.txt\n")
    assert run_json("scan", root)["slices"] == 42
    error = run_json("verify", root, code=3)["error"]
    assert error["kind"] == "yamls-differ"
    assert f"{root}/data.yaml" in error["hint"]


# ---- train and val are one folder -----------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [SPLITS, {"images": range(1, 12)}], ids=["with split folders", "flat"])
def test_a_yaml_that_names_one_folder_for_all(tmp_path: Path, places: Mapping[str, Iterable[int]]) -> None:
    """Ultralytics wants train and val, so people write the same folder twice: fit for a plan, not for an evaluation."""
    root = knees(tmp_path / "in", places, "path: .\ntrain: images\nval: images\nnames: [tear]\n")
    plan = planned(root, tmp_path)
    assert sum(counts["total"] for counts in plan["statistics"]["before"].values()) == 66
    assert not any("overlap" in text for text in plan["warnings"])
    scan = run_json("scan", root)
    assert (scan["slices"], scan["problems"]) == (66, [])
    without = knees(tmp_path / "without", places)
    assert slices_of(scan) == slices_of(run_json("scan", without))
    audit = run_json("verify", root, code=6)
    assert f"{root}/images" in {problem["path"] for problem in problems(audit, "split-overlap")}
    assert "as train and val: the same images in both" in problems(audit, "split-overlap")[0]["message"]
    assert {leak["share"] for leak in audit["leaks"]} == {1.0}
    assert audit["warnings"] == [], "a split that the yaml does not name lacks nothing"


def test_the_plan_is_that_of_the_layout_where_both_say_the_same(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", SPLITS, "names: [tear]\n")
    by_layout = planned(root, tmp_path)["digest"]
    for yaml in (NAMED, "path: {root}\n" + NAMED, "path: .\ntrain: images\nval: images\nnames: [tear]\n"):
        write(root / "data.yaml", yaml.format(root=root).encode())
        assert planned(root, tmp_path)["digest"] == by_layout


# ---- another machine ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "yaml",
    [
        "path: D:\\data\\knee\ntrain: images/train\nval: images/val\ntest: images/test\n",
        "path: c:\\Dev\\knee\ntrain: .\\images\\train\\\nvalidation: .\\images\\val\\\ntest: .\\images\\test\\\n",
        "path: /content/knee\ntrain: images/train\nval: images/val\ntest: images/test\n",
        "path: dataset\ntrain: images/train\nval: images/val\ntest: images/test\n",
        "train: /content/knee/images/train\nval: /content/knee/images/val\ntest: /content/knee/images/test\n",
        "train: .\\images\\train\nval: .\\images\\val\ntest: .\\images\\test\n",
    ],
    ids=["drive", "FiftyOne on Windows", "notebook", "relative", "absolute folders", "backslashes"],
)
def test_a_yaml_of_another_machine_is_understood_and_said(tmp_path: Path, yaml: str) -> None:
    root = knees(tmp_path / "in", SPLITS)
    write(root / "data.yaml", (yaml + "names: [tear]\n").encode())
    scan = run_json("scan", root)
    assert slices_of(scan) == {"train": 42, "val": 12, "test": 12}
    assert [problem["path"] for problem in problems(scan, "moved")] == [f"{root}/data.yaml"]
    assert scan["inputs"][0]["yaml"]["moved"] is True
    audit = run_json("verify", root)
    assert [problem["severity"] for problem in problems(audit, "moved")] == ["warning"]
    assert "trainers" in problems(audit, "moved")[0]["message"]
    assert any(f"{root}/data.yaml: it" in text for text in planned(root, tmp_path)["warnings"])


def test_lists_from_windows(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", {"images/train": range(1, 8), "images/validation": (8, 9), "images/test": (10, 11)})
    for split in ("train", "validation"):
        names = sorted(path.name for path in (root / "images" / split).iterdir())
        lines = "".join(f"D:\\data\\knee\\images\\{split}\\{name}\r\n" for name in names)
        write(root / f"{split}.txt", b"\xef\xbb\xbf" + lines.encode())
    write(root / "lists.yaml", b"path: D:\\data\\knee\r\ntrain: train.txt\r\nval: validation.txt\r\nnames: [tear]\r\n")
    scan = run_json("scan", root / "lists.yaml")
    assert slices_of(scan) == {"train": 42, "val": 12}
    assert [Path(problem["path"]).name for problem in problems(scan, "moved")] == [
        "lists.yaml",
        "train.txt",
        "validation.txt",
    ]
    assert [(d["folder_split"], d["images"]) for d in scan["layout_differences"]] == [("test", 12)]
    for quick in ([], ["--quick"]):
        assert run_json("verify", root, *quick)["ok"]
    write(root / "dataset.yaml", NAMED.replace("images/val", "images/validation").encode())
    both = run_json("scan", root)
    assert slices_of(both) == {"train": 42, "val": 12, "test": 12}, "by the folders: the yaml files differ"
    assert len(problems(both, "dataset-yaml")) == 1


def test_a_copy_whose_yaml_leads_to_the_original(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", SPLITS, "path: {root}\n" + NAMED)
    shutil.copytree(root, tmp_path / "copy")
    for words in (["scan"], ["plan", "--output", tmp_path / "out"]):
        error = run_json(words[0], tmp_path / "copy", *words[1:], code=3)["error"]
        assert error["kind"] == "yaml-elsewhere"
        assert "planbalance relocate" in error["hint"]
    audit = run_json("verify", tmp_path / "copy")
    assert audit["yaml"]["root"] == str(root)
    (moved,) = problems(audit, "moved")
    assert f"leads to {root}, while {tmp_path}/copy holds 66 images of its own" in moved["message"]
    run("relocate", tmp_path / "copy")
    assert run_json("scan", tmp_path / "copy")["inputs"][0]["root"] == f"{tmp_path}/copy"


def test_a_folder_that_is_reached_by_a_link_is_the_yamls(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", SPLITS, "path: {root}\n" + NAMED)
    (tmp_path / "link").symlink_to(root)
    scan = run_json("scan", tmp_path / "link")
    assert (scan["inputs"][0]["root"], scan["problems"]) == (f"{tmp_path}/link", [])


# ---- splits without images ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quick", [[], ["--quick"]])
def test_a_split_that_is_not_there_or_empty_fails(tmp_path: Path, quick: list[str]) -> None:
    root = knees(tmp_path / "in", SPLITS, NAMED)
    assert run_json("verify", root, *quick)["ok"]
    shutil.rmtree(root / "images/test")
    (missing,) = problems(run_json("verify", root, *quick, code=6), "missing")
    assert (missing["severity"], missing["path"]) == ("error", f"{root}/images/test")
    assert any("names it as test, but it is not there" in text for text in planned(root, tmp_path)["warnings"])
    (root / "images/test").mkdir()
    (empty,) = problems(run_json("verify", root, *quick, code=6), "empty-split")
    assert (empty["severity"], empty["path"]) == ("error", f"{root}/images/test")
    assert any("names it as test, but it holds no image" in text for text in planned(root, tmp_path)["warnings"])


def test_a_yaml_of_which_nothing_is_there_fails_and_is_refused(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", {"images/train": range(1, 8)}, "train: a/train\nval: a/val\nnames: [tear]\n")
    audit = run_json("verify", root, code=6)
    assert [problem["severity"] for problem in problems(audit, "missing")] == ["error", "error"]
    assert run_json("scan", root, code=3)["error"]["kind"] == "input-not-found"
    write(root / "data.yaml", b"path: D:\\knee\ntrain: a/train\nval: a/val\nnames: [tear]\n")
    assert len(problems(run_json("verify", root, code=6), "missing")) == 2
    assert "D:\\knee" in run_json("plan", root, "--output", tmp_path / "out", code=3)["error"]["message"]


def test_lists_of_which_no_image_is_here(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", {"images/train": range(1, 8)}, "train: train.txt\nval: val.txt\nnames: [tear]\n")
    write(root / "train.txt", b"/mnt/gone/a/x1.png\n/mnt/gone/a/x2.png\n")
    write(root / "val.txt", b"/mnt/gone/a/x3.png\n")
    error = run_json("scan", root, code=3)["error"]
    assert "train: train.txt lists 2 images of which none is here, the first /mnt/gone/a/x1.png" in error["message"]
    audit = run_json("verify", root, code=6)
    assert {problem["path"] for problem in problems(audit, "missing")} == {f"{root}/train.txt", f"{root}/val.txt"}


# ---- lists of Ultralytics' autosplit --------------------------------------------------------------------------------


def test_lists_of_autosplit(tmp_path: Path) -> None:
    root = knees(tmp_path / "in", {"images": range(1, 8)}, "names: [tear]\n")
    for split, volumes in (("train", range(1, 7)), ("val", (6, 7))):
        lines = "".join(f"./images/knee{v:02d}_{number:03d}.png\n" for v in volumes for number in range(1, 7))
        write(root / f"autosplit_{split}.txt", lines.encode())
    for document in (run_json("scan", root), run_json("verify", root)):
        (said,) = problems(document, "layout-difference")
        assert said["path"] == f"{root}/autosplit_train.txt"
        assert "train: autosplit_train.txt, val: autosplit_val.txt" in said["message"]
    write(root / "data.yaml", b"path: .\ntrain: autosplit_train.txt\nval: autosplit_val.txt\nnames: [tear]\n")
    assert not problems(run_json("scan", root), "layout-difference")
    audit = run_json("verify", root, code=6)
    assert {(leak["from"], leak["to"]): leak["share"] for leak in audit["leaks"]}["val", "train"] == 0.5
