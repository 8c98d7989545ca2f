"""Folders -> Snapshot: what is found, what is said, and what is never done."""

import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from planbalance.errors import InputError
from planbalance.executor import autoscaler, worker_pool
from planbalance.executor.autoscaler import Autoscaler, FinishedBatch
from planbalance.executor.processes import ProcessPool
from planbalance.inputs import resolve_inputs
from planbalance.model import ImageFile, InputSpec, Silent, Snapshot
from planbalance.scan import content, listing, scan, unread_suffixes
from tests.builders import LABELS, image_bytes, tree_state, write, yolo_tree

BOX = LABELS["+"]


def scanned(*paths: Path, **options: Any) -> Snapshot:
    return scan(resolve_inputs([InputSpec(str(path)) for path in paths]), **options)


def named(snapshot: Snapshot) -> dict[str, ImageFile]:
    return {image.path.rpartition("/")[2]: image for image in snapshot.images}


def said(snapshot: Snapshot, root: Path) -> list[tuple[str, str, str]]:
    """Return kind, severity and path below the root of every problem."""
    return [(p.kind, p.severity, os.path.relpath(p.path, root)) for p in snapshot.problems]


class Watched:
    """The module `os`, with its calls recorded or failing."""

    def __init__(self, **replaced: Callable[..., Any]) -> None:
        self.calls: list[tuple[str, str]] = []
        self._replaced = replaced

    def __getattr__(self, name: str) -> Any:
        real = self._replaced.get(name) or getattr(os, name)
        if name not in ("open", "stat", "scandir", "lstat"):
            return real

        def recorded(path: Any, *args: Any, **options: Any) -> Any:
            self.calls.append((name, os.fspath(path)))
            return real(path, *args, **options)

        return recorded


# ---- what is found --------------------------------------------------------------------------------------------------


def test_every_image_with_its_label(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "+._-!"})
    snapshot = scanned(root)
    images = named(snapshot)
    assert [image.path for image in snapshot.images] == [f"images/train/IM{number}-v1.png" for number in range(1, 6)]
    tear = images["IM1-v1.png"]
    facts = os.stat(root / tear.path)
    assert tear == ImageFile(
        input=0,
        folder=0,
        path="images/train/IM1-v1.png",
        size=64,
        mtime_ns=facts.st_mtime_ns,
        label="labels/train/IM1-v1.txt",
        label_size=len(BOX),
        label_sha256=hashlib.sha256(BOX).hexdigest(),
        annotations=1,
        classes=(0,),
        invalid=False,
        image_sha256="",
        blank=False,
    )
    assert isinstance(tear, ImageFile)
    empty, blank, missing, invalid = (images[f"IM{number}-v1.png"] for number in (2, 3, 4, 5))
    assert empty[5:11] == ("labels/train/IM2-v1.txt", 0, "", 0, (), False)
    assert (blank.label_size, blank.label_sha256) == (4, hashlib.sha256(LABELS["_"]).hexdigest())
    assert (blank.annotations, blank.invalid) == (0, False)
    assert missing[5:11] == (None, 0, "", 0, (), False)
    assert (invalid.annotations, invalid.classes, invalid.invalid) == (1, (), True)
    assert (snapshot.missing, snapshot.empty, snapshot.leftovers) == ((1,), (2,), 0)
    assert [folder.images for folder in snapshot.inputs[0].folders] == ["images/train"]


def test_invalid_lines_are_all_listed_with_file_and_line(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "++"})
    write(root / "labels/train/IM1-v1.txt", BOX + b"7 0.5 0.5 0.1 0.1\n\n" + b"x\n" * 9)
    write(root / "labels/train/IM2-v1.txt", b"0 0.5 0.5\n")
    assert said(scanned(root), root) == [
        *(("label-invalid", "error", f"labels/train/IM1-v1.txt:{line}") for line in (2, *range(4, 13))),
        ("label-invalid", "error", "labels/train/IM2-v1.txt:1"),
    ]


