"""Small datasets in the forms in which public tools and archives write them, each with its own truth.

A builder notes, while it writes an image and its label, which volume, patient and split they are of and what is
annotated in them. Nothing here is read back, and nothing calls the product.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tests.builders import picture_bytes, write
from tests.test_dicom import dicom_bytes

Text = Callable[[Sequence[int], int], str]


class Picture(NamedTuple):
    """One image as it was written.

    Attributes:
        path: absolute.
        name: that its image has in a dataset that is built.
        image: its bytes, which no other image has.
        label: the bytes of its label file, which no other label with an annotation has; None where none was written.
        volume: the series that it is a slice of.
        patient: what must stay in one split.
        number: of the slice in the volume; None where nothing tells it.
        classes: of its annotations, one each.
        split: the one that the dataset gives it to, or None.
    """

    path: Path
    name: str
    image: bytes
    label: bytes | None
    volume: str
    patient: str
    number: int | None
    classes: tuple[int, ...]
    split: str | None


def boxes(classes: Sequence[int], number: int) -> str:
    """Return a label with six digits a number, as CVAT and FiftyOne write it."""
    return "".join(
        f"{one} {0.3 + number / 1000:.6f} {0.4 + at / 10:.6f} 0.100000 0.200000\n" for at, one in _at(classes)
    )


def boxes_without_a_last_newline(classes: Sequence[int], number: int) -> str:
    """Return a label as Roboflow writes it."""
    return "\n".join(f"{one} {0.3 + number / 1024} {0.4 + at / 16} 0.16015625 0.10625" for at, one in _at(classes))


def boxes_of_windows(classes: Sequence[int], number: int) -> str:
    """Return a label whose lines end as on Windows."""
    return boxes(classes, number).replace("\n", "\r\n")


def polygons(classes: Sequence[int], number: int) -> str:
    """Return a label for segmentation: corners in place of boxes."""
    x = 0.3 + number / 1000
    return "".join(
        f"{one} {x:.4f} 0.2 {x + 0.1:.4f} 0.25 {x + 0.05:.4f} 0.4 {x - 0.1:.4f} 0.3{at}\n" for at, one in _at(classes)
    )


def poses(classes: Sequence[int], number: int) -> str:
    """Return a label with a box and three keypoints, the last of them not visible."""
    x = 0.3 + number / 1000
    return "".join(
        f"{one} {x:.4f} 0.5 0.2 0.2 {x:.4f} 0.45 2 {x + 0.05:.4f} 0.5{at} 1 0 0 0\n" for at, one in _at(classes)
    )


def _at(classes: Sequence[int]) -> Iterable[tuple[int, int]]:
    return enumerate(classes)


@dataclass
class Form:
    """A dataset as written, what the user types to read it, and its truth.

    Attributes:
        root: its folder.
        names: of its classes.
        text: how its tool writes a label.
        words: INPUT and the options of `scan` and `plan` for it; by default its folder alone.
        positive: the classes that make a slice positive; None: all.
        keys: what its yaml says beside places and names.
        by_patient: whether names or a table show patients.
        as_lists: whether trainers find its labels by the paths of its images, so that list mode can be built.
    """

    root: Path
    names: tuple[str, ...] = ("tear",)
    text: Text = boxes
    words: tuple[object, ...] = ()
    positive: frozenset[int] | None = None
    keys: dict[str, Any] = field(default_factory=dict)
    by_patient: bool = False
    as_lists: bool = True
    pictures: list[Picture] = field(default_factory=list)

    @property
    def typed(self) -> tuple[object, ...]:
        """Return what the user types behind the command."""
        return self.words or (self.root,)

    def add(
        self,
        image: str,
        classes: tuple[int, ...],
        *,
        volume: str,
        number: int | None = None,
        patient: str | None = None,
        split: str | None = None,
        label: str | None = None,
        prefix: str = "",
        unlabelled: bool = False,
        data: bytes = b"",
    ) -> str:
        """Write an image and its label, and return the image's path.

        `label` is the label's path; by default the trainers' rule gives it. `unlabelled`: an image without an
        annotation has no label file. `prefix`: what is put before its name when inputs are pooled. `data`: the image's
        bytes, by default those of a picture.
        """
        count = len(self.pictures)
        data = data or picture_bytes(f"{image}/{count}")
        path = write(self.root / image, data)
        text = self.text(classes, count).encode() if classes or not unlabelled else None
        if text is not None:
            write(self.root / (label or label_of(image)), text)
        name = f"{prefix}{path.name}"
        self.pictures.append(Picture(path, name, data, text, volume, patient or volume, number, classes, split))
        return image

    def file(self, name: str, text: str) -> None:
        """Write a file that is neither image nor label."""
        write(self.root / name, text.encode())


def label_of(image: str) -> str:
    """Return the path of a label by the trainers' rule: the last `images` turns `labels`."""
    parts = list(PurePosixPath(image).with_suffix(".txt").parts)
    last = max(index for index, part in enumerate(parts) if part == "images")
    return "/".join([*parts[:last], "labels", *parts[last + 1 :]])


