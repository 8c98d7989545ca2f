"""The reader of images and tars that other tools made, and of hostile ones."""

import os
import random
import subprocess
import tarfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from planbalance.packed import squashfs_layout, tar_layout
from planbalance.packed.entry import FIXED_TIME, Entry, Files, PackedError
from planbalance.packed.folder import PackedFolder, folders_of
from planbalance.packed.reader import PackedReader, open_packed, read_file
from planbalance.packed.squashfs_layout import SquashfsLayout
from planbalance.packed_dataset import open_dataset
from tests.conftest import Trials
from tests.packed import images
from tests.packed.images import group

PLENTY = 1 << 20  # bytes of content that a fuzzed image may make the reader yield


def write_folder(root: Path) -> dict[str, bytes]:
    """Write files that use all that SquashFS has: tail ends, holes, links, many names; return their content."""
    draw = random.Random(5)
    contents = {
        "images/train/zeros.png": bytes(400_000),
        "images/train/text.png": b"slice " * 60_000,
        "images/train/noise.png": draw.randbytes(300_001),
        "images/val/empty.png": b"",
        "labels/train/ä 𝄞.txt": b"0 0.5 0.5 0.1 0.1\n",
        **{f"many/{'n' * 60}{number:04}.txt": b"%d" % number for number in range(600)},
    }
    for path, data in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        os.utime(root / path, (FIXED_TIME, FIXED_TIME))
    (root / "link.png").symlink_to("images/train/text.png")
    os.link(root / "images/train/text.png", root / "again.png")
    os.mkfifo(root / "pipe")
    return {**contents, "again.png": contents["images/train/text.png"]}


def said_by(read: Callable[[], dict[str, PackedFolder]]) -> dict[str, PackedFolder] | str:
    """Return what a function returns, or what it says is wrong."""
    try:
        return read()
    except PackedError as error:
        return str(error)


def check_folders(reader: PackedReader) -> None:
    """Compare what is read a column at a time with what is read a name at a time: damage is said in the same words."""
    found, entries = said_by(reader.folders), said_by(lambda: folders_of(reader.entries()))
    if isinstance(found, str) or isinstance(entries, str):
        assert found == entries
        return
    assert set(found) == set(entries)
    for path, folder in entries.items():
        assert list(found[path].names) == list(folder.names)
        for number, name in enumerate(folder.names):
            entry = found[path].entry(name, number)
            assert entry._replace(run=-1) == folder.entry(name, number)._replace(run=-1)
            if entry.run >= 0 and entry.size:
                assert reader.runs(entry) == (entry.run, entry.size)
            else:
                assert folder.runs[number] < 0 or not entry.size


def check_against(image: Path, contents: dict[str, bytes]) -> None:
    with images.reading(image) as reader:
        check_folders(reader)
        entries = {entry.path: entry for entry in reader.entries()}
        assert {path for path, entry in entries.items() if entry.kind == "file"} == set(contents)
        for path, data in contents.items():
            assert read_file(reader, entries[path], 1 << 20) == data
            assert entries[path].mtime == FIXED_TIME
            run = reader.runs(entries[path])
            if run is not None:
                assert image.read_bytes()[run[0] : run[0] + run[1]] == data
        assert (entries["link.png"].kind, entries["link.png"].target) == ("link", "images/train/text.png")
        assert entries["pipe"].kind == "other"
        with pytest.raises(PackedError, match="more than the 10 that are read"):
            read_file(reader, entries["images/train/noise.png"], 10)


