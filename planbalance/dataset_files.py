"""The files at the root of a dataset: their names and content; and the training commands."""

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from planbalance.labels import KPT_SHAPE
from planbalance.model import SPLITS, Operation, PlanHeader, Split
from planbalance.planfile import Facts, KeptSlices

# Their names, relative to the dataset's folder. What else lies at the root are the lists of `--mode list`.
DATASET_YAML: Final = "dataset.yaml"
METADATA: Final = "balanced_dataset_metadata.json"
HYP_FOLDER: Final = "hyps"
HYP: Final = f"{HYP_FOLDER}/hyp.balanced.yaml"
MANIFEST: Final = "manifest-sha256.txt"
SUM_SUFFIX: Final = ".sha256"  # of the file beside a packed dataset that holds its sum
OWN_FOLDER: Final = ".planbalance"  # planbalance's own files, in a staging folder and in a dataset
PLAN: Final = f"{OWN_FOLDER}/plan.json"
RECEIPT: Final = f"{OWN_FOLDER}/receipt.json"
RECEIPT_SCHEMA: Final = "planbalance/receipt/1"

# How the planner's warning about suffixes begins; such a dataset gets no training commands.
UNREAD_SUFFIXES: Final = "Stock YOLOv5 and Ultralytics do not read"
# In the metadata: volumes of each split with a kept slice; the guide's `train_volumes` and so on count the others too.
KEPT_VOLUMES: Final = "kept_volumes"  # no version before 0.3 writes it
# The guide's key word for positive slices: of a dataset with one class that nothing names.
GUIDES_WORD: Final = "tear"
_RESERVED_WORDS: Final = frozenset(("", "total", "images", "positive", "negative"))
_PLAIN_KEY: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_WORDS: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))  # no texts in YAML 1.1
_WHOLE_KEY: Final = re.compile("0|[1-9][0-9]{0,8}", re.ASCII)
_VOLUME_STATISTICS: Final = (*(f"{split}_volumes" for split in SPLITS), "total_volumes", "no_overlap_verified")

# The guide's Step 5, in its order, as texts: YAML 1.1 reads `1e-05` as a string, `0.00001` as a number.
_HYPERPARAMETERS: Final[Mapping[str, str]] = {
    "lr0": "0.005",
    "lrf": "0.00001",
    "momentum": "0.95",
    "weight_decay": "0.001",
    "warmup_epochs": "5.0",
    "warmup_momentum": "0.8",
    "warmup_bias_lr": "0.1",
    "box": "0.03",
    "cls": "0.5",
    "obj": "3.0",
    "cls_pw": "1.0",
    "obj_pw": "2.5",
    "iou_t": "0.1",
    "anchor_t": "5.0",
    "label_smoothing": "0.1",
    "fl_gamma": "0.0",
    "hsv_h": "0.03",
    "hsv_s": "0.9",
    "hsv_v": "0.6",
    "degrees": "15.0",
    "translate": "0.2",
    "scale": "0.7",
    "shear": "5.0",
    "perspective": "0.0005",
    "flipud": "0.1",
    "fliplr": "0.5",
    "mosaic": "1.0",
    "mixup": "0.3",
    "copy_paste": "0.5",
}
# Ultralytics 8.4 (cfg/default.yaml) refuses these, or means something else by them: its `box` and `cls` weigh other
# losses (7.5 and 0.5 by default), and its `cls_pw` is a power of class frequencies, not the weight of positives.
_YOLOV5_ONLY: Final = frozenset("box cls obj cls_pw obj_pw iou_t anchor_t label_smoothing fl_gamma".split())  # noqa: SIM905 - reads better


def list_name(split: Split) -> str:
    """Return the name of a split's list of images, in a dataset of `--mode list`."""
    return f"{split}.txt"


def class_word(names: Sequence[str] | None) -> str | None:
    """Return the key word for positive slices in the metadata, such as `tear`, or None where there can be none.

    It is the class name of a one-class set in lower case, other characters than ASCII letters and digits replaced by
    `_`. None where there are several classes or none, or the word is empty, reserved, or begins with `no_`.
    """
    if names is None or len(names) != 1:
        return None
    word = re.sub("[^a-z0-9]", "_", names[0].lower())
    return None if word in _RESERVED_WORDS or word.startswith("no_") else word


