"""The one module that writes below an output: never through a link, never over a name, never more than it says."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from planbalance import fs, lock_owner, platform_calls
from tests.builders import tree_state, write
from tests.faults import faulty
from tests.systems import needs_boot_id, needs_linux, needs_rename_new


@pytest.fixture(params=["openat2", "step by step"])
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[fs.Tree]:
    """A tree on a kernel with openat2(2), and on one without."""
    (tmp_path / "tree").mkdir()
    opened = fs.Tree(str(tmp_path / "tree"))
    if request.param != "openat2":
        refuse(monkeypatch, errno.ENOSYS, "openat2")
    elif not _has_openat2(opened):
        pytest.skip("this kernel lacks openat2")
    yield opened
    opened.close()


def refuse(monkeypatch: pytest.MonkeyPatch, number: int, name: str) -> None:
    """Let a system call fail that Python's os module lacks."""

    class Refusing:
        def __getattr__(self, asked: str) -> Any:
            return self.refuse if asked == name else getattr(libc, asked)

        def refuse(self, *_: object) -> None:
            raise OSError(number, os.strerror(number))

    libc = fs._libc
    monkeypatch.setattr(fs, "_libc", Refusing())  # the C library: no argument carries it


def _has_openat2(tree: fs.Tree) -> bool:
    try:
        os.close(fs._libc.openat2(".", tree.fd, os.O_RDONLY, 0))
    except OSError:
        return False
    return True


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


# ---- folders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "expected"),
    [("/a/b/set", "/a/b/.set.planbalance-partial"), ("/set", "/.set.planbalance-partial")],
)
def test_the_staging_folder_stands_beside_the_output(output: str, expected: str) -> None:
    assert fs.partial_path(output) == expected


def test_missing_folders_are_made_only_where_asked(tree: fs.Tree) -> None:
    with pytest.raises(FileNotFoundError):
        tree.folder("images/train")
    os.close(tree.folder("images/train", make=True))
    os.close(tree.folder("images/train"))
    assert Path(tree.path, "images/train").is_dir()


@pytest.mark.parametrize("link", ["images", "images/train"])
def test_a_link_in_the_place_of_a_folder_is_never_followed(tree: fs.Tree, tmp_path: Path, link: str) -> None:
    (tmp_path / "outside/train").mkdir(parents=True)
    Path(tree.path, link).parent.mkdir(exist_ok=True)
    Path(tree.path, link).symlink_to(tmp_path / "outside")
    for make in (False, True):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - which errno depends on the kernel
            tree.folder("images/train/x", make=make)
        assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR)
    assert os.listdir(tmp_path / "outside/train") == []


def test_a_parent_swapped_for_a_link_again_and_again_leads_nowhere(tree: fs.Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "b").mkdir(parents=True)
    inside, aside, stop = Path(tree.path, "a"), Path(tree.path, "aside"), threading.Event()
    (inside / "b").mkdir(parents=True)

    def swap() -> None:
        while not stop.is_set():
            inside.rename(aside)
            inside.symlink_to(outside)
            inside.unlink()
            aside.rename(inside)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(1_000):
            try:
                fd = tree.folder("a/b")
            except OSError:
                continue
            fs.write_new(f"{number}", fd, b"x")
            os.close(fd)
    finally:
        stop.set()
        swapper.join()
    assert os.listdir(outside / "b") == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EINVAL])
