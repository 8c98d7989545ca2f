import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from planbalance import dataset_files
from planbalance.dataset_files import (
    UNREAD_SUFFIXES,
    class_word,
    dataset_yaml,
    hyp_yaml,
    metadata_json,
    train_commands,
)
from planbalance.datayaml import parse_dataset_yaml
from planbalance.inputs import resolve_inputs
from planbalance.model import TRAINER_SUFFIXES, InputSpec, Operation, PlanHeader
from planbalance.planner import PlanOptions, make_plan
from planbalance.scan import scan
from tests.builders import yolo_tree
from tests.plans import POOLED, draft, operation, small_operations, small_plan

# What `cfg/default.yaml` of Ultralytics 8.4 has among the settings of training; other keys it refuses.
_KEYS = """
    data model imgsz batch epochs patience save_period device name single_cls cos_lr optimizer lr0 lrf momentum
    weight_decay warmup_epochs warmup_momentum warmup_bias_lr hsv_h hsv_s hsv_v degrees translate scale shear
    perspective flipud fliplr mosaic mixup copy_paste
"""
ULTRALYTICS_KEYS = set(_KEYS.split())
# The guide's Step 5, as numbers.
STEP_5 = {
    "lr0": 0.005,
    "lrf": 0.00001,
    "momentum": 0.95,
    "weight_decay": 0.001,
    "warmup_epochs": 5.0,
    "warmup_momentum": 0.8,
    "warmup_bias_lr": 0.1,
    "box": 0.03,
    "cls": 0.5,
    "obj": 3.0,
    "cls_pw": 1.0,
    "obj_pw": 2.5,
    "iou_t": 0.1,
    "anchor_t": 5.0,
    "label_smoothing": 0.1,
    "fl_gamma": 0.0,
    "hsv_h": 0.03,
    "hsv_s": 0.9,
    "hsv_v": 0.6,
    "degrees": 15.0,
    "translate": 0.2,
    "scale": 0.7,
    "shear": 5.0,
    "perspective": 0.0005,
    "flipud": 0.1,
    "fliplr": 0.5,
    "mosaic": 1.0,
    "mixup": 0.3,
    "copy_paste": 0.5,
}


def balanced(**changes: Any) -> PlanHeader:
    """Return the header of a plan whose train split is 1:1."""
    return draft(balanced_operations(), **changes)


def balanced_operations() -> list[Operation]:
    return [each for each in small_operations() if each.volume != "03"]


# ---- the class word -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (("tear",), "tear"),
        (("Meniscus Tear",), "meniscus_tear"),
        (("grade-2",), "grade_2"),
        (("Riß",), "ri_"),
        (("撕裂",), "__"),
        (None, None),
        ((), None),
        (("tear", "cyst"), None),
        (("",), None),
        (("total",), None),
        (("Images",), None),
        (("POSITIVE",), None),
        (("negative",), None),
        (("no_tear",), None),
        (("No finding",), None),
        (("nodule",), "nodule"),
    ],
)
def test_the_class_word(names: tuple[str, ...] | None, word: str | None) -> None:
    assert class_word(names) == word


# ---- dataset.yaml ---------------------------------------------------------------------------------------------------


def loaded(header: PlanHeader, output: str = "/data/out", **options: bool) -> dict[str, Any]:
    found = yaml.safe_load(dataset_yaml(header, output, **options))
    assert isinstance(found, dict)
    return found


def test_the_datasets_yaml() -> None:
    header = small_plan().header
    assert loaded(header) == {
        "path": "/data/out",
        "train": "images/train",
        "val": "images/val",
        "test": "images/test",
        "nc": 1,
        "names": {0: "tear"},
        "planbalance": {
            "digest": header.digest,
            "split_digest": header.split_digest,
            "split_seed": 42,
            "sample_seed": 42,
        },
    }


KEYS = {
    "kpt_shape": [17, 3],
    "kpt_names": {"0": ["nose", "0"], "left eye": None},
    "small": 1e-05,
    "large": 1e17,
    "half": 0.5,
    "no": [True, False, None, -1, ""],
    "text": 'two\n\tlines: # ö \u2028 "',
    "a b": {},
}


