import hashlib
import random

import pytest

from planbalance.audit.documents import Manifest, manifest_sums


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def text_of(paths: list[str]) -> bytes:
    return "".join(f"{digest(path)}  {path}\n" for path in paths).encode()


PATHS = sorted(
    [
        "metadata.json",
        *(f"images/train/{name}.png" for name in ("IM1-1", "IM1-10", "IM1-1é", "IM2", "a b", "z")),
        *(f"images/train/sub/{number}.png" for number in range(3)),
        *(f"labels/{split}/{number}.txt" for split in ("train", "val") for number in range(7)),
    ],
    key=str.encode,
)


def of_folder(folder: str) -> list[str]:
    return [path.rpartition("/")[2] for path in PATHS if path.rpartition("/")[0] == folder]


def test_the_lines_of_a_folder_are_one_stretch_whatever_the_order_in_which_they_are_asked_for() -> None:
    manifest = Manifest(text_of(PATHS))
    for folder in ("", "images/train/sub", "labels/train", "labels/val"):
        names = random.Random(3).sample(of_folder(folder), len(of_folder(folder)))
        paths = [f"{folder}/{name}" if folder else name for name in names]
        size = len(text_of(paths))
        assert manifest.length_of_lines(folder, names, None) == size
        assert manifest.length_of_lines(folder, names, [digest(path) for path in paths]) == size
    assert manifest.length_of_lines("labels/train", of_folder("labels/train")[:4], None) == len(text_of(PATHS[-14:-10]))


def test_what_does_not_stand_together_or_has_another_sum_is_no_stretch() -> None:
    manifest = Manifest(text_of(PATHS))
    names = of_folder("labels/val")
    sums = [digest(f"labels/val/{name}") for name in names]
    assert (
        manifest.length_of_lines("images/train", of_folder("images/train"), None) == 0
    )  # a folder's lines lie between them
    assert manifest.length_of_lines("labels/val", [*names, "9.txt"], None) == 0
    assert manifest.length_of_lines("labels/val", [names[0], *names[2:]], None) == 0
    assert manifest.length_of_lines("labels/val", names, [*sums[:-1], sums[0]]) == 0
    assert manifest.length_of_lines("labels/val", names, [*sums[:-1], ""]) == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_sum_is_found_in_any_order_and_spelling(seed: int) -> None:
    draw = random.Random(seed)
    lines = text_of(draw.sample(PATHS, len(PATHS)) if seed % 2 else PATHS).splitlines(keepends=True)
    if seed % 3 == 0:
        lines.insert(draw.randrange(len(lines)), b"no sum\n")
        lines[-2] = lines[-2].replace(b"  ", b" *", 1)
    data = b"".join(lines)
    sums, _ = manifest_sums(data)
    assert len(sums) == len(PATHS)
    manifest = Manifest(data)
    for path in PATHS:
        assert manifest.sum_of(path) == sums[path] == digest(path)
    assert manifest.sum_of("images/train/none.png") is None


@pytest.mark.parametrize("data", [b"", b"\n", b"x", b"\n\n\n", b"a" * 200, b"\xff" * 70 + b"\n"])
def test_what_is_no_manifest_names_nothing(data: bytes) -> None:
    manifest = Manifest(data)
    assert manifest.length_of_lines("images/train", ["a.png"], None) == 0
    assert manifest.length_of_lines("images/train", ["a.png"], [digest("a")]) == 0
    assert manifest.sum_of("images/train/a.png") is None