def dataset_yaml(header: PlanHeader, output: str | None, *, listed: bool = False) -> bytes:
    """Return dataset.yaml, as Ultralytics and YOLOv5 read it.

    Both want `train` and `val`. A dataset without val slices validates on train: what training then prints measures
    nothing (`train_commands` says so), but the test split stays unseen.

    Args:
        header: the plan's.
        output: absolute path of the dataset; trainers resolve a relative `path:` against other places. None: no
            `path:`, which for Ultralytics is the folder of the yaml, wherever that is mounted.
        listed: the splits are text files at the root (`--mode list`), not image folders.
    """
    lines = [] if output is None else [f"path: {_quoted(output)}"]
    for split in SPLITS:
        source: Split = "train" if split == "val" and not _holds(header, "val") else split
        if _holds(header, source):
            lines.append(f"{split}: {list_name(source) if listed else f'images/{source}'}")
    if header.names is not None:
        lines += [f"nc: {len(header.names)}", "names:" if header.names else "names: {}"]
        lines += [f"  {index}: {_quoted(name)}" for index, name in enumerate(header.names)]
    lines += [f"{_key(name)}: {_flow(value)}" for name, value in header.yaml_keys.items()]
    lines += ["planbalance:", f"  digest: {_quoted(header.digest)}", f"  split_digest: {_quoted(header.split_digest)}"]
    lines += [f"  {seed}: {_whole(header.parameters.get(seed))}" for seed in ("split_seed", "sample_seed")]
    return "\n".join((*lines, "")).encode()


def _holds(header: PlanHeader, split: Split) -> bool:
    total = header.statistics["splits"][split]["total"]
    return isinstance(total, int) and total > 0


def _quoted(text: str) -> str:
    """Return a text as a double-quoted YAML scalar on one line."""
    if text.isascii() and text.isprintable():  # then JSON writes it alike, and yaml takes a while to start
        return orjson.dumps(text).decode()
    import yaml

    scalar: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=1 << 30)
    return scalar.removesuffix("\n")


def _key(name: str) -> str:
    return name if _PLAIN_KEY.fullmatch(name) and name.lower() not in _WORDS else _quoted(name)


def _flow(value: object) -> str:
    """Return a JSON value as YAML on one line, which YAML 1.1 and 1.2 read alike; `0` as a key is the number."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        pairs = (f"{key if _WHOLE_KEY.fullmatch(key) else _quoted(key)}: {_flow(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")  # YAML 1.1 takes `1e-05` for a text
    return "null" if value is None else str(value).lower()


def _whole(value: object) -> str:
    return str(value) if type(value) is int else "null"


def metadata_json(header: PlanHeader, operations: Iterable[Operation]) -> bytes:
    """Return balanced_dataset_metadata.json with the guide's keys (Step 4), indented for eyes."""
    return metadata_of(header, [Facts(header).kept(list(operations))])


def metadata_of(header: PlanHeader, parts: Iterable[KeptSlices]) -> bytes:
    """Return the metadata from all of a plan's slices, in the plan's order; volumes come out sorted."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for part in parts:
        for number, name in part.each():
            found[number].append(name)
    kept = Counter(volume.split for volume in header.volumes if volume.kept)
    details: dict[Split, dict[str, dict[str, list[str]]]] = {split: {} for split in SPLITS}
    for place, volume in sorted(enumerate(header.volumes), key=lambda placed: placed[1].id):
        negative, positive = found.get(2 * place, []), found.get(2 * place + 1, [])
        if negative or positive:
            details[volume.split][volume.id] = {"positive": positive, "negative": negative}
    document: dict[str, Any] = {
        "source": header.inputs,
        "parameters": dict(header.parameters),
        "volume_statistics": {key: header.volume_statistics[key] for key in _VOLUME_STATISTICS}
        | {KEPT_VOLUMES: {split: kept[split] for split in SPLITS}},
        "statistics": {key: value for key, value in header.statistics.items() if _is_guides(key)},
        "slice_details": details,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _is_guides(key: str) -> bool:
    """Tell a member of the guide's statistics from what the plan adds (`before`)."""
    return key == "splits" or key.startswith("total_") or key.endswith("_balance_ratio")


