"""What the layouts promise, read back by every program that can be had: all names, bytes, sizes, times and modes."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.packed import tar_layout
from planbalance.packed.entry import Files
from planbalance.packed.squashfs_layout import SquashfsLayout
from tests.packed import images
from tests.packed.images import Group, group

BLOCK = 131_072
# One letter of each plane that Unicode uses, and names that file systems and shells find hard.
NAMES = [
    "a", "ä.png", "ﷺ.png", "𝄞.png", "𠀀.png", "𰀀.png", "\U000e0041.png", "\U000f0000.png", "\U0010fffd.png",
    "x" * 255, "é" * 127, "with space", "-r", "*?[", "new'line", 'quote"', "back\\slash", "~", "#", "ﬁ", "ﬁ.txt",
    "ends.", "...", "UPPER", "upper",
]  # fmt: skip
TREES: dict[str, list[Group]] = {
    "no file": [],
    "one file": [group("images/train", {"a.png": 10})],
    "one empty file": [group("", {"a.png": 0}, fragments=True)],
    "sizes around a block": [
        group("images/train", {f"{size}.png": size for size in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK)}),
        group("labels/train", {f"{size}.txt": size for size in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1)}, fragments=True),
        group("labels/val", {f"{size:05}.txt": size for size in range(0, 2_000, 7)}, fragments=True),
    ],
    "names": [group("ä/𝄞", dict.fromkeys(NAMES, 3)), group("x" * 255, {"y" * 255: 1}), group("", {"root.txt": 5})],
    "folders": [
        group("/".join("abcdefgh"), {"deep": 1}),
        group("images/train", {f"{number}": number for number in range(257)}),
        group("images/train/sub", {"x": 1}),
        group("images", {"a": 1, "train.png": 2, "zz": 3}),
    ],
    "times": [
        Group(Files("t", ["a", "b", "c"], [1, 1, 1], [0, 0xFFFFFFFF, 1_234_567_890])),
    ],
    "long paths": [group("/".join(["d" * 60] * number), {"n" * 90: 4}) for number in range(1, 6)],
}


def compare(show: images.Show, image: Path, groups: Sequence[Group], at: Path) -> None:
    files, folders = show(image, at)
    wanted_files, wanted_folders = images.expected(groups)
    assert folders == wanted_folders
    assert files == wanted_files


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("program", images.SQUASHFS_PROGRAMS)
def test_an_image_holds_what_was_laid_out(tmp_path: Path, program: str, tree: str) -> None:
    images.write_squashfs(tmp_path / "i.sqfs", TREES[tree])
    compare(images.SQUASHFS_PROGRAMS[program], tmp_path / "i.sqfs", TREES[tree], tmp_path / "at")


@pytest.mark.parametrize("tree", [name for name in TREES if name != "no file"])
@pytest.mark.parametrize("program", images.TAR_PROGRAMS)
def test_a_tar_holds_what_was_laid_out(tmp_path: Path, program: str, tree: str) -> None:
    images.write_tar(tmp_path / "i.tar", TREES[tree])
    compare(images.TAR_PROGRAMS[program], tmp_path / "i.tar", TREES[tree], tmp_path / "at")


@pytest.mark.parametrize("program", images.SQUASHFS_PROGRAMS)
def test_content_may_lie_behind_4_gib(tmp_path: Path, program: str) -> None:
    tree = [
        group("images/train", {"a.png": 5, "b.png": BLOCK, "c.png": 3 * BLOCK + 1}),
        group("labels/train", {"a.txt": 5, "b.txt": 0, "c.txt": BLOCK + 7}, fragments=True),
    ]
    images.write_squashfs(tmp_path / "i.sqfs", tree, first=(1 << 32) - 3)
    compare(images.SQUASHFS_PROGRAMS[program], tmp_path / "i.sqfs", tree, tmp_path / "at")


FIVE_GIB = [group("images/train", {"a.png": 5 << 30, "b.png": 9}), group("labels/train", {"a.txt": 1}, fragments=True)]


@pytest.mark.parametrize("program", [name for name in images.SQUASHFS_PROGRAMS if name != "PySquashfsImage"])
def test_a_file_of_5_gib_is_read_at_both_ends(tmp_path: Path, program: str) -> None:
    images.write_squashfs(tmp_path / "i.sqfs", FIVE_GIB)
    if program == "the kernel":
        with images.mounted_by_kernel(tmp_path / "i.sqfs", tmp_path / "at") as root:
            _both_ends(root / "images/train/a.png")
    elif program.startswith("squashfuse"):
        with images.mounted_by_fuse(program, tmp_path / "i.sqfs", tmp_path / "at") as root:
            _both_ends(root / "images/train/a.png")
    elif program == "our reader":
        with images.reading(tmp_path / "i.sqfs") as reader:
            sizes = {entry.path: (entry.size, reader.runs(entry)) for entry in reader.entries()}
            assert sizes["images/train/a.png"] == (5 << 30, (96, 5 << 30))


def _both_ends(file: Path) -> None:
    piece = images.content("images/train/a.png", images.BOUNDARY)
    with open(file, "rb") as opened:
        assert opened.seek(0, os.SEEK_END) == 5 << 30
        for at in (0, (5 << 30) - len(piece)):
            opened.seek(at)
            assert opened.read(len(piece)) == piece
        opened.seek(3 << 30)
        assert opened.read(BLOCK) == bytes(BLOCK)


@pytest.mark.torture(row=10)
@pytest.mark.parametrize("program", images.SQUASHFS_PROGRAMS)
def test_a_file_of_5_gib_is_read_whole(tmp_path: Path, program: str) -> None:
    if program == "PySquashfsImage":
        pytest.skip("PySquashfsImage reads a whole file into memory")
    images.write_squashfs(tmp_path / "i.sqfs", FIVE_GIB)
    compare(images.SQUASHFS_PROGRAMS[program], tmp_path / "i.sqfs", FIVE_GIB, tmp_path / "at")


def flat(count: int) -> list[Group]:
    """Return a flat folder of images with their labels."""
    return [
        group("images/train", {f"IM{number:06}.png": number % 300 for number in range(count)}),
        group("labels/train", {f"IM{number:06}.txt": number % 97 for number in range(count)}, fragments=True),
    ]


@pytest.mark.parametrize("program", images.SQUASHFS_PROGRAMS)
def test_a_folder_of_many_names_has_an_index(tmp_path: Path, program: str) -> None:
    tree = flat(2_500)
    images.write_squashfs(tmp_path / "i.sqfs", tree)
    compare(images.SQUASHFS_PROGRAMS[program], tmp_path / "i.sqfs", tree, tmp_path / "at")


@pytest.mark.torture(row=10)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [32_768, 100_000, 150_000])
@pytest.mark.parametrize("program", images.SQUASHFS_PROGRAMS)
def test_images_of_300_000_files_and_folders_of_100_000_names(tmp_path: Path, program: str, count: int) -> None:
    tree = flat(count)
    images.write_squashfs(tmp_path / "i.sqfs", tree)
    compare(images.SQUASHFS_PROGRAMS[program], tmp_path / "i.sqfs", tree, tmp_path / "at")


@pytest.mark.torture(row=10)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [32_768, 150_000])
@pytest.mark.parametrize("program", images.TAR_PROGRAMS)
def test_tars_of_300_000_files(tmp_path: Path, program: str, count: int) -> None:
    tree = flat(count)
    images.write_tar(tmp_path / "i.tar", tree)
    compare(images.TAR_PROGRAMS[program], tmp_path / "i.tar", tree, tmp_path / "at")


@pytest.mark.parametrize("program", ["the kernel", "squashfuse_ll"])
def test_each_name_of_a_large_folder_is_found(tmp_path: Path, program: str) -> None:
    names = [f"{'x' * 230}{number:06}.png" for number in range(0, 12_000, 3)]  # 1 MB of names
    images.write_squashfs(tmp_path / "i.sqfs", [group("images/train", dict.fromkeys(names, 1))])
    mount = (
        images.mounted_by_kernel(tmp_path / "i.sqfs", tmp_path / "at")
        if program == "the kernel"
        else images.mounted_by_fuse(program, tmp_path / "i.sqfs", tmp_path / "at")
    )
    with mount as root:
        for name in reversed(names):
            assert os.stat(root / "images/train" / name).st_size == 1
        assert not (root / "images/train" / f"{'x' * 230}000001.png").exists()
        assert sorted(os.listdir(root / "images/train")) == names


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """Pinned: an image that is resumed by another version must be the same image."""
    images.write_squashfs(tmp_path / "i.sqfs", TREES["sizes around a block"])
    images.write_tar(tmp_path / "i.tar", TREES["sizes around a block"])
    sums = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()[:16] for name in ("i.sqfs", "i.tar")]
    assert sums == ["64faa14eb9c77ced", "f56e76cf784b4738"]


@pytest.mark.parametrize("tree", [*TREES.values(), flat(1_000), flat(9_000)])
def test_the_size_is_known_before_any_content(tree: list[Group]) -> None:
    layout = SquashfsLayout()
    for each, fragments in tree:
        layout.add(each, fragments=fragments)
    most = layout.most
    assert layout.size == layout.end + len(layout.tables())
    assert layout.size % 4096 == 0
    assert layout.size <= most


LETTERS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=40)


@given(
    folders=st.dictionaries(
        st.lists(LETTERS.filter(lambda name: name not in {".", ".."}), max_size=6).map("/".join),
        st.tuples(st.dictionaries(LETTERS, st.integers(0, 400_000), max_size=40), st.booleans()),
        max_size=8,
    )
)
def test_the_most_that_an_image_takes_is_never_less_than_its_size(
    folders: dict[str, tuple[dict[str, int], bool]],
) -> None:
    layout = SquashfsLayout()
    for folder, (sizes, fragments) in folders.items():
        layout.add(group(folder, sizes).files, fragments=fragments)
    assert layout.size <= layout.most


@given(
    paths=st.lists(LETTERS, min_size=1, max_size=20, unique=True),
    sizes=st.lists(st.integers(0, 10**11), min_size=20, max_size=20),
    folder=st.text("abc/é", max_size=200).map(lambda text: "/".join(filter(None, text.split("/")))),
)
def test_the_header_of_a_tar_has_the_length_that_its_layout_says(
    paths: list[str], sizes: list[int], folder: str
) -> None:
    files = Files(folder, paths, sizes[: len(paths)], [0] * len(paths))
    starts, end = tar_layout.offsets(512, files)
    for name, size, at, following in zip(paths, files.sizes, starts, [*starts[1:], end], strict=True):
        header = tar_layout.header(f"{folder}/{name}" if folder else name, size, 5)
        assert following - at == len(header) + size + -size % 512
        assert len(header) % 512 == 0


@pytest.mark.parametrize("length", [1024, 1536, 4096, 1 << 20, (1 << 20) + 512])
def test_a_filler_has_the_length_that_is_asked_for(length: int) -> None:
    assert len(tar_layout.filler(length)) == length
