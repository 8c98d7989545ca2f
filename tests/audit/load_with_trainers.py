"""Run by the interpreter of an environment with the trainers' packages: prints what they load, as JSON.

python load_with_trainers.py ultralytics DATASET.yaml
python load_with_trainers.py yolov5 DATASET.yaml CHECKOUT
"""

# mypy: ignore-errors
# what it imports is in another environment

import contextlib
import importlib.util
import io
import json
import re
import sys
from pathlib import Path
from typing import Any


def without_compiled_operators() -> None:
    """Let torchvision be imported beside a torch for which its operators were not compiled: signatures are enough."""
    import torch

    found = importlib.util.find_spec("torchvision")
    assert found is not None
    assert found.origin is not None
    text = Path(found.origin).with_name("_meta_registrations.py").read_text()
    library = vars(torch)["library"].Library("torchvision", "DEF")
    for name in sorted(set(re.findall(r'"(?:torchvision::)?(\w+)"\)', text)) | {"nms"}):
        with contextlib.suppress(RuntimeError):
            library.define(f"{name}(Tensor one) -> Tensor")
    globals()["_kept"] = library


def ultralytics(path: str) -> dict[str, Any]:
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(path, autodownload=False)
    loaded = {}
    for split in ("train", "val", "test"):
        if data.get(split):
            made = YOLODataset(img_path=data[split], data=data, task="detect", augment=False)
            loaded[split] = {label["im_file"]: len(label["cls"]) for label in made.labels}
    return loaded


def yolov5(path: str, checkout: str) -> dict[str, Any]:
    sys.path.insert(0, checkout)
    from utils.dataloaders import LoadImagesAndLabels
    from utils.general import check_dataset

    data = check_dataset(path, autodownload=False)
    loaded = {}
    for split in ("train", "val", "test"):
        if data.get(split):
            made = LoadImagesAndLabels(data[split])
            loaded[split] = {file: len(label) for file, label in zip(made.im_files, made.labels, strict=True)}
    return loaded


if __name__ == "__main__":
    noise = io.StringIO()
    with contextlib.redirect_stdout(noise):
        without_compiled_operators()
        found = {"ultralytics": ultralytics, "yolov5": yolov5}[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(found))
