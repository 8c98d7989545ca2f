"""`--mode list`: three text files, nothing placed; refused where trainers would not find the labels."""

import os
import shutil
from pathlib import Path

import orjson
import pytest

from planbalance import api
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import PlanError, UsageError
from planbalance.model import Outcome
from planbalance.path_relation import label_for_trainers
from tests.builders import tree_state, yolo_tree
from tests.engine.plans import saved_plan

VOLUMES = {"01-a": ".+_-", "02-b": "..-+", "03-c": "+.", "04-d": "....."}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return yolo_tree(tmp_path / "in", VOLUMES)


def listed(source: Path, root: Path) -> Outcome:
    plan = saved_plan([source], root / "set", root / "plan.json")
    return apply_plan(plan, ApplyOptions(mode="list"))


def test_the_lists_name_every_slice_of_the_plan_in_its_split(source: Path, tmp_path: Path) -> None:
    before = tree_state(source)
    outcome = listed(source, tmp_path)
    found = {path.name: path.read_text().splitlines() for path in (tmp_path / "set").glob("*.txt")}
    of = {"train": ("01-a", "04-d"), "val": ("02-b",), "test": ("03-c",)}
    assert found == {
        f"{split}.txt": sorted(str(path) for each in volumes for path in source.glob(f"images/train/*-{each}.png"))
        for split, volumes in of.items()
    }
    assert sorted(os.listdir(tmp_path / "set")) == [
        ".planbalance", "balanced_dataset_metadata.json", "dataset.yaml", "test.txt", "train.txt", "val.txt",
    ]  # fmt: skip
    assert "train: train.txt" in (tmp_path / "set/dataset.yaml").read_text()
    assert orjson.loads((tmp_path / "set/.planbalance/receipt.json").read_bytes())["mode"] == "list"
    assert (outcome.published, outcome.files, outcome.bytes) == (True, 5, 0)
    assert any("*.cache" in warning and "SOURCE" in warning for warning in outcome.warnings)
    assert tree_state(source) == before


def test_a_list_is_refused_where_trainers_would_look_elsewhere_for_the_labels(source: Path, tmp_path: Path) -> None:
    """The input stands where its image folder is not the last one named `images`."""
    plan = saved_plan([source], tmp_path / "set", tmp_path / "plan.json")
    scratch = tmp_path / "scratch"
    shutil.copytree(source, scratch / "pictures", copy_function=shutil.copy2)
    (scratch / "pictures/images").rename(scratch / "pictures/images.d")
    (scratch / "pictures/images").symlink_to("images.d")
    here = ((str(source), str(scratch / "pictures")),)
    assert apply_plan(plan, ApplyOptions(mode="list", map_input=here, dry_run=True)).output == str(tmp_path / "set")
    with pytest.raises(PlanError) as caught:
        api.build(
            api.InputSpec(path="", images=str(scratch / "pictures/images.d"), labels=str(scratch / "pictures/labels")),
            output=str(tmp_path / "other"),
            mode="list",
            missing_label="empty",
        )
    assert (caught.value.exit_code, caught.value.kind) == (4, "labels-lost")
    assert caught.value.paths
    assert not (tmp_path / "other").exists()


def test_a_list_is_refused_where_trainers_would_read_one_path_as_two_lines(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "a\u2028b", VOLUMES)
    plan = saved_plan([source], tmp_path / "set", tmp_path / "plan.json")
    with pytest.raises(PlanError) as caught:
        apply_plan(plan, ApplyOptions(mode="list"))
    assert (caught.value.exit_code, caught.value.kind) == (4, "images-lost")
    assert "\\u2028" in caught.value.message
    assert not (tmp_path / "set").exists()
    assert apply_plan(plan, ApplyOptions(mode="symlink")).published


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("/d/images/train/a.png", "/d/labels/train/a.txt"),
        ("/images/old/images/a.b.dcm", "/images/old/labels/a.b.txt"),
        ("/d/train/images/a.png", "/d/train/labels/a.txt"),
        ("/d/pictures/a.png", "/d/pictures/a.txt"),
        ("/d/pictures/a.b", "/d/pictures/a.txt"),
    ],
)
def test_trainers_find_a_label_by_the_last_folder_named_images(image: str, label: str) -> None:
    assert label_for_trainers(image) == label


def test_a_changed_source_is_found_and_a_mended_one_resumes(source: Path, tmp_path: Path) -> None:
    plan = saved_plan([source], tmp_path / "set", tmp_path / "plan.json")
    label = source / "labels/train/IM2-01-a.txt"
    data = label.read_bytes()
    label.write_bytes(data + b"\n")
    with pytest.raises(PlanError) as caught:
        apply_plan(plan, ApplyOptions(mode="list"))
    assert (caught.value.kind, caught.value.paths) == ("plan-stale", (str(label),))
    assert not (tmp_path / "set").exists()
    label.write_bytes(data)
    assert apply_plan(plan, ApplyOptions(mode="list")).published


def test_what_a_list_leaves_no_choice_of_is_wrong_usage(source: Path, tmp_path: Path) -> None:
    saved_plan([source], tmp_path / "set", tmp_path / "plan.json", layout="by-volume")
    for keywords in ({"labels": "copy"}, {"labels": "same"}, {}, {"shard": "1/2"}):
        with pytest.raises(UsageError) as caught:
            api.apply(str(tmp_path / "plan.json"), mode="list", **keywords)  # type: ignore[arg-type]  # passed through
        assert caught.value.exit_code == 2
    with pytest.raises(UsageError):
        api.build(str(source), output=str(tmp_path / "set"), mode="list", layout="by-volume", missing_label="empty")
    assert not (tmp_path / "set").exists()
