"""Images and tars of known files, written from their layouts; and the programs that read them back."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from planbalance.packed import tar_layout
from planbalance.packed.entry import Files
from planbalance.packed.reader import PackedReader, open_packed
from planbalance.packed.squashfs_layout import SquashfsLayout
from planbalance.packed.tar_layout import TarLayout

BOUNDARY = 1 << 20
LARGE = 1 << 24  # the content of a file from this size on is zeros but for its first and last bytes


class Group(NamedTuple):
    """Files of a folder, and whether they share fragment blocks."""

    files: Files
    fragments: bool = False


def group(folder: str, sizes: dict[str, int], *, fragments: bool = False, time: int = 1_700_000_000) -> Group:
    """Return a group of files with different times."""
    times = [time + 7 * number for number in range(len(sizes))]
    return Group(Files(folder, list(sizes), list(sizes.values()), times), fragments)


def path_of(files: Files, name: str) -> str:
    return f"{files.folder}/{name}" if files.folder else name


def content(path: str, size: int) -> bytes:
    """Return the content of a file, which differs from that of other paths."""
    word = hashlib.sha256(path.encode()).digest()
    return (word * (size // len(word) + 1))[:size]


def write_pieces(fd: int, path: str, size: int, at: int) -> None:
    """Write a file's content; of a large one its first and last bytes alone, so that it is sparse."""
    if size < LARGE:
        os.pwrite(fd, content(path, size), at)
        return
    piece = content(path, BOUNDARY)
    os.pwrite(fd, piece, at)
    os.pwrite(fd, piece, at + size - len(piece))


