"""A process forked from this one, and the lines between them: pickled questions there, pickled answers back.

It starts in a millisecond and has every module at hand. It may be forked only while there is one thread (`may_fork`).
"""

import fcntl
import os
import pickle
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

Answering = Callable[..., object]

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
# As many bytes of answers may wait to be read, where the kernel grants it (pipe(7)): a child goes on meanwhile.
_WAITING: Final = 1 << 20


class ChildGoneError(Exception):
    """A child has ended, whatever of."""


def may_fork() -> bool:
    """Return whether forking is safe: not where this process has other threads, which might hold a lock right now."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


class Child:
    """A forked process, from its parent's side; used by one thread at a time. It ends when its parent hangs up.

    Ctrl-C reaches the whole group of processes; the parent alone answers it.

    Args:
        ready: called in the child, once; returns what is called with each question and returns the answer.
        siblings: children forked before it that are still there.
        tied: it is killed when its parent dies, whatever it is at, and leaves SIGTERM to the parent too (Slurm sends it
            to all).

    Raises OSError where no process can be forked.
    """

    def __init__(self, ready: Callable[[], Answering], siblings: Iterable["Child"], *, tied: bool = False) -> None:
        self._line, theirs = socket.socketpair()
        reading, told = os.pipe()
        self._answers = open(reading, "rb")  # noqa: SIM115 - closed by `hang_up`
        with suppress(OSError):
            fcntl.fcntl(told, fcntl.F_SETPIPE_SZ, _WAITING)
        parent = os.getpid()
        # A signal that comes while it is forked must find it ready to leave that to the parent.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            self._pid = os.fork()
            if self._pid == 0:
                ours = [end for each in (self, *siblings) for end in each.ends()]
                _be_child(lambda: _answer_all(theirs, told, ready()), ours, parent if tied else None)
        except OSError:
            self.hang_up()
            raise
        finally:
            theirs.close()
            os.close(told)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def fileno(self) -> int:
        """Return the descriptor by which `select` says that an answer is there."""
        return self._answers.fileno()

    def ends(self) -> tuple[int, int]:
        """Return the descriptors of the parent's ends, which a child of the same parent must not keep open."""
        return self._line.fileno(), self._answers.fileno()

    def ask(self, *question: object) -> None:
        """Ask; the answers come in the order of the questions. Raises ChildGoneError."""
        try:
            self._line.sendall(_pickled(question))
        except ConnectionError:
            raise ChildGoneError from None

    def answer(self) -> Any:  # noqa: ANN401 - whatever was asked for
        """Wait for the next answer. Raises what the child raised; ChildGoneError."""
        try:
            said, value = pickle.load(self._answers)  # noqa: S301 - from its own child
        except (EOFError, ConnectionError, pickle.UnpicklingError):  # the last: it ended in the middle of an answer
            raise ChildGoneError from None
        if said == "raised":
            raise value
        return value

    def hang_up(self) -> None:
        """Let it end once it has answered; a second call does nothing."""
        self._answers.close()
        self._line.close()

    def reap(self) -> str:
        """Wait for its end, and return how that came: `ended`, `was killed (signal 9)`; a second call does nothing."""
        pid, self._pid = self._pid, 0
        status = os.waitpid(pid, 0)[1] if pid else 0
        return f"was killed (signal {os.WTERMSIG(status)})" if os.WIFSIGNALED(status) else "ended"

    def kill(self) -> None:
        """End it, whatever it is at; a second call does nothing."""
        self.hang_up()
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self.reap()


def _be_child(work: Callable[[], None], inherited: Sequence[int], parent: int | None) -> NoReturn:
    """Work, and end without running anything of the parent's; nothing of its streams is flushed twice."""
    code = 1
    try:
        for fd in inherited:  # the parent's ends: else nobody would see that the parent closed them
            os.close(fd)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL if parent is None else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        if parent is None or _tie_to(parent):
            work()
        code = 0
    finally:
        os._exit(code)


def _tie_to(parent: int) -> bool:
    """Have the kernel kill this process when its parent dies; return whether the parent lives."""
    import ctypes  # noqa: PLC0415 - only where it is wanted

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def _answer_all(line: socket.socket, told: int, answering: Answering) -> None:
    with line.makefile("rb") as questions, open(told, "wb") as answers:
        while True:
            try:
                question = pickle.load(questions)  # noqa: S301 - from its own parent
            except (EOFError, ConnectionError):
                return
            answers.write(_pickled(_answer(answering, question)))
            answers.flush()


def _answer(answering: Answering, question: tuple[object, ...]) -> tuple[str, object]:
    """Return ("done", value) or ("raised", exception)."""
    try:
        return "done", answering(*question)
    except Exception as error:  # raised again in the parent
        return "raised", error


def _pickled(message: object) -> bytes:
    """Return a message whole; nothing is sent of one that cannot be pickled."""
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