def beside(image: str) -> str:
    """Return the path of a label beside its image."""
    return str(PurePosixPath(image).with_suffix(".txt"))


def positions(volume: int, classes: int = 1, *, often: bool = False) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the slices of a volume, 5 to 8, and the classes annotated in each.

    A third of the volumes have findings, in two or three slices. With `often`, four of five have some, in all slices
    but the first. The second slice has a box of each of two classes, the third two of one class.
    """
    for index in range(1, 6 + volume % 4):
        found = volume % 5 and index > 1 if often else volume % 3 == 1 and 2 <= index < 4 + volume % 2
        boxes_of = {2: (index, index + 1), 3: (index, index)}.get(index, (index,))
        yield index, tuple(one % classes for one in boxes_of) if found else ()


def by_volume(volume: int) -> str:
    """Return the split of one of 12 volumes in a dataset that keeps them whole."""
    return "train" if volume <= 8 else "val" if volume <= 10 else "test"


def by_image(volume: int, index: int) -> str:
    """Return the split of an image in a dataset that was split image by image."""
    return ("train", "train", "val", "train", "test")[(volume + index) % 5]


def digits(key: object, count: int) -> str:
    """Return hexadecimal digits that look random and are the same on every run."""
    return hashlib.md5(repr(key).encode(), usedforsecurity=False).hexdigest()[:count]


# ---- exports of labelling tools -------------------------------------------------------------------------------------

ROBOFLOW_FOLDERS = {"train": "train", "val": "valid", "test": "test"}
PROVENANCE = {"workspace": "knees", "project": "knee-mri", "version": 3, "license": "CC BY 4.0"}
ROBOFLOW_YAML = (
    "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: {count}\nnames: {names}\n\n"
    "roboflow:\n  workspace: knees\n  project: knee-mri\n  version: 3\n  license: CC BY 4.0\n"
)


def roboflow(root: Path) -> Form:
    """Write an export with two augmented versions of each train image, frames of films, split image by image."""
    form = Form(root, ("cyst", "tear"), boxes_without_a_last_newline, keys={"roboflow": PROVENANCE})
    for knee in range(1, 11):
        for index, classes in positions(knee, 2):
            split = by_image(knee, index)
            for version in range(2 if split == "train" else 1):
                name = f"knee_{knee:02d}_mp4-{index}_jpg.rf.{digits((knee, index, version), 32)}.jpg"
                form.add(
                    f"{ROBOFLOW_FOLDERS[split]}/images/{name}", classes, number=index, volume=f"{knee}", split=split
                )
    form.file("data.yaml", ROBOFLOW_YAML.format(count=2, names="['cyst', 'tear']"))
    form.file("README.roboflow.txt", "knee-mri\n\nThe dataset includes images.\n")
    form.file("README.dataset.txt", "# knee-mri\n")
    return form


def roboflow_without_test(root: Path) -> Form:
    """Write an export that has no test split; its yaml names one all the same."""
    form = Form(root, text=boxes_without_a_last_newline, keys={"roboflow": PROVENANCE})
    for case in range(1, 13):
        for index, classes in positions(case):
            split = "val" if (case + index) % 4 == 0 else "train"
            name = f"case{case:02d}_slice_{index}_png.rf.{digits((case, index), 32)}.jpg"
            form.add(f"{ROBOFLOW_FOLDERS[split]}/images/{name}", classes, number=index, volume=f"{case}", split=split)
    form.file("data.yaml", ROBOFLOW_YAML.format(count=1, names="['tear']"))
    return form


def roboflow_darknet(root: Path) -> Form:
    """Write an export in Darknet's form: labels beside the images of each split, class names in each folder."""
    form = Form(root, ("cyst", "tear"), boxes_without_a_last_newline)
    for case in range(1, 13):
        for index, classes in positions(case, 2):
            split = by_image(case, index)
            image = f"{ROBOFLOW_FOLDERS[split]}/pt{case:03d}_{index:03d}_png.rf.{digits((case, index), 32)}.jpg"
            form.add(image, classes, number=index, volume=f"{case}", split=split, label=beside(image))
    for folder in ROBOFLOW_FOLDERS.values():
        form.file(f"{folder}/_darknet.labels", "cyst\ntear\n")
    return form


