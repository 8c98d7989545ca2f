"""Where everything goes in the one file of `--mode squashfs` and `--mode tar`: computed from the plan alone.

The file holds segments, then the documents, then what the format puts at its end. A segment is a run of slices, in
which the images of each block of the plan stand before its labels. It begins at a whole MiB and ends where the next one
is less than a slice away. A shard begins with a segment, so no two nodes write into one page or stripe.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from operator import add
from typing import Final, NamedTuple, Protocol

from planbalance.dataset_files import MANIFEST
from planbalance.destination import Destination, file_names, label_of, label_path
from planbalance.model import Block, Operation, Source
from planbalance.modes import Mode
from planbalance.packed import tar_layout
from planbalance.packed.entry import FIXED_TIME, Files
from planbalance.packed.squashfs_layout import SquashfsLayout
from planbalance.packed.tar_layout import TarLayout
from planbalance.shards import Shard, Stretch, cut_slices

# The rule by which everything has its place, by number: runs by different rules must not meet in one build.
RULE: Final = 2
BOUNDARY: Final = 1 << 20
LEAST: Final = 64  # slices of a segment: at its end at most the room of one slice is lost
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
        last: (offset, bytes) of what follows the content.
        first: the first bytes of the file, which are written last of all.
    """

    last: tuple[int, bytes]
    first: bytes


class PackedForm(Protocol):
    """What the engine needs of a format: SquashFS or tar.

    Attributes:
        heads: whether it puts something before and behind each content.
    """

    heads: bool

    def lengths(self, files: Files) -> Sequence[int]:
        """Return how many bytes the record of each file takes, which is more than its content."""

    def aligned(self, end: int) -> int:
        """Return where the next segment begins, behind one that ends at `end`."""

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

    def lengths(self, files: Files) -> Sequence[int]:
        return files.sizes

    def aligned(self, end: int) -> int:
        return end + -end % BOUNDARY

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
        return Ends((self._layout.end, self._layout.tables()), self._layout.superblock())


class _TarForm:
    heads = True

    def lengths(self, files: Files) -> Sequence[int]:
        return tar_layout.lengths(files)

    def aligned(self, end: int) -> int:
        return tar_layout.aligned(end, BOUNDARY)

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
        del together  # each file has its own header
        self._layout.add(files)

    def ends(self) -> Ends:
        return Ends((self._layout.end, self._layout.tail()), self._layout.folders)


FORMS: Final[Mapping[Mode, PackedForm]] = {"squashfs": _SquashfsForm(), "tar": _TarForm()}


# ---- the slices of a block ------------------------------------------------------------------------------------------


class Begin(NamedTuple):
    """Where a block begins.

    Attributes:
        at: offset of its first record.
        slices: how many slices of its segment lie before it.
        size: bytes of these.
    """

    at: int
    slices: int = 0
    size: int = 0


class SlicePlaces(NamedTuple):
    """Where the slices of a block go.

    Attributes:
        images: where the record of each image begins.
        labels: where the record of each label begins.
        gaps: behind which slice a segment ends, as its position and one: the bytes from there to the next segment.
        following: where the next block begins.
    """

    images: "array[int]"
    labels: "array[int]"
    gaps: Mapping[int, int]
    following: Begin

    def start(self, position: int) -> int:
        """Return where a slice begins; for the position behind the last one, where the next block begins."""
        return self.images[position] if position < len(self.images) else self.following.at


def places_of(form: PackedForm, begin: Begin, images: Files, labels: Files) -> SlicePlaces:
    """Return where the images and labels of a block go, or of a run of its slices."""
    image_sizes, label_sizes = form.lengths(images), form.lengths(labels)
    stops, slices, size = _segment_stops(form, begin, image_sizes, label_sizes)
    found, gaps = (array("Q"), array("Q")), {}
    at, first, count = begin.at, 0, len(image_sizes)
    for stop in stops if stops and stops[-1] == count else (*stops, count):
        for starts, sizes in zip(found, (image_sizes, label_sizes), strict=True):
            *places, at = accumulate(sizes[first:stop], initial=at)
            starts.extend(places)
        if stop in stops:
            gaps[stop] = form.aligned(at) - at
            at += gaps[stop]
        first = stop
    return SlicePlaces(*found, gaps, Begin(at, slices, size))


