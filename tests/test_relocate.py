"""A moved dataset works again, and nothing in it but paths is touched."""

import os
import shutil
from pathlib import Path

import orjson
import pytest
import yaml

from planbalance.audit import VerifyOptions, verify
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import InputError
from planbalance.relocate import relocate, with_path
from tests.builders import tree_content, tree_state, write, yolo_tree
from tests.engine.plans import saved_plan


def built(root: Path, mode: str = "symlink") -> Path:
    source = yolo_tree(root / "in", {"01-a": ".+", "02-b": "..", "03-c": "+"})
    apply_plan(saved_plan([source], root / "set", root / "plan.json"), ApplyOptions(mode=mode))  # type: ignore[arg-type]
    return root / "set"


def said(dataset: Path) -> dict[str, object]:
    value = yaml.safe_load((dataset / "dataset.yaml").read_bytes())
    assert isinstance(value, dict)
    return value


def test_a_moved_dataset_says_where_it_is(tmp_path: Path) -> None:
    before = said(built(tmp_path, "copy"))
    shutil.move(tmp_path / "set", tmp_path / "elsewhere")
    content = tree_state(tmp_path / "elsewhere", leave_out=("dataset.yaml", ".planbalance"))
    outcome = relocate(str(tmp_path / "elsewhere"))
    assert (outcome.old_path, outcome.changed) == (str(tmp_path / "set"), True)
    assert said(tmp_path / "elsewhere") == before | {"path": str(tmp_path / "elsewhere")}
    assert tree_state(tmp_path / "elsewhere", leave_out=("dataset.yaml", ".planbalance")) == content
    receipt = orjson.loads((tmp_path / "elsewhere/.planbalance/receipt.json").read_bytes())
    assert receipt["output"] == str(tmp_path / "elsewhere")


def test_in_its_place_nothing_is_written(tmp_path: Path) -> None:
    dataset = built(tmp_path)
    before = tree_state(dataset)
    outcome = relocate(str(dataset))
    assert (outcome.changed, outcome.retargeted, outcome.dangling) == (False, 0, ())
    assert tree_state(dataset) == before


def test_links_below_the_old_source_lead_to_the_new_one(tmp_path: Path) -> None:
    dataset = built(tmp_path)
    shutil.move(tmp_path / "in", tmp_path / "new")
    (dataset / "images/foreign.png").symlink_to("/elsewhere/x.png")
    outcome = relocate(str(dataset), ((str(tmp_path / "in"), str(tmp_path / "new")),))
    assert (outcome.links, outcome.retargeted, outcome.dangling) == (6, 5, ("images/foreign.png",))
    assert os.readlink(dataset / "images/train/IM1-01-a.png") == f"{tmp_path}/new/images/train/IM1-01-a.png"
    assert os.readlink(dataset / "images/foreign.png") == "/elsewhere/x.png"
    assert all(not path.name.startswith(".planbalance-relocate") for path in dataset.rglob("*"))
    receipt = orjson.loads((dataset / ".planbalance/receipt.json").read_bytes())
    assert receipt["map_input"] == [[str(tmp_path / "in"), str(tmp_path / "new")]]
    assert relocate(str(dataset), ((str(tmp_path / "in"), str(tmp_path / "new")),)).retargeted == 0


def test_paths_in_lists_below_the_old_source_lead_to_the_new_one(tmp_path: Path) -> None:
    dataset, old, new = built(tmp_path, "list"), str(tmp_path / "in"), str(tmp_path / "new")
    shutil.move(old, new)
    with (dataset / "train.txt").open("a") as text:
        text.write(f"{old}side/x.png\n./images/y.png\n")
    before = {name: (dataset / name).read_text() for name in ("train.txt", "val.txt", "test.txt")}
    outcome = relocate(str(dataset), ((old, new),))
    assert (outcome.listed, outcome.links) == (5, 0)
    for name, lines in before.items():
        assert (dataset / name).read_text() == lines.replace(f"{old}/", f"{new}/")
    assert relocate(str(dataset), ((old, new),)).listed == 0
    checks = {check.name: check for check in verify(str(dataset), VerifyOptions(quick=True)).checks}
    assert checks["links"].problems == ()
    assert {each.path for each in checks["files"].problems} == {"train.txt"}, "only the lines that were added"