def cvat_yolo(root: Path) -> Form:
    """Write CVAT's "YOLO 1.1": obj.data with lists, labels beside the images of each subset."""
    form = Form(root, ("mass", "calcification"))
    listed: dict[str, list[str]] = {"train": [], "valid": []}
    for case in range(1, 13):
        subset = "valid" if case > 9 else "train"
        for index, classes in positions(case, 2):
            image = f"obj_{subset}_data/P{case:03d}_{index:03d}.png"
            split = "val" if subset == "valid" else "train"
            form.add(image, classes, number=index, volume=f"{case}", split=split, label=beside(image))
            listed[subset].append(f"data/{image}\n")
    for subset, lines in listed.items():
        form.file(f"{subset}.txt", "".join(lines))
    form.file("obj.names", "mass\ncalcification\n")
    form.file(
        "obj.data",
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = backup/\n",
    )
    return form


def cvat_ultralytics(root: Path) -> Form:
    """Write CVAT's "Ultralytics YOLO": lists of images in a folder a volume below each subset."""
    form = Form(root, ("mass",))
    listed: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for scan in range(1, 13):
        for index, classes in positions(scan):
            split = by_volume(scan)
            image = f"images/{split}/scan{scan:02d}/{index:03d}.png"
            listed[split].append(form.add(image, classes, number=index, volume=f"{scan}", split=split) + "\n")
    for split, lines in listed.items():
        form.file(f"{split}.txt", "".join(lines))
    form.file("data.yaml", "names:\n  0: mass\npath: .\ntest: test.txt\ntrain: train.txt\nval: val.txt\n")
    return form


def label_studio(root: Path) -> Form:
    """Write Label Studio's "YOLO with images": eight random digits before each name, no splits."""
    form = Form(root, ("nodule", "scar"))
    for case in range(1, 13):
        for index, classes in positions(case, 2):
            image = f"images/{digits((case, index), 8)}-case{case:02d}_slice_{index:03d}.png"
            form.add(image, classes, number=index, volume=f"{case}")
    form.file("classes.txt", "nodule\nscar\n")
    categories = [{"id": 0, "name": "nodule"}, {"id": 1, "name": "scar"}]
    info = {"year": 2024, "version": "1.0", "contributor": "Label Studio"}
    form.file("notes.json", json.dumps({"categories": categories, "info": info}, indent=2))
    form.file("__MACOSX/images/._case01_slice_001.png", "resources of another file system")
    return form


def labelimg(root: Path) -> Form:
    """Write what labelImg saves on Windows: labels beside the pictures in `images/`, none where there is no box."""
    form = Form(root, ("meniscus_tear",), boxes_of_windows, as_lists=False)
    for knee in range(1, 13):
        for index, classes in positions(knee):
            image = f"images/knee{knee:02d}_{index:03d}.png"
            form.add(image, classes, number=index, volume=f"{knee}", label=beside(image), unlabelled=True)
    form.file("images/classes.txt", "meniscus_tear\r\n")
    form.file("images/._knee01_001.png", "resources of another file system")
    return form


def labelimg_folders(root: Path) -> Form:
    """Write what labelImg saves in a folder a volume: a list of classes in each, which grew as new ones were met."""
    form = Form(root, ("tear", "cyst", "bruise"), boxes_of_windows, as_lists=False)
    for knee in range(1, 13):
        for index, classes in positions(knee, 3):
            image = f"images/knee{knee:02d}/{index:03d}.png"
            form.add(image, classes, number=index, volume=f"{knee}", label=beside(image), unlabelled=True)
        form.file(f"images/knee{knee:02d}/classes.txt", "tear\r\ncyst\r\n" + "bruise\r\n" * (knee > 6))
    return form


def flat_folder(root: Path) -> Form:
    """Write one folder of pictures and labels, class names among them."""
    form = Form(root, ("lesion",))
    for volume in range(1, 13):
        for index, classes in positions(volume):
            image = f"volume-{volume}_z{index:03d}.jpg"
            form.add(image, classes, number=index, volume=f"{volume}", label=beside(image))
    form.file("classes.txt", "lesion\n")
    return form