def test_further_keys_stand_there_as_what_they_are() -> None:
    text = dataset_yaml(small_plan(yaml_keys=KEYS).header, "/data/out").decode()
    read = yaml.safe_load(text)
    assert read == yaml.safe_load(dataset_yaml(small_plan(yaml_keys=KEYS).header, "/data/out"))
    assert read.pop("kpt_names") == {0: ["nose", "0"], "left eye": None}
    assert {key: read[key] for key in KEYS if key != "kpt_names"} == {
        key: value for key, value in KEYS.items() if key != "kpt_names"
    }
    assert "\nkpt_shape: [17, 3]\n" in text
    assert list(read)[-1] == "planbalance"
    assert parse_dataset_yaml(text.encode()).keys == KEYS  # a build of a build carries the same


def test_labels_with_keypoints_are_trained_as_a_pose() -> None:
    header = small_plan(yaml_keys={"kpt_shape": [17, 3]}).header
    commands, warnings = train_commands(header, "/data/out*")
    assert commands["yolov5"] is None
    assert (commands["ultralytics"] or "").startswith(
        "yolo pose train 'data=/data/out*/dataset.yaml' model=yolo11n-pose.pt"
    )
    assert warnings == ("The labels hold keypoints (kpt_shape): YOLOv5 does not train on them.",)


def test_with_list_mode_the_splits_are_text_files() -> None:
    found = loaded(small_plan().header, listed=True)
    assert [found[split] for split in ("train", "val", "test")] == ["train.txt", "val.txt", "test.txt"]


def test_a_split_without_slices_is_left_out_but_trainers_want_val() -> None:
    only = [each for each in small_operations() if each.split == "train"]
    found = loaded(draft(only))
    assert "test" not in found
    assert found["val"] == found["train"] == "images/train"
    assert loaded(draft(only), listed=True)["val"] == "train.txt"
    assert any("validates on train" in warning for warning in train_commands(draft(only), "/out")[1])


def test_a_digest_of_digits_stays_a_string() -> None:
    header = small_plan().header._replace(digest="1" * 30 + "e" + "2" * 33, split_digest="0" * 64)
    assert loaded(header)["planbalance"]["digest"] == header.digest
    assert loaded(header)["planbalance"]["split_digest"] == "0" * 64


