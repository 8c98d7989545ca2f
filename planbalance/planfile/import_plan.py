"""The plan of an import (`planbalance/import/1`) as bytes: the file format of any plan, with operations of its own.

The first line is the header, then come the operations in blocks, and then the ledger: one line for each annotation,
with its fate. The last line is `]}`. Operations are sorted by volume and slice, and no block cuts a source file that
holds several slices. As any plan it is not trusted.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from math import isfinite
from operator import methodcaller
from typing import Any, Final, NamedTuple

import orjson

from planbalance.destination import PART_BYTES, ImportDestinations, fold, id_fault, path_fault
from planbalance.errors import PlanError
from planbalance.import_model import (
    FATES,
    LEDGER_COLUMNS,
    STATES,
    ImportHeader,
    ImportOperation,
    ImportVolume,
    LedgerBlock,
    LedgerLine,
    Window,
)
from planbalance.model import IMAGE_SUFFIXES, Block
from planbalance.path_relation import relation
from planbalance.planfile.blocks import check_sum, first_lines, mtimes_of, rows_of, written_so
from planbalance.planfile.header import (
    HEADER_BYTES,
    IMPORT_SCHEMA,
    OPENING,
    absolute_path,
    check_blocks,
    check_formatting,
    header_digest,
    members_of_line,
)
from planbalance.planfile.json_values import (
    LARGEST,
    SHA256,
    count_of,
    damaged,
    exact_members,
    hostile,
    list_of,
    malformed,
    object_of,
    one_of,
    plain_json,
    sha256,
    shown,
    text_of,
)
from planbalance.planfile.seal import TAIL, format_mtime

# A block is smaller than that of a split: a slice takes milliseconds, and shards and workers share blocks.
BLOCK_SLICES: Final = 512
_MOST_SLICES: Final = 1 << 17  # of one block: a file of several slices is never cut
_LEDGER_OPENING: Final = b'],"ledger":[\n'
LEDGER_BYTES: Final = 256 << 20
_MOST_PIXELS: Final = 1 << 30
_LABEL_BYTES: Final = 1 << 20
_LABEL: Final = re.compile(r"(?:(?:0|[1-9][0-9]{0,5})(?: (?:0\.[0-9]{6}|1\.000000)){4}\n)*")
_MEMBERS: Final = tuple("image_mtime" if name == "image_mtime_ns" else name for name in ImportOperation._fields)
_HEADER_MEMBERS: Final = ("schema", *ImportHeader._fields)
_HINT: Final = "Make it again with `planbalance import`."


class SealedImport(NamedTuple):
    """The plan of an import as it is written: `first_line`, the parts of `body` and `tail`, one after the other.

    Attributes:
        header: with digest, blocks and ledger filled in.
        first_line: the header's JSON with `"operations":[` and a newline.
        body: one run of lines for each block, then the ledger with what stands before it.
        tail: what closes the document.
    """

    header: ImportHeader
    first_line: bytes
    body: tuple[bytes, ...]
    tail: bytes = TAIL


# ---- writing --------------------------------------------------------------------------------------------------------


def seal_import(
    draft: ImportHeader, operations: Iterable[ImportOperation], ledger: Iterable[LedgerLine]
) -> SealedImport:
    """Sort the operations, cut them into blocks and compute every digest.

    Args:
        draft: the header, without digest, blocks and ledger.
        operations: in any order; they are not checked, reading does that.
        ledger: a line for each annotation, in the order of the sources.

    Raises:
        PlanError: the header could not be read back: too large, no operation, control characters.
    """
    blocks: list[Block] = []
    body: list[bytes] = []
    offset = 0
    rows = sorted(operations, key=lambda each: (each.volume, each.number))
    left = len(rows)
    for folder, run in _runs(draft, rows):
        left -= len(run)
        data = b",\n".join(map(_line, run)) + (b",\n" if left else b"\n")
        blocks.append(Block(folder, len(run), offset, len(data), hashlib.sha256(data).hexdigest()))
        body.append(data)
        offset += len(data)
    lines = list(map(orjson.dumps, ledger))
    data = b",\n".join(lines) + b"\n" if lines else b""
    block = LedgerBlock(len(lines), len(data), hashlib.sha256(data).hexdigest())
    header = draft._replace(digest="", ledger=block, blocks=tuple(blocks))
    header = header._replace(digest=header_digest(_header_json(header)))
    first_line = first_line_of_import(header)
    for size, most, what in ((len(first_line), HEADER_BYTES, "header"), (len(data), LEDGER_BYTES, "ledger")):
        if size > most:
            raise PlanError(
                f"The plan's {what} would be {size:,} bytes long, and {most:,} can be read.",
                kind="plan-too-large",
                hint="Import the sources into several datasets.",
            )
    parse_import_header(first_line)  # what cannot be read must not be written
    return SealedImport(header, first_line, (*body, _LEDGER_OPENING + data))


def first_line_of_import(header: ImportHeader) -> bytes:
    """Return the first line of a sealed plan."""
    return _header_json(header)[:-1] + OPENING + b"\n"


def _header_json(header: ImportHeader) -> bytes:
    members: dict[str, Any] = {"schema": IMPORT_SCHEMA, **header._asdict()}
    if not header.digest:
        del members["digest"]
    return orjson.dumps(members, default=methodcaller("_asdict"))


def _line(operation: ImportOperation) -> bytes:
    return orjson.dumps(
        dict(zip(_MEMBERS, operation, strict=True)) | {"image_mtime": format_mtime(operation.image_mtime_ns)}
    )


def _runs(header: ImportHeader, rows: Sequence[ImportOperation]) -> Iterator[tuple[str, list[ImportOperation]]]:
    """Yield the folder and the operations of each block, sorted by folder; a block ends where a file does."""
    destinations = ImportDestinations(header.volumes, by_volume=header.layout == "by-volume")
    folders = [destinations.folder(volume.id) for volume in header.volumes]
    ordered = sorted(rows, key=lambda each: folders[each.volume])  # stable: by volume and slice within a folder
    for folder, members in groupby(ordered, key=lambda each: folders[each.volume]):
        run: list[ImportOperation] = []
        for file in files_of(list(members)):
            if run and len(run) + len(file) > BLOCK_SLICES:
                yield folder, run
                run = []
            run += file
        yield folder, run


def files_of(operations: Sequence[ImportOperation]) -> Iterator[list[ImportOperation]]:
    """Yield the operations of each source file, as they follow each other."""
    for _, members in groupby(operations, key=lambda each: (each.input, each.image)):
        yield list(members)


# ---- the header -----------------------------------------------------------------------------------------------------


def parse_import_header(first_line: bytes) -> ImportHeader:
    """Return the header of an import's plan, digest and rules checked.

    Raises:
        PlanError: `plan-damaged`, `plan-schema` or `plan-hostile`.
    """
    members, data = members_of_line(first_line, IMPORT_SCHEMA)
    if tuple(members) != _HEADER_MEMBERS:
        malformed(f"its header does not have the members {', '.join(_HEADER_MEMBERS)}, in this order")
    plain_json(object_of(members["parameters"], "parameters"), "parameters")
    sources = [object_of(each, "a source") for each in list_of(members["sources"], "sources")]
    for source in sources:
        _check_source(source, len(list_of(members["inputs"], "inputs")))
    ledger = exact_members(members["ledger"], LedgerBlock._fields, "the ledger")
    header = ImportHeader(
        digest=sha256(members["digest"], "the digest"),
        inputs=tuple(absolute_path(root, "an input") for root in list_of(members["inputs"], "inputs")),
        output=absolute_path(members["output"], "the output"),
        names=tuple(text_of(name, "a class name") for name in list_of(members["names"], "names")),
        parameters=members["parameters"],
        sources=tuple(sources),
        fates=_fates(members["fates"], "fates"),
        warnings=tuple(text_of(warning, "a warning") for warning in list_of(members["warnings"], "warnings")),
        volumes=tuple(_volume(each, len(sources)) for each in list_of(members["volumes"], "volumes")),
        ledger=LedgerBlock(
            count_of(ledger["count"], "`count` of the ledger"),
            count_of(ledger["bytes"], "`bytes` of the ledger"),
            sha256(ledger["sha256"], "the ledger's sum"),
        ),
        blocks=tuple(_block(each) for each in list_of(members["blocks"], "blocks")),
    )
    one_of(header.parameters.get("layout"), ("flat", "by-volume"), "the layout")
    if count_of(header.parameters.get("reuse", 0), "`reuse`") >= len(header.inputs):
        hostile("what is used again is none of its inputs")
    _check_places(header)
    _check_ledger_counts(header)
    check_blocks(header.blocks, _MOST_SLICES)
    _check_block_folders(header)
    check_formatting(members, data)
    return header


def _check_source(source: Mapping[str, Any], inputs: int) -> None:
    """Check what people are shown of a source; how its images are read is checked where they are."""
    plain_json(source, "a source")
    for key in ("name", "format", "reviewed"):
        text_of(source.get(key), f"`{key}` of a source")
    for key in ("not_written", "absent", "ignored"):
        count_of(source.get(key), f"`{key}` of a source")
    for file in list_of(source.get("annotations"), "`annotations` of a source"):
        members = exact_members(file, ("path", "bytes", "sha256", "suffix"), "an annotation file")
        absolute_path(members["path"], "an annotation file")
        count_of(members["bytes"], "`bytes` of an annotation file")
        sha256(members["sha256"], "the sum of an annotation file")
        text_of(members["suffix"], "`suffix` of an annotation file")
    for index in list_of(source.get("inputs"), "`inputs` of a source"):
        if count_of(index, "an input of a source") >= inputs:
            hostile("a source has an input that is not there")
    object_of(source.get("image_options"), "`image_options` of a source")
    identity = object_of(source.get("identity"), "`identity` of a source")
    for key in ("tags", "tags_in_paths"):
        for count in object_of(identity.get(key), f"`{key}` of a source").values():
            count_of(count, f"a count of `{key}`")


def _fates(value: object, what: str) -> dict[str, int]:
    members = exact_members(value, FATES, what)
    return {fate: count_of(count, f"`{fate}`") for fate, count in members.items()}


def _volume(value: object, sources: int) -> ImportVolume:
    members = exact_members(value, ImportVolume._fields, "a volume")
    name = text_of(members["id"], "a volume's id")
    fault = id_fault(name) or ("holds `/`" if "/" in name else None)
    if fault:
        hostile(f"the volume id {shown(name)} {fault}")
    if count_of(members["source"], "the source of a volume") >= sources:
        hostile(f"the volume {shown(name)} is of a source that is not there")
    one_of(members["kind"], ("picture", "dicom", "nifti", "h5"), "the kind of a volume")
    one_of(members["reviewed"], ("all", "some", "none"), "`reviewed` of a volume")
    for key in ("orientation", "patient"):
        text_of(members[key], f"`{key}` of a volume")
    if type(members["flipped"]) is not bool:
        malformed(f"`flipped` of the volume {shown(name)} is neither true nor false")
    states = [count_of(each, "a count of slices") for each in list_of(members["states"], "`states` of a volume")]
    if len(states) != len(STATES):
        malformed(f"the volume {shown(name)} does not have a count for each of {', '.join(STATES)}")
    count_of(members["boxes"], "`boxes` of a volume")
    return ImportVolume._make((members | {"window": _window(members["window"]), "states": tuple(states)}).values())


def _window(value: object) -> Window | None:
    if value is None:
        return None
    members = exact_members(value, Window._fields, "a window")
    low, high = members["low"], members["high"]
    if not all(type(each) in {int, float} and isfinite(each) for each in (low, high)) or low > high:
        malformed("a window is not two numbers, the lower one first")
    return Window(float(low), float(high))


def _block(value: object) -> Block:
    members = exact_members(value, Block._fields, "a block")
    text_of(members["folder"], "a block's folder")
    for name in ("count", "offset", "bytes"):
        count_of(members[name], f"`{name}` of a block")
    sha256(members["sha256"], "a block's sum")
    return Block(**members)


def _check_places(header: ImportHeader) -> None:
    if not header.inputs or not header.sources or not header.names:
        malformed("it does not have at least one input, one source and one class name")
    for place in header.inputs:
        if relation(header.output, place) is not None:
            hostile(f"the output {shown(header.output)} and the input {shown(place)} are not apart")
    ids = [volume.id for volume in header.volumes]
    if len(set(map(fold, ids))) != len(ids):
        counts = Counter(map(fold, ids))
        alike = sorted({name for name in ids if counts[fold(name)] > 1})
        hostile(f"volume ids are equal, or differ in case or Unicode form only: {', '.join(map(shown, alike[:4]))}")
    if ids != sorted(ids):
        malformed("its volumes are not sorted by their id")


def _check_ledger_counts(header: ImportHeader) -> None:
    total: Counter[str] = Counter()
    for source in header.sources:
        total.update(_fates(source.get("fates"), "the fates of a source"))
    if any(total[fate] != header.fates[fate] for fate in FATES):
        malformed("the fates of the sources do not add up to `fates`")
    if sum(header.fates.values()) != header.ledger.count:
        malformed("the ledger does not have a line for each annotation")
    if header.ledger.bytes > LEDGER_BYTES:
        malformed(f"its ledger has more than {LEDGER_BYTES:,} bytes")


def _check_block_folders(header: ImportHeader) -> None:
    expected: Counter[str] = Counter()
    destinations = ImportDestinations(header.volumes, by_volume=header.layout == "by-volume")
    for volume in header.volumes:
        expected[destinations.folder(volume.id)] += volume.written
    found: Counter[str] = Counter()
    for block in header.blocks:
        if block.folder not in expected:
            hostile(f"the block folder {shown(block.folder)} is none that a slice can go to")
        found[block.folder] += block.count
    if any(expected[folder] != found[folder] for folder in expected):
        malformed("blocks and volumes do not agree on how many slices are written")


# ---- operations -----------------------------------------------------------------------------------------------------


class ImportBlockReader:
    """Reads the blocks of one import's plan, each alone."""

    def __init__(self, header: ImportHeader) -> None:
        self._header = header
        self._destinations = ImportDestinations(header.volumes, by_volume=header.layout == "by-volume")
        self._end = sum(block.bytes for block in header.blocks)
        self._lines = first_lines(header.blocks)

    def read(self, block: Block, data: bytes) -> list[ImportOperation]:
        """Return the operations of a block, and check all that one block can show.

        Raises:
            PlanError: `plan-damaged`, `plan-schema` or `plan-hostile`.
        """
        line = self._lines.get(block.offset, 2)
        check_sum(block, data, line)
        last = block.offset + block.bytes == self._end
        rows = rows_of(data, block.count, last=last, line=line)
        operations = [self._operation(row, line + at) for at, row in enumerate(rows)]
        if not written_so(rows, data, last=last):
            damaged(f"the block of {block.count} operations at line {line} is not formatted as planbalance writes it")
        for at, operation in enumerate(operations, line):
            destination = self._destinations.of(operation)
            if destination.folder != block.folder:
                hostile(f"line {at}: the slice does not go to {shown(block.folder)}, as its block says")
            if len(destination.name.encode()) > PART_BYTES:
                hostile(f"line {at}: the file name would be longer than {PART_BYTES} bytes")
        for at, (before, after) in enumerate(pairwise(operations), line + 1):
            if (before.volume, before.number) >= (after.volume, after.number):
                hostile(f"line {at}: slice {after.number} is out of order, or there twice")
        return operations

    def read_part(self, block: Block, data: bytes, start: int, stop: int) -> list[ImportOperation]:
        """Return the operations `start` to `stop` (not included) of a block. Raises as `read` does."""
        return self.read(block, data)[start:stop]

    def _operation(self, row: object, line: int) -> ImportOperation:
        members = exact_members(row, _MEMBERS, f"line {line}")
        for name in ("volume", "number", "input", "plane", "width", "height", "image_size"):
            count_of(members[name], f"line {line}: `{name}`")
        for name in ("image", "image_mtime", "label", "pixels", "image_sha256"):
            if not isinstance(members[name], str):
                malformed(f"line {line}: `{name}` is of the wrong type")
        values = list(members.values())
        at = _MEMBERS.index("image_mtime")
        values[at] = mtimes_of([values[at]], line)[0]
        operation = ImportOperation._make(values)
        self._check(operation, line)
        return operation

    def _check(self, operation: ImportOperation, line: int) -> None:
        header = self._header
        if operation.volume >= len(header.volumes) or operation.input >= len(header.inputs):
            hostile(f"line {line}: there is no such volume or input")
        fault = path_fault(operation.image)
        if fault:
            hostile(f"line {line}: the image path {shown(operation.image)} {fault}")
        if not 0 < operation.width * operation.height <= _MOST_PIXELS:
            malformed(f"line {line}: the slice has no pixel, or more than {_MOST_PIXELS:,}")
        sums = [each for each in (operation.pixels, operation.image_sha256) if each]
        if len(sums) != 1 or not SHA256.fullmatch(sums[0]):
            malformed(f"line {line}: it does not have one SHA-256, either of the pixels or of the file")
        as_it_is = not operation.pixels
        if as_it_is != (header.volumes[operation.volume].window is None):
            malformed(f"line {line}: slice and volume do not agree on whether the slice is rendered")
        suffix = operation.image.rpartition("/")[2].rpartition(".")[2]
        if as_it_is and (suffix.lower() not in IMAGE_SUFFIXES or operation.plane):
            hostile(f"line {line}: {shown(operation.image)} is no picture that can be taken as it is")
        if len(operation.label) > _LABEL_BYTES or not _LABEL.fullmatch(operation.label):
            hostile(f"line {line}: the label text is not that of boxes")
        if any(int(text.partition(" ")[0]) >= len(header.names) for text in operation.label.splitlines()):
            hostile(f"line {line}: the label has a class that is not there")