def write_squashfs(image: Path, groups: Sequence[Group], *, first: int = 0, boundary: int = BOUNDARY) -> None:
    """Write an image; the content of its first group begins at `first` or behind it, the others at `boundary`."""
    layout = SquashfsLayout()
    layout.end = max(layout.end, first)
    fd = os.open(image, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        for files, fragments in groups:
            starts = layout.add(files, fragments=fragments)
            for name, size, at in zip(files.names, files.sizes, starts, strict=True):
                write_pieces(fd, path_of(files, name), size, at)
            layout.align(boundary)
        os.pwrite(fd, layout.tables(), layout.end)
        os.pwrite(fd, layout.superblock(), 0)
        assert os.fstat(fd).st_size == layout.size
    finally:
        os.close(fd)


def write_tar(tar: Path, groups: Sequence[Group], *, boundary: int = BOUNDARY) -> None:
    """Write a tar, with a filler before each group."""
    layout = TarLayout(files.folder for files, _ in groups)
    fd = os.open(tar, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        os.pwrite(fd, layout.folders, 0)
        for files, _ in groups:
            before = layout.end
            if files.names:
                filler = tar_layout.filler(layout.align(boundary) - before)
                os.pwrite(fd, filler, before)
            starts = layout.add(files)
            for name, size, mtime, at in zip(files.names, files.sizes, files.times, starts, strict=True):
                path = path_of(files, name)
                header = tar_layout.header(path, size, mtime, files.mode)
                os.pwrite(fd, header, at)
                write_pieces(fd, path, size, at + len(header))
        os.pwrite(fd, layout.tail(), layout.end)
        assert os.fstat(fd).st_size == layout.size
    finally:
        os.close(fd)


@contextmanager
def reading(image: Path) -> Iterator[PackedReader]:
    """Open an image or tar with our own reader."""
    fd = os.open(image, os.O_RDONLY)
    try:
        yield open_packed(lambda at, size: os.pread(fd, size, at), os.fstat(fd).st_size)
    finally:
        os.close(fd)


# ---- what is compared -----------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """One file as a program shows it."""

    size: int
    mtime: int
    mode: int
    sha256: str


def expected(groups: Sequence[Group]) -> tuple[dict[str, Found], set[str]]:
    """Return every file, and the paths of all folders."""
    files, folders = {}, set()
    for each, _ in groups:
        parts = each.folder.split("/") if each.folder else []
        folders |= {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
        for name, size, mtime in zip(each.names, each.sizes, each.times, strict=True):
            path = path_of(each, name)
            files[path] = Found(size, mtime, each.mode, _digest(_pieces(path, size)))
    return files, folders


def _pieces(path: str, size: int) -> Iterator[bytes]:
    if size < LARGE:
        yield content(path, size)
        return
    piece = content(path, BOUNDARY)
    yield piece
    zeros = bytes(BOUNDARY)
    left = size - 2 * len(piece)
    while left:
        yield zeros[:left]
        left -= min(left, BOUNDARY)
    yield piece


def _digest(parts: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def found_below(root: Path) -> tuple[dict[str, Found], set[str]]:
    """Return every file below a folder, and the paths of all folders; folders must have the mode 0755."""
    files, folders = {}, set()
    for folder, inner, names in os.walk(os.fsencode(root)):
        below = os.fsdecode(os.path.relpath(folder, os.fsencode(root)))
        lead = "" if below == "." else f"{below}/"
        for name in inner:
            folders.add(lead + os.fsdecode(name))
            assert os.lstat(os.path.join(folder, name)).st_mode & 0o7777 == 0o755
        for name in names:
            path = os.path.join(folder, name)
            now = os.lstat(path)
            with open(path, "rb") as file:
                sha256 = _digest(iter(lambda file=file: file.read(BOUNDARY), b""))  # type: ignore[misc] # bound now
            files[lead + os.fsdecode(name)] = Found(now.st_size, int(now.st_mtime), now.st_mode & 0o7777, sha256)
    return files, folders


def found_by_reader(image: Path) -> tuple[dict[str, Found], set[str]]:
    """Return the same by our own reader."""
    files, folders = {}, set()
    with reading(image) as reader:
        for entry in reader.entries():
            if entry.kind == "folder":
                folders.add(entry.path)
                assert entry.mode == 0o755
            else:
                assert entry.kind == "file"
                files[entry.path] = Found(entry.size, entry.mtime, entry.mode, _digest(reader.chunks(entry)))
    return files, folders


def found_by_tarfile(tar: Path) -> tuple[dict[str, Found], set[str]]:
    """Return the same by Python's tarfile."""
    files, folders = {}, set()
    with tarfile.open(tar) as opened:
        for member in opened:
            if member.isdir():
                folders.add(member.name)
                assert member.mode == 0o755
                continue
            taken = opened.extractfile(member)
            assert taken is not None
            assert (member.uid, member.gid) == (0, 0)
            sha256 = _digest(iter(lambda taken=taken: taken.read(BOUNDARY), b""))  # type: ignore[misc] # bound now
            files[member.name] = Found(member.size, int(member.mtime), member.mode, sha256)
    return files, folders


def found_by_pysquashfs(image: Path) -> tuple[dict[str, Found], set[str]]:
    """Return the same by PySquashfsImage."""
    module: Any = pytest.importorskip("PySquashfsImage")
    files, folders = {}, set()
    with module.SquashFsImage.from_file(str(image)) as opened:
        for member in opened:
            path = member.path.lstrip("/")
            if member.is_dir:
                folders |= {path} - {""}
            else:
                sha256 = hashlib.sha256(member.read_bytes()).hexdigest()
                files[path] = Found(member.size, int(member.time), member.mode & 0o7777, sha256)
    return files, folders


# ---- programs -------------------------------------------------------------------------------------------------------


def need(*programs: str) -> None:
    """Skip where a program is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}")


@contextmanager
def mounted_by_kernel(image: Path, at: Path) -> Iterator[Path]:
    """Mount an image on a loop device; skips where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    at.mkdir()
    told = subprocess.run(
        ["mount", "-t", "squashfs", "-o", "loop,ro", str(image), str(at)], capture_output=True, text=True, check=False
    )
    if told.returncode != 0 and _cannot_loop(told.stderr):
        pytest.skip(f"mounting is not allowed here: {told.stderr.strip()}")
    assert told.returncode == 0, told.stderr
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def _cannot_loop(text: str) -> bool:
    return any(word in text for word in ("loop device", "unknown filesystem", "permission denied", "not permitted"))


@contextmanager
def mounted_by_fuse(program: str, image: Path, at: Path) -> Iterator[Path]:
    """Mount an image by squashfuse or squashfuse_ll; skips where there is none, or no FUSE."""
    need(program)
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse may not be opened here")
    at.mkdir()
    told = subprocess.run([program, str(image), str(at)], capture_output=True, text=True, check=False)
    if told.returncode != 0 and "fuse" in told.stderr.lower() and "mount" in told.stderr.lower():
        pytest.skip(f"FUSE is not allowed here: {told.stderr.strip()}")
    assert told.returncode == 0, told.stderr
    try:
        yield at
    finally:
        subprocess.run([*(["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]), str(at)], check=True)


@contextmanager
def unpacked_by_unsquashfs(image: Path, at: Path) -> Iterator[Path]:
    need("unsquashfs")
    subprocess.run(["unsquashfs", "-no-progress", "-d", str(at), str(image)], capture_output=True, check=True)
    yield at


@contextmanager
def unpacked_by_tar(tar: Path, at: Path) -> Iterator[Path]:
    need("tar")
    at.mkdir()
    told = subprocess.run(
        ["tar", "--warning=no-timestamp", "-xpf", str(tar), "-C", str(at)], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")
    yield at


Show = Callable[[Path, Path], tuple[dict[str, Found], set[str]]]


def _by_kernel(image: Path, at: Path) -> tuple[dict[str, Found], set[str]]:
    with mounted_by_kernel(image, at) as root:
        return found_below(root)


def _by_fuse(program: str) -> Show:
    def show(image: Path, at: Path) -> tuple[dict[str, Found], set[str]]:
        with mounted_by_fuse(program, image, at) as root:
            return found_below(root)

    return show


def _by_unsquashfs(image: Path, at: Path) -> tuple[dict[str, Found], set[str]]:
    with unpacked_by_unsquashfs(image, at) as root:
        return found_below(root)


def _by_gnu_tar(tar: Path, at: Path) -> tuple[dict[str, Found], set[str]]:
    with unpacked_by_tar(tar, at) as root:
        return found_below(root)


SQUASHFS_PROGRAMS: dict[str, Show] = {
    "our reader": lambda image, _: found_by_reader(image),
    "the kernel": _by_kernel,
    "squashfuse": _by_fuse("squashfuse"),
    "squashfuse_ll": _by_fuse("squashfuse_ll"),
    "unsquashfs": _by_unsquashfs,
    "PySquashfsImage": lambda image, _: found_by_pysquashfs(image),
}
TAR_PROGRAMS: dict[str, Show] = {
    "our reader": lambda tar, _: found_by_reader(tar),
    "GNU tar": _by_gnu_tar,
    "tarfile": lambda tar, _: found_by_tarfile(tar),
}