def _segment_stops(
    form: PackedForm, begin: Begin, images: Iterable[int], labels: Iterable[int]
) -> tuple[list[int], int, int]:
    """Return behind which slices a segment ends, and how many slices and bytes the last one has that does not end.

    It ends where the gap up to the next one is smaller than its last slice.
    """
    stops = []
    _, slices, size = begin
    for position, both in enumerate(map(add, images, labels), start=1):
        slices += 1
        size += both
        if slices >= LEAST and -size % BOUNDARY < both and form.aligned(size) - size < both:
            stops.append(position)
            slices = size = 0
    return stops, slices, size


# ---- the whole file -------------------------------------------------------------------------------------------------


class PackedPlaces(NamedTuple):
    """Where content goes in the file.

    Attributes:
        begins: where each block of the plan begins.
        segments: the number of the slice behind each segment, counted over all blocks.
        documents: where the record of each document begins, by path.
        gaps: what is before the first segment and behind the last one, as (offset, length).
        content: where the last block ends.
        most: bytes of the whole file at most.
    """

    begins: list[Begin]
    segments: list[int]
    documents: dict[str, int]
    gaps: list[tuple[int, int]]
    content: int
    most: int


class ShardPlace(NamedTuple):
    """What a shard fills.

    Attributes:
        stretch: its slices.
        begins: where each of its blocks begins, the first one with its own first slice.
        start: its first byte.
        stop: the byte behind its last one, and behind the gap that follows.
    """

    stretch: Stretch
    begins: list[Begin]
    start: int
    stop: int


class _Scan:
    """Looks at one block after the other, as far as is needed.

    Args:
        form: the format.
        start: where the first segment begins.
        blocks: of the plan.
        columns: returns what is known of a block.
    """

    def __init__(
        self, form: PackedForm, start: int, blocks: Sequence[Block], columns: Callable[[int], BlockColumns]
    ) -> None:
        self.begins = [Begin(start)]
        self.places: list[SlicePlaces] = []
        self._form = form
        self._blocks = blocks
        self._columns = columns

    def segments(self) -> Iterator[int]:
        """Yield the number of the slice behind each segment, counted over all blocks."""
        before = 0
        for index, block in enumerate(self._blocks):
            files = files_of(block.folder, self._columns(index))
            self.places.append(places_of(self._form, self.begins[index], *files))
            self.begins.append(self.places[index].following)
            yield from [before + stop for stop in self.places[index].gaps]
            before += block.count


def packed_folders(blocks: Sequence[Block], documents: Sequence[str]) -> tuple[str, ...]:
    """Return the folders that a file has, given those of its documents."""
    folders = list(dict.fromkeys(block.folder for block in blocks))
    return (*folders, *(label_of(Destination(folder, "")).folder for folder in folders), *documents)


def shard_place(
    mode: Mode, blocks: Sequence[Block], columns: Callable[[int], BlockColumns], shard: Shard, folders: Sequence[str]
) -> ShardPlace:
    """Return what a shard fills; blocks behind it are not looked at, but for the one in which its last segment ends.

    Args:
        mode: the format.
        blocks: of the whole plan.
        columns: returns what is known of a block.
        shard: which shard.
        folders: all that are in the file.
    """
    form = FORMS[mode]
    scan = _Scan(form, form.layout(folders).begin_segment(), blocks, columns)
    stretches = cut_slices(blocks, shard.total, scan.segments())
    for _ in range(shard.number - 1):
        next(stretches)
    stretch = next(stretches)
    own = stretch.blocks
    if not own:
        return ShardPlace(stretch, [], 0, 0)
    start = scan.places[own.start].start(stretch.first)
    begins = [Begin(start) if stretch.first else scan.begins[own.start], *scan.begins[own.start + 1 : own.stop]]
    return ShardPlace(stretch, begins, start, scan.places[own.stop - 1].start(stretch.stop))


