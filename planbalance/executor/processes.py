"""Forked processes: one that answers questions, and a pool of them that works off batches.

A forked process starts in a millisecond and has every module loaded. It may be forked only while this process has one
thread (`may_fork`): where there are more (a notebook, a progress bar that draws itself) the caller does the work.
"""

import os
import pickle
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NamedTuple, NoReturn, Self, TypeVar

from planbalance import platform_calls
from planbalance.executor.autoscaler import Limits

Batch = TypeVar("Batch")
Result = TypeVar("Result")

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
# The size of the pipe for answers, where the kernel allows it (pipe(7)): a child need not wait for its reader.
_PIPE_BYTES: Final = 1 << 20


# ---- how many -------------------------------------------------------------------------------------------------------


def available_cores() -> int:
    """Return the cores that this process may use: its affinity (not the machine's count), and its cgroups' quota."""
    return max(1, min(platform_calls.cores_of_affinity(), platform_calls.cores_of_cgroups()))


def may_fork() -> bool:
    """Return whether forking is safe: not where this process has other threads, which might hold a lock right now."""
    return platform_calls.thread_count() == 1


def process_count(items: int, jobs: int | None, limits: Limits) -> int:
    """Return how many processes are worth forking for `items` slices; 0 for none.

    Args:
        items: slices to work on; below `limits.worth_forking`, forking costs more than it saves.
        jobs: how many workers the user asked for, or None: one for each core.
        limits: `cores` there stands for those of this machine.
    """
    wanted = jobs or limits.cores or available_cores()
    if wanted < 2 or items < limits.worth_forking or not may_fork():
        return 0
    return min(wanted, limits.most_processes)


# ---- one process ----------------------------------------------------------------------------------------------------


class ChildGoneError(Exception):
    """A child process has ended, for whatever reason."""


class Child:
    """A forked process, from its parent's side; used by one thread at a time. It ends when its parent hangs up.

    A question is the name of a method of the child's service, with its arguments. Questions are pickled into a socket,
    answers into a pipe. Ctrl-C reaches the whole group of processes; the parent alone reacts to it.

    Args:
        make_service: called once in the child; returns the object whose methods answer.
        siblings: children forked before it that are still there.
        kill_with_parent: it is killed when its parent dies, and it leaves SIGTERM to the parent too (Slurm sends it to
            all processes).

    Raises OSError where no process can be forked.
    """

    def __init__(
        self, make_service: Callable[[], object], siblings: Iterable["Child"], *, kill_with_parent: bool = False
    ) -> None:
        self._questions, theirs = socket.socketpair()
        reading, writing = os.pipe()
        self._answers = open(reading, "rb")  # noqa: SIM115 - closed by `hang_up`
        platform_calls.widen_pipe(writing, _PIPE_BYTES)
        parent = os.getpid()
        # Where the kernel does not kill a child with its parent, the child waits for the end of this pipe.
        self._lifeline = -1
        watched = -1
        # A signal must not arrive in the child before it ignores signals.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            if kill_with_parent and not platform_calls.C_LIBRARY.kills_with_parent:
                watched, self._lifeline = os.pipe()
            self._pid = os.fork()
            if self._pid == 0:
                parents_ends = [end for each in (self, *siblings) for end in each.ends()]
                bond = _Bond(parent, watched) if kill_with_parent else None
                _run_child(lambda: _serve(theirs, writing, make_service()), parents_ends, bond)
        except OSError:
            self.hang_up()
            self._close_lifeline()
            raise
        finally:
            theirs.close()
            os.close(writing)
            if watched >= 0:
                os.close(watched)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def fileno(self) -> int:
        """Return the descriptor that `select` finds readable once an answer is there."""
        return self._answers.fileno()

    def ends(self) -> list[int]:
        """Return the descriptors of the parent's ends, which no other child of this parent may hold open."""
        ends = (self._questions.fileno(), self._answers.fileno(), self._lifeline)
        return [end for end in ends if end >= 0]

    def ask(self, method: str, *arguments: object) -> None:
        """Ask; answers come in the order of the questions. Raises ChildGoneError."""
        try:
            self._questions.sendall(_pickled((method, *arguments)))
        except ConnectionError:
            raise ChildGoneError from None

    def answer(self) -> Any:  # noqa: ANN401 - whatever was asked for
        """Wait for the next answer. Raises what the child's method raised; ChildGoneError."""
        try:
            outcome, value = pickle.load(self._answers)  # noqa: S301 - from its own child
        except (EOFError, ConnectionError, pickle.UnpicklingError):  # the last: it ended in the middle of an answer
            raise ChildGoneError from None
        if outcome == "raised":
            raise value
        return value

    def hang_up(self) -> None:
        """Let it end once it has answered; a second call does nothing."""
        self._answers.close()
        self._questions.close()

    def reap(self) -> str:
        """Wait for its end, and return how it came: `ended`, `was killed (signal 9)`; a second call does nothing."""
        pid, self._pid = self._pid, 0
        status = os.waitpid(pid, 0)[1] if pid else 0
        self._close_lifeline()
        return f"was killed (signal {os.WTERMSIG(status)})" if os.WIFSIGNALED(status) else "ended"

    def _close_lifeline(self) -> None:
        if self._lifeline >= 0:
            end, self._lifeline = self._lifeline, -1
            os.close(end)

    def kill(self) -> None:
        """End it at once; a second call does nothing."""
        self.hang_up()
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self.reap()