def test_a_kernel_without_openat2_is_asked_once(tmp_path: Path, number: int) -> None:
    """EPERM: a container whose filter of system calls is older than the kernel."""

    def act(count: int, name: str, real: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        if name == "openat2":
            raise OSError(number, os.strerror(number))
        return faulty.only_count(count, name, real, args, kwargs)  # type: ignore[arg-type]  # a callable

    with faulty.calls(act) as seen:
        tree = fs.Tree(str(tmp_path))
        os.close(tree.folder("a/b", make=True))
        os.close(tree.folder("a/b"))
        tree.close()
    assert seen.seen.count("openat2") == 1
    assert (tmp_path / "a/b").is_dir()


def test_a_folder_that_is_there_is_opened_by_one_call(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    tree = fs.Tree(str(tmp_path))
    if not _has_openat2(tree):
        pytest.skip("this kernel lacks openat2")
    with faulty.calls(faulty.only_count) as seen:
        os.close(tree.folder("a/b/c"))
    tree.close()
    assert seen.seen == ["openat2"]


@pytest.mark.parametrize("make", [False, True])
@pytest.mark.parametrize("path", ["..", "a/../..", "/etc"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str, *, make: bool) -> None:
    """By the kernel where folders are opened, by us where they are made."""
    (tmp_path / "tree/a").mkdir(parents=True)
    tree = fs.Tree(str(tmp_path / "tree"))
    with pytest.raises(OSError, match="cross-device"):
        tree.folder(path, make=make)
    tree.close()


def test_a_tree_is_not_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match="link"):
        fs.Tree(str(tmp_path / "link"))


def test_removing_follows_no_link_and_keeps_what_it_is_told_to(tmp_path: Path, folder: int) -> None:
    write(tmp_path / "keep/a", b"1")
    write(tmp_path / "old/deep/er/b", b"1")
    write(tmp_path / "old/kept", b"1")
    (tmp_path / "old/way").symlink_to(tmp_path / "keep")
    (tmp_path / "old/deep/way").symlink_to("../../keep")
    before = tree_state(tmp_path / "keep")
    fs.remove_tree(folder, "old", keep=("kept",))
    assert os.listdir(tmp_path / "old") == ["kept"]
    fs.remove_tree(folder, "old")
    assert sorted(os.listdir(tmp_path)) == ["keep"]
    assert tree_state(tmp_path / "keep") == before


# ---- publication ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refuses", [None, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.parametrize("there", ["nothing", "empty", "full"])
def test_a_folder_is_moved_in_one_step_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: int | None, there: str
) -> None:
    write(tmp_path / "new/file", b"1")
    if there != "nothing":
        (tmp_path / "out").mkdir()
    if there == "full":
        write(tmp_path / "out/precious", b"1")
    if refuses is not None:
        refuse(monkeypatch, refuses, "rename_new")
    onto_empty = there == "empty"
    if there == "full":
        with pytest.raises(OSError) as caught:  # noqa: PT011 - which errno depends on the call
            fs.move_folder(str(tmp_path / "new"), str(tmp_path / "out"), onto_empty=onto_empty)
        assert caught.value.errno in (errno.EEXIST, errno.ENOTEMPTY)
        assert os.listdir(tmp_path / "out") == ["precious"]
    else:
        fs.move_folder(str(tmp_path / "new"), str(tmp_path / "out"), onto_empty=onto_empty)
        assert os.listdir(tmp_path / "out") == ["file"]
        assert not (tmp_path / "new").exists()


@needs_rename_new
def test_an_empty_folder_that_appeared_meanwhile_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        fs.move_folder(str(tmp_path / "new"), str(tmp_path / "out"), onto_empty=False)


# ---- content --------------------------------------------------------------------------------------------------------


def test_nothing_is_written_over_a_name(tmp_path: Path, folder: int) -> None:
    write(tmp_path / "there", b"old")
    (tmp_path / "link").symlink_to("there")
    for name in ("there", "link"):
        makes: tuple[Callable[[str], object], ...] = (
            lambda n: fs.write_new(n, folder, b"new"),
            lambda n: fs.empty_new(n, folder),
            lambda n: fs.symlink("x", n, folder),
            lambda n: fs.hard_link("there", folder, n, folder),
            lambda n: os.close(fs.open_new(n, folder)),
        )
        for make in makes:
            with pytest.raises(FileExistsError):
                make(name)
    assert (tmp_path / "there").read_bytes() == b"old"


def test_small_chunks_are_written_together_and_large_ones_as_they_come(tmp_path: Path, folder: int) -> None:
    """On a remote file system each write is a round trip."""
    chunks = [os.urandom(size) for size in (3, 0, 5000, 1 << 19, 1 << 18, 1 << 20, 7)]
    with faulty.calls(faulty.only_count) as seen:
        fs.write_all_new("a", folder, iter(chunks))
    assert (tmp_path / "a").read_bytes() == b"".join(chunks)
    assert seen.seen.count("write") == 3
    fs.write_all_new("empty", folder, iter(()))
    assert (tmp_path / "empty").read_bytes() == b""


def test_replacing_goes_by_way_of_another_name(tmp_path: Path, folder: int) -> None:
    write(tmp_path / "file", b"old")
    write(tmp_path / "file.new", b"a leftover of a killed run")
    with faulty.calls(faulty.fail(4, errno.EIO)), pytest.raises(OSError, match="Input/output"):
        fs.write_replacing("file", folder, b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    fs.write_replacing("file", folder, b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_path_holds_the_old_bytes_or_the_new_ones(tmp_path: Path, on_disk: bool) -> None:
    """Whichever call fails; and a call that fails leaves nothing else."""
    path, chunks = tmp_path / "file", (b"ne", b"w")
    with faulty.calls(faulty.only_count) as seen:
        fs.write_path(str(path), chunks, on_disk=on_disk)
    assert path.read_bytes() == b"new"
    assert seen.seen.count("fsync") == (2 if on_disk else 0)
    for number in range(1, len(seen.seen) + 1):
        path.write_bytes(b"old")
        with faulty.calls(faulty.fail(number, errno.EIO)), suppress(OSError):
            fs.write_path(str(path), chunks, on_disk=on_disk)
        assert path.read_bytes() in {b"old", b"new"}
        assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_synced_is_no_reason_to_refuse_a_file(tmp_path: Path) -> None:
    def act(count: int, name: str, real: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        if name == "fsync" and isinstance(args[0], int) and stat.S_ISDIR(os.fstat(args[0]).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        return faulty.only_count(count, name, real, args, kwargs)  # type: ignore[arg-type]  # a callable

    with faulty.calls(act):
        fs.write_path(str(tmp_path / "file"), (b"new",), on_disk=True)
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 19) - 1, 1 << 19, (1 << 19) + 1, 3 << 19])
@pytest.mark.parametrize("refused", ["", "copy_file_range", "copy_file_range sendfile"])
def test_a_copy_is_equal_by_every_way(tmp_path: Path, size: int, refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "clone", faulty.not_supported)
    data = os.urandom(size)
    write(tmp_path / "a", data)

    def act(count: int, name: str, real: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        if name in refused.split():
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return faulty.only_count(count, name, real, args, kwargs)  # type: ignore[arg-type]  # a callable

    with open(tmp_path / "a", "rb") as source, open(tmp_path / "b", "wb") as target, faulty.calls(act):
        assert fs.Copier().copy(source.fileno(), target.fileno(), size) == size
    assert (tmp_path / "b").read_bytes() == data


@needs_linux("copy_file_range")
def test_what_one_source_refuses_is_tried_with_another_and_not_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned: list[int] = []

    def clone(source: int, _target: int) -> None:
        cloned.append(source)
        faulty.not_supported()

    monkeypatch.setattr(fs, "clone", clone)
    write(tmp_path / "a", b"x" * (1 << 16))
    refused = iter((True,))

    def act(count: int, name: str, real: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        if name == "copy_file_range" and next(refused, False):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return faulty.only_count(count, name, real, args, kwargs)  # type: ignore[arg-type]  # a callable

    copier = fs.Copier()
    with faulty.calls(act) as calls:
        for device in (1, 1, 2):
            with open(tmp_path / "a", "rb") as source, open(tmp_path / "b", "wb") as target:
                copier.copy(source.fileno(), target.fileno(), 1 << 16, device=device)
            assert (tmp_path / "b").read_bytes() == b"x" * (1 << 16)
    copies = [name for name in calls.seen if name in {"copy_file_range", "sendfile"}]
    assert copies == ["copy_file_range", "sendfile", "sendfile", "copy_file_range"]
    assert len(cloned) == 2  # once a device


@pytest.mark.parametrize(("real", "planned", "told"), [(10, 9, 10), (10, 11, 10), (5000, 10, 11)])
@pytest.mark.parametrize("small", [0, 1 << 15])
def test_a_file_of_another_size_than_planned_shows(
    tmp_path: Path, real: int, planned: int, told: int, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "SMALL", small)
    write(tmp_path / "a", b"x" * real)
    for way in range(5):
        copier = fs.Copier(fs.IN_KERNEL[way:])
        digest = hashlib.sha256() if way == 4 else None
        with open(tmp_path / "a", "rb") as source, open(tmp_path / "b", "wb") as target:
            assert copier.copy(source.fileno(), target.fileno(), planned, digest=digest) == told


# (offset, bytes of data) on a file of this size
HOLES = {
    "nothing but a hole": (1 << 20, ()),
    "less than a block": (100, ()),
    "data first": (3 << 20, ((0, 5000),)),
    "data last": (3 << 20, (((3 << 20) - 5000, 5000),)),
    "data in the middle": ((1 << 20) + 77, ((1 << 19, 4096), ((1 << 19) + (1 << 16), 1))),
    "an end within a block": ((1 << 16) + 3, ((0, 4096), (1 << 15, 4096))),
}


def with_holes(path: Path, shape: str) -> bytes:
    """Write a file with holes, and return what it holds."""
    size, parts = HOLES[shape]
    data = bytearray(size)
    with open(path, "wb") as file:
        file.truncate(size)
        for offset, length in parts:
            data[offset : offset + length] = os.urandom(length - 1) + b"x"
            file.seek(offset)
            file.write(data[offset : offset + length])
    return bytes(data)


@pytest.fixture(params=["/dev/shm", None], ids=["tmpfs", "temporary folder"])
def place(request: pytest.FixtureRequest) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=request.param) as path:
        yield Path(path)


@pytest.mark.parametrize("shape", HOLES)
@pytest.mark.parametrize("way", [0, 1, 2, 3, "hashed"])
def test_a_copy_keeps_holes(place: Path, shape: str, way: int | str) -> None:
    data = with_holes(place / "a", shape)
    assert os.stat(place / "a").st_blocks * 512 < len(data)
    with open(place / "a", "rb") as source, open(place / "b", "wb") as target:
        holes = fs.has_holes(source.fileno(), os.fstat(source.fileno()))
        assert holes
        copier = fs.Copier() if way == "hashed" else fs.Copier(fs.IN_KERNEL[int(way) :])
        digest = hashlib.sha256() if way == "hashed" else None
        count = copier.copy(source.fileno(), target.fileno(), len(data), holes=holes, digest=digest)
    assert digest is None or digest.digest() == hashlib.sha256(data).digest()
    assert count == len(data)
    assert (place / "b").read_bytes() == data
    assert os.stat(place / "b").st_blocks <= os.stat(place / "a").st_blocks


@pytest.mark.parametrize("told", ["lies", "does not know"])
def test_a_copy_does_not_depend_on_the_holes_that_a_file_system_reports(tmp_path: Path, told: str) -> None:
    data = bytes(4096) + os.urandom(8192) + bytes(5000)
    write(tmp_path / "a", data)
    facts = os.stat_result((*os.stat(tmp_path / "a")[:10],), {"st_blocks": 0})

    def act(count: int, name: str, real: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        if name == "lseek" and args[2] == os.SEEK_HOLE:
            if told == "lies":
                return 0
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return faulty.only_count(count, name, real, args, kwargs)  # type: ignore[arg-type]  # a callable

    with open(tmp_path / "a", "rb") as source, open(tmp_path / "b", "wb") as target, faulty.calls(act):
        assert fs.has_holes(source.fileno(), facts)
        digest = hashlib.sha256()
        assert fs.Copier().copy(source.fileno(), target.fileno(), len(data), holes=True, digest=digest) == len(data)
    assert digest.digest() == hashlib.sha256(data).digest()
    assert (tmp_path / "b").read_bytes() == data


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(70_000)], ids=len)
def test_a_file_that_has_all_its_blocks_is_not_asked_for_holes(tmp_path: Path, data: bytes) -> None:
    write(tmp_path / "a", data)
    with open(tmp_path / "a", "rb") as source:
        facts = os.fstat(source.fileno())
        with faulty.calls(faulty.only_count) as seen:
            assert not fs.has_holes(source.fileno(), facts)
    assert seen.seen == []


def test_a_file_that_is_compressed_or_kept_in_its_inode_has_no_holes(tmp_path: Path) -> None:
    write(tmp_path / "a", bytes(70_000))
    facts = os.stat_result((*os.stat(tmp_path / "a")[:10],), {"st_blocks": 8})
    with open(tmp_path / "a", "rb") as source:
        assert not fs.has_holes(source.fileno(), facts)
        assert len(source.read()) == 70_000


@pytest.mark.parametrize(("real", "planned", "told"), [(10, 9, 10), (10, 11, 10), (1 << 20, 10, 11)])
def test_a_file_with_holes_of_another_size_than_planned_shows(
    tmp_path: Path, real: int, planned: int, told: int
) -> None:
    with open(tmp_path / "a", "wb") as file:
        file.truncate(real)
    with open(tmp_path / "a", "rb") as source, open(tmp_path / "b", "wb") as target:
        copier, digest = fs.Copier(), hashlib.sha256()
        assert copier.copy(source.fileno(), target.fileno(), planned, holes=True, digest=digest) == told


def test_a_small_file_is_read_with_one_byte_more_than_planned(tmp_path: Path, folder: int) -> None:
    write(tmp_path / "a", b"12345")
    assert fs.read_source("a", folder, 5) == b"12345"
    assert fs.read_source("a", folder, 3) == b"1234"
    assert fs.read_source("a", folder, 9) == b"12345"


def test_a_close_that_fails_fails_the_write(tmp_path: Path, folder: int) -> None:
    with faulty.calls(faulty.fail(3, errno.EDQUOT)) as seen, pytest.raises(OSError, match="quota"):
        fs.write_new("a", folder, b"x")
    assert seen.seen == ["open", "write", "close"]


@needs_linux("mknod for files")
def test_an_empty_file_is_one_call_and_takes_the_umask(tmp_path: Path, folder: int) -> None:
    old = os.umask(0o027)
    try:
        with faulty.calls(faulty.only_count) as seen:
            fs.empty_new("a", folder)
    finally:
        os.umask(old)
    facts = (tmp_path / "a").stat()
    assert seen.seen == ["mknod"]
    assert (stat.S_IMODE(facts.st_mode), facts.st_size) == (0o640, 0)


@needs_linux("syncfs")
@pytest.mark.parametrize(("release", "each"), [("5.8.0-generic", False), ("6.18.1", False), ("4.18.0-553.el8", True)])
def test_everything_is_put_on_disk_by_one_call_or_file_by_file(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, release: str, each: bool
) -> None:
    """Before Linux 5.8 syncfs tells nobody that data could not be written."""
    write(tmp_path / "images/train/a", b"1")
    write(tmp_path / "images/train/b", b"1")
    (tmp_path / "images/link").symlink_to("/nowhere")
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*uname[:2], release, *uname[3:])))
    with faulty.calls(faulty.only_count) as seen:
        fs.sync_below(folder)
    assert ("syncfs" in seen.seen, seen.seen.count("fsync")) == ((False, 5) if each else (True, 0))