class Packing:
    """The one file of a build.

    Args:
        mode: the format.
        blocks: of the whole plan, also where a shard builds a part.
        columns: returns what is known of a block of the whole plan, by its number.
        documents: returns the content of all documents but the manifest, by path.
        folders: all that are in the file.
        summed: which of the documents the manifest names; None where there is no manifest.
        shard: what this run fills; None where that is all.
        estimated: whether `columns` only estimates the sizes of some images, because they are not rendered yet. Then
            all places, and the size of the file, are estimates too.

    Attributes:
        mode: the format.
        summed: as above.
        estimated: as above.
        size: of the file, once `ends` were asked for.
    """

    def __init__(  # noqa: PLR0913 - all but four are given by name
        self,
        mode: Mode,
        blocks: Sequence[Block],
        columns: Callable[[int], BlockColumns],
        documents: Callable[[], Mapping[str, bytes]],
        *,
        folders: Sequence[str],
        summed: Sequence[str] | None,
        shard: ShardPlace | None,
        estimated: bool = False,
    ) -> None:
        self.mode = mode
        self.estimated = estimated
        self.summed = summed
        self._blocks = blocks
        self._columns = columns
        self._documents = documents
        self._folders = folders
        self._shard = shard
        self._growing: GrowingLayout | None = None
        self.size = 0

    @cached_property
    def documents(self) -> Mapping[str, bytes]:
        """The content of all documents but the manifest, by path."""
        return self._documents()

    @cached_property
    def places(self) -> PackedPlaces:
        """Where content goes. Raises PlanError where a block cannot be read."""
        documents = {path: len(data) for path, data in self.documents.items()}
        growing = FORMS[self.mode].layout(self._folders)
        head = growing.end
        begins, segments, sum_lines = [Begin(growing.begin_segment())], [], 0
        before = 0
        for index, block in enumerate(self._blocks):
            files = files_of(block.folder, self._columns(index))
            found = places_of(FORMS[self.mode], begins[index], *files)
            _grow(growing, found, *files)
            begins.append(found.following)
            segments += [before + stop for stop in found.gaps]
            before += block.count
            sum_lines += sum(map(_lines_of, files)) if self.summed is not None else 0
        if self.summed is not None:
            documents[MANIFEST] = sum_lines + sum(map(_line_of, self.summed))
        content = growing.end
        gaps = [(head, begins[0].at - head), (content, growing.begin_segment() - content)]
        places = {}
        for path, size in documents.items():
            places[path] = growing.end
            folder, _, name = path.rpartition("/")
            growing.add(Files(folder, [name], [size], [FIXED_TIME]), together=True)
        self._growing = growing
        return PackedPlaces(begins[:-1], segments, places, gaps, content, growing.most)

    def columns(self, index: int) -> BlockColumns:
        """Return what is known of a block of the whole plan. Raises PlanError."""
        return self._columns(index)

    def with_sizes(self, sizes: Callable[[int], "array[int]"], *, estimated: bool = False) -> "Packing":
        """Return the packing of the same build with these sizes of images, by block; `estimated` as of `Packing`."""
        return Packing(
            self.mode,
            self._blocks,
            lambda index: self._columns(index)._replace(sizes=sizes(index)),
            lambda: self.documents,
            folders=self._folders,
            summed=self.summed,
            shard=self._shard,
            estimated=estimated,
        )

    @property
    def counts(self) -> list[int]:
        """How many slices each block of the plan has."""
        return [block.count for block in self._blocks]

    def slice_places(self, index: int) -> SlicePlaces:
        """Return where the slices of a block of the whole plan go. Raises as `places`."""
        files = files_of(self._blocks[index].folder, self._columns(index))
        return places_of(FORMS[self.mode], self.places.begins[index], *files)

    def cut(self, count: int) -> list[Stretch]:
        """Return what each of `count` shards builds. Raises as `places`."""
        return list(cut_slices(self._blocks, count, self.places.segments))

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

    def room(self) -> tuple[int, int]:
        """Return where the bytes begin and end that this run fills. Raises as `places`."""
        return (0, self.places.most) if self._shard is None else (self._shard.start, self._shard.stop)

    def begins(self) -> list[Begin]:
        """Return where each block begins that this run builds. Raises as `places`."""
        return self.places.begins if self._shard is None else self._shard.begins


def _grow(growing: GrowingLayout, places: SlicePlaces, images: Files, labels: Files) -> None:
    """Add a block to a layout, segment by segment."""
    first, count = 0, len(images.names)
    for stop in places.gaps if count in places.gaps else (*places.gaps, count):
        growing.add(images.part(first, stop), together=False)
        growing.add(labels.part(first, stop), together=True)
        if stop in places.gaps:
            growing.begin_segment()
        first = stop


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