class _Bond(NamedTuple):
    """The parent with which a child is killed, and a pipe whose other end only the parent has; -1: none is needed."""

    parent: int
    watched: int

    def tie(self) -> bool:
        """Let this process be killed when its parent dies; return whether the parent is still alive."""
        if self.watched < 0:
            platform_calls.C_LIBRARY.kill_with_parent()
        else:
            threading.Thread(target=self._wait, daemon=True).start()
        return os.getppid() == self.parent

    def _wait(self) -> None:
        """Wait until the parent has ended, which closes its end of the pipe."""
        os.read(self.watched, 1)
        os.kill(os.getpid(), signal.SIGKILL)


def _run_child(work: Callable[[], None], parents_ends: Sequence[int], bond: _Bond | None) -> NoReturn:
    """Work, and end without running the parent's exit handlers or flushing its streams a second time."""
    code = 1
    try:
        for fd in parents_ends:  # else the other children would not notice that the parent closed them
            os.close(fd)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL if bond is None else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        if bond is None or bond.tie():
            work()
        code = 0
    finally:
        os._exit(code)


def _serve(line: socket.socket, writing: int, service: object) -> None:
    """Answer questions until the parent hangs up."""
    with line.makefile("rb") as questions, open(writing, "wb") as answers:
        while True:
            try:
                method, *arguments = pickle.load(questions)  # noqa: S301 - from its own parent
            except (EOFError, ConnectionError):
                return
            try:
                outcome = "done", getattr(service, method)(*arguments)
            except Exception as error:  # raised again in the parent
                outcome = "raised", error
            answers.write(_pickled(outcome))
            answers.flush()


def _pickled(message: object) -> bytes:
    """Return a message whole; nothing is sent of one that cannot be pickled."""
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


# ---- a pool of them -------------------------------------------------------------------------------------------------


class ProcessPool:
    """`count` processes, for as long as the `with` block lasts; none where `count` is 1 or forking is not safe.

    Fewer, or none, where the user may have no more processes, or there is no memory for them.
    """

    def __init__(self, count: int) -> None:
        self._children: list[Child] = []
        if count > 1 and may_fork():
            with suppress(OSError):
                for _ in range(count):
                    self._children.append(Child(_BatchService, self._children))

    @property
    def count(self) -> int:
        """How many there are; 0: batches are worked off in this process."""
        return len(self._children)

    def work_off(self, work: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[tuple[int, Result]]:
        """Call `work` on every batch, and yield the batch's number and the result, as they are finished.

        `work` is a function of a module; what it takes and returns can be pickled. The batch of a process that died
        (killed for its memory, say) is done here. An exception ends all processes and is raised.
        """
        numbered = enumerate(batches)
        if self._children:
            try:
                yield from self._in_processes(work, numbered)
            except BaseException:
                self.end()
                raise
        for number, batch in numbered:
            yield number, work(batch)

    def _in_processes(
        self, work: Callable[[Batch], Result], numbered: Iterator[tuple[int, Batch]]
    ) -> Iterator[tuple[int, Result]]:
        idle = list(self._children)
        busy: dict[Child, tuple[int, Batch]] = {}
        while True:
            while idle and (task := next(numbered, None)) is not None:
                child = idle.pop()
                busy[child] = task
                with suppress(ChildGoneError):  # noticed when the answer is read
                    child.ask("run", work, task[1])
            if not busy:
                return
            for child in select.select(list(busy), (), ())[0]:
                number, batch = busy.pop(child)
                try:
                    result: Result = child.answer()
                except ChildGoneError:
                    self._children.remove(child)
                    child.kill()
                    result = work(batch)
                else:
                    idle.append(child)
                yield number, result

    def end(self) -> None:
        """End the processes at once."""
        for child in self._children:
            child.kill()
        self._children = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class _BatchService:
    """What a process of a pool answers."""

    @staticmethod
    def run(work: Callable[[Batch], Result], batch: Batch) -> Result:
        return work(batch)