@pytest.mark.parametrize("compressor", ["gzip", "xz", "lzma", "lzo", "lz4", "zstd", "none"])
@pytest.mark.parametrize("options", [(), ("-b", "4096"), ("-b", "1M", "-always-use-fragments"), ("-no-fragments",)])
def test_images_of_mksquashfs(tmp_path: Path, compressor: str, options: tuple[str, ...]) -> None:
    images.need("mksquashfs")
    modules = {"lzo": "lzo", "lz4": "lz4", "zstd": "zstandard"}
    (tmp_path / "in").mkdir()
    contents = write_folder(tmp_path / "in")
    words = ("-noI", "-noD", "-noF", "-noX") if compressor == "none" else ("-comp", compressor)
    told = subprocess.run(
        ["mksquashfs", str(tmp_path / "in"), str(tmp_path / "i.sqfs"), "-quiet", "-no-progress", *words, *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if told.returncode != 0 and "ompressor" in told.stderr:
        pytest.skip(f"this mksquashfs has no {compressor}")
    assert told.returncode == 0, told.stderr
    if compressor in modules:
        pytest.importorskip(modules[compressor])
    check_against(tmp_path / "i.sqfs", contents)


def test_images_of_gensquashfs(tmp_path: Path) -> None:
    images.need("gensquashfs")
    (tmp_path / "in").mkdir()
    contents = write_folder(tmp_path / "in")
    del contents["again.png"]
    (tmp_path / "in/again.png").unlink()
    words = ["gensquashfs", "-q", "-k", "-D", str(tmp_path / "in"), str(tmp_path / "i.sqfs")]
    subprocess.run(words, check=True, capture_output=True)
    check_against(tmp_path / "i.sqfs", contents)


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "pax", "posix", "ustar"])
def test_tars_of_gnu_tar(tmp_path: Path, form: str) -> None:
    images.need("tar")
    (tmp_path / "in").mkdir()
    contents = write_folder(tmp_path / "in")
    if form != "ustar":
        name = "d/" * 60 + "n" * 120
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        (tmp_path / "in" / name).write_bytes(b"deep")
        os.utime(tmp_path / "in" / name, (FIXED_TIME, FIXED_TIME))
        contents[name] = b"deep"
    words = [
        "tar",
        f"--format={form}",
        "--hard-dereference",
        "-cf",
        str(tmp_path / "i.tar"),
        "-C",
        str(tmp_path / "in"),
    ]
    subprocess.run([*words, "."], check=True)
    check_against(tmp_path / "i.tar", contents)


def test_a_tar_with_gnu_s_sparse_files_is_refused_with_a_sentence(tmp_path: Path) -> None:
    images.need("tar")
    with open(tmp_path / "hole.png", "wb") as file:
        file.truncate(1 << 20)
    subprocess.run(["tar", "-Scf", str(tmp_path / "i.tar"), "-C", str(tmp_path), "hole.png"], check=True)
    with images.reading(tmp_path / "i.tar") as reader, pytest.raises(PackedError, match="GNU's sparse form"):
        list(reader.entries())


@pytest.mark.parametrize(
    ("module", "needed"),
    [("zstandard", "planbalance.squashfs"), ("lz4", "planbalance.squashfs"), ("lzo", "python-lzo")],
)
def test_a_compressor_whose_module_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, needed: str
) -> None:
    images.need("mksquashfs")
    name = {"zstandard": "zstd"}.get(module, module)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(b"a" * 9_999)
    words = ["mksquashfs", str(tmp_path / "in"), str(tmp_path / "i.sqfs"), "-quiet", "-no-progress", "-comp", name]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"this mksquashfs has no {name}")

    def missing(wanted: str) -> None:
        raise ImportError(wanted)

    monkeypatch.setattr("planbalance.packed.decompress.importlib.import_module", missing)
    with images.reading(tmp_path / "i.sqfs") as reader, pytest.raises(PackedError, match=f"needs .*{needed}"):
        list(reader.entries())


def test_several_threads_may_read(tmp_path: Path) -> None:
    images.need("mksquashfs")
    (tmp_path / "in").mkdir()
    contents = write_folder(tmp_path / "in")
    words = ["mksquashfs", str(tmp_path / "in"), str(tmp_path / "i.sqfs"), "-quiet", "-no-progress", "-b", "4096"]
    subprocess.run(words, check=True, capture_output=True)
    with images.reading(tmp_path / "i.sqfs") as reader:
        entries = [entry for entry in reader.entries() if entry.kind == "file"] * 4
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda entry: read_file(reader, entry, 1 << 20), entries))
    assert found == [contents[entry.path] for entry in entries]


# ---- hostile --------------------------------------------------------------------------------------------------------


def in_memory(data: bytes) -> tuple[Callable[[int, int], bytes], int]:
    return lambda at, size: data[at : at + size], len(data)


def small_image(tmp_path: Path) -> bytearray:
    tree = [
        group("images/train", {"a.png": 5_000, "b.png": 140_000}),
        group("labels/train", {"a.txt": 50, "b.txt": 0}, fragments=True),
    ]
    images.write_squashfs(tmp_path / "small.sqfs", tree)
    return bytearray((tmp_path / "small.sqfs").read_bytes())