def fiftyone(root: Path) -> Form:
    """Write FiftyOne's `YOLOv5Dataset` with a split called validation; images without a box have no label."""
    form = Form(root)
    folders = {"train": "train", "val": "validation", "test": "test"}
    for film in range(1, 13):
        for index, classes in positions(film):
            split = by_volume(film)
            image = f"images/{folders[split]}/file1000{film:03d}_{index}.png"
            form.add(image, classes, number=index, volume=f"{film}", split=split, unlabelled=True)
    named = "".join(f"{folder}: ./images/{folder}/\n" for folder in folders.values())
    form.file("dataset.yaml", f"names:\n  0: tear\npath: {root}\n{named}")
    return form


# ---- layouts that trainers and their users make ---------------------------------------------------------------------


def coco_layout(root: Path) -> Form:
    """Write the layout of COCO 2017: `train2017/` and lists beside `images/`; most slices have a finding."""
    form = Form(root, ("liver", "tumor", "cyst"))
    listed: dict[str, list[str]] = {"train2017": [], "val2017": []}
    for case in range(1, 13):
        folder = "val2017" if case > 9 else "train2017"
        for index, classes in positions(case, 3, often=True):
            image = f"images/{folder}/case_{case:04d}_slice_{index:03d}.jpg"
            form.add(image, classes, number=index, volume=f"{case}", split=folder.removesuffix("2017"), unlabelled=True)
            listed[folder].append(f"./{image}\n")
    for folder, lines in listed.items():
        form.file(f"{folder}.txt", "".join(lines))
    form.file(
        "coco.yaml",
        f"path: {root}\ntrain: train2017.txt\nval: val2017.txt\nnames:\n  0: liver\n  1: tumor\n  2: cyst\n",
    )
    return form


def autosplit(root: Path) -> Form:
    """Write lists as Ultralytics' `autosplit` draws them, image by image; a cache of labels from a first training."""
    form = Form(root)
    listed: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for patient in range(1, 13):
        for index, classes in positions(patient):
            split = by_image(patient, index)
            image = f"images/patient{patient:02d}_{index:03d}.png"
            listed[split].append(f"./{form.add(image, classes, number=index, volume=f'{patient}', split=split)}\n")
    for split, lines in listed.items():
        form.file(f"autosplit_{split}.txt", "".join(lines))
    places = "".join(f"{split}: autosplit_{split}.txt\n" for split in listed)
    form.file("data.yaml", f"path: {root}\n{places}nc: 1\nnames: [tear]\n")
    form.file("labels.cache", "a trainer's own")
    return form


def windows_lists(root: Path) -> Form:
    """Write a dataset made on Windows: a byte order mark, CRLF, and absolute paths of that machine."""
    form = Form(root, text=boxes_of_windows)
    listed: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for knee in range(1, 13):
        for index, classes in positions(knee):
            split = by_volume(knee)
            image = f"images/{split}/MR{knee:03d}-{index:03d}.png"
            form.add(image, classes, number=index, volume=f"{knee}", split=split)
            listed[split].append("D:\\data\\knee\\" + image.replace("/", "\\") + "\r\n")
    for split, lines in listed.items():
        form.file(f"{split}.txt", "\ufeff" + "".join(lines))
    form.file(
        "data.yaml", "path: D:\\data\\knee\r\ntrain: train.txt\r\nval: val.txt\r\ntest: test.txt\r\nnames: [tear]\r\n"
    )
    return form


def several_sites(root: Path) -> Form:
    """Write a yaml whose train split names two folders, one a site."""
    form = Form(root)
    for case in range(1, 13):
        site, split = ("a", "train") if case <= 5 else ("b", "train") if case <= 9 else ("c", "val")
        for index, classes in positions(case):
            form.add(
                f"site-{site}/images/case_{case:04d}_{index:03d}.png",
                classes,
                number=index,
                volume=f"{case}",
                split=split,
            )
    form.file(
        "data.yaml",
        f"path: {root}\ntrain:\n  - site-a/images\n  - site-b/images\nval: site-c/images\nnames:\n  0: tear\n",
    )
    return form


def split_folders_first(root: Path) -> Form:
    """Write `Train/images` and so on, capitals and `Validation`, suffixes in capitals, no yaml."""
    form = Form(root, ("lesion",))
    folders = {"train": "Train", "val": "Validation", "test": "Test"}
    for case in range(1, 13):
        for index, classes in positions(case):
            split = by_volume(case)
            image = f"{folders[split]}/images/LIDC-IDRI-{case:04d}_slice_{index:03d}.PNG"
            form.add(image, classes, number=index, volume=f"{case}", split=split)
    form.file("classes.txt", "lesion\n")
    return form


