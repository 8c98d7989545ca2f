"""The journal as it is written: every finished batch is a line, whoever wrote it, and a slow disk holds nobody up."""

from pathlib import Path
from typing import cast

import anyio
import anyio.to_thread
import pytest

from planbalance import fs
from planbalance.engine.journal import Record, read_journal
from planbalance.engine.journal_file import JournalFile
from planbalance.engine.schedule import Range
from planbalance.engine.staging import Staging, here
from planbalance.model import Block

BLOCKS = [Block("images/train", 1000, 0, 1, "")]


class Folder:
    """As much of a staging folder as a journal needs."""

    def __init__(self, path: Path) -> None:
        self.tree = fs.Tree(str(path))
        self.own = self.tree.fd


def written(path: Path, count: int, *, safe: bool = False) -> list[Record]:
    """Record so many batches side by side; return what a reader finds."""
    folder = Folder(path)
    journal = JournalFile(cast("Staging", folder), safe=safe)

    async def main() -> None:
        await journal.begin(())
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(journal.record, Record((Range(0, number, number + 1),), b""))
        if safe:
            await journal.vouch()

    try:
        anyio.run(main)
    finally:
        journal.close()
        folder.tree.close()
    found = read_journal((path / fs.JOURNAL).read_bytes(), BLOCKS, here(), with_sums=False)
    assert found.written == count == journal.written
    return sorted(found.records)


@pytest.mark.parametrize("safe", [False, True])
def test_every_batch_is_a_line_though_many_come_at_once(tmp_path: Path, safe: bool) -> None:
    assert written(tmp_path, 100, safe=safe) == [Record((Range(0, number, number + 1),), b"") for number in range(100)]


def test_what_comes_while_a_line_is_written_is_written_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    real = fs.AppendedFile.write

    def write(self: fs.AppendedFile, data: bytes) -> int:
        writes.append(bytes(data).count(b"\n"))
        return real(self, data)

    monkeypatch.setattr(fs.AppendedFile, "write", write)
    written(tmp_path, 100)
    assert sum(writes) == 101
    assert len(writes) < 20


def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: fs.AppendedFile, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fs.AppendedFile, "write", full)
    with pytest.raises(OSError, match="No space"):
        written(tmp_path, 1)
