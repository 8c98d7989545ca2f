"""Pictures that are the same or alike across splits, in data where all volumes show the same anatomy."""

import io
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from planbalance import api
from planbalance.audit import VerifyOptions, verify
from planbalance.errors import UsageError
from planbalance.model import Audit, Check, InputSpec
from planbalance.modes import Mode
from tests.audit.pictures import png
from tests.builders import write
from tests.mri import COPIES, IDENTICAL, Planted, plant, volume

CHECKS = ("duplicate-content", "duplicate-pixels", "near-duplicates")


def audit(path: Path, **options: Any) -> Audit:
    return verify(str(path), VerifyOptions(near_duplicates=True, **options))


def check(result: Audit, name: str) -> Check:
    return next(each for each in result.checks if each.name == name)


def said(result: Audit) -> set[tuple[str, str]]:
    """Return (copy, what it is a copy of) of all three checks."""
    return {
        (problem.path, next(word for word in problem.message.split() if word.startswith("/")))
        for name in CHECKS
        for problem in check(result, name).problems
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Planted], Audit]:
    root = tmp_path_factory.mktemp("mri")
    copies = plant(root, map(partial(volume, size=128, slices=14), range(15)), each=10)
    return root, copies, audit(root)


def test_copies_of_slices_that_show_something_are_found(planted: tuple[Path, list[Planted], Audit]) -> None:
    _, copies, result = planted
    # at half the benchmark's size, 2 pixels are twice as far
    shown = {(copy.path, copy.source) for copy in copies if not copy.dark and copy.kind != "shift of 2 pixels"}
    assert len(shown - said(result)) <= len(shown) / 20


def test_every_copy_with_the_same_pixels_is_found_however_dark(planted: tuple[Path, list[Planted], Audit]) -> None:
    _, copies, result = planted
    kept = {(copy.path, copy.source) for copy in copies if copy.kind in (IDENTICAL, next(iter(COPIES)))}
    assert kept <= said(result)
    assert check(result, "duplicate-content").ok is check(result, "duplicate-pixels").ok is False


def test_nothing_else_is_called_alike(planted: tuple[Path, list[Planted], Audit]) -> None:
    """The same anatomy in another person, and black slices, are no duplicates."""
    _, copies, result = planted
    assert said(result) <= {(copy.path, copy.source) for copy in copies}


def test_the_worst_pairs_can_be_looked_at(planted: tuple[Path, list[Planted], Audit]) -> None:
    _, _, result = planted
    problems = check(result, "near-duplicates").problems
    assert [pair.right.path for pair in result.look_alikes] == [problem.path for problem in problems][:24]
    ranks = [pair.likeness for pair in result.look_alikes]
    assert ranks == sorted(ranks, reverse=True)
    assert all(Path(look.path).is_file() for pair in result.look_alikes for look in (pair.left, pair.right))
    assert all(pair.left.split == "train" for pair in result.look_alikes)


def test_shares_and_moves_count_copies(planted: tuple[Path, list[Planted], Audit]) -> None:
    _, _, result = planted
    leaks = {(leak["from"], leak["to"]): leak for leak in result.leaks if leak["kind"] == "near-duplicates"}
    found = check(result, "near-duplicates").problems
    assert leaks["test", "train"]["slices"] == sum("/images/test/" in problem.path for problem in found)
    assert leaks["test", "train"]["to_move"] == leaks["train", "test"]["to_move"]
    # a copy is a volume of its own, its source lies in a train volume: the copies are what would have to move
    assert result.to_move == len(said(result))


def test_without_the_option_it_is_not_checked(planted: tuple[Path, list[Planted], Audit]) -> None:
    root, _, _ = planted
    result = verify(str(root), VerifyOptions())
    assert [check(result, name).ok for name in CHECKS] == [False, None, None]
    assert "look-alikes" in result.summary.partition("not checked")[2]


@pytest.mark.parametrize("mode", ["copy", "symlink"])
def test_a_built_dataset_is_looked_at_too(
    tmp_path: Path, planted: tuple[Path, list[Planted], Audit], mode: Mode
) -> None:
    root, copies, _ = planted
    for image in root.glob("images/*/*"):
        label = tmp_path / "labels" / image.relative_to(root / "images").with_suffix(".txt")
        write(label, b"0 0.5 0.5 0.1 0.1" if image.name.startswith("IM7-") else b"")
    spec = InputSpec("", images=str(root / "images"), labels=str(tmp_path / "labels"))
    api.build([spec], output=str(tmp_path / "out"), mode=mode, negatives_per_positive="all")
    result = audit(tmp_path / "out")
    originals = {frozenset((Path(copy.path).name, Path(copy.source).name)) for copy in copies}
    pairs = [
        frozenset((Path(pair.left.name).name, Path(pair.right.name).name))
        for pair in result.look_alikes  # the volumes were split anew: some copies came to lie beside their source
    ]
    assert pairs
    assert set(pairs) <= originals


def test_blank_slices_in_any_encoding_are_no_leak(tmp_path: Path) -> None:
    black = Image.new("L", (64, 64), 3)
    for split, kind in (("train", "JPEG"), ("val", "JPEG"), ("test", "PNG")):
        file = io.BytesIO()
        black.save(file, kind)
        write(tmp_path / f"images/{split}/IM1-{split}.{kind.lower()}", file.getvalue())
    result = audit(tmp_path)
    assert [check(result, name).ok for name in CHECKS] == [True] * 3
    assert "2 blank images" in check(result, "duplicate-content").reason
    assert result.to_move == 0


def test_what_cannot_be_decoded_is_said(tmp_path: Path) -> None:
    write(tmp_path / "images/train/IM1-1.png", b"no picture")
    write(tmp_path / "images/val/IM1-2.png", png([bytes(range(64))] * 64, 64))
    result = audit(tmp_path)
    assert "1 image NOT CHECKED: not a picture that can be decoded" in check(result, "near-duplicates").reason


def test_without_the_extra_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "images/train/IM1-1.png", b"1")
    monkeypatch.setitem(sys.modules, "planbalance.likeness", None)
    with pytest.raises(UsageError, match="needs numpy"):
        audit(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_pixels_that_are_no_numbers_are_no_fault_of_the_audit(tmp_path: Path, value: float) -> None:
    image = Image.new("F", (64, 64), 1.0)
    image.putpixel((3, 4), value)
    for split in ("train", "val"):
        image.save(tmp_path / f"{split}.tif")
        write(tmp_path / f"images/{split}/IM1-{split}.tif", (tmp_path / f"{split}.tif").read_bytes())
    assert not check(audit(tmp_path), "duplicate-content").ok