def read_all(data: bytes) -> list[Entry]:
    """Read all that is in an image, as far as `PLENTY` allows; only PackedError may be raised."""
    reader = open_packed(*in_memory(data))
    check_folders(reader)
    entries = []
    left = PLENTY
    for entry in reader.entries():
        entries.append(entry)
        if entry.kind == "file":
            reader.runs(entry)
            for chunk in reader.chunks(entry):
                assert len(chunk) <= 1 << 20
                left -= len(chunk)
                if left < 0:
                    return entries
    return entries


def test_a_folder_that_holds_itself_is_refused(tmp_path: Path) -> None:
    layout = SquashfsLayout()
    layout.add(Files("aaa", ["x"], [0], [0]))
    tables, superblock = layout.tables(), layout.superblock()
    image = bytearray(superblock + bytes(layout.end - len(superblock)) + tables)
    root = int.from_bytes(superblock[32:40], "little")
    at = image.index(b"aaa", layout.end) - 8  # the entry of the folder in the root's listing
    image[at : at + 2] = (root & 0xFFFF).to_bytes(2, "little")
    with pytest.raises(PackedError, match="reached twice"):
        read_all(bytes(image))


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0, b"XXXX", "neither a SquashFS image nor a tar"),
        (0, b"sqsh", "old version"),
        (28, b"\x03\x00", "3.0"),
        (12, b"\x00\x00\x00\x00", "block size"),
        (20, b"\x63\x00", "compressor"),
        (40, b"\xff\xff\xff\xff\xff\xff\xff\x7f", "cut off"),
        (64, b"\xff\xff\xff\xff\xff\xff\xff\x7f", "outside"),
        (80, b"\xff\xff\xff\xff\xff\xff\xff\x7f", "outside"),
        (32, b"\xff\xff\xff\xff\xff\xff\xff\x7f", "outside"),
    ],
)
def test_a_superblock_that_lies_is_refused(tmp_path: Path, at: int, value: bytes, says: str) -> None:
    image = small_image(tmp_path)
    image[at : at + len(value)] = value
    with pytest.raises(PackedError, match=says):
        read_all(bytes(image))


def test_a_bomb_does_not_take_memory(tmp_path: Path) -> None:
    """A data block that decompresses to a gigabyte, and a file that says it has exabytes of holes."""
    image = small_image(tmp_path)
    bomb = zlib.compress(bytes(1 << 28))
    assert len(bomb) > 131_072  # no block may be so large, so it is refused before it is read
    reader = open_packed(*in_memory(bytes(image)))
    entry = next(each for each in reader.entries() if each.path == "images/train/a.png")
    small = zlib.compress(bytes(1 << 24))
    at = image.index((5_000 | squashfs_layout.STORED).to_bytes(4, "little"))
    image[at : at + 4] = len(small).to_bytes(4, "little")
    image[96 : 96 + len(small)] = small
    reader = open_packed(*in_memory(bytes(image)))
    with pytest.raises(PackedError, match="more bytes than its size allows"):
        list(reader.chunks(entry))


def test_a_fragment_at_a_place_that_no_file_has_is_refused(tmp_path: Path) -> None:
    tree = [group("labels/train", {"a.txt": 50, "b.txt": 50}, fragments=True)]
    images.write_squashfs(tmp_path / "s.sqfs", tree, first=4096)
    image = bytearray((tmp_path / "s.sqfs").read_bytes())
    at = image.index((4096).to_bytes(8, "little") + (100 | squashfs_layout.STORED).to_bytes(4, "little"))
    image[at + 7] = 0xFF
    (tmp_path / "s.sqfs").write_bytes(image)
    check_folders(open_packed(*in_memory(bytes(image))))
    dataset = open_dataset(str(tmp_path / "s.sqfs"))
    assert dataset is not None
    assert list(dataset.contents("labels/train", ["a.txt", "b.txt"], [50, 50], 99)) == [None, None]
    entry = dataset.entry("labels/train/a.txt")
    assert entry is not None
    with pytest.raises(PackedError):
        dataset.read(entry, 99)