def folders_below_splits(root: Path) -> Form:
    """Write `train/images/<volume>/` and so on, with class names that YAML may take for something else."""
    names = ('Läsion: "A"', "no")
    form = Form(root, names)
    for scan in range(1, 13):
        for index, classes in positions(scan, 2):
            split = by_volume(scan)
            image = f"{split}/images/scan{scan:02d}/{index:03d}.png"
            form.add(image, classes, number=index, volume=f"{scan}", split=split)
    form.file(
        "data.yaml",
        "train: train/images\nval: val/images\ntest: test/images\nnames:\n  0: 'Läsion: \"A\"'\n  1: no\n",
    )
    return form


def linked_folders(root: Path) -> Form:
    """Write a dataset whose folders are links to where the files are stored."""
    form = Form(root)
    for folder in ("images", "labels"):
        store = root.parent / "store" / folder
        store.mkdir(parents=True)
        root.mkdir(exist_ok=True)
        (root / folder).symlink_to(store)
    for case in range(1, 13):
        for index, classes in positions(case):
            form.add(f"images/case{case:03d}_{index:03d}.png", classes, number=index, volume=f"{case}")
    form.file("classes.txt", "tear\n")
    return form


def colab_lists(root: Path) -> Form:
    """Write lists of absolute paths as a notebook in the cloud leaves them; one folder of images, volumes torn."""
    form = Form(root)
    listed: dict[str, list[str]] = {"train": [], "valid": []}
    for case in range(1, 13):
        for index, classes in positions(case):
            split = "val" if (case + index) % 4 == 0 else "train"
            image = form.add(
                f"images/case{case:03d}_{index:03d}.jpg", classes, number=index, volume=f"{case}", split=split
            )
            listed["valid" if split == "val" else "train"].append(f"/content/drive/MyDrive/knee/{image}\n")
    for split, lines in listed.items():
        form.file(f"{split}.txt", "".join(lines))
    form.file(
        "data.yaml",
        "train: /content/drive/MyDrive/knee/train.txt\nval: /content/drive/MyDrive/knee/valid.txt\n"
        "nc: 1\nnames: ['tear']\n",
    )
    return form


def renamed_by_windows(root: Path) -> Form:
    """Write names as the file manager of Windows gives them to several files at once: `knee 07 (3).png`."""
    form = Form(root)
    for knee in range(1, 13):
        for index, classes in positions(knee):
            form.add(f"images/knee {knee:02d} ({index}).png", classes, number=index, volume=f"{knee}")
    form.file("classes.txt", "tear\n")
    return form


def two_exports(root: Path) -> Form:
    """Write two exports whose cases are counted alike and are different ones, to be pooled."""
    form = Form(root)
    for site in ("leeds", "york"):
        for case in range(1, 7):
            for index, classes in positions(case + 2 * (site == "york")):
                image = f"{site}/images/train/case_{case:04d}_{index:03d}.png"
                form.add(image, classes, number=index, volume=f"{site}/{case}", split="train", prefix=f"{site}-")
        form.file(f"{site}/data.yaml", "train: images/train\nval: images/train\nnames: [tear]\n")
    form.words = (
        *("--input", f"leeds={root}/leeds", "--input", f"york={root}/york"),
        *("--shared-ids", "different"),
    )
    return form


def roots_apart(root: Path) -> Form:
    """Write images and labels into two folders of equal structure, neither called so as trainers want it."""
    form = Form(root, ("class_0",), as_lists=False)
    for scan in range(1, 13):
        for index, classes in positions(scan):
            name = f"scan{scan:02d}/slice_{index:03d}"
            form.add(f"pictures/{name}.png", classes, number=index, volume=f"{scan}", label=f"annotations/{name}.txt")
    form.words = ("--images", root / "pictures", "--labels", root / "annotations")
    return form


def segmentation(root: Path) -> Form:
    """Write polygons in place of boxes, two classes."""
    form = Form(root, ("liver", "tumor"), polygons)
    for volume in range(1, 13):
        for index, classes in positions(volume, 2):
            split = by_volume(volume)
            form.add(
                f"images/{split}/liver_{volume}_slice_{index}.jpg",
                classes,
                number=index,
                volume=f"{volume}",
                split=split,
            )
    form.file(
        "data.yaml",
        f"path: {root}\ntrain: images/train\nval: images/val\ntest: images/test\nnames:\n  0: liver\n  1: tumor\n",
    )
    return form