def test_class_ids_have_no_limit_without_names(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "+"}, names=None)
    write(root / "labels/train/IM1-v1.txt", b"7 0.5 0.5 0.1 0.1\n")
    snapshot = scanned(root)
    assert (snapshot.problems, snapshot.images[0].classes, snapshot.inputs[0].names) == ((), (7,), None)


def test_names_of_one_input_hold_for_all(tmp_path: Path) -> None:
    tear = yolo_tree(tmp_path / "tear", {"v1": "+"})
    normal = yolo_tree(tmp_path / "normal", {"v2": "+"}, names=None)
    write(normal / "labels/train/IM1-v2.txt", b"7 0.5 0.5 0.1 0.1\n")
    assert said(scanned(tear, normal), tmp_path) == [("label-invalid", "error", "normal/labels/train/IM1-v2.txt:1")]


LAYOUTS = [
    ("the guide's", "images/val", "labels/val", "val"),
    ("without splits", "images", "labels", None),
    ("sub-folders", "images/test/site/v1", "labels/test/site/v1", "test"),
    ("sub-folders without splits", "images/site/v1", "labels/site/v1", None),
    ("Roboflow's", "valid/images", "valid/labels", "val"),
    ("Roboflow's with sub-folders", "train/images/v1", "train/labels/v1", "train"),
]


@pytest.mark.parametrize(
    ("images", "labels", "split"), [case[1:] for case in LAYOUTS], ids=[case[0] for case in LAYOUTS]
)
def test_layouts(tmp_path: Path, images: str, labels: str, split: str | None) -> None:
    snapshot = scanned(yolo_tree(tmp_path / "in", {"v1": "+."}, images=images, labels=labels))
    assert [(image.path, image.label) for image in snapshot.images] == [
        (f"{images}/IM{number}-v1.png", f"{labels}/IM{number}-v1.txt") for number in (1, 2)
    ]
    assert [folder.split for folder in snapshot.inputs[0].folders] == [split]
    assert snapshot.images[0].annotations == 1
    assert not snapshot.problems


def test_every_split_is_pooled_and_remembered(tmp_path: Path) -> None:
    split_of = {"v1": "test", "v2": "train", "v3": "val"}
    root = yolo_tree(tmp_path / "in", {"v1": "+", "v2": "+.", "v3": "."}, split_of=split_of, names=None)
    write(root / "images/extra/IM1-v4.png", b"x")
    snapshot = scanned(root)
    folders = snapshot.inputs[0].folders
    assert {image.path.rpartition("-")[2][:2]: folders[image.folder].split for image in snapshot.images} == {
        **split_of,
        "v4": None,
    }
    assert [image.path for image in snapshot.images] == sorted(image.path for image in snapshot.images)


def test_several_inputs_are_pooled_in_order(tmp_path: Path) -> None:
    first = yolo_tree(tmp_path / "z", {"v1": ".-"})
    second = yolo_tree(tmp_path / "a", {"v1": "+", "v2": "---"}, images="images/test")
    snapshot = scan(resolve_inputs([InputSpec(str(first), "tear"), InputSpec(str(second))]))
    assert [image.input for image in snapshot.images] == [0, 0, 1, 1, 1, 1]
    assert (snapshot.missing, snapshot.empty) == ((1, 3), (1, 0))
    assert [one.prefix for one in snapshot.inputs] == ["tear-", ""]


def test_roots_apart(tmp_path: Path) -> None:
    write(tmp_path / "pics" / "v1" / "a.png", b"x")
    write(tmp_path / "texts" / "v1" / "a.txt", BOX)
    snapshot = scan(resolve_inputs([InputSpec("", images=f"{tmp_path}/pics", labels=f"{tmp_path}/texts")]))
    assert [(image.path, image.label) for image in snapshot.images] == [("pics/v1/a.png", "texts/v1/a.txt")]
    assert snapshot.images[0].annotations == 1


