"""Text files of image paths, as Windows, other machines and tools write them."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from planbalance.inputs.text_lists import TextList, joined, longest_end_here, read_text_list
from tests.builders import write


def with_images(root: Path, *paths: str) -> Path:
    for path in paths:
        write(root / path, b"x")
    return root


def listed(root: Path, text: bytes, name: str = "train.txt") -> TextList:
    return read_text_list(str(write(root / name, text)), str(root))


def below(root: Path, found: TextList) -> list[str]:
    return [image.removeprefix(f"{root}/") for image in found.images]


def lines(paths: Iterable[str], end: str = "\n") -> bytes:
    return "".join(f"{path}{end}" for path in paths).encode()


PATHS = ("images/train/a.png", "images/train/b.png", "images/val/c.png")


@pytest.mark.parametrize("start", ["", "./"])
def test_a_plain_list(tmp_path: Path, start: str) -> None:
    found = listed(with_images(tmp_path, *PATHS), lines(start + path for path in PATHS))
    assert below(tmp_path, found) == list(PATHS)
    assert found == TextList(found.images, [])


@pytest.mark.parametrize("start", [".\\", "", "D:\\data\\knee\\"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_list_from_windows(tmp_path: Path, start: str, mark: bytes) -> None:
    with_images(tmp_path, *PATHS)
    found = listed(tmp_path, mark + lines((start + path.replace("/", "\\") for path in PATHS), "\r\n"))
    assert below(tmp_path, found) == list(PATHS)
    assert found.backslashes
    assert (found.moved, found.below) == (("D:\\data\\knee", str(tmp_path)) if start.startswith("D") else ("", ""))


def test_a_backslash_may_be_a_letter_of_a_name(tmp_path: Path) -> None:
    found = listed(with_images(tmp_path, "images/a\\b.png"), b"images/a\\b.png\n")
    assert (below(tmp_path, found), found.backslashes) == (["images/a\\b.png"], False)


def test_a_list_that_powershell_wrote(tmp_path: Path) -> None:
    found = listed(with_images(tmp_path, *PATHS), b"\xff\xfe" + "\r\n".join(PATHS).encode("utf-16-le"))
    assert (below(tmp_path, found), found.encoding) == (list(PATHS), "UTF-16")


@pytest.mark.parametrize("start", ["/mnt/lab/knee/", "knee/", "C:/Users/me/knee/"])
def test_paths_of_another_machine(tmp_path: Path, start: str) -> None:
    found = listed(with_images(tmp_path, *PATHS), lines(start + path for path in PATHS))
    assert below(tmp_path, found) == list(PATHS)
    assert found.moved.endswith(start.strip("/"))
    assert found.below == str(tmp_path)


def test_images_that_lay_beside_the_list(tmp_path: Path) -> None:
    found = listed(with_images(tmp_path, "a.png", "b.png"), b"/mnt/knee/a.png\n/mnt/knee/b.png\n")
    assert (below(tmp_path, found), found.moved) == (["a.png", "b.png"], "/mnt/knee")


def test_a_few_images_may_be_gone(tmp_path: Path) -> None:
    paths = [f"images/{number}.png" for number in range(100)]
    with_images(tmp_path, *paths[3:])
    found = listed(tmp_path, lines(f"/mnt/{path}" for path in paths))
    assert below(tmp_path, found) == paths


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (lines(["/mnt/one/images/train/a.png", "/mnt/two/images/val/c.png"]), "two beginnings"),
        (lines(["/mnt/one/images/train/x.png", "/mnt/one/images/train/y.png"]), "other names"),
        (lines(["/mnt/one/pictures/a.png"]), "no such folder"),
    ],
)
def test_what_is_not_clear_is_lost(tmp_path: Path, text: bytes, reason: str) -> None:
    found = listed(with_images(tmp_path, *PATHS), text)
    assert found.lost == text.decode().splitlines()[0], reason
    assert found.moved == ""


def test_where_some_folders_are_here_nothing_is_guessed(tmp_path: Path) -> None:
    with_images(tmp_path, *PATHS)
    found = listed(tmp_path, lines(["images/train/a.png", "/mnt/one/images/val/nothing.png"]))
    assert (found.lost, found.moved) == ("", "")
    assert found.images[1] == "/mnt/one/images/val/nothing.png"


def test_lines_that_name_no_image(tmp_path: Path) -> None:
    assert listed(with_images(tmp_path, *PATHS), b"images/train/a.png\nnotes\n\n# x\n").passed_over == [2, 4]


def test_the_end_of_a_path_that_is_here(tmp_path: Path) -> None:
    with_images(tmp_path, *PATHS)
    assert longest_end_here("/content/knee/images/train", str(tmp_path)) == (
        f"{tmp_path}/images/train",
        "/content/knee",
    )
    assert longest_end_here("D:/knee/images", str(tmp_path)) == (f"{tmp_path}/images", "D:/knee")
    assert longest_end_here("/content/pictures", str(tmp_path)) is None


def test_joined() -> None:
    assert joined("/d", "./a/../b/") == "/d/b"
    assert joined("/d", "/e/f") == "/e/f"
    assert joined("/d", "D:/knee/./x") == "D:/knee/x"