def pose(root: Path) -> Form:
    """Write boxes with keypoints, and the keys that a pose is trained by."""
    form = Form(root, ("knee",), poses, keys={"kpt_shape": [3, 3], "flip_idx": [0, 2, 1]})
    for patient in range(1, 13):
        for index, classes in positions(patient):
            split = "val" if patient > 9 else "train"
            form.add(
                f"images/{split}/pt{patient:03d}_img{index:05d}.jpg",
                classes,
                number=index,
                volume=f"{patient}",
                split=split,
            )
    form.file(
        "data.yaml",
        f"path: {root}\ntrain: images/train\nval: images/val\n"
        "kpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\nnames:\n  0: knee\n",
    )
    return form


def guide_flat(root: Path) -> Form:
    """Write the guide's own names in one folder, as DICOM files; some negative labels hold a newline alone."""
    form = Form(root, text=lambda classes, number: boxes(classes, number) or "\n" * (number % 2))
    for volume in range(1, 13):
        for index, classes in positions(volume):
            form.add(f"images/IM{index}-01-02-{volume:05d}.dcm", classes, number=index, volume=f"{volume}")
    form.file("dataset.yaml", f"path: {root}\ntrain: images\nval: images\nnames: [tear]\n")
    return form


def guide_with_splits(root: Path) -> Form:
    """Write the guide's names in three splits, volumes torn between them."""
    form = Form(root)
    for volume in range(1, 13):
        for index, classes in positions(volume):
            split = by_image(volume, index)
            form.add(
                f"images/{split}/IM{index}-01-{volume % 3 + 1:02d}-{volume:05d}.png",
                classes,
                number=index,
                volume=f"{volume}",
                split=split,
            )
    form.file(
        "data.yaml", f"path: {root}\ntrain: images/train\nval: images/val\ntest: images/test\nnc: 1\nnames: ['tear']\n"
    )
    return form


def tiles(root: Path) -> Form:
    """Write slices cut into overlapping tiles, named as SAHI names them."""
    form = Form(root, ("lesion",))
    for case in range(1, 9):
        for index in (20, 21, 22):
            for x, y in ((0, 0), (192, 0), (0, 192), (192, 192)):
                classes = (0,) if case % 2 and index == 21 and not x else ()
                form.add(
                    f"images/case{case:02d}_{index}_{x}_{y}_{x + 256}_{y + 256}.png",
                    classes,
                    number=index,
                    volume=f"{case}",
                )
    form.file("data.yaml", f"path: {root}\ntrain: images\nval: images\nnames: {{0: lesion}}\n")
    return form


def augmented(root: Path) -> Form:
    """Write augmented copies beside their originals."""
    form = Form(root, ("lesion",))
    for case in range(1, 11):
        for index, classes in positions(case):
            for ending in ("", "_flip_h") if index % 2 else ("",):
                form.add(
                    f"images/case_{case:04d}_slice_{index:03d}{ending}.png", classes, number=index, volume=f"{case}"
                )
    form.file("classes.txt", "lesion\n")
    return form


# ---- archives in which a patient has several volumes ----------------------------------------------------------------


def bids(root: Path) -> Form:
    """Write BIDS names with two sessions a subject in split folders, the sessions of a subject in two splits."""
    form = Form(root, ("lesion",), by_patient=True)
    for subject in range(1, 9):
        for session in (1, 2):
            for index, classes in positions(subject):
                split = "val" if session == 2 and subject > 5 else "train"
                form.add(
                    f"images/{split}/sub-cal{subject:03d}_ses-M{session}_STIR_{index}.png",
                    classes,
                    number=index,
                    volume=f"{subject}/{session}",
                    patient=f"{subject}",
                    split=split,
                )
    form.file("data.yaml", f'path: "{root}"\ntrain: "images/train"\nval: "images/val"\nnc: 1\nnames: ["lesion"]\n')
    return form


def bids_folders(root: Path) -> Form:
    """Write BIDS folders, in which each part of a name stands twice."""
    form = Form(root, ("lesion",), by_patient=True)
    for subject in range(1, 9):
        for session in (1, 2):
            for index, classes in positions(subject):
                place = f"sub-{subject:02d}/ses-{session}/anat/sub-{subject:02d}_ses-{session}_T1w_slice{index:03d}"
                form.add(
                    f"images/{place}.png",
                    classes,
                    number=index,
                    volume=f"{subject}/{session}",
                    patient=f"{subject}",
                    unlabelled=True,
                )
    form.file("dataset.yaml", f"path: {root}\ntrain: images\nval: images\nnames: [lesion]\n")
    return form