@pytest.mark.parametrize(("images", "labels"), [("", "labels"), ("", ""), ("p", "")])
def test_roots_inside_each_other(tmp_path: Path, images: str, labels: str) -> None:
    write(tmp_path / images / "v1" / "a.png", b"x")
    write(tmp_path / labels / "v1" / "a.txt", BOX)
    snapshot = scan(resolve_inputs([InputSpec("", images=str(tmp_path / images), labels=str(tmp_path / labels))]))
    assert [image.annotations for image in snapshot.images] == [1]
    assert not snapshot.problems


def test_a_yaml_of_text_lists_holds_what_they_list_only(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "+.+", "v2": "+"}, images="images", names=None)
    write(root / "train.txt", b"./images/IM1-v1.png\n./images/IM2-v1.png\n./images/gone.png\n")
    write(root / "val.txt", b"images/IM1-v2.png\n")
    write(root / "k.yaml", b"train: train.txt\nval: val.txt\nnames: [tear]\n")
    snapshot = scanned(root / "k.yaml")
    folders = snapshot.inputs[0].folders
    assert {image.path: folders[image.folder].split for image in snapshot.images} == {
        "images/IM1-v1.png": "train",
        "images/IM2-v1.png": "train",
        "images/IM1-v2.png": "val",
    }
    assert [image.annotations for image in snapshot.images] == [1, 1, 0]  # by path: v1, v2, v1
    assert said(snapshot, root) == [
        ("layout-difference", "warning", "images"),  # one image that no list names
        ("missing", "error", "images/gone.png"),
    ]


def test_a_text_list_beside_labels_is_no_label(tmp_path: Path) -> None:
    for name in ("train.txt", "a.txt", "classes.txt"):
        write(tmp_path / name, b"./a.png\n" if name == "train.txt" else b"")
    write(tmp_path / "a.png", b"x")
    write(tmp_path / ".hidden.png", b"x")
    snapshot = scanned(write(tmp_path / "k.yaml", b"train: train.txt"))
    assert (said(snapshot, tmp_path), snapshot.empty, len(snapshot.images)) == ([], (1,), 1)


def test_a_listed_image_may_be_hidden_or_in_a_walked_folder(tmp_path: Path) -> None:
    write(tmp_path / "images/train/a.png", b"x")
    write(tmp_path / "images/train/.b.png", b"x")
    write(tmp_path / "train.txt", b"images/train/.b.png\n")
    snapshot = scanned(write(tmp_path / "k.yaml", b"train: [images/train, train.txt]"))
    assert [image.path for image in snapshot.images] == ["images/train/.b.png", "images/train/a.png"]


# ---- what is passed over, what is said ------------------------------------------------------------------------------


def test_other_files_are_passed_over_and_leftovers_counted(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "+"}, images="images")
    for name in ("Thumbs.db", "._IM1-v1.png", ".DS_Store", "README", "png", "notes.md", "x.json", ".hid/a.png"):
        write(root / "images" / name, b"x")
    for name in ("images/train.cache", "images/a.npy", "labels/t.cache", "labels.cache"):
        write(root / name, b"x")
    write(root / "labels" / "classes.txt", b"tear\n")
    write(root / "labels" / ".hidden.txt", BOX)
    write(root / "images" / "beside.txt", BOX)
    write(root / "conversion_report.json", b"{}")
    snapshot = scanned(root)
    assert (len(snapshot.images), snapshot.leftovers, snapshot.problems) == (1, 4, ())


def test_suffixes_of_any_case(tmp_path: Path) -> None:
    for number, suffix in enumerate(("PNG", "Jpeg", "dcm", "DCM", "jpeg2000", "gif", "txt")):
        write(tmp_path / "images" / f"a_{number}.{suffix}", b"x")
    snapshot = scanned(tmp_path)
    assert [image.path.rpartition(".")[2] for image in snapshot.images] == ["PNG", "Jpeg", "dcm", "DCM", "jpeg2000"]
    assert unread_suffixes(snapshot.images) == {"dcm": 2}