class ImportFacts(NamedTuple):
    """What the check of a whole plan needs of a block.

    Attributes:
        positives: volume -> how many positive slices.
        negatives: likewise.
        boxes: volume -> how many annotations.
        first: volume and number of the first operation.
        last: likewise.
        bytes: of the source files.
    """

    positives: Mapping[int, int]
    negatives: Mapping[int, int]
    boxes: Mapping[int, int]
    first: tuple[int, int]
    last: tuple[int, int]
    bytes: int


def import_facts(operations: Sequence[ImportOperation]) -> ImportFacts:
    """Return the facts of one block."""
    positives, negatives, boxes = Counter[int](), Counter[int](), Counter[int]()
    for each in operations:
        (positives if each.label else negatives)[each.volume] += 1
        boxes[each.volume] += each.label.count("\n")
    first, last = operations[0], operations[-1]
    size = sum(each.image_size for each in operations)
    return ImportFacts(positives, negatives, boxes, (first.volume, first.number), (last.volume, last.number), size)


class WholeImport:
    """Collects the facts of all blocks, in any order, and checks what only all of them show."""

    def __init__(self, header: ImportHeader) -> None:
        self._header = header
        self._facts: list[ImportFacts] = []

    def take(self, facts: ImportFacts, _operations: object = None) -> None:
        """Add the facts of a block."""
        self._facts.append(facts)

    def finish(self) -> None:
        """Check what is only known at the end.

        Raises:
            PlanError: a slice is there twice, or counts are not what the header states.
        """
        facts = sorted(self._facts, key=lambda each: each.first)
        if any(before.last >= after.first for before, after in pairwise(facts)):
            hostile("a slice is there twice, or out of order")
        if sum(each.bytes for each in facts) > LARGEST:
            hostile("its files are said to hold too many bytes")
        found = [sum((Counter(getattr(each, name)) for each in facts), Counter[int]()) for name in _COUNTED]
        for index, volume in enumerate(self._header.volumes):
            if tuple(counts[index] for counts in found) != (volume.states[0], volume.states[1], volume.boxes):
                malformed(f"the operations of volume {shown(volume.id)} are not as many as its header says")


