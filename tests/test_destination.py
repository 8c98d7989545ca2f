import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.destination import (
    Destination,
    Destinations,
    collisions,
    fold,
    folder_clashes,
    id_fault,
    label_of,
    label_path,
    path_fault,
)
from planbalance.model import Folder, Layout, Source
from planbalance.text import text_fault
from tests.plans import operation


def source(*folders: str, prefix: str = "") -> Source:
    return Source(prefix, tuple(Folder(folder, folder.replace("images", "labels"), None) for folder in folders))


PLACES: list[tuple[str, Source, Layout, str, str, tuple[str, str]]] = [
    ("flat", source("images/train"), "keep", "images/train/a.png", "v", ("images/val", "a.png")),
    ("sub-folders stay", source("images"), "keep", "images/x/y/a.png", "v", ("images/val/x/y", "a.png")),
    (
        "longest folder wins",
        source("images", "images/train"),
        "keep",
        "images/train/a.png",
        "v",
        ("images/val", "a.png"),
    ),
    (
        "whatever their order",
        source("images/train", "images"),
        "keep",
        "images/train/a.png",
        "v",
        ("images/val", "a.png"),
    ),
    (
        "shorter folder elsewhere",
        source("images", "images/train"),
        "keep",
        "images/b/a.png",
        "v",
        ("images/val/b", "a.png"),
    ),
    ("alike is not below", source("images", "images/t"), "keep", "images/tx/a.png", "v", ("images/val/tx", "a.png")),
    ("the root", source(""), "keep", "a.png", "v", ("images/val", "a.png")),
    ("below the root", source("", "images"), "keep", "x/a.png", "v", ("images/val/x", "a.png")),
    ("root and folder", source("", "images"), "keep", "images/x/a.png", "v", ("images/val/x", "a.png")),
    ("prefix", source("images", prefix="B-"), "keep", "images/x/a.png", "v", ("images/val/x", "B-a.png")),
    ("by volume", source("images"), "by-volume", "images/x/a.png", "01-02", ("images/val/01-02", "a.png")),
    ("by volume with folders", source("images"), "by-volume", "images/a.png", "p/q", ("images/val/p/q", "a.png")),
    ("by volume, prefix", source("", prefix="B-"), "by-volume", "a.png", "B-01", ("images/val/B-01", "B-a.png")),
]


@pytest.mark.parametrize(
    ("where", "layout", "image", "volume", "expected"), [pytest.param(*case[1:], id=case[0]) for case in PLACES]
)
def test_where_an_image_goes(where: Source, layout: Layout, image: str, volume: str, expected: tuple[str, str]) -> None:
    destinations = Destinations([where], layout)
    one = operation(image, volume=volume, split="val")
    assert destinations.of(one) == Destination(*expected)
    assert destinations.of(one) == Destination(*expected), "remembered"
    folder, name = expected
    assert destinations.below(0, image, volume) == f"{folder}/{name}".removeprefix("images/val/")


@pytest.mark.parametrize("layout", ["keep", "by-volume"])
@pytest.mark.parametrize("image", ["a.png", "imagesx/a.png", "labels/a.png", "images"])
def test_an_image_outside_the_image_folders_goes_nowhere(layout: Layout, image: str) -> None:
    destinations = Destinations([source("images")], layout)
    with pytest.raises(ValueError, match="not below an image folder"):
        destinations.of(operation(image))


def test_splits_inputs_and_volumes_are_told_apart_when_remembered() -> None:
    destinations = Destinations([source("a"), source("a/b", prefix="N-")], "keep")
    assert destinations.of(operation("a/b/x.png", split="train")) == ("images/train/b", "x.png")
    assert destinations.of(operation("a/b/x.png", split="test")) == ("images/test/b", "x.png")
    assert destinations.of(operation("a/b/x.png", split="test", input=1)) == ("images/test", "N-x.png")
    by_volume = Destinations([source("a")], "by-volume")
    assert [by_volume.of(operation("a/x.png", volume=volume)).folder for volume in "pq"] == [
        "images/train/p",
        "images/train/q",
    ]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        (("images/train", "a.png"), ("labels/train", "a.txt")),
        (("images/train/images2/x", "a.b.png"), ("labels/train/images2/x", "a.b.txt")),
        (("images/val/a.b", "c"), ("labels/val/a.b", "c.txt")),
    ],
)
def test_a_label_goes_where_trainers_look(image: tuple[str, str], label: tuple[str, str]) -> None:
    assert label_of(Destination(*image)) == label
    below = [f"{folder}/{name}".split("/", 2)[2] for folder, name in (image, label)]
    assert label_path(below[0]) == below[1]