def test_a_label_in_capitals_counts_unless_there_is_another(tmp_path: Path) -> None:
    for stem in "ab":
        write(tmp_path / "images" / f"{stem}.png", b"x")
        write(tmp_path / "labels" / f"{stem}.TXT", BOX)
    write(tmp_path / "labels" / "b.txt", b"")
    snapshot = scanned(tmp_path)
    assert [(image.label, image.annotations) for image in snapshot.images] == [("labels/a.TXT", 1), ("labels/b.txt", 0)]
    assert said(snapshot, tmp_path) == [("orphan-label", "warning", "labels/b.TXT")]


def test_labels_without_an_image_are_warnings(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "+"})
    for name in ("labels/train/b.txt", "labels/train/sub/c.txt", "labels/d.txt", "labels/val/e.txt"):
        write(root / name, BOX)
    snapshot = scanned(root)
    assert said(snapshot, root) == [
        ("orphan-label", "warning", f"labels/{name}")
        for name in ("d.txt", "train/b.txt", "train/sub/c.txt", "val/e.txt")
    ]
    assert len(snapshot.images) == 1


def test_two_images_that_share_a_label_are_both_there(tmp_path: Path) -> None:
    for suffix in ("jpg", "png"):
        write(tmp_path / "images" / f"a.{suffix}", b"x")
    write(tmp_path / "labels" / "a.txt", BOX + b"x\n")
    snapshot = scanned(tmp_path)
    assert [(image.path, image.label, image.annotations) for image in snapshot.images] == [
        ("images/a.jpg", "labels/a.txt", 2),
        ("images/a.png", "labels/a.txt", 2),
    ]
    assert said(snapshot, tmp_path) == [("label-invalid", "error", "labels/a.txt:2")]


def test_names_that_differ_in_case_or_unicode_form_are_different(tmp_path: Path) -> None:
    names = ["A.png", "a.png", "caf\u00e9.png", "cafe\u0301.png"]
    for name in names:
        write(tmp_path / "images" / name, b"x")
    if len(os.listdir(tmp_path / "images")) < 4:
        pytest.skip("this file system takes them for the same name")
    assert sorted(named(scanned(tmp_path))) == sorted(names)


@pytest.mark.parametrize(
    "name", [b"a\n1.png", b"a\x1b[31m.png", b"a\xff.png", b"a\xc2\x85.png", b"sub\x01/a.png", b"s\xff/a.png"]
)
def test_names_that_no_plan_can_hold_are_refused(tmp_path: Path, name: bytes) -> None:
    write(tmp_path / "images" / "good.png", b"x")
    path = os.path.join(os.fsencode(tmp_path), b"images", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"x")
    snapshot = scanned(tmp_path)
    assert [image.path for image in snapshot.images] == ["images/good.png"]
    assert [(p.kind, p.severity) for p in snapshot.problems] == [("name-refused", "error")]
    assert snapshot.problems[0].path.isprintable()
    assert str(tmp_path) in snapshot.problems[0].path


def test_names_of_other_alphabets_are_accepted(tmp_path: Path) -> None:
    for name in ("膝_1.png", "колено_1.png", "genou\u00a0droit_1.png"):
        write(tmp_path / "images" / name, b"x")
    snapshot = scanned(tmp_path)
    assert (len(snapshot.images), snapshot.problems) == (3, ())


@pytest.mark.parametrize("name", ["images", "labels"])
def test_folders_that_hide_labels_from_trainers_are_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "images" / "v1" / name / "a.png", b"x")
    write(tmp_path / "images" / "v1" / "b.png", b"x")
    snapshot = scanned(tmp_path)
    assert [image.path for image in snapshot.images] == ["images/v1/b.png"]
    assert said(snapshot, tmp_path) == [("name-refused", "error", f"images/v1/{name}")]


