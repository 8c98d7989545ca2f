"""The journal while it is written: from the loop's thread, one line at a time."""

import io
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import anyio
import anyio.to_thread
from aiofiles.threadpool import wrap

from planbalance import fs
from planbalance.engine.journal import Record, gone_line, read_journal, record_line, run_line, sync_line, syncing_line
from planbalance.engine.schedule import Range
from planbalance.engine.staging import Staging, here
from planbalance.model import Block

SYNC_SECONDS: Final = 30.0  # durability safe: how much work a lost machine may cost


class JournalFile:
    """A journal that is open for appending.

    Attributes:
        raw: the file.
        written: how many batch lines it has.
    """

    def __init__(self, staging: Staging, *, safe: bool, name: str = fs.JOURNAL) -> None:
        self.raw = fs.AppendedFile(name, staging.own)
        self.written = 0
        self._staging = staging
        self._safe = safe
        self._file = wrap(io.BufferedWriter(self.raw))
        self._synced_at = time.monotonic()
        self._order = anyio.Lock()
        self._waiting: list[bytes] = []  # lines of finished batches
        self._writing = False

    def take_up(self, blocks: Sequence[Block], *, with_sums: bool) -> tuple[Record, ...]:
        """Return what earlier runs wrote, as far as it is believed; what a run left torn at the end is cut off."""
        known = read_journal(self.raw.content(), blocks, here(), with_sums=with_sums)
        self.raw.cut(known.length)
        self.written = known.written
        return known.records

    async def begin(self, gone: Sequence[Range], opening: bytes = b"") -> None:
        """Write under which machine and boot the next lines are written, and which claims do not hold any more.

        `opening`: a line of the caller's, written before them.
        """
        if opening:
            await self._append(opening)
        await self._append(run_line(here()))
        if gone:
            await self._append(gone_line(gone))
            if self._safe:
                await anyio.to_thread.run_sync(self.raw.sync)

    async def record(self, record: Record) -> None:
        """Write a finished batch; with durability safe, put on disk what there is from time to time.

        While one line is written, others come: whoever writes takes them along, and nobody else waits for the disk.
        What is lost with a writer that fails is done again.
        """
        self._waiting.append(record_line(record))
        if self._writing:
            return
        self._writing = True
        try:
            while self._waiting:
                async with self._order:
                    await self._append_waiting()
        finally:
            self._writing = False
        if self._safe and time.monotonic() - self._synced_at > SYNC_SECONDS:
            self._synced_at = time.monotonic()
            await self.vouch()

    async def vouch(self) -> None:
        """Put everything on disk and write that it is there, so that another boot (or node) can believe the lines.

        Raises OSError; then nobody believes the batches that should have been put on disk, and they are made again.
        """
        async with self._order:
            await self._append_waiting()
            await self._append(syncing_line(self.written))
            await anyio.to_thread.run_sync(lambda: fs.sync_below(self._staging.tree.fd, sure=self._safe))
            await self._append(sync_line(self.written))
            await anyio.to_thread.run_sync(self.raw.sync)

    async def _append_waiting(self) -> None:
        lines, self._waiting = self._waiting, []
        if lines:
            await self._append(b"".join(lines))
            self.written += len(lines)

    async def _append(self, data: bytes) -> None:
        await self._file.write(data)
        await self._file.flush()

    def close(self) -> None:
        """Close the file; what could not be written is lost, and done again."""
        with suppress(OSError, ValueError):
            self.raw.close()