@given(name=st.from_regex(r"[a-z]{1,4}(\.[a-z]{1,3}){1,2}", fullmatch=True), folders=st.lists(st.sampled_from("abc")))
def test_labels_are_where_ultralytics_and_yolov5_look(name: str, folders: list[str]) -> None:
    """Both replace the last `/images/` and the suffix (read in `img2label_paths`, 8.4 and 7.0)."""
    folder = "/".join(("images/train", *folders))
    label = label_of(Destination(folder, name))
    looked_for = "/labels/".join(f"/data/{folder}/{name}".rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"
    assert f"/data/{label.folder}/{label.name}" == looked_for


@given(st.text(max_size=12))
def test_folding_is_stable_and_blind_to_case_and_form(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert fold(unicodedata.normalize("NFD", text)) == folded
    assert fold(unicodedata.normalize("NFC", text)) == folded
    assert fold(text.casefold()) == folded


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=6), min_size=1))
def test_names_fold_alike_alone_and_in_a_list(names: list[str]) -> None:
    """`WholePlan` folds all names of a block at once."""
    assert fold("\n".join(names)).split("\n") == list(map(fold, names))


def test_collisions_are_found_after_folding_whatever_the_order() -> None:
    pairs = [("in/B.png", "x/É.txt"), ("in/a.png", "x/e\u0301.txt"), ("in/c.png", "x/e.txt"), ("in/d.png", "X/E.TXT")]
    expected = [["in/B.png", "in/a.png"], ["in/c.png", "in/d.png"]]
    assert collisions(pairs) == collisions(reversed(pairs)) == expected
    assert collisions([("a", "x.txt"), ("b", "y.txt")]) == []


def test_three_of_a_kind_are_one_group() -> None:
    assert collisions((f"in{n}", "x.txt") for n in range(3)) == [["in0", "in1", "in2"]]


@pytest.mark.parametrize(
    ("pairs", "clashing"),
    [
        ([("a", "x.png"), ("b", "x.png/y.png")], ["a"]),
        ([("a", "x.png"), ("b", "x.txt/y.png")], ["a"]),
        ([("a", "p/X.png"), ("b", "P/x.png/q/y.png")], ["a"]),
        ([("a", "x.png"), ("b", "x/y.png"), ("c", "x.jpg/y.png")], []),
    ],
)
def test_a_file_cannot_be_where_a_folder_must_be(pairs: list[tuple[str, str]], clashing: list[str]) -> None:
    assert folder_clashes(pairs) == clashing


@pytest.mark.parametrize(
    "path",
    ["a.png", "a/b.png", "a b/ü.png", "..a/b..", "...", "-", "a\\b", "~/x", "\u3000/\u200b.png", "x" * 255, "é" * 127],
)
def test_paths_that_are_allowed(path: str) -> None:
    assert path_fault(path) is None


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("", "empty"),
        ("/", "absolute"),
        ("/a", "absolute"),
        ("..", "`..`"),
        ("a/..", "`..`"),
        ("../a", "`..`"),
        ("a/../b", "`..`"),
        (".", "`.`"),
        ("./a", "`.`"),
        ("a/./b", "`.`"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("a\0", "control"),
        ("a\nb", "control"),
        ("a\x7f", "control"),
        ("a\x9f", "control"),
        ("a\ud800", "Unicode"),
        ("x" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("x/" * 2048 + "x", "4095 bytes"),
    ],
)
def test_paths_that_are_not(path: str, fault: str) -> None:
    assert fault in str(path_fault(path))
    assert id_fault(path) == path_fault(path)


@given(st.characters())
def test_control_characters_are_those_of_unicode(letter: str) -> None:
    refused = unicodedata.category(letter) in ("Cc", "Cs")
    assert (text_fault(f"a{letter}b") is not None) == refused


@pytest.mark.parametrize("volume", ["images", "labels", "a/images/b", "labels/a", "a/labels"])
def test_ids_named_like_the_folders_of_a_dataset_are_refused(volume: str) -> None:
    assert "`images` or `labels`" in str(id_fault(volume))
    assert path_fault(volume) is None


@pytest.mark.parametrize("volume", ["Images", "images2", "01-02-00011", "a/image"])
def test_other_ids_are_allowed(volume: str) -> None:
    assert id_fault(volume) is None