def test_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "images" / "v1.png" / "a.png", b"x")
    write(tmp_path / "labels" / "v1.png" / "a.txt", BOX)
    write(tmp_path / "images" / "v2.txt" / "a.png", b"x")
    write(tmp_path / "labels" / "v2.txt" / "a.txt", BOX)
    snapshot = scanned(tmp_path)
    assert [image.annotations for image in snapshot.images] == [1, 1]
    assert not snapshot.problems


# ---- links ----------------------------------------------------------------------------------------------------------


def test_links_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "store" / "x.bin", b"12345")
    write(tmp_path / "store" / "v2" / "b.png", b"x")
    for folder in ("images", "labels"):
        (tmp_path / "in" / folder).mkdir(parents=True)
    (tmp_path / "in/images/a.png").symlink_to(tmp_path / "store/x.bin")
    (tmp_path / "in/images/v2").symlink_to("../../store/v2")
    (tmp_path / "in/images/v3.png").symlink_to("../../store/v2")  # a folder, whatever its name
    (tmp_path / "in/labels/a.txt").symlink_to(write(tmp_path / "store" / "a.lbl", BOX))
    snapshot = scanned(tmp_path / "in")
    assert [(image.path, image.size, image.annotations) for image in snapshot.images] == [
        ("images/a.png", 5, 1),
        ("images/v2/b.png", 1, 0),
        ("images/v3.png/b.png", 1, 0),
    ]
    assert said(snapshot, tmp_path) == [("folder-twice", "warning", "in/images/v3.png")]


def test_loops_of_links_are_cut(tmp_path: Path) -> None:
    write(tmp_path / "images" / "v1" / "a.png", b"x")
    (tmp_path / "images/v1/up").symlink_to("..")
    (tmp_path / "images/v1/self").symlink_to("self")
    (tmp_path / "images/v1/self.png").symlink_to("self.png")
    (tmp_path / "labels").symlink_to("images")
    snapshot = scanned(tmp_path)
    assert [image.path for image in snapshot.images] == ["images/v1/a.png"]
    kinds = Counter(kind for kind, _, _ in said(snapshot, tmp_path))
    assert kinds["link-loop"] == 2  # once as images, once as labels
    assert kinds["unreadable"] == 1  # self.png
    assert ("link-loop", "warning", "images/v1/up") in said(snapshot, tmp_path)


def test_dangling_links_are_errors(tmp_path: Path) -> None:
    write(tmp_path / "images" / "b.png", b"x")
    write(tmp_path / "labels" / "a.txt", BOX)
    (tmp_path / "images/a.png").symlink_to("nowhere")
    (tmp_path / "labels/b.txt").symlink_to("nowhere/at/all")
    snapshot = scanned(tmp_path)
    assert said(snapshot, tmp_path) == [("dangling", "error", "images/a.png"), ("dangling", "error", "labels/b.txt")]
    (image,) = snapshot.images
    assert (image.path, image.label, image.invalid) == ("images/b.png", "labels/b.txt", True)
    assert (snapshot.missing, snapshot.empty) == ((0,), (0,))


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    write(tmp_path / "images" / "b.png", b"x")
    (tmp_path / "labels").mkdir()
    os.mkfifo(tmp_path / "labels" / "b.txt")
    os.mkfifo(tmp_path / "images" / "a.png")
    snapshot = scanned(tmp_path)
    assert said(snapshot, tmp_path) == [
        ("unreadable", "error", "images/a.png"),
        ("unreadable", "error", "labels/b.txt"),
    ]
    assert [image.path for image in snapshot.images] == ["images/b.png"]


# ---- what cannot be read --------------------------------------------------------------------------------------------


def failing(name: str, part: str, error: type[OSError] = PermissionError) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(path: Any, *args: Any, **options: Any) -> Any:
        if os.fspath(path).endswith(part):
            raise error(13, "Permission denied")
        return real(path, *args, **options)

    return call