ODD_NAMES = [
    *("no", "null", "~", "1e-05", "0x1", "a: b", "- a", "'", '"', "#x", "{a}", "[", "&a", "*a", "!!int 3", "%"),
    *("é", "撕裂", "😀", " a ", "", "\\n", "\u2028", "\ufeff", "a" * 500, "x " * 300),
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_class_names_come_back(name: str) -> None:
    header = small_plan(names=("first", name)).header
    assert loaded(header)["names"] == {0: "first", 1: name}
    assert parse_dataset_yaml(dataset_yaml(header, "/data/out")).names == ("first", name)


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")))


@given(st.lists(texts, max_size=4), texts)
def test_any_name_and_path_come_back(names: list[str], path: str) -> None:
    found = loaded(draft(small_operations(), names=tuple(names)), f"/{path}")
    assert found["path"] == f"/{path}"
    assert list(found["names"].values()) == names
    assert found["nc"] == len(names)


def test_without_class_names_there_are_none() -> None:
    assert {"nc", "names"}.isdisjoint(loaded(small_plan(names=None).header))


def test_a_seed_that_is_no_number_is_not_written() -> None:
    found = loaded(draft([operation()], parameters={"split_seed": "1\nevil: 2", "sample_seed": True}))
    assert found["planbalance"]["split_seed"] is None
    assert found["planbalance"]["sample_seed"] is None


# ---- metadata -------------------------------------------------------------------------------------------------------


def test_the_metadata_have_the_guides_keys() -> None:
    operations = small_operations()
    statistics = {**draft(operations).statistics, "before": {}, "removed": 0}
    header = draft(operations, statistics=statistics)
    header = header._replace(volume_statistics={**header.volume_statistics, "train": {"positive": 2, "negative": 1}})
    text = metadata_json(header, sorted(operations, key=lambda each: each.image))
    assert text.endswith(b"}\n")
    assert b'\n  "source": [\n    "/data/in"\n  ],\n' in text
    found = json.loads(text)
    assert list(found) == ["source", "parameters", "volume_statistics", "statistics", "slice_details"]
    assert found["parameters"] == header.parameters
    assert found["volume_statistics"] == {
        "train_volumes": 3,
        "val_volumes": 1,
        "test_volumes": 1,
        "total_volumes": 5,
        "no_overlap_verified": True,
        "kept_volumes": {"train": 3, "val": 1, "test": 1},
    }
    train = {"total": 8, "positive": 3, "negative": 5, "tear": 3, "no_tear": 5}
    rest = {"total": 3, "positive": 1, "negative": 2, "tear": 1, "no_tear": 2}
    assert found["statistics"] == {
        "splits": {"train": train, "val": rest, "test": rest},
        "total_images": 14,
        "total_positive": 5,
        "total_negative": 9,
        "total_tear": 5,
        "total_no_tear": 9,
        "train_balance_ratio": "3:5",
        "val_balance_ratio": "1:2",
        "test_balance_ratio": "1:2",
    }
    assert found["slice_details"] == {
        "train": {
            "01": {"positive": ["IM1-01.png", "IM3-01.png"], "negative": ["IM2-01.png"]},
            "02": {"positive": ["IM2-02.png"], "negative": ["IM1-02.png", "IM3-02.png"]},
            "03": {"positive": [], "negative": ["IM1-03.png", "IM2-03.png"]},
        },
        "val": {"04": {"positive": ["IM3-04.png"], "negative": ["IM1-04.png", "IM2-04.png"]}},
        "test": {"05": {"positive": ["IM1-05.png"], "negative": ["IM2-05.png", "IM3-05.png"]}},
    }


def test_the_metadata_say_how_many_volumes_keep_no_slice() -> None:
    """`train_volumes` counts a volume of which undersampling keeps nothing; `kept_volumes` does not."""
    operations = small_operations()
    header = draft(operations)
    emptied = [one._replace(kept=0) if one.id == "03" else one for one in header.volumes]
    found = json.loads(metadata_json(header._replace(volumes=tuple(emptied)), operations))["volume_statistics"]
    assert (found["train_volumes"], found["kept_volumes"]) == (3, {"train": 2, "val": 1, "test": 1})


def test_the_metadata_name_files_as_they_are_in_the_output() -> None:
    operations = [operation("images/train/sub/IM1-01.png", volume="N-01")]
    header = draft(operations, sources=(POOLED._replace(prefix="N-"),))
    details = json.loads(metadata_json(header, operations))["slice_details"]
    assert details == {"train": {"N-01": {"positive": [], "negative": ["N-IM1-01.png"]}}, "val": {}, "test": {}}


def test_the_metadata_are_indented_as_json_is_whatever_a_name_holds() -> None:
    names = ('a","b', '"', "x\\", '\\","', ",", "é", '","')
    operations = [
        operation(f"images/train/{number}{name}.png", volume=f"0{number % 3}") for number, name in enumerate(names)
    ]
    text = metadata_json(draft(operations), operations)
    assert text.decode() == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
    details = json.loads(text)["slice_details"]["train"]
    written = [name for each in details.values() for name in each["negative"]]
    assert sorted(written) == sorted(f"{number}{name}.png" for number, name in enumerate(names))


# ---- hyperparameters ------------------------------------------------------------------------------------------------


def test_the_hyperparameters_are_the_guides_step_5_as_numbers() -> None:
    text = hyp_yaml(balanced())
    assert text is not None
    found = yaml.safe_load(text)
    assert found == STEP_5
    assert list(found) == list(STEP_5)
    assert {type(value) for value in found.values()} == {float}
    assert b"lrf: 0.00001\n" in text


def test_the_hyperparameters_are_those_of_the_guide_itself(shared_guide: str) -> None:
    step_5 = shared_guide.split("Create `data/hyps/hyp.balanced.yaml`")[1]
    block = step_5.split("```yaml")[1].split("```", maxsplit=1)[0]
    assert yaml.safe_load(block) == STEP_5


@pytest.fixture
def shared_guide() -> str:
    shared = os.environ.get("PLANBALANCE_SHARED") or Path(__file__).resolve().parents[2] / "shared"
    guide = Path(shared) / "seed" / "balanced_dataset_guide.md"
    if not guide.is_file():
        pytest.skip("the guide is not at hand (PLANBALANCE_SHARED)")
    return guide.read_text("utf-8", errors="replace")


def test_without_balance_there_are_no_hyperparameters() -> None:
    header = small_plan().header
    assert hyp_yaml(header) is None
    commands, _ = train_commands(header, "/data/out")
    assert "--hyp" not in str(commands["yolov5"])
    assert "lr0" not in str(commands["ultralytics"])


# ---- training commands ----------------------------------------------------------------------------------------------


def commands_of(header: PlanHeader, output: str = "/data/out") -> Mapping[str, list[str]]:
    commands, _ = train_commands(header, output)
    return {name: shlex.split(command or "") for name, command in commands.items()}


def test_the_command_for_yolov5_is_the_guides_step_6() -> None:
    assert commands_of(balanced())["yolov5"] == shlex.split(
        "python train.py --img 640 --batch 32 --epochs 250 --data /data/out/dataset.yaml --weights yolov5n.pt"
        " --name train_balanced_optimized --hyp /data/out/hyps/hyp.balanced.yaml --patience 50 --save-period 10"
        " --device 0 --single-cls --cos-lr --label-smoothing 0.1"
    )


def test_the_command_for_ultralytics_has_only_keys_that_it_knows() -> None:
    command = commands_of(balanced())["ultralytics"]
    assert command[:3] == ["yolo", "detect", "train"]
    settings = dict(part.split("=", 1) for part in command[3:])
    assert settings["data"] == "/data/out/dataset.yaml"
    assert settings.keys() == ULTRALYTICS_KEYS
    assert {key: float(settings[key]) for key in STEP_5 if key in settings} == {
        key: value for key, value in STEP_5.items() if key in ULTRALYTICS_KEYS
    }
    assert settings["optimizer"] == "SGD"


def test_several_classes_are_not_made_one() -> None:
    commands = commands_of(balanced(names=("tear", "cyst")))
    assert "--single-cls" not in commands["yolov5"]
    assert not any(part.startswith("single_cls") for part in commands["ultralytics"])


@pytest.mark.parametrize("output", ["/a b/c", "/a=b/c,d", "/it's", '/"q"', "/$HOME/`x`", "/ü", "/a;b&c", "/a[1]/b{2}"])
def test_odd_paths_reach_the_trainer_whole(output: str) -> None:
    commands = commands_of(balanced(), output)
    if commands["yolov5"]:
        assert commands["yolov5"][commands["yolov5"].index("--data") + 1] == f"{output}/dataset.yaml"
        assert commands["yolov5"][commands["yolov5"].index("--hyp") + 1] == f"{output}/hyps/hyp.balanced.yaml"
    assert commands["ultralytics"][3].partition("=")[2] == f"{output}/dataset.yaml"


@pytest.mark.parametrize(
    ("output", "without", "reason"),
    [
        ("/a[1]", ["yolov5"], "wildcards"),
        ("/what?", ["yolov5"], "wildcards"),
        ("/a*", ["yolov5"], "wildcards"),
        ("/a]", ["ultralytics"], "brackets"),
        ("/a[", ["yolov5", "ultralytics"], "brackets"),
    ],
)
def test_a_command_that_could_not_run_is_not_printed(output: str, without: list[str], reason: str) -> None:
    commands, warnings = train_commands(balanced(), output)
    assert [name for name, command in commands.items() if command is None] == without
    assert len(warnings) == len(without)
    assert any(reason in warning for warning in warnings)


def test_images_that_trainers_do_not_read_get_a_reason_instead_of_commands() -> None:
    assert "dcm" not in TRAINER_SUFFIXES
    header = balanced(warnings=("Something else.", f"{UNREAD_SUFFIXES} 14 images in .dcm; forks may."))
    commands, warnings = train_commands(header, "/data/out")
    assert commands == {"yolov5": None, "ultralytics": None}
    assert warnings == ("No training commands: Stock YOLOv5 and Ultralytics do not read 14 images in .dcm; forks may.",)


@pytest.mark.parametrize("names", [None, ()])
def test_without_class_names_there_is_no_command(names: tuple[str, ...] | None) -> None:
    commands, warnings = train_commands(balanced(names=names), "/data/out")
    assert set(commands.values()) == {None}
    assert "class names" in warnings[0]


@pytest.mark.parametrize(("suffix", "runs"), [("dcm", False), ("png", True)])
def test_the_planners_warning_is_understood(tmp_path: Path, suffix: str, runs: bool) -> None:
    volumes = {f"01-02-{number:05d}": "+..+." for number in range(6)}
    yolo_tree(tmp_path / "in", volumes, name=f"IM{{slice}}-{{volume}}.{suffix}")
    snapshot = scan(resolve_inputs([InputSpec(str(tmp_path / "in"))]))
    header = make_plan(snapshot, PlanOptions(output=str(tmp_path / "out"))).header
    commands, warnings = train_commands(header, header.output)
    assert [command is not None for command in commands.values()] == [runs, runs]
    assert any(".dcm" in warning for warning in warnings) is not runs


@given(st.text(st.characters(max_codepoint=0x7E)))
def test_texts_are_quoted_as_yaml_does_it_whoever_writes_them(text: str) -> None:
    assert dataset_files._quoted(text) == yaml.safe_dump(text, default_style='"', width=1 << 30).removesuffix("\n")