def a_folder_a_patient(root: Path) -> Form:
    """Write a folder a patient, in it one for each study and series, as archives are unpacked."""
    form = Form(root, ("class_0",), by_patient=True)
    for patient in range(1, 9):
        for study, series in ((1, 1), (1, 2), (2, 1)):
            for index, classes in positions(patient):
                if index <= 4:
                    form.add(
                        f"images/PA{patient:06d}/ST{study:06d}/SE{series:06d}/IM{index:06d}.png",
                        classes,
                        number=index,
                        volume=f"{patient}/{study}/{series}",
                        patient=f"{patient}",
                    )
    return form


def beside_in_folders(root: Path) -> Form:
    """Write a folder a scan with labels beside the images, and nothing around it."""
    form = Form(root, ("class_0",))
    for scan in range(1, 13):
        for index, classes in positions(scan):
            image = f"scan{scan:02d}/{index:03d}.png"
            form.add(image, classes, number=index, volume=f"{scan}", label=beside(image))
    form.words = ("--images", root, "--labels", root)
    return form


def phases(root: Path) -> Form:
    """Write ACDC's names: two phases of a patient's heart, all their slices in one volume."""
    form = Form(root, ("scar",))
    for patient in range(1, 9):
        for phase in (1, 12):
            for index, classes in positions(patient):
                name = f"patient{patient:03d}_frame{phase:02d}_slice_{index}"
                form.add(f"images/{name}.png", classes, number=index, volume=f"{patient}")
    form.file("classes.txt", "scar\n")
    return form


def modalities(root: Path) -> Form:
    """Write the four modalities of a case in BraTS, each a volume."""
    form = Form(root, ("tumor",), by_patient=True)
    for case in range(1, 9):
        for modality in ("flair", "t1", "t1ce", "t2"):
            for index in (74, 75, 76):
                classes = (0,) if case % 2 and index == 75 else ()
                form.add(
                    f"images/BraTS2021_{case:05d}_{modality}_{index:03d}.png",
                    classes,
                    number=index,
                    volume=f"{case}/{modality}",
                    patient=f"{case}",
                )
    form.file("data.yaml", f"path: {root}\ntrain: images\nval: images\nnames: ['tumor']\n")
    return form