@pytest.mark.parametrize("folder", ["images/train", "labels/train", "images/train/sub"])
def test_a_folder_that_cannot_be_listed_is_an_error(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "+."})
    write(root / "images/train/sub/IM1-v2.png", b"x")
    monkeypatch.setattr(listing, "os", Watched(scandir=failing("scandir", folder)))
    snapshot = scanned(root)
    assert ("unreadable", "error", folder) in said(snapshot, root)
    assert all("Permission denied" in p.message for p in snapshot.problems if p.kind == "unreadable")


def test_a_label_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "++"})
    monkeypatch.setattr(content, "os", Watched(open=failing("open", "IM2-v1.txt")))
    snapshot = scanned(root)
    assert said(snapshot, root) == [("unreadable", "error", "labels/train/IM2-v1.txt")]
    assert [(image.annotations, image.invalid) for image in snapshot.images] == [(1, False), (0, True)]
    assert snapshot.empty == (0,)


def test_an_image_that_cannot_be_hashed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": ".."})
    monkeypatch.setattr(content, "os", Watched(open=failing("open", "IM2-v1.png")))
    snapshot = scanned(root, hash_images=True)
    assert said(snapshot, root) == [("unreadable", "error", "images/train/IM2-v1.png")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_permissions_as_they_are(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": "++"})
    os.chmod(root / "labels/train/IM1-v1.txt", 0)
    assert said(scanned(root), root) == [("unreadable", "error", "labels/train/IM1-v1.txt")]


def test_not_found(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Input directory not found"):
        scanned(tmp_path / "none")


# ---- what is never done ---------------------------------------------------------------------------------------------


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()
    for module in (listing, content):
        monkeypatch.setattr(module, "os", watched)
    return watched


def test_empty_labels_and_images_are_not_opened_and_folders_listed_once(tmp_path: Path, watched: Watched) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": ".+._-!"}, name="{volume}/{slice}.png", images="images")
    scanned(root)
    opened = [path for name, path in watched.calls if name == "open" and path.endswith(".txt")]
    assert sorted(opened) == ["2.txt", "4.txt", "6.txt"]
    listed = Counter(os.path.relpath(path, root) for name, path in watched.calls if name == "scandir")
    assert listed == Counter(["images", "images/v1", "labels", "labels/v1"])


def test_no_file_has_more_than_one_stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted where the walk asks: by name in a folder; a link's own type costs none."""
    root = yolo_tree(tmp_path / "in", {"v1": ".+"}, images="images")
    for folder, suffix in (("images", "png"), ("labels", "txt")):
        (root / folder / f"link.{suffix}").symlink_to(f"IM1-v1.{suffix}")
    asked: Counter[str] = Counter()

    class Entry:
        def __init__(self, entry: "os.DirEntry[str]") -> None:
            self._entry, self.name, self.path = entry, entry.name, entry.path

        def is_dir(self) -> bool:
            asked[self.name] += self._entry.is_symlink()  # a link must be followed to answer
            return self._entry.is_dir()

    class Entries:
        def __init__(self, path: str) -> None:
            self._entries = os.scandir(path)

        def __enter__(self) -> Iterator[Entry]:
            return (Entry(entry) for entry in self._entries)

        def __exit__(self, *_: object) -> None:
            self._entries.close()

    def stat(path: str, **options: Any) -> os.stat_result:
        asked[path] += 1
        return os.stat(path, **options)

    monkeypatch.setattr(listing, "os", Watched(scandir=Entries, stat=stat))
    snapshot = scanned(root)
    assert len(snapshot.images) == 3
    assert [asked.pop(str(root / folder)) for folder in ("images", "labels")] == [1, 1]
    assert asked == Counter(["IM1-v1.png", "IM2-v1.png", "link.png", "IM1-v1.txt", "IM2-v1.txt", "link.txt"])
    monkeypatch.undo()
    assert scanned(root) == snapshot


def test_the_source_is_left_as_it_is(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "in", {"v1": ".+_!-"})
    before = tree_state(root)
    scanned(root, hash_images=True)
    assert tree_state(root) == before


# ---- the same whatever the machine ----------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [None, 1, 3])
def test_the_order_of_directories_and_the_workers_decide_nothing(
    tmp_path: Path, jobs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = yolo_tree(
        tmp_path / "in", {f"v{n}": ".+!-" for n in range(20)}, name="{volume}/{slice}.png", images="images"
    )
    for number in range(30):
        write(root / "images" / f"flat_{number}.png", b"x")
        write(root / "labels" / f"flat_{number}.txt", BOX)
        write(root / "labels" / f"orphan_{number}.txt", BOX)
    plain = scanned(root)
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.Limits(largest_batch=7))

    class Shuffled:
        def __init__(self, path: str) -> None:
            with os.scandir(path) as entries:
                self._entries = list(entries)
            random.Random(len(self._entries)).shuffle(self._entries)

        def __enter__(self) -> "list[os.DirEntry[str]]":
            return self._entries

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(listing, "os", Watched(scandir=Shuffled))
    assert scanned(root, jobs=jobs) == plain


@pytest.mark.parametrize(("far", "jobs"), [(True, None), (True, 5), (False, None)])
def test_far_files_get_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, far: bool, jobs: int | None) -> None:
    """Far: a call waits for longer than it computes. No real clock is used: the test gives the autoscaler the times."""
    root = yolo_tree(
        tmp_path / "in", {f"v{n}": ".+!-" for n in range(20)}, name="{volume}/{slice}.png", images="images"
    )
    plain = scanned(root)
    most: list[int] = []

    class Told(Autoscaler):
        def observe(self, finished: FinishedBatch) -> None:
            waits = 0.02 if far else 0.0
            count = finished.count
            super().observe(FinishedBatch(finished.at, count, count * (1e-6 + waits), count * 1e-6))
            most.append(self.workers if self.kind == "threads" else 0)

    monkeypatch.setattr(worker_pool, "Autoscaler", Told)
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.Limits(first_batch=3))
    assert scanned(root, jobs=jobs) == plain
    assert max(most) == jobs if jobs else (max(most) >= 8) == far


def test_progress_counts_what_was_done(tmp_path: Path) -> None:
    class Recorded:
        def __init__(self) -> None:
            self.stages: list[list[Any]] = []
            self.ended = 0

        def begin(self, what: str, total: int | None, unit: str) -> None:
            self.stages.append([what, total, unit, 0])

        def advance(self, count: int, size: int = 0) -> None:  # noqa: ARG002 - the protocol's
            self.stages[-1][3] += count

        def end(self) -> None:
            self.ended += 1

    progress = Recorded()
    root = yolo_tree(tmp_path / "in", {"v1": "." * 40 + "++-"})
    scanned(root, hash_images=True, progress=progress)
    assert progress.stages == [
        ["scan", None, "files", 43 + 42],
        ["hash images", 43, "images", 43],
    ]
    assert progress.ended == 2


# ---- image content --------------------------------------------------------------------------------------------------

BLANKS: Sequence[tuple[bytes, bool]] = [
    (b"", True),
    (b"\0" * 70, True),
    (b"\xff", True),
    (b"\0" * 69 + b"\1", False),
    (image_bytes("x"), False),
    (b"\0" * (1 << 20) + b"\0\0", True),
    (b"\0" * (1 << 20) + b"\1\1", False),
]


def test_images_are_hashed_on_demand_and_blank_ones_told(tmp_path: Path) -> None:
    for number, (data, _) in enumerate(BLANKS):
        write(tmp_path / "images" / f"a_{number}.png", data)
    snapshot = scanned(tmp_path, hash_images=True)
    assert [(image.image_sha256, image.blank) for image in snapshot.images] == [
        (hashlib.sha256(data).hexdigest(), blank) for data, blank in BLANKS
    ]


def test_a_long_label_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.png", b"x")
    write(tmp_path / "labels" / "a.txt", BOX * 5000)
    (image,) = scanned(tmp_path).images
    assert (image.annotations, image.label_size) == (5000, len(BOX) * 5000)
    assert image.label_sha256 == hashlib.sha256(BOX * 5000).hexdigest()


@pytest.mark.parametrize("told", [1, 10**6], ids=["grown", "shrunk"])
def test_a_label_that_changed_since_its_stat_is_read_whole(tmp_path: Path, told: int) -> None:
    read = content.read_label_file(str(write(tmp_path / "a.txt", BOX * 3)), told, 1)
    assert (read.size, read.annotations, read.fault) == (len(BOX) * 3, 3, "")
    assert read.sha256 == hashlib.sha256(BOX * 3).hexdigest()


def test_a_file_too_large_for_a_label_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "images" / "a.png", b"x")
    with open(write(tmp_path / "labels" / "a.txt", BOX), "r+b") as label:
        label.truncate(content.LABEL_LIMIT + 1)  # no block is written
    monkeypatch.setattr(content, "os", Watched(open=failing("open", "a.txt")))
    snapshot = scanned(tmp_path)
    assert said(snapshot, tmp_path) == [("unreadable", "error", "labels/a.txt")]
    assert "67,108,865 bytes" in snapshot.problems[0].message


