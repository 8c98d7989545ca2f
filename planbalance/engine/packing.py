"""Where everything goes in the one file of `--mode squashfs` and `--mode tar`: computed from the plan alone.

The file holds the images and labels of one block after the other, then the documents, then what the format puts at its
end. A segment (`shards.segments`) begins at a whole MiB, so that no two nodes write into one page or stripe.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple, Protocol

from planbalance.dataset_files import MANIFEST
from planbalance.destination import Destination, file_names, label_of, label_path
from planbalance.model import Block, Operation, Source
from planbalance.modes import Mode
from planbalance.packed import squashfs_layout, tar_layout
from planbalance.packed.entry import FIXED_TIME, Files
from planbalance.packed.squashfs_layout import SquashfsLayout
from planbalance.packed.tar_layout import TarLayout
from planbalance.shards import segments

BOUNDARY: Final = 1 << 20
_NS: Final = 1_000_000_000
_SUM_LINE: Final = 67  # 64 digits, two spaces and a newline around the path


class BlockColumns(NamedTuple):
    """What the file's layout needs to know of one block.

    Attributes:
        names: of the images in the output, joined by `/`.
        sizes: of the images.
        times: of the images, in whole seconds.
        label_sizes: of the labels.
    """

    names: str
    sizes: "array[int]"
    times: "array[int]"
    label_sizes: "array[int]"


def columns_of(sources: Sequence[Source], operations: Sequence[Operation]) -> BlockColumns:
    """Return the columns of one block."""
    return BlockColumns(
        "/".join(file_names(sources, operations)),
        array("Q", [each.image_size for each in operations]),
        array("q", [each.image_mtime_ns // _NS for each in operations]),
        array("Q", [each.label_size for each in operations]),
    )


def files_of(folder: str, columns: BlockColumns) -> tuple[Files, Files]:
    """Return the images and the labels of a block of the plan as files of the output."""
    names = columns.names.split("/")
    labels = label_of(Destination(folder, "")).folder
    fixed = array("q", [FIXED_TIME]) * len(names)
    return (
        Files(folder, names, columns.sizes, columns.times),
        Files(labels, [label_path(name) for name in names], columns.label_sizes, fixed),
    )


# ---- the two formats ------------------------------------------------------------------------------------------------


class Ends(NamedTuple):
    """What a format puts before and behind the content.

    Attributes:
        gaps: what is between segments, as (offset, length).
        last: (offset, bytes) of what follows the content.
        first: the first bytes of the file, which are written last of all.
    """

    gaps: Sequence[tuple[int, int]]
    last: tuple[int, bytes]
    first: bytes


class PackedForm(Protocol):
    """What the engine needs of a format: SquashFS or tar.

    Attributes:
        heads: whether it puts something before and behind each content.
    """

    heads: bool

    def offsets(self, start: int, files: Files) -> tuple[Sequence[int], int]:
        """Return where the record of each file begins (before its content), and where the last one ends."""

    def head(self, path: str, size: int, time: int) -> bytes:
        """Return what stands before the content of a file."""

    def padding(self, size: int) -> int:
        """Return how many zero bytes stand behind the content of a file."""

    def filler(self, length: int) -> bytes:
        """Return what stands in a gap between segments."""

    def layout(self, folders: Sequence[str]) -> "GrowingLayout":
        """Return an empty layout for files in these folders."""


class GrowingLayout(Protocol):
    """A layout that grows by groups of files."""

    @property
    def end(self) -> int:
        """Where the next group begins."""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""

    @property
    def most(self) -> int:
        """Bytes of the whole file at most."""

    def begin_segment(self) -> int:
        """Go on at the next whole MiB, which is returned."""

    def add(self, files: Files, *, together: bool) -> None:
        """Add files; `together`: they are small, and read together."""

    def ends(self) -> Ends:
        """Return everything but the records of files."""


class _SquashfsForm:
    heads = False

    def offsets(self, start: int, files: Files) -> tuple[Sequence[int], int]:
        starts = squashfs_layout.offsets(start, files.sizes)
        return starts, starts[-1] + files.sizes[-1] if starts else start

    def head(self, _path: str, _size: int, _time: int) -> bytes:
        return b""

    def padding(self, _size: int) -> int:
        return 0

    def filler(self, _length: int) -> bytes:
        return b""  # a hole

    def layout(self, _folders: Sequence[str]) -> GrowingLayout:
        return _GrowingSquashfs()


class _GrowingSquashfs:
    def __init__(self) -> None:
        self._layout = SquashfsLayout()

    @property
    def end(self) -> int:
        return self._layout.end

    @property
    def size(self) -> int:
        return self._layout.size

    @property
    def most(self) -> int:
        return self._layout.most

    def begin_segment(self) -> int:
        return self._layout.align(BOUNDARY)

    def add(self, files: Files, *, together: bool) -> None:
        self._layout.add(files, fragments=together)

    def ends(self) -> Ends:
        return Ends((), (self._layout.end, self._layout.tables()), self._layout.superblock())


class _TarForm:
    heads = True

    def offsets(self, start: int, files: Files) -> tuple[Sequence[int], int]:
        return tar_layout.offsets(start, files)

    def head(self, path: str, size: int, time: int) -> bytes:
        return tar_layout.header(path, size, time)

    def padding(self, size: int) -> int:
        return -size % tar_layout.BLOCK

    def filler(self, length: int) -> bytes:
        return tar_layout.filler(length)

    def layout(self, folders: Sequence[str]) -> GrowingLayout:
        return _GrowingTar(folders)


class _GrowingTar:
    def __init__(self, folders: Sequence[str]) -> None:
        self._layout = TarLayout(folders)
        self._gaps: list[tuple[int, int]] = []

    @property
    def end(self) -> int:
        return self._layout.end

    @property
    def size(self) -> int:
        return self._layout.size

    @property
    def most(self) -> int:
        return self._layout.most

    def begin_segment(self) -> int:
        before = self._layout.end
        after = self._layout.align(BOUNDARY)
        if after > before:
            self._gaps.append((before, after - before))
        return after

    def add(self, files: Files, *, together: bool) -> None:
        del together  # each file has its own header
        self._layout.add(files)

    def ends(self) -> Ends:
        return Ends(self._gaps, (self._layout.end, self._layout.tail()), self._layout.folders)


FORMS: Final[Mapping[Mode, PackedForm]] = {"squashfs": _SquashfsForm(), "tar": _TarForm()}


# ---- the whole file -------------------------------------------------------------------------------------------------


class PackedPlaces(NamedTuple):
    """Where content goes in the file.

    Attributes:
        bases: where each block of the plan begins.
        documents: where the record of each document begins, by path.
        content: where the last block ends.
        most: bytes of the whole file at most.
    """

    bases: list[int]
    documents: dict[str, int]
    content: int
    most: int


class Packing:
    """The one file of a build.

    Args:
        mode: the format.
        blocks: of the whole plan, also where a shard builds a part.
        columns: returns what is known of a block of the whole plan, by its number.
        documents: returns the content of all documents but the manifest, by path.
        document_folders: the folders that they are in.
        summed: which of the documents the manifest names; None where there is no manifest.
        first: the number of the first block that this run builds.
    """

    def __init__(
        self,
        mode: Mode,
        blocks: Sequence[Block],
        columns: Callable[[int], BlockColumns],
        documents: Callable[[], Mapping[str, bytes]],
        *,
        document_folders: Sequence[str],
        summed: Sequence[str] | None,
        first: int,
    ) -> None:
        self.mode = mode
        self._blocks = blocks
        self._columns = columns
        self._documents = documents
        self._summed = summed
        self._first = first
        folders = list(dict.fromkeys(block.folder for block in blocks))
        labels = [label_of(Destination(folder, "")).folder for folder in folders]
        self._folders = (*folders, *labels, *document_folders)
        self._growing: GrowingLayout | None = None
        self.size = 0  # once the ends are known

    @property
    def _content_end(self) -> int:
        """Where the last block ends."""
        growing = FORMS[self.mode].layout(self._folders)
        for _ in self._grow(growing, len(self._blocks)):
            pass
        return growing.end

    @cached_property
    def documents(self) -> Mapping[str, bytes]:
        """The content of all documents but the manifest, by path."""
        return self._documents()

    @cached_property
    def places(self) -> PackedPlaces:
        """Where content goes. Raises PlanError where a block cannot be read."""
        documents = {path: len(data) for path, data in self.documents.items()}
        growing = FORMS[self.mode].layout(self._folders)
        bases, sum_lines = [], 0
        for base, files in self._grow(growing, len(self._blocks)):
            bases.append(base)
            sum_lines += sum(map(_lines_of, files)) if self._summed is not None else 0
        if self._summed is not None:
            documents[MANIFEST] = sum_lines + sum(map(_line_of, self._summed))
        content = growing.end
        growing.begin_segment()
        places = {}
        for path, size in documents.items():
            places[path] = growing.end
            folder, _, name = path.rpartition("/")
            growing.add(Files(folder, [name], [size], [FIXED_TIME]), together=True)
        self._growing = growing
        return PackedPlaces(bases, places, content, growing.most)

    @property
    def counts(self) -> list[int]:
        """How many slices each block of the plan has."""
        return [block.count for block in self._blocks]

    def starts(self, index: int) -> list[int]:
        """Return where the record of each image of a block begins, and last where the next block begins.

        Behind the images are the labels, and where the next block begins a segment, a gap. Raises as `places`.
        """
        bases = (*self.places.bases, self.places.content)
        images, _ = files_of(self._blocks[index].folder, self._columns(index))
        return [*FORMS[self.mode].offsets(bases[index], images)[0], bases[index + 1]]

    @cached_property
    def ends(self) -> Ends:
        """What the format puts before and behind the content. Raises as `places`."""
        growing = self._grown()
        ends, self.size = growing.ends(), growing.size
        self._growing = None  # holds all names
        return ends

    def exact_size(self) -> int:
        """Return the bytes of the whole file. Raises as `places`."""
        _ = self.ends
        return self.size

    def _grown(self) -> GrowingLayout:
        _ = self.places
        assert self._growing is not None
        return self._growing

    def stretch(self, count: int) -> tuple[int, int]:
        """Return where the blocks begin and end that this run builds, which are `count`."""
        bases = self.bases(count + (self._first + count < len(self._blocks)))
        return bases[0], bases[-1] if len(bases) > count else self._content_end

    def bases(self, count: int) -> list[int]:
        """Return where each block begins that this run builds, which are `count`; later ones are not looked at."""
        if not self._first and count == len(self._blocks):
            return self.places.bases
        growing = FORMS[self.mode].layout(self._folders)
        return [base for base, _ in self._grow(growing, self._first + count)][self._first :]

    def _grow(self, growing: GrowingLayout, count: int) -> Iterator[tuple[int, tuple[Files, Files]]]:
        """Add the first blocks to a layout; yield where each begins, and its images and labels."""
        starts = {run.start for run in segments(self._blocks)}
        for index in range(count):
            if index in starts:
                growing.begin_segment()
            images, labels = files_of(self._blocks[index].folder, self._columns(index))
            base = growing.end
            growing.add(images, together=False)
            growing.add(labels, together=True)
            yield base, (images, labels)


def _line_of(path: str) -> int:
    """Return the bytes of a file's line in the manifest."""
    slashes = path.count("\\")
    return _SUM_LINE + len(path.encode()) + (slashes + 1 if slashes else 0)


def _lines_of(files: Files) -> int:
    """Return the bytes of the lines of the files of one folder."""
    lead = f"{files.folder}/" if files.folder else ""
    together = "".join(files.names)
    if "\\" in lead or "\\" in together:
        return sum([_line_of(lead + name) for name in files.names])
    return len(together.encode()) + len(files.names) * _line_of(lead)