def test_an_inode_table_of_empty_blocks_is_not_walked(tmp_path: Path) -> None:
    image = small_image(tmp_path)
    length = 1 << 22
    begin = int.from_bytes(image[64:72], "little")
    image[begin:begin] = b"\x00\x80" * (length // 2)
    for at in (40, 48, 72, 80):
        image[at : at + 8] = (int.from_bytes(image[at : at + 8], "little") + length).to_bytes(8, "little")
    reads = 0

    def read_at(at: int, size: int) -> bytes:
        nonlocal reads
        reads += 1
        return bytes(image[at : at + size])

    with pytest.raises(PackedError):
        open_packed(read_at, len(image)).folders()
    assert reads < 100


def test_contents_are_those_of_files_of_the_given_size(tmp_path: Path) -> None:
    """Files side by side, an empty one, one of many blocks, one that is missing, a folder, a wrong size, a cut one."""
    sizes = {"a": 5, "b": 0, "c": 7, "d": 300_000, "e": 9, "f": 3}
    tree = [group("", sizes, fragments=True), group("in", {"w": 3, "x": 1, "y": 200_000, "z": 9})]
    images.write_squashfs(tmp_path / "s.sqfs", tree, boundary=1)
    dataset = open_dataset(str(tmp_path / "s.sqfs"))
    assert dataset is not None
    names, wanted = [*sizes, "in", "missing"], [*sizes.values(), 0, 0]
    wanted[2] += 1
    found = list(dataset.contents("", names, wanted, 299_999))
    known = [images.content(name, size) for name, size in sizes.items()]
    assert found == [known[0], b"", None, None, known[4], known[5], None, None]
    assert list(dataset.contents("", ["d"], [300_000], 300_000)) == [known[3]]
    assert list(dataset.contents("nowhere", ["d"], [0], 9)) == [None]
    for names, wanted in ((["w", "x", "y", "z"], [3, 1, 200_000, 9]), (["y", "z", "x", "w"], [200_000, 9, 1, 3])):
        found = list(dataset.contents("in", names, wanted, 1 << 20))
        assert found == [images.content(f"in/{name}", size) for name, size in zip(names, wanted, strict=True)]
    os.truncate(tmp_path / "s.sqfs", 100)
    assert list(dataset.contents("in", ["y", "x"], [200_000, 1], 1 << 20)) == [None, None]


def deep_image(depth: int) -> bytes:
    """Return an image with folders in folders, each of the longest name."""
    layout = SquashfsLayout()
    layout.add(Files("/".join(["d" * 255] * depth), ["x"], [0], [0]))
    return layout.superblock() + layout.tables()


def test_a_path_that_no_system_takes_is_refused() -> None:
    assert len(read_all(deep_image(15))) == 16
    with pytest.raises(PackedError, match="path of more than"):
        read_all(deep_image(17))


def test_a_listing_that_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    """Metadata that decompress to a thousand times their size: many names of one inode."""
    names = 400_000
    layout = SquashfsLayout()
    layout.add(Files("", [f"{number:06}" for number in range(names)], [0] * names, [0] * names))
    tables = layout.tables()
    image = bytearray(layout.superblock() + tables)
    image[40:48] = (300_000).to_bytes(8, "little")  # it says that it is smaller
    with pytest.raises(PackedError):
        read_all(bytes(image))


def test_files_that_are_all_holes_are_refused_where_they_are_too_large(tmp_path: Path) -> None:
    images.need("mksquashfs")
    (tmp_path / "in").mkdir()
    with open(tmp_path / "in/hole.png", "wb") as file:
        file.truncate(1 << 31)
    words = ["mksquashfs", str(tmp_path / "in"), str(tmp_path / "i.sqfs"), "-quiet", "-no-progress", "-b", "1M"]
    subprocess.run(words, check=True)
    with pytest.raises(PackedError, match="which so small a file cannot"):
        open_dataset(str(tmp_path / "i.sqfs"))


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b"])
def test_a_path_that_leads_out_of_a_tar_is_refused(name: str) -> None:
    data = tar_layout.header(name, 0, 0) + bytes(1024)
    with pytest.raises(PackedError, match="leads out"):
        read_all(data)


@pytest.mark.parametrize("name", [b"..", b".", b"a/b", b"\0"])
def test_a_name_that_is_none_is_refused_in_an_image(tmp_path: Path, name: bytes) -> None:
    images.write_squashfs(tmp_path / "i.sqfs", [group("", {"x" * len(name): 0})])
    image = (tmp_path / "i.sqfs").read_bytes()
    at = image.rindex(b"x" * len(name))
    with pytest.raises(PackedError, match="holds the name"):
        read_all(image[:at] + name + image[at + len(name) :])


def tar_with_size(field: bytes, content: bytes = b"x" * 512) -> bytes:
    """Return a tar of one file whose header has this size; its checksum is right."""
    head = bytearray(tar_layout.header("images/a.png", 15, 0))
    head[124:136] = field.ljust(12, b"\0")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + content + bytes(1024)


@pytest.mark.parametrize("field", [b"00000000017", b"         17 ", b"17\x00\xff\xff8", b"\x80" + bytes(10) + b"\x0f"])
def test_a_size_is_read_in_each_way_that_tools_write_it(field: bytes) -> None:
    (entry,) = read_all(tar_with_size(field))
    assert entry.size == 15


@pytest.mark.parametrize("field", [b"+17", b"-17", b"0o17", b"1_7", b"18", b"1 7", b"x", b"\xb2"])
def test_a_size_that_is_not_octal_is_refused(field: bytes) -> None:
    with pytest.raises(PackedError, match="not octal"):
        read_all(tar_with_size(field))


@pytest.mark.parametrize("at", [0, 100, 255, 256, 500, 511])
def test_a_tar_s_header_with_another_byte_is_refused(at: int) -> None:
    """Also where many bytes are as large as a byte can be: their sum is above what 16 bits hold."""
    data = bytearray(tar_with_size(b"17"))
    data[345:500] = b"\xff" * 155
    data[1:100] = b"\xff" * 99
    data[157:257] = b"\xff" * 100
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    open_packed(*in_memory(bytes(data)))
    data[at] ^= 1
    with pytest.raises(PackedError, match="neither a SquashFS image nor a tar"):
        open_packed(*in_memory(bytes(data)))


def test_a_compressed_tar_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "i.tar.gz", "w:gz") as tar:
        tar.add(__file__)
    with pytest.raises(PackedError, match="decompress it first"):
        read_all((tmp_path / "i.tar.gz").read_bytes())


