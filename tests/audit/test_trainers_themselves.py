"""The rules of what trainers load, compared with the trainers: large packages, in an environment of their own.

PLANBALANCE_TRAINERS=/path/to/python   an interpreter with torch (CPU), torchvision and ultralytics
PLANBALANCE_YOLOV5=/path/to/yolov5     a checkout of YOLOv5, for the same interpreter
"""

import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from planbalance import api
from planbalance.audit import VerifyOptions, verify
from planbalance.audit.trainer_rules import TRAINERS, ULTRALYTICS, Trainer
from planbalance.dataset_files import METADATA
from tests.audit.test_trainer_rules import LABELS
from tests.builders import write
from tests.packed import images

INTERPRETER, CHECKOUT = "PLANBALANCE_TRAINERS", "PLANBALANCE_YOLOV5"


def picture(kind: str, size: tuple[int, int] = (32, 24)) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, 90).save(file, kind)
    return file.getvalue()


def one_of_each(root: Path) -> Path:
    """Write a dataset with every kind of label, and of image, that the rules tell apart."""
    for number, case in enumerate(LABELS):
        label: Any = case.values[0]
        write(root / f"images/train/case01/{number:02d}.png", picture("PNG"))
        write(root / f"labels/train/case01/{number:02d}.txt", label)
    pictures = {
        "no label.png": picture("PNG"),
        "small.png": picture("PNG", (32, 9)),
        "cut off.png": picture("PNG")[:40],
        "no picture.png": b"no picture",
        "gif.png": picture("GIF"),
        "UPPER.JPG": picture("JPEG"),
        "two.dots.jpeg": picture("JPEG"),
        "disguised.tif": picture("PNG"),
        "slice.dcm": b"dicom",
        "lossless.webp": picture("WEBP"),
        "volume.jp2": picture("JPEG2000"),
        ".hidden.png": picture("PNG"),
        "noise.txt": b"0 0.5 0.5 0.1 0.1",
    }
    for name, data in pictures.items():
        write(root / "images/val/case02/folder" / name, data)
    names = "names: [tear]\n"
    return write(root / "data.yaml", f"path: {root}\ntrain: images/train\nval: images/val\n{names}".encode())


def loaded_by(trainer: Trainer, yaml: Path, where: Path) -> dict[str, dict[str, int]]:
    interpreter = os.environ.get(INTERPRETER)
    if not interpreter:
        pytest.skip(f"the trainers are not installed: {INTERPRETER} names no interpreter that has them")
    arguments = [trainer.name.lower(), str(yaml)]
    if trainer is not ULTRALYTICS:
        if CHECKOUT not in os.environ:
            pytest.skip(f"there is no YOLOv5 here: {CHECKOUT} names no checkout")
        arguments.append(os.environ[CHECKOUT])
    settings = where / "settings"
    write(settings / "Arial.ttf", b"")  # or it would be fetched
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(settings), "YOLOV5_CONFIG_DIR": str(settings)}
    script = Path(__file__).with_name("load_with_trainers.py")
    done = subprocess.run(
        [interpreter, str(script), *arguments],
        env={**environment, "YOLO_OFFLINE": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.name)
def test_what_is_said_to_be_loaded_is_what_the_trainer_loads(tmp_path: Path, trainer: Trainer) -> None:
    root = tmp_path / "images" / "set"
    yaml = one_of_each(root)
    audit = verify(str(yaml), VerifyOptions())  # before a trainer leaves its caches there
    loaded = loaded_by(trainer, yaml, tmp_path)
    for load in (load for load in audit.loads if load.trainer == trainer.name):
        labels: Any = loaded[load.split].values()
        counts = sum(count > 0 for count in labels), sum(count == 0 for count in labels)
        assert (load.labelled, load.backgrounds) == counts, load.split
    dropped = {
        problem.path
        for check in audit.checks
        for problem in check.problems
        if problem.kind == "unreadable" and trainer.name in problem.message
    }
    assert dropped.isdisjoint(path for split in loaded.values() for path in split)
    assert verify(str(yaml), VerifyOptions()).loads == audit.loads  # caches change nothing


def image_of(root: Path, pictures: dict[str, bytes], **options: Any) -> Path:
    """Build an image of 12 volumes of 6 slices, some of which are other pictures."""
    source = root / "in"
    for volume in range(12):
        for number in range(6):
            name = f"IM{number}-{volume:02}"
            data = pictures.get(name, picture("PNG", (40 + volume, 40 + number)))
            write(source / f"images/train/{name}.{'jpg' if name in pictures else 'png'}", data)
            box = b"0 0.5 0.5 0.2 0.2\n" if volume % 2 and number < 2 else b""
            write(source / f"labels/train/{name}.txt", box)
    write(source / "data.yaml", f"path: {source}\ntrain: images/train\nval: images/train\nnames: [tear]\n".encode())
    built = api.build(str(source), output=str(root / "set"), mode="squashfs", **options)
    return Path(built.outcome.output)


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.name)
@pytest.mark.parametrize("mount", ["the kernel", "squashfuse_ll"])
def test_every_split_is_loaded_from_a_mounted_image(tmp_path: Path, trainer: Trainer, mount: str) -> None:
    """With the counts of the metadata, and nothing is written: neither a cache nor an image."""
    image, at = image_of(tmp_path, {}), tmp_path / "at"
    mounted = images.mounted_by_kernel(image, at) if mount == "the kernel" else images.mounted_by_fuse(mount, image, at)
    with mounted as root:
        yaml = write(tmp_path / "data.yaml", api.packed_yaml(str(image), str(root)).encode())
        loaded = loaded_by(trainer, yaml, tmp_path)
        metadata = json.loads((root / METADATA).read_bytes())
    for split, counts in metadata["statistics"]["splits"].items():
        boxes = loaded[split].values()
        assert (len(boxes), sum(count > 0 for count in boxes)) == (counts["total"], counts["positive"]), split


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.name)
def test_a_jpeg_that_is_cut_is_dropped_from_a_mounted_image(tmp_path: Path, trainer: Trainer) -> None:
    """So such a JPEG is refused, unless it is allowed."""
    whole = picture("JPEG", (64, 64))
    assert whole.endswith(b"\xff\xd9")
    cut = {"IM0-01": whole[:-2], "IM1-01": whole}  # both positive, so both are kept
    image = image_of(tmp_path, cut, allow_cut_jpegs=True)
    with images.mounted_by_kernel(image, tmp_path / "at") as root:
        yaml = write(tmp_path / "data.yaml", api.packed_yaml(str(image), str(root)).encode())
        loaded = {Path(path).stem for split in loaded_by(trainer, yaml, tmp_path).values() for path in split}
    assert {"IM0-01", "IM1-01"} & loaded == {"IM1-01"}
