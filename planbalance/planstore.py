"""Read and write plan files: written in one step, read a block at a time, never trusted."""

import os
import stat
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from planbalance import fs, lock_owner, packed_dataset
from planbalance.dataset_files import PLAN
from planbalance.errors import PlanError, UsageError
from planbalance.import_model import ImportHeader, ImportOperation, LedgerLine
from planbalance.model import Block, Operation, PlanHeader
from planbalance.packed.entry import PackedError
from planbalance.planfile import (
    EDITED_BYTES,
    HEADER_BYTES,
    IMPORT_SCHEMA,
    TAIL,
    BlockFacts,
    BlockReader,
    Facts,
    ImportBlockReader,
    ImportFacts,
    SealedImport,
    SealedPlan,
    WholeImport,
    WholePlan,
    check_end,
    first_line_of,
    first_line_of_import,
    import_facts,
    ledger_offset,
    parse_edited,
    parse_header,
    parse_import_header,
    parse_ledger,
)
from planbalance.text import error_text

_CHUNK: Final = 1 << 20
# The least that is read at a time: in layout by-volume a block has ten slices, and a remote read is slow.
READ_AHEAD: Final = 1 << 17
_MAKE_HINT: Final = "Make a plan with `planbalance plan INPUT --output DIR`, or name the plan file."


