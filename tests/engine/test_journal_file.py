"""The journal as it is written: every finished batch is a line, and workers do not wait for a slow disk."""

from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from planbalance import fs
from planbalance.engine.journal import JournalFile, Record, read_journal
from planbalance.engine.schedule import Range
from planbalance.lock_owner import this_node
from planbalance.model import Block
from tests.systems import needs_boot_id

BLOCKS = [Block("images/train", 1000, 0, 1, "")]


def written(path: Path, count: int, *, safe: bool = False) -> list[Record]:
    """Record so many batches side by side; return what a reader finds."""
    tree = fs.Tree(str(path))
    journal = JournalFile(tree.fd, tree.fd, this_node(), safe=safe)

    async def main() -> None:
        await journal.begin(())
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(journal.append, Record((Range(0, number, number + 1),), b""))
        if safe:
            await journal.checkpoint()

    try:
        anyio.run(main)
    finally:
        journal.close()
        tree.close()
    found = read_journal((path / fs.JOURNAL).read_bytes(), BLOCKS, this_node(), with_sums=False)
    assert found.written == count == journal.written
    return sorted(found.records)


@pytest.mark.parametrize("safe", [pytest.param(False, marks=needs_boot_id), True])
def test_every_batch_is_a_line_though_many_come_at_once(tmp_path: Path, safe: bool) -> None:
    assert written(tmp_path, 100, safe=safe) == [Record((Range(0, number, number + 1),), b"") for number in range(100)]


def test_what_comes_while_a_line_is_written_is_written_together(
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
