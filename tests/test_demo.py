"""The demo's dataset: readable pictures, a tear where the label says so, the same bytes on every run."""

from pathlib import Path

import pytest
from PIL import ImageChops

from planbalance import demo
from planbalance.decode import probe
from planbalance.errors import PlanError
from planbalance.labels import read_label
from tests.builders import tree_content, tree_state, write

TEARS = [(volume, number) for volume in demo.knees(42) for number in volume.tears]


def test_a_tear_is_bright_in_its_box_and_only_where_it_is_said() -> None:
    for volume, number in TEARS:
        picture, box = demo.draw_slice(volume, number)
        assert (picture.mode, picture.size) == ("L", (demo.SIZE, demo.SIZE))
        assert box is not None
        whole, _ = demo.draw_slice(volume._replace(tears=range(0)), number)
        different = ImageChops.difference(picture, whole).getbbox()
        assert different is not None
        assert max(picture.crop(different).tobytes()) > 220
        left, top, right, bottom = different
        assert (box.left <= left + 0.5, box.top <= top + 0.5) == (True, True)
        assert (right - 0.5 <= box.right, bottom - 0.5 <= box.bottom) == (True, True)


def test_labels_are_valid_and_lie_in_the_picture() -> None:
    for volume, number in TEARS:
        box = demo.draw_slice(volume, number)[1]
        assert box is not None
        facts = read_label(box.label().encode(), 1)
        assert (facts.annotations, facts.classes, facts.problems) == (1, (0,), ())


def test_positive_volumes_hold_negative_slices_too() -> None:
    volumes = list(demo.knees(42))
    positive = [volume for volume in volumes if volume.tears]
    assert (len(volumes), len(positive)) == (36, 12)
    assert len({volume.id for volume in volumes}) == 36
    for volume in positive:
        assert 1 < volume.tears.start < volume.tears.stop <= volume.slices


def test_no_two_slices_are_alike() -> None:
    pictures = [
        demo.draw_slice(volume, number)[0].tobytes()
        for volume in list(demo.knees(1))[:6]
        for number in range(1, volume.slices + 1)
    ]
    assert len(set(pictures)) == len(pictures)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "VOLUMES", 6)
    for name in ("one", "two"):
        demo.write_dataset(str(tmp_path / name), seed=7)
    assert {probe(path.read_bytes()) for path in (tmp_path / "one").rglob("*.png")} == {("PNG", demo.SIZE, demo.SIZE)}
    assert tree_content(tmp_path / "one") == tree_content(tmp_path / "two")
    assert (tmp_path / "one/dataset.yaml").read_text().endswith("0: tear\n")
    assert list(demo.knees(7)) != list(demo.knees(8))


def test_a_users_folder_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "mine/notes.txt", b"mine")
    write(tmp_path / "file", b"mine")
    before = tree_state(tmp_path)
    for name in ("mine", "file"):
        with pytest.raises(PlanError, match=r"not a folder|not made by a demo"):
            demo.prepare_folder(str(tmp_path / name))
    assert tree_state(tmp_path) == before


def test_its_own_folder_is_made_afresh_and_what_is_not_its_own_stays(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo.prepare_folder(str(folder))
    write(folder / demo.DATASET / "images/old.png", b"x")
    write(folder / demo.PLAN, b"x")
    write(folder / demo.PAGE, b"x")
    write(folder / "notes.txt", b"mine")
    write(tmp_path / "elsewhere/kept.txt", b"mine")
    (folder / demo.OUTPUT).symlink_to(tmp_path / "elsewhere")
    demo.prepare_folder(str(folder))
    assert sorted(path.name for path in folder.iterdir()) == sorted((demo.MARKER, demo.OUTPUT, "notes.txt"))
    assert (tmp_path / "elsewhere/kept.txt").exists()