def views(root: Path) -> Form:
    """Write CheXpert's folders: one or two studies a patient, one or two views a study."""
    form = Form(root, ("effusion",), by_patient=True)
    for patient in range(1, 31):
        for study in range(1, 2 + patient % 2):
            for view, direction in ((1, "frontal"), (2, "lateral"))[: 1 + patient % 3 // 2 + study % 2]:
                form.add(
                    f"images/patient{patient:05d}/study{study}/view{view}_{direction}.jpg",
                    (0,) if patient % 4 == 1 and view == 1 else (),
                    volume=f"{patient}/{study}",
                    patient=f"{patient}",
                )
    form.file("data.yaml", f"path: {root}\ntrain: images\nval: images\nnames: [effusion]\n")
    return form


def follow_ups(root: Path) -> Form:
    """Write the names of ChestX-ray14: patient and number of the follow-up."""
    form = Form(root, ("mass", "nodule"))
    for patient in range(1, 15):
        for index, classes in positions(patient, 2):
            form.add(
                f"images/{patient:08d}_{index - 1:03d}.png", classes, number=index, volume=f"{patient}", unlabelled=True
            )
    form.file("data.yaml", f"path: {root}\ntrain: images\nval: images\nnames: [mass, nodule]\n")
    return form


def dicom_headers(root: Path) -> Form:
    """Write DICOM files named by SOPInstanceUID, whose headers alone tell series and patient."""
    form = Form(root, ("nodule",), by_patient=True)
    for patient in range(1, 9):
        for series in (1, 2):
            for index, classes in positions(patient):
                uid = f"1.2.826.0.1.3680043.{int(digits((patient, series, index), 20), 16)}"
                header = dicom_bytes(
                    f"LIDC-{patient:04d}", study=f"1.2.{patient}", series=f"1.2.{patient}.{series}", number=str(index)
                )
                form.add(
                    f"images/{uid}.dcm",
                    classes,
                    number=index,
                    volume=f"{patient}/{series}",
                    patient=f"{patient}",
                    data=header,
                )
    form.file("data.yaml", f"path: {root}\ntrain: images\nval: images\nnames: [nodule]\n")
    form.words = (
        root,
        *("--volume-from", "dicom:SeriesInstanceUID", "--group-from", "dicom:PatientID"),
        *("--group-key", root.parent / "key"),
    )
    return form


def deeplesion(root: Path) -> Form:
    """Write key slices of DeepLesion in their folders with DL_info.csv: a row a lesion, a tenth of the columns."""
    names = ("bone", "abdomen", "liver")
    form = Form(root, names, by_patient=True, positive=frozenset([2]))
    rows = ["File_name,Patient_index,Study_index,Series_ID,Key_slice_index,Coarse_lesion_type,Train_Val_Test"]
    for patient in range(1, 10):
        for study in range(1, 3 + patient % 2):
            folder = f"{patient:06d}_{study:02d}_01"
            for index in range(100 + study, 104 + study):
                liver = patient % 3 == 1 and index % 2
                classes: tuple[int, ...] = (2, 1) if liver else (index % 2,)
                form.add(
                    f"images/{folder}/{index:03d}.png",
                    classes,
                    number=index,
                    volume=f"{patient}/{study}",
                    patient=f"{patient}",
                )
                rows += [f"{folder}_{index:03d}.png,{patient},{study},1,{index},{kind + 1},1" for kind in classes]
    table = write(root.parent / "DL_info.csv", ("\n".join(rows) + "\n").encode())
    form.file("data.yaml", f"path: {root}\ntrain: images\nval: images\nnames: [bone, abdomen, liver]\n")
    columns = "image=File_name,patient=Patient_index,volume=Patient_index+Study_index+Series_ID,slice=Key_slice_index"
    form.words = (root, "--slice-map", table, "--slice-map-columns", columns, "--positive-class", "liver")
    return form


def instance_uids(root: Path) -> Form:
    """Write files named by SOPInstanceUID with the table of an RSNA challenge, one of its rows for no image here."""
    form = Form(root, ("fracture",), by_patient=True)
    rows = ["SOPInstanceUID,SeriesInstanceUID,PatientID,InstanceNumber"]
    for patient in range(1, 10):
        for series in (1, 2) if patient % 2 else (1,):
            for index, classes in positions(patient):
                uid = f"1.2.826.0.1.3680043.{int(digits((patient, series, index), 20), 16)}"
                form.add(
                    f"images/{uid}.png",
                    classes,
                    number=index,
                    volume=f"{patient}/{series}",
                    patient=f"{patient}",
                    unlabelled=True,
                )
                rows.append(f"{uid},1.2.826.0.1.3680043.7.{patient}.{series},P{patient},{index}")
    rows.append("1.2.826.0.1.3680043.99,1.2.826.0.1.3680043.7.99.1,P99,1")
    table = write(root.parent / "train.csv", ("\n".join(rows) + "\n").encode())
    form.file("data.yaml", f"path: {root}\ntrain: images\nval: images\nnames: [fracture]\n")
    columns = "image=SOPInstanceUID,volume=SeriesInstanceUID,patient=PatientID,slice=InstanceNumber"
    form.words = (root, "--slice-map", table, "--slice-map-columns", columns)
    return form


def numbered(root: Path) -> Form:
    """Write images that are numbered alone, as figshare's brain tumours are, with a table of image and patient."""
    form = Form(root, ("meningioma", "glioma", "pituitary"), by_patient=True)
    rows = ["image,patient"]
    for patient in range(1, 13):
        for _, classes in positions(patient, 3):
            number = len(form.pictures) + 1
            form.add(f"images/{number}.png", classes, volume=f"{patient}")
            rows.append(f"{number}.png,{100000 + patient}")
    table = write(root.parent / "patients.csv", ("\n".join(rows) + "\n").encode())
    form.file("classes.txt", "meningioma\nglioma\npituitary\n")
    form.words = (root, "--slice-map", table)
    return form


FORMS: tuple[Callable[[Path], Form], ...] = (
    roboflow,
    roboflow_without_test,
    roboflow_darknet,
    cvat_yolo,
    cvat_ultralytics,
    label_studio,
    labelimg,
    labelimg_folders,
    flat_folder,
    fiftyone,
    coco_layout,
    autosplit,
    windows_lists,
    several_sites,
    split_folders_first,
    folders_below_splits,
    linked_folders,
    colab_lists,
    renamed_by_windows,
    two_exports,
    roots_apart,
    segmentation,
    pose,
    guide_flat,
    guide_with_splits,
    tiles,
    augmented,
    bids,
    bids_folders,
    a_folder_a_patient,
    beside_in_folders,
    phases,
    modalities,
    views,
    follow_ups,
    dicom_headers,
    deeplesion,
    instance_uids,
    numbered,
)
