"""Class names as labelling tools write them beside a dataset."""

from pathlib import Path

import pytest

from planbalance.errors import InputError
from planbalance.exports import (
    DarknetData,
    class_names_beside,
    find_darknet,
    parse_class_list,
    parse_darknet_data,
    parse_notes,
)
from planbalance.inputs import resolve_input
from planbalance.model import InputSpec
from tests.builders import write, yolo_tree

NOTES = b'{"categories": [{"id": 1, "name": "cyst"}, {"id": 0, "name": "tear"}], "info": {"version": "1.0"}}'


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"tear\ncyst\n", ("tear", "cyst")),
        (b"tear\r\ncyst\r\n\r\n", ("tear", "cyst")),
        (b"\xef\xbb\xbftear", ("tear",)),
        (b" bone bruise \n", ("bone bruise",)),
        ("Lésion\n".encode(), ("Lésion",)),
        (b"", None),
        (b"\n \r\n", None),
    ],
)
def test_one_name_a_line(text: bytes, names: tuple[str, ...] | None) -> None:
    assert parse_class_list(text) == names


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"tear\n\ncyst\n", "line 2 is empty"),
        (b"tear\x1b[31m\n", "line 1 holds a control character"),
        (b"\xff\xfet\x00", "not text in UTF-8"),
        (b"a\n" * 100_001, "names 100,001 classes"),
        (b"a" * (4 * 1024 * 1024 + 1), "more than 4,194,304 bytes"),
    ],
)
def test_a_list_that_no_class_names_can_be_taken_from(text: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        parse_class_list(text)
    assert (caught.value.kind, caught.value.exit_code) == ("class-list", 3)
    assert caught.value.message.isprintable()


def test_label_studios_notes_name_classes_by_id() -> None:
    assert parse_notes(NOTES) == ("tear", "cyst")


@pytest.mark.parametrize(
    "text", [b"", b"[1]", b'{"categories": []}', b'{"categories": ["a"]}', b"{" * 5000, b'{"notes": "my own"}', b"\xff"]
)
def test_notes_of_another_kind_are_passed_over(text: bytes) -> None:
    assert parse_notes(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"categories": [{"id": 1, "name": "tear"}]}', "do not run from 0"),
        (b'{"categories": [{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]}', "do not run from 0"),
        (b'{"categories": [{"id": 0, "name": "a\\u0000"}]}', "no class can have"),
    ],
)
def test_notes_that_name_classes_unclearly_are_refused(text: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_notes(text)


def test_what_a_data_file_says() -> None:
    text = b"classes = 2\r\ntrain = data/train.txt # lists\nvalid=data/valid.txt\nnames = data/obj.names\nbackup = b/\n"
    assert parse_darknet_data(text) == DarknetData(
        {"train": "data/train.txt", "val": "data/valid.txt"}, "data/obj.names"
    )
    assert parse_darknet_data(b"\xff\x00") is None
    assert parse_darknet_data(b"a = b\n") is None


def test_names_are_found_where_darknet_would_look_for_them(tmp_path: Path) -> None:
    write(tmp_path / "knee.data", b"train = data/train.txt\nnames = /home/me/darknet/data/../cfg/knee.names\n")
    write(tmp_path / "knee.names", b"tear\n")
    found = find_darknet(str(tmp_path))
    assert found is not None
    assert found.absent == {"train": "data/train.txt"}
    assert class_names_beside(str(tmp_path), [], found) == [(f"{tmp_path}/knee.names", ("tear",))]


def test_a_data_file_never_leads_out_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "secret.names", b"x\n")
    write(tmp_path / "in" / "obj.data", b"names = ../secret.names\n")
    found = find_darknet(str(tmp_path / "in"))
    assert found is not None
    assert found.names is None


PLACES = ["classes.txt", "labels/classes.txt", "images/classes.txt", "images/train/classes.txt", "obj.names"]


@pytest.mark.parametrize("place", PLACES)
def test_classes_are_named_by_a_list_in_any_of_its_usual_places(tmp_path: Path, place: str) -> None:
    write(yolo_tree(tmp_path, {"v1": "+."}, names=None) / place, b"nodule\r\n")
    assert resolve_input(InputSpec(str(tmp_path))).input.names == ("nodule",)
    apart = InputSpec("", images=f"{tmp_path}/images", labels=f"{tmp_path}/labels")
    assert resolve_input(apart).input.names == ("nodule",)


def test_label_studios_two_files_agree(tmp_path: Path) -> None:
    write(yolo_tree(tmp_path, {"v1": "+."}, names=None) / "notes.json", NOTES)
    write(tmp_path / "classes.txt", b"tear\ncyst\n")
    assert resolve_input(InputSpec(str(tmp_path))).input.names == ("tear", "cyst")
    write(tmp_path / "classes.txt", b"cyst\ntear\n")
    with pytest.raises(InputError, match=r"classes.txt has \[cyst, tear\] \(2\) and .*notes.json has \[tear, cyst\]"):
        resolve_input(InputSpec(str(tmp_path)))


def test_a_yaml_and_a_list_that_disagree_are_refused_with_both_named(tmp_path: Path) -> None:
    write(yolo_tree(tmp_path, {"v1": "+."}) / "labels/classes.txt", b"nodule\n")
    with pytest.raises(
        InputError, match=r"dataset.yaml has \[tear\] \(1\) and .*labels/classes.txt has \[nodule\]"
    ) as it:
        resolve_input(InputSpec(str(tmp_path)))
    assert (it.value.kind, it.value.exit_code) == ("class-names-disagree", 3)
    chosen = resolve_input(InputSpec(f"{tmp_path}/dataset.yaml"))
    assert chosen.input.names == ("tear",)


def test_a_yaml_that_only_counts_takes_the_names_of_a_list_as_long(tmp_path: Path) -> None:
    write(yolo_tree(tmp_path, {"v1": "+."}, names=None) / "data.yaml", b"train: images\nval: images\nnc: 2\n")
    write(tmp_path / "classes.txt", b"tear\ncyst\n")
    assert resolve_input(InputSpec(str(tmp_path))).input.names == ("tear", "cyst")
    write(tmp_path / "classes.txt", b"tear\n")
    with pytest.raises(InputError, match="Class names disagree"):
        resolve_input(InputSpec(str(tmp_path)))


def test_a_broken_list_is_named(tmp_path: Path) -> None:
    path = write(yolo_tree(tmp_path, {"v1": "+."}, names=None) / "classes.txt", b"a\n\nb\n")
    with pytest.raises(InputError) as caught:
        resolve_input(InputSpec(str(tmp_path)))
    assert caught.value.paths == (str(path),)
    assert str(path) in caught.value.message