def hyp_yaml(header: PlanHeader) -> bytes | None:
    """Return hyps/hyp.balanced.yaml for YOLOv5 (the guide's Step 5), or None where train is not 1:1."""
    if not _is_balanced(header):
        return None
    lines = ["# YOLOv5 hyperparameters for a train split with as many negative slices as positive ones."]
    lines += [f"{key}: {value}" for key, value in _HYPERPARAMETERS.items()]
    return "\n".join((*lines, "")).encode()


def _is_balanced(header: PlanHeader) -> bool:
    train = header.statistics["splits"]["train"]
    return bool(train["positive"] == train["negative"] > 0)


def train_commands(header: PlanHeader, output: str) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """Return the commands `yolov5` (the guide's Step 6) and `ultralytics` that train on the output, and warnings.

    A command is None where it could not run as printed; a warning gives the reason. Where train is not 1:1 the guide's
    hyperparameters are left out. Ultralytics gets those that mean the same there (`_YOLOV5_ONLY` lists the others), and
    `optimizer=SGD`, YOLOv5's own: with `auto` it passes over learning rate and momentum.
    """
    reason = _unusable(header)
    if reason:
        return {"yolov5": None, "ultralytics": None}, (reason,)
    warnings = []
    with_keypoints = KPT_SHAPE in header.yaml_keys
    if with_keypoints:
        warnings.append("The labels hold keypoints (kpt_shape): YOLOv5 does not train on them.")
    commands: dict[str, str | None] = {
        "yolov5": None if with_keypoints else shlex.join(_yolov5(header, output)),
        "ultralytics": shlex.join(_ultralytics(header, output)),
    }
    if not with_keypoints and set(output) & set("*?["):
        commands["yolov5"] = None
        warnings.append("YOLOv5 takes `*`, `?` and `[` in the dataset's path for wildcards and finds no image there.")
    if not _brackets_close(output):
        commands["ultralytics"] = None
        warnings.append("The yolo command does not take a path with brackets that are not closed: call it from Python.")
    if not _holds(header, "val"):
        warnings.append("There is no val split, so training validates on train: its figures measure nothing.")
    return commands, tuple(warnings)


def _unusable(header: PlanHeader) -> str | None:
    """Return why no stock trainer can train on this dataset, or None."""
    unread = next((warning for warning in header.warnings if warning.startswith(UNREAD_SUFFIXES)), None)
    if unread:
        return f"No training commands: {unread}"
    if not header.names:
        return "No training commands: dataset.yaml has no class names, and trainers need them."
    return None


def _brackets_close(path: str) -> bool:
    """Return whether the yolo command keeps the argument whole: it joins arguments while brackets are open."""
    return path.count("[") == path.count("]")


def _yolov5(header: PlanHeader, output: str) -> list[str]:
    command = ["python", "train.py", "--img", "640", "--batch", "32", "--epochs", "250"]
    command += ["--data", f"{output}/{DATASET_YAML}", "--weights", "yolov5n.pt", "--name", "train_balanced_optimized"]
    if _is_balanced(header):
        command += ["--hyp", f"{output}/{HYP}"]
    command += ["--patience", "50", "--save-period", "10", "--device", "0"]
    if header.names is not None and len(header.names) == 1:
        command += ["--single-cls"]
    return [*command, "--cos-lr", "--label-smoothing", _HYPERPARAMETERS["label_smoothing"]]


def _ultralytics(header: PlanHeader, output: str) -> list[str]:
    task, model = ("pose", "yolo11n-pose.pt") if KPT_SHAPE in header.yaml_keys else ("detect", "yolo11n.pt")
    command = ["yolo", task, "train", f"data={output}/{DATASET_YAML}", f"model={model}", "imgsz=640", "batch=32"]
    command += ["epochs=250", "patience=50", "save_period=10", "device=0", "name=train_balanced_optimized"]
    if header.names is not None and len(header.names) == 1:
        command += ["single_cls=True"]
    command += ["cos_lr=True"]
    if _is_balanced(header):
        command += ["optimizer=SGD"]
        command += [f"{key}={value}" for key, value in _HYPERPARAMETERS.items() if key not in _YOLOV5_ONLY]
    return command