_COUNTED: Final = ("positives", "negatives", "boxes")


# ---- the ledger -----------------------------------------------------------------------------------------------------


def ledger_offset(header: ImportHeader) -> int:
    """Return where the ledger's lines begin, in bytes from the first byte after the first line."""
    return sum(block.bytes for block in header.blocks) + len(_LEDGER_OPENING)


def check_end(header: ImportHeader, read: Callable[[int, int], bytes]) -> None:
    """Check what stands before and behind the ledger; `read` returns bytes at an offset. Raises PlanError."""
    start = ledger_offset(header)
    if read(start - len(_LEDGER_OPENING), len(_LEDGER_OPENING)) != _LEDGER_OPENING:
        damaged("it has no ledger after its last operation", _HINT)
    if read(start + header.ledger.bytes, len(TAIL) + 1) != TAIL:
        damaged("it does not end after its ledger", _HINT)


def parse_ledger(header: ImportHeader, data: bytes) -> list[LedgerLine]:
    """Return the lines of the ledger, checked against the header: its sum, its columns and the sum of each fate.

    Raises:
        PlanError: `plan-damaged`, `plan-schema` or `plan-hostile`.
    """
    ledger = header.ledger
    if len(data) != ledger.bytes or hashlib.sha256(data).hexdigest() != ledger.sha256:
        damaged("its ledger does not match its sum", _HINT)
    rows = _ledger_rows(data, ledger.count)
    lines = []
    for row in rows:
        columns = list_of(row, "a line of the ledger")
        if len(columns) != len(LEDGER_COLUMNS):
            malformed(f"a line of the ledger does not have {len(LEDGER_COLUMNS)} columns")
        lines.append(tuple(text_of(each, "a text of the ledger") for each in columns))
    place = LEDGER_COLUMNS.index("fate")
    found = Counter(line[place] for line in lines)
    if any(found[fate] != header.fates[fate] for fate in FATES):
        malformed("the ledger does not have as many lines of each fate as the header says")
    return lines


def _ledger_rows(data: bytes, count: int) -> list[Any]:
    if not count:
        return []
    try:
        rows = orjson.loads(b"[" + data + b"]")
    except (ValueError, RecursionError):
        damaged("its ledger is not JSON", _HINT)
    if len(rows) != count:
        damaged("its ledger does not have as many lines as its header says", _HINT)
    if b",\n".join(map(orjson.dumps, rows)) + b"\n" != data:
        damaged("its ledger is not formatted as planbalance writes it", _HINT)
    return list(rows)