def fuzz(data: bytes, draw: random.Random) -> bytes:
    """Return the image with a few bytes changed, most of them in its tables and headers, or cut off."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        at = draw.randrange(96) if draw.random() < 0.2 else draw.randrange(len(changed))
        if draw.random() < 0.5:
            changed[at] = draw.randrange(256)
        else:
            value = draw.choice((0, 1, 0x7FFF, 0x8000, 0xFFFF, 0xFFFFFFFF, len(data), 96))
            changed[at : at + 4] = value.to_bytes(4, "little")
    return bytes(changed[: draw.randrange(len(changed))] if draw.random() < 0.1 else changed)


def seeds(tmp_path: Path) -> list[bytes]:
    """Return small images and tars to begin with, of our own and of other tools."""
    tree = [group("images/train", {"a.png": 700, "b.png": 1}), group("labels/train", {"a.txt": 50}, fragments=True)]
    images.write_squashfs(tmp_path / "s.sqfs", tree, boundary=1)
    images.write_tar(tmp_path / "s.tar", [group("ä" * 120, {"a.png": 700}), group("b", {"c": 3})], boundary=2048)
    many = [
        group("images/train", {f"{number}.png": 3 for number in range(30)}),
        group("labels/train", {f"{number}.txt": number % 3 for number in range(30)}, fragments=True),
    ]
    images.write_squashfs(tmp_path / "many.sqfs", many, boundary=1)
    found = [tmp_path / "s.sqfs", tmp_path / "many.sqfs", tmp_path / "s.tar"]
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_bytes(b"text " * 300)
    (tmp_path / "in/b").symlink_to("a.txt")
    for name in ("gzip", "xz"):
        out = tmp_path / f"{name}.sqfs"
        words = ["mksquashfs", str(tmp_path / "in"), str(out), "-quiet", "-no-progress", "-comp", name, "-nopad"]
        try:
            subprocess.run(words, check=True, capture_output=True)
        except (FileNotFoundError, subprocess.CalledProcessError):
            continue
        found.append(out)
    return [each.read_bytes() for each in found]


def check_fuzzed(tmp_path: Path, trials: Trials, count: int) -> None:
    begins = seeds(tmp_path)
    for _ in range(count):
        data = fuzz(trials.draw.choice(begins), trials.draw)
        with suppress(PackedError):
            read_all(data)
    trials.count(count)


def test_fuzzed_images_and_tars_raise_one_error(tmp_path: Path, trials: Trials) -> None:
    check_fuzzed(tmp_path, trials, 600)


@pytest.mark.torture(row=11)
@pytest.mark.timeout(3600)
def test_200_000_fuzzed_images_and_tars_raise_one_error(tmp_path: Path, trials: Trials) -> None:
    check_fuzzed(tmp_path, trials, 200_000)