def test_where_the_c_library_lacks_syncfs_every_file_is_put_on_disk(tmp_path: Path, folder: int) -> None:
    write(tmp_path / "a", b"1")

    def act(count: int, name: str, real: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        if name == "syncfs":
            raise OSError(errno.ENOSYS, "Function not implemented")
        return faulty.only_count(count, name, real, args, kwargs)  # type: ignore[arg-type]  # a callable

    with faulty.calls(act) as seen:
        fs.sync_below(folder)
    assert seen.seen.count("fsync") == 2
    with faulty.calls(faulty.fail(1, errno.EIO)) as seen, pytest.raises(OSError, match="Input/output"):
        fs.sync_below(folder)
    assert seen.seen == ["syncfs"], "a sync that failed was tried another way"


def test_a_hard_link_is_made_to_what_a_link_leads_to(tmp_path: Path, folder: int) -> None:
    write(tmp_path / "real", b"1")
    (tmp_path / "link").symlink_to("real")
    fs.hard_link("link", folder, "made", folder)
    assert os.path.samefile(tmp_path / "made", tmp_path / "real")
    assert not (tmp_path / "made").is_symlink()


def test_appended_bytes_are_read_back_and_a_tail_is_cut(folder: int) -> None:
    file = fs.AppendedFile("journal", folder)
    file.write(b"one\n")
    file.write(b"two\nto")
    assert file.content() == b"one\ntwo\nto"
    file.cut(8)
    file.write(b"three\n")
    assert file.content() == b"one\ntwo\nthree\n"
    file.close()
    file.close()


# ---- locks ----------------------------------------------------------------------------------------------------------

_TRY = """
import os, sys
from planbalance import fs, lock_owner
try:
    fs.Lock(os.open(sys.argv[1], os.O_RDONLY), b"child", shared=sys.argv[2] == "shared")
except fs.LockHeldError as held:
    print(held.holder.decode())
else:
    print("free")
"""


def in_another_process(folder: Path, kind: str = "alone") -> str:
    told = subprocess.run([sys.executable, "-c", _TRY, str(folder), kind], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def test_a_lock_keeps_out_threads_and_processes_and_is_not_lost_by_looking(tmp_path: Path, folder: int) -> None:
    lock = fs.Lock(folder, b"me")
    with pytest.raises(fs.LockHeldError) as caught:
        fs.Lock(folder, b"another thread")
    assert caught.value.holder == b"me"
    assert fs.lock_holder(folder) == b"me"
    assert in_another_process(tmp_path) == "me"
    lock.release()
    lock.release()
    assert fs.lock_holder(folder) is None
    assert in_another_process(tmp_path) == "free"


def test_a_dead_holder_holds_nothing(tmp_path: Path, folder: int) -> None:
    assert in_another_process(tmp_path) == "free"  # it died with its name in the file
    fs.Lock(folder, b"me").release()


def test_shared_holders_hold_the_lock_at_once_and_exclude_an_exclusive_one(tmp_path: Path, folder: int) -> None:
    lock = fs.Lock(folder, b"shard 1", shared=True)
    assert in_another_process(tmp_path, "shared") == "free"
    assert in_another_process(tmp_path, "alone") != "free"
    lock.release()


@pytest.mark.parametrize(
    ("written", "free"),
    [
        (b"", True),
        (b"somebody", False),
        (lock_owner.sign(), False),
        pytest.param(lock_owner.sign(started="1"), True, marks=needs_boot_id),
    ],
)
def test_without_locks_a_signature_counts_unless_its_holder_is_dead(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, written: bytes, free: bool
) -> None:
    (tmp_path / fs.LOCK).write_bytes(written)

    def none_here(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(platform_calls, "lock_now", none_here)
    if free:
        fs.Lock(folder, b"me").release()
    else:
        with pytest.raises(fs.LockHeldError):
            fs.Lock(folder, b"me")


# ---- a file that is kept where another takes its place --------------------------------------------------------------


@pytest.mark.parametrize("replaced", [False, True], ids=["still there", "replaced by another process"])
def test_a_second_name_stays_as_long_as_it_is_the_only_one(tmp_path: Path, *, replaced: bool) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"older")

    def write_new() -> None:
        with fs.kept_beside(str(path)):
            if replaced:
                fs.write_path(str(path), (b"of another process",))
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        write_new()
    kept = tmp_path / "plan.json.bak"
    assert kept.exists() == replaced
    assert (kept if replaced else path).read_bytes() == b"older"