@pytest.mark.parametrize("kind", ["link", "missing", "folder"])
def test_a_list_that_is_no_file_is_left_alone(tmp_path: Path, kind: str) -> None:
    dataset = built(tmp_path, "list")
    text = (dataset / "val.txt").read_bytes()
    shutil.move(dataset / "val.txt", tmp_path / "val.txt")
    if kind == "link":
        (dataset / "val.txt").symlink_to(tmp_path / "val.txt")
    elif kind == "folder":
        (dataset / "val.txt").mkdir()
    assert relocate(str(dataset), ((str(tmp_path / "in"), "/new"),)).listed == 3
    assert (tmp_path / "val.txt").read_bytes() == text


def test_a_source_whose_name_only_begins_alike_is_another(tmp_path: Path) -> None:
    dataset = built(tmp_path)
    outcome = relocate(str(dataset), ((str(tmp_path / "i"), "/new"),))
    assert (outcome.retargeted, outcome.dangling) == (0, ())


def test_the_longest_pair_wins_and_dangling_links_are_listed(tmp_path: Path) -> None:
    dataset = built(tmp_path)
    pairs = ((str(tmp_path), "/short"), (str(tmp_path / "in"), "/long"))
    outcome = relocate(str(dataset), pairs)
    assert outcome.retargeted == 5
    assert len(outcome.dangling) == 5
    assert os.readlink(dataset / "images/train/IM1-01-a.png") == "/long/images/train/IM1-01-a.png"


def test_a_link_to_a_folder_is_not_walked_into(tmp_path: Path) -> None:
    dataset = built(tmp_path)
    (tmp_path / "far").mkdir()
    (tmp_path / "far/x").symlink_to(tmp_path / "in/images")
    (dataset / "way").symlink_to(tmp_path / "far")
    relocate(str(dataset), ((str(tmp_path / "in"), str(tmp_path / "new")),))
    assert os.readlink(tmp_path / "far/x") == f"{tmp_path}/in/images"


def test_the_yaml_itself_may_be_named_and_a_dataset_of_another_tool_is_accepted(tmp_path: Path) -> None:
    yolo_tree(tmp_path / "set", {"01-a": "+"})
    (tmp_path / "set/dataset.yaml").rename(tmp_path / "set/data.yaml")
    shutil.move(tmp_path / "set", tmp_path / "other")
    outcome = relocate(str(tmp_path / "other/data.yaml"))
    assert outcome.changed
    assert yaml.safe_load((tmp_path / "other/data.yaml").read_bytes())["path"] == str(tmp_path / "other")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"path: /old\ntrain: x\n", b'path: "/new"\ntrain: x\n'),
        (b"# note\ntrain: x\npath:   /old   # where\nnc: 1\n", b'# note\ntrain: x\npath:   "/new"   # where\nnc: 1\n'),
        (b"path: '/o''ld'\r\nnc: 1\r\n", b'path: "/new"\r\nnc: 1\r\n'),
        (b'{"path": "/old", "nc": 1}', b'{"path": "/new", "nc": 1}'),
        (b"train: x\n", b'path: "/new"\ntrain: x\n'),
        (b"planbalance:\n  path: /keep\npath: /old\n", b'planbalance:\n  path: /keep\npath: "/new"\n'),
        (b"path: /new\ntrain: x # kept as it is\n", b"path: /new\ntrain: x # kept as it is\n"),
        ("names: [Mêniskus]\npath: /old\n".encode(), 'names: [Mêniskus]\npath: "/new"\n'.encode()),
        (b"path:\ntrain: x\n", None),
    ],
)
def test_every_other_byte_of_the_yaml_is_kept(text: bytes, expected: bytes | None) -> None:
    result, _ = with_path(text, "/new", "x.yaml")
    assert yaml.safe_load(result)["path"] == "/new"
    if expected is not None:
        assert result == expected


@pytest.mark.parametrize("text", [b"", b"- a\n", b"path: [", b"\xff\xfe", b"just words", b"{a: 1}"])
def test_a_yaml_that_cannot_be_set_right_is_refused(text: bytes) -> None:
    with pytest.raises(InputError) as caught:
        with_path(text, "/new", "x.yaml")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_dataset_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        relocate(str(tmp_path / name))
    assert caught.value.exit_code == 3


def test_images_are_never_touched(tmp_path: Path) -> None:
    dataset = built(tmp_path, "hardlink")
    write(dataset / ".planbalance-relocate.new", b"a leftover")
    before = {k: v for k, v in tree_content(dataset).items() if k.startswith(("images", "labels"))}
    shutil.move(dataset, tmp_path / "moved")
    relocate(str(tmp_path / "moved"))
    assert {k: v for k, v in tree_content(tmp_path / "moved").items() if k.startswith(("images", "labels"))} == before