def test_a_running_loop_is_no_obstacle(tmp_path: Path) -> None:
    """A notebook runs an event loop already."""
    import anyio  # noqa: PLC0415 - only here

    root = yolo_tree(tmp_path / "in", {"v1": "+."})

    async def notebook() -> Snapshot:
        return scanned(root)

    assert anyio.run(notebook) == scanned(root)


# ---- JPEGs that trainers write anew ---------------------------------------------------------------------------------

JPEGS = {
    "IM1-a.jpg": b"\xff\xd8 whole \xff\xd9",
    "IM2-a.jpg": b"\xff\xd8 cut off",
    "IM3-a.JPEG": b"\xff\xd8 \xff\xd9 and more",
    "IM4-a.jpg": b"\x89PNG in truth",
    "IM5-a.jpg": b"",
    "IM6-a.png": b"\xff\xd8 a JPEG in truth, but not by its name",
}


@pytest.mark.parametrize("hash_images", [False, True])
def test_jpegs_that_do_not_end_as_one_are_listed(tmp_path: Path, hash_images: bool) -> None:
    """Through a hard link or a symbolic one, the trainer that mends such a file changes the source."""
    for name, data in JPEGS.items():
        write(tmp_path / "images/train" / name, data)
    snapshot = scan(resolve_inputs([InputSpec(str(tmp_path))]), hash_images=hash_images)
    found = [problem for problem in snapshot.problems if problem.kind == "jpeg-open-ended"]
    assert [Path(problem.path).name for problem in found] == ["IM2-a.jpg", "IM3-a.JPEG"]
    assert {problem.severity for problem in found} == {"warning"}


def test_images_that_are_no_jpegs_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planbalance.scan.content.are_open_ended", None)
    assert (
        len(scan(resolve_inputs([InputSpec(str(yolo_tree(tmp_path / "in", {"01-a": "+.", "02-b": "..."})))])).images)
        == 5
    )


def test_a_pool_takes_batches_while_the_results_of_single_items_are_due() -> None:
    with ProcessPool(2) as workers:
        pool = worker_pool.WorkerPool(None, workers, Silent())
        found = pool.each(abs, range(0, -200, -1))
        assert next(found) == 0
        assert pool.do(sum, [[1, 2], [3], [4]], weigh=len) == [3, 3, 4]
        assert list(found) == list(range(1, 200))
