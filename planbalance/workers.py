"""Processes of our own that work off batches: for loops that the interpreter's lock would keep on one core.

They are forked, so they start in a millisecond and have every module at hand. Forking is safe only while there is one
thread: where there are more (a notebook, a bar that draws itself) there are no workers, and this process does the work.
"""

import os
import pickle
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar

Batch = TypeVar("Batch")
Result = TypeVar("Result")

_LENGTH: Final = struct.Struct("!Q")
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


class Workers:
    """`count` processes, for as long as the `with` block lasts; none where `count` is 1 or forking is not safe."""

    def __init__(self, count: int) -> None:
        self._workers: list[_Worker] = []
        if count > 1 and _is_alone():
            for _ in range(count):
                self._workers.append(_Worker(self._workers))

    @property
    def count(self) -> int:
        """How many there are; 0: batches are worked off in this process."""
        return len(self._workers)

    def work_off(self, work: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[tuple[int, Result]]:
        """Call `work` on every batch, and yield the batch's number and the result, in the order of their ends.

        `work` is a function of a module; what it takes and gives can be pickled. What a worker that died (killed for
        its memory, say) had in hand is done here. An exception ends all workers and is raised.
        """
        numbered = enumerate(batches)
        if self._workers:
            try:
                yield from self._in_workers(work, numbered)
            except BaseException:
                self.end()
                raise
        for number, batch in numbered:
            yield number, work(batch)

    def _in_workers(
        self, work: Callable[[Batch], Result], numbered: Iterator[tuple[int, Batch]]
    ) -> Iterator[tuple[int, Result]]:
        idle = list(self._workers)
        busy: dict[_Worker, tuple[int, Batch]] = {}
        while True:
            while idle and (task := next(numbered, None)) is not None:
                worker = idle.pop()
                busy[worker] = task
                worker.ask(work, task[1])
            if not busy:
                return
            for worker in select.select(list(busy), (), ())[0]:
                number, batch = busy.pop(worker)
                try:
                    result: Result = worker.answer()
                except EOFError:
                    self._workers.remove(worker)
                    worker.end()
                    result = work(batch)
                else:
                    idle.append(worker)
                yield number, result

    def end(self) -> None:
        """End the processes, whatever they are at."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class _Worker:
    """One process, and our end of the line to it."""

    def __init__(self, others: Iterable["_Worker"]) -> None:
        self._line, theirs = socket.socketpair()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # the child must not wake up in our exception
        self._process = os.fork()
        if self._process == 0:
            _serve(theirs, [self, *others])
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def fileno(self) -> int:
        """Return the line's descriptor, for `select`."""
        return self._line.fileno()

    def ask(self, work: Callable[[Any], object], batch: object) -> None:
        """Hand a batch over; that nobody is there shows when the answer is due."""
        with suppress(BrokenPipeError, ConnectionResetError):
            _send(self._line, (work, batch))

    def answer(self) -> Any:  # noqa: ANN401 - what `work` returns
        """Return the result. Raises the exception of `work`, or EOFError where the process is gone."""
        result, error = _receive(self._line)
        if error is not None:
            raise error
        return result

    def hang_up(self) -> None:
        """Close the line."""
        self._line.close()

    def end(self) -> None:
        """End the process."""
        self._line.close()
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def _is_alone() -> bool:
    """Answer whether this process has one thread only."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _serve(line: socket.socket, inherited: Iterable[_Worker]) -> NoReturn:
    """Work until the line is closed. Nothing of the parent's (streams, exit handlers) is touched on the way out."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        for worker in inherited:  # or nobody would notice that the parent hung up
            worker.hang_up()
        while True:
            work, batch = _receive(line)
            answer: tuple[object, Exception | None]
            try:
                answer = (work(batch), None)
            except Exception as error:
                answer = (None, error)
            _send(line, answer)
    finally:
        os._exit(0)


def _send(line: socket.socket, message: object) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    line.sendall(_LENGTH.pack(len(data)) + data)


def _receive(line: socket.socket) -> Any:  # noqa: ANN401 - what was sent
    """Return the next message. Raises EOFError where the other end is gone."""
    (length,) = _LENGTH.unpack(_exactly(line, _LENGTH.size))
    return pickle.loads(_exactly(line, length))  # noqa: S301 - from our own process


def _exactly(line: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        try:
            count = line.recv_into(view)
        except ConnectionResetError:
            count = 0
        if not count:
            raise EOFError
        view = view[count:]
    return data