def save_plan(path: str, sealed: SealedPlan | SealedImport) -> str:
    """Write a plan file in one step: a reader finds the complete old file or the complete new one.

    Its mode is what the umask gives a new file, as for every file that a shell makes. Where the path is a link, the
    file that it points to is replaced. A file of other bytes in its place is kept beside it, as `<name>.bak`; where
    that is taken by another one, as `<name>.bak2` and so on, so that nothing is lost.

    Returns:
        The path where the file that was in its place is kept; "" where there was none, or the same plan.

    Raises:
        UsageError: the folder is not there, something else than a file is (kind `bad-plan-file`), or a file of another
            user (kind `plan-of-another-user`).
        PlanError: it cannot be written: no permission, no space (kind `plan-not-written`).
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise UsageError(
            f"The folder of the plan file does not exist: {folder}",
            kind="bad-plan-file",
            hint="Make the folder, or give --plan-file another place.",
            paths=(path,),
        )
    if os.path.exists(target) and not os.path.isfile(target):
        raise UsageError(
            f"The plan file would replace a folder or a device: {path}",
            kind="bad-plan-file",
            hint="Give --plan-file a file name, such as plan.json.",
            paths=(path,),
        )
    try:
        refuse_plan_of_another(path)
        with fs.kept_beside(target) if _holds_other(target, sealed) else nullcontext("") as kept:
            fs.write_path(target, (sealed.first_line, *sealed.body, sealed.tail), on_disk=True)
    except OSError as error:
        raise PlanError(
            f"The plan file cannot be written: {path}: {error_text(error)}",
            kind="plan-not-written",
            hint="Give --plan-file a place where you may write and that has room.",
            paths=(path,),
        ) from None
    return kept


def refuse_plan_of_another(path: str) -> None:
    """Refuse to replace a plan file that another user owns.

    Raises:
        UsageError: one does (kind `plan-of-another-user`).
        OSError: its folder cannot be written to.
    """
    owner = fs.owner_of_another(os.path.realpath(path))
    if owner is not None:
        raise UsageError(
            f"The plan file {path} belongs to {lock_owner.user_name(owner)} and is not replaced: write yours to "
            "another file with --plan-file.",
            kind="plan-of-another-user",
            hint="--plan-file my-plan.json, for example.",
            paths=(path,),
        )


def _holds_other(path: str, sealed: SealedPlan | SealedImport) -> bool:
    """Return whether a file holds other bytes than a plan; one that cannot be read counts as another one."""
    try:
        with open(path, "rb") as file:
            parts = (sealed.first_line, *sealed.body, sealed.tail)
            return any(file.read(len(part)) != part for part in parts) or file.read(1) != b""
    except FileNotFoundError:
        return False
    except OSError:
        return True


HeaderKind = TypeVar("HeaderKind", PlanHeader, ImportHeader)
OperationKind = TypeVar("OperationKind", Operation, ImportOperation)
FactsKind = TypeVar("FactsKind", BlockFacts, ImportFacts)


class _Reader(Protocol[OperationKind]):
    """Reads and checks blocks: `BlockReader`, `ImportBlockReader`."""

    def read(self, block: Block, data: bytes) -> list[OperationKind]: ...

    def read_part(self, block: Block, data: bytes, start: int, stop: int) -> list[OperationKind]: ...


class SealedFile(Generic[HeaderKind, OperationKind, FactsKind]):
    """An open plan of any kind: its header is checked and in memory, its operations are read when they are needed.

    The file stays open as long as this object lives, so that a plan replaced meanwhile is still read as it was. Blocks
    may be read from several threads.

    Attributes:
        path: where it lies; "" for one that was built in memory.
        header: the first line.
    """

    def __init__(
        self, path: str, header: HeaderKind, read: Callable[[int, int], bytes], reader: _Reader[OperationKind]
    ) -> None:
        self.path = path
        self.header: HeaderKind = header
        self._read = read  # (bytes after the first line, length) -> bytes
        self._reader: _Reader[OperationKind] = reader

    def read_block(self, index: int) -> list[OperationKind]:
        """Return the operations of one block, checked as `BlockReader.read` does.

        Raises:
            PlanError: the block is damaged or hostile, or cannot be read.
        """
        block = self.header.blocks[index]
        with _naming(self.path):
            return self._reader.read(block, self._read(block.offset, block.bytes))

    def read_part(self, index: int, start: int, stop: int) -> list[OperationKind]:
        """Return the operations `start` to `stop` (not included) of one block that was read whole before.

        Raises:
            PlanError: the block is another one now, or cannot be read.
        """
        block = self.header.blocks[index]
        with _naming(self.path):
            return self._reader.read_part(block, self._read(block.offset, block.bytes), start, stop)

    def operations(self) -> Iterator[OperationKind]:
        """Yield every operation in the order of the file; one block is in memory at a time."""
        for index in range(len(self.header.blocks)):
            yield from self.read_block(index)

    def parts(self) -> Iterator[bytes]:
        """Yield the bytes of the plan file; only their number is checked. Of an edited plan, yield the sealed form.

        Raises:
            PlanError: the file cannot be read, or was cut off since it was opened.
        """
        yield self._first_line()
        end = sum(block.bytes for block in self.header.blocks)
        for offset, size in (*((block.offset, block.bytes) for block in self.header.blocks), (end, self._end_bytes())):
            with _naming(self.path):
                part = self._read(offset, size)
                if len(part) != size:
                    raise PlanError("The plan is damaged: it ends too early.", kind="plan-damaged", hint=_MAKE_HINT)
            yield part

    def check(self, found: Iterable[tuple[int, FactsKind]] | None = None) -> None:
        """Check the whole plan before anything is built from it, collisions and the end included.

        `found`: the facts of every block, where the caller has them already; None: all blocks are read.

        Raises:
            PlanError: damaged or hostile.
        """
        raise NotImplementedError

    def _first_line(self) -> bytes:
        """Return the first line."""
        raise NotImplementedError

    def _end_bytes(self) -> int:
        """Return how many bytes stand behind the operations."""
        raise NotImplementedError


class PlanFile(SealedFile[PlanHeader, Operation, BlockFacts]):
    """An open plan of a split."""

    def __init__(
        self, path: str, header: PlanHeader, read: Callable[[int, int], bytes], reader: _Reader[Operation] | None = None
    ) -> None:
        super().__init__(path, header, read, reader or BlockReader(header))

    @classmethod
    def open(cls, path: str, *, allow_edited: bool = False) -> "PlanFile":
        """Open a plan and check its header (an edited one: all of it).

        Raises:
            PlanError: not found, no regular file, unreadable, damaged or hostile.
        """
        path = _plan_in(path)
        source = _packed_source(path) or _Descriptor(_open_regular(path))
        with _naming(path):
            if allow_edited:
                return cls._of(path, parse_edited(source.read(0, EDITED_BYTES + 1)))
            first_line = source.first_line()
            if not first_line:
                raise PlanError("The plan file is empty.", kind="plan-damaged", hint=_MAKE_HINT)
            header = parse_header(first_line)
            return cls(path, header, lambda offset, size: source.read(len(first_line) + offset, size))

    @classmethod
    def of(cls, sealed: SealedPlan) -> "PlanFile":
        """Return a plan that is in memory only; its header is not checked again, its blocks are checked as always."""
        return cls._of("", sealed)

    @classmethod
    def saved(cls, path: str, sealed: SealedPlan) -> "PlanFile":
        """Return a plan that was just written to `path`, with its header in memory and nothing else.

        The file is opened for each read and closed again, so that there may be more plans than a process may have open
        files. What is read is checked as always.
        """
        start = len(sealed.first_line)
        return cls(
            path, sealed.header, lambda offset, size: _Descriptor(_open_regular(path)).read(start + offset, size)
        )

    @classmethod
    def _of(cls, path: str, sealed: SealedPlan) -> "PlanFile":
        parts = {block.offset: data for block, data in zip(sealed.header.blocks, sealed.body, strict=True)}
        parts[sum(map(len, sealed.body))] = sealed.tail
        return cls(path, sealed.header, lambda offset, size: parts[offset][:size])

    def stretch(self, blocks: range) -> "PlanFile":
        """Return the plan of these blocks alone; no other block is read. Its header must not be written."""
        part = self.header._replace(blocks=self.header.blocks[blocks.start : blocks.stop])
        return PlanFile(self.path, part, self._read, self._reader)

    def check(self, found: Iterable[tuple[int, BlockFacts]] | None = None) -> None:
        """Check the whole plan, as `SealedFile.check` says. Raises PlanError."""
        whole = WholePlan(self.header)
        for index, facts in self._facts() if found is None else found:
            whole.take(facts, partial(self.read_block, index))
        end = sum(block.bytes for block in self.header.blocks)
        with _naming(self.path):
            if self._read(end, len(TAIL) + 1) != TAIL:
                raise PlanError(
                    "The plan is damaged: it does not end after its last operation.",
                    kind="plan-damaged",
                    hint="Make it again with `planbalance plan`.",
                )
            whole.finish()

    def _first_line(self) -> bytes:
        return first_line_of(self.header)

    def _end_bytes(self) -> int:
        return len(TAIL)

    def _facts(self) -> Iterator[tuple[int, BlockFacts]]:
        facts = Facts(self.header)
        for index, block in enumerate(self.header.blocks):
            yield index, facts.of(block.folder, self.read_block(index))


class ImportPlan(SealedFile[ImportHeader, ImportOperation, ImportFacts]):
    """An open plan of an import."""

    def __init__(
        self,
        path: str,
        header: ImportHeader,
        read: Callable[[int, int], bytes],
        reader: _Reader[ImportOperation] | None = None,
    ) -> None:
        super().__init__(path, header, read, reader or ImportBlockReader(header))

    @classmethod
    def open(cls, path: str) -> "ImportPlan":
        """Open a plan and check its header.

        Raises:
            PlanError: not found, no regular file, unreadable, damaged or hostile, or the plan of a split.
        """
        path = _plan_in(path)
        source = _packed_source(path) or _Descriptor(_open_regular(path))
        with _naming(path):
            first_line = source.first_line()
            header = parse_import_header(first_line)
            return cls(path, header, lambda offset, size: source.read(len(first_line) + offset, size))

    @classmethod
    def of(cls, sealed: SealedImport, path: str = "") -> "ImportPlan":
        """Return a plan that is in memory; `path`: where it was saved, if it was."""
        whole = b"".join((*sealed.body, sealed.tail))
        return cls(path, sealed.header, lambda offset, size: whole[offset : offset + size])

    def stretch(self, blocks: range) -> "ImportPlan":
        """Return the plan of these blocks alone; no other block is read. Its header must not be written."""
        part = self.header._replace(blocks=self.header.blocks[blocks.start : blocks.stop])
        return ImportPlan(self.path, part, self._read, self._reader)

    def check(self, found: Iterable[tuple[int, ImportFacts]] | None = None) -> None:
        """Check the whole plan, as `SealedFile.check` says. Raises PlanError."""
        whole = WholeImport(self.header)
        blocks = range(len(self.header.blocks))
        for _, facts in ((index, import_facts(self.read_block(index))) for index in blocks) if found is None else found:
            whole.take(facts)
        with _naming(self.path):
            check_end(self.header, self._read)
            whole.finish()
        self.ledger()

    def ledger(self) -> list[LedgerLine]:
        """Return a line for each annotation, with its fate. Raises PlanError where it is damaged."""
        with _naming(self.path):
            return parse_ledger(self.header, self._read(ledger_offset(self.header), self.header.ledger.bytes))

    def _first_line(self) -> bytes:
        return first_line_of_import(self.header)

    def _end_bytes(self) -> int:
        operations = sum(block.bytes for block in self.header.blocks)
        return ledger_offset(self.header) - operations + self.header.ledger.bytes + len(TAIL)


def is_import(path: str) -> bool:
    """Return whether a file begins as the plan of an import does, or is an image or tar that holds such a plan.

    False where it cannot be read.
    """
    try:
        path = _plan_in(path)
        source = _packed_source(path) or _Descriptor(_open_regular(path))
        return source.read(0, len(_IMPORT)) == _IMPORT
    except (OSError, PlanError):
        return False


_IMPORT: Final = b'{"schema":"%b"' % IMPORT_SCHEMA.encode()


class _Descriptor:
    """An open file that is closed when nothing refers to it any more; reads move no shared position.

    The last stretch that was read ahead is kept, since small blocks are read one after the other.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ahead = (0, b"")  # where it begins, and its bytes: replaced as one, several threads read
        weakref.finalize(self, os.close, descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes at `offset`, fewer where the file ends."""
        if size >= READ_AHEAD:
            return self._from_file(offset, size)
        start, kept = self._ahead
        if not start <= offset <= offset + size <= start + len(kept):
            start, kept = self._ahead = (offset, self._from_file(offset, READ_AHEAD))
        return kept[offset - start : offset - start + size]

    def _from_file(self, offset: int, size: int) -> bytes:
        parts = []
        while size > 0 and (part := os.pread(self._descriptor, min(size, _CHUNK), offset)):
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def first_line(self) -> bytes:
        """Return the bytes up to the first newline; one more than a header may have where none comes."""
        parts: list[bytes] = []
        size = 0
        while size <= HEADER_BYTES and (part := self._from_file(size, _CHUNK)):
            line, newline, _ = part.partition(b"\n")
            parts += (line, newline)
            size += len(line)
            if newline:
                break
        return b"".join(parts)


def _plan_in(path: str) -> str:
    """Return where the plan is of a dataset in one file; the path itself of all others. Raises PlanError."""
    place = packed_dataset.inside(path)
    if place is not None and place.path:
        return path
    try:
        dataset = packed_dataset.open_dataset(os.path.abspath(path))
    except PackedError as error:
        raise PlanError(
            f"The plan cannot be read: {path}: {error}.", kind="plan-unreadable", hint=_MAKE_HINT, paths=(path,)
        ) from None
    if dataset is None:
        return path
    if dataset.entry(PLAN) is None:
        raise PlanError(f"The dataset carries no plan: {path}", kind="plan-not-found", hint=_MAKE_HINT, paths=(path,))
    return f"{dataset.path}/{PLAN}"


def _packed_source(path: str) -> "_InPacked | None":
    """Return a plan that lies in a packed dataset which is open; None of other paths. Raises PlanError."""
    place = packed_dataset.inside(path)
    entry = None if place is None else place.dataset.entry(place.path)
    if place is None or entry is None or entry.kind != "file":
        return None
    try:
        run = place.dataset.run(entry)
        return _InPacked(place.dataset, run, b"" if run else place.dataset.read(entry, EDITED_BYTES))
    except (PackedError, OSError) as error:
        raise _unreadable(path, error) from None


class _InPacked(_Descriptor):
    """A plan in a packed dataset, where it lies in one run, else with all of its bytes."""

    def __init__(self, dataset: packed_dataset.PackedDataset, run: tuple[int, int] | None, data: bytes) -> None:
        self._dataset, self._run, self._data = dataset, run, data
        self._ahead = (0, b"")

    def _from_file(self, offset: int, size: int) -> bytes:
        if self._run is None:
            return self._data[offset : offset + size]
        start, length = self._run
        return self._dataset.read_at(start + offset, max(0, min(size, length - offset)))


def _open_regular(path: str) -> int:
    """Return a descriptor of a regular file; anything else is refused, without waiting for a pipe's other end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        raise PlanError(
            f"The plan does not exist: {path}", kind="plan-not-found", hint=_MAKE_HINT, paths=(path,)
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unreadable(path, error) from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise PlanError(f"The plan is no regular file: {path}", kind="plan-not-found", hint=_MAKE_HINT, paths=(path,))


def _unreadable(path: str, error: Exception) -> PlanError:
    return PlanError(
        f"The plan cannot be read: {path}: {error_text(error)}",
        kind="plan-unreadable",
        hint="Check its permissions and the disk.",
        paths=(path,),
    )


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Add the plan's path to a PlanError that is raised inside."""
    try:
        yield
    except OSError as error:
        raise _unreadable(path, error) from None
    except PlanError as error:
        if not path:
            raise
        message = f"{path}: {error.message[0].lower()}{error.message[1:]}"
        raise PlanError(message, kind=error.kind, hint=error.hint, paths=error.paths or (path,)) from None
