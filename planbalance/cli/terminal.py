"""Where answers, messages and bars go: tables to stdout, all else to stderr, one JSON document under `--json`."""

import io
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import IO, Any, Final, NamedTuple, Self, TextIO, cast

import orjson
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from planbalance.errors import IncompleteError
from planbalance.model import Silent
from planbalance.report.table import count, line, size

# A pipe or a file has no width of its own.
WIDTH_WITHOUT_TERMINAL: Final = 100


_TRAILING: Final = re.compile(r" +\n")


class Answer(NamedTuple):
    """What a command has to say: the document for scripts, the text for people, and the exit code."""

    document: Mapping[str, Any]
    text: RenderableType
    exit_code: int = 0


class Terminal:
    """The two streams of this process, as the user's options and the streams themselves allow."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._out = Pipe(sys.stdout)
        self._err = Pipe(sys.stderr)
        self._tables = _console(self._out)
        self._messages = _console(self._err)
        self._bars = Bars(self._messages) if self._messages.is_terminal and not quiet else None

    @property
    def progress(self) -> "Bars | Silent":
        """Bars where stderr is a terminal, else nothing."""
        return self._bars or Silent()

    def show(self, text: RenderableType) -> None:
        """Print to stdout; nothing under `--json` and `--quiet`."""
        if not (self.as_json or self.quiet):
            self.insist(text)

    def insist(self, text: RenderableType) -> None:
        """Print to stdout under `--quiet` too: what the command was called for."""
        if not self.as_json:
            _print(self._tables, text)

    def note(self, text: str) -> None:
        """Print a message to stderr; nothing under `--quiet`."""
        if not self.quiet:
            self.complain(line(text))

    def complain(self, text: Text) -> None:
        """Print to stderr whatever the options are."""
        _print(self._messages, text)

    def document(self, content: Mapping[str, Any]) -> None:
        """Write the one JSON document."""
        self._out.write_bytes(json_bytes(content) + b"\n")

    def answer(self, answer: Answer) -> None:
        """Say a command's answer in the form that was asked for."""
        if self.as_json:
            self.document(answer.document)
        else:
            self.show(answer.text)

    def flush(self) -> None:
        """Hand everything to the streams. Raises IncompleteError where one takes no more (a full disk)."""
        self._out.flush()
        self._err.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.end()


def _print(console: Console, text: RenderableType) -> None:
    """Print as it is: a text on its own would lose what it says of wrapping, so it goes in a group."""
    with console.capture() as captured:
        console.print(Group(text), crop=False, markup=False, highlight=False, emoji=False)
    # rich fills lines with blanks up to the width
    console.file.write(_TRAILING.sub("\n", captured.get()))


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Return the document; what is not Unicode in a file name is written as an escape."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(content, default=_listed, option=options)
    except TypeError:
        return orjson.dumps(_unicode(content), default=_listed, option=options)


def _listed(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def _unicode(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_unicode(key): _unicode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_unicode(item) for item in value]
    return value


class Pipe:
    """A standard stream whose reader may go away (`| head -1`) and whose encoding may be small.

    Once nobody reads, the rest is dropped and the command goes on: a build does not die with its pager.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream: IO[str] = stream if stream is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(errors="backslashreplace")

    @property
    def encoding(self) -> str:
        """The stream's encoding: rich draws ASCII where it is not a Unicode one."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Answer whether a person is looking."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write text, or drop it where nobody reads."""
        with self._readers_may_leave():
            self._stream.write(text)
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write UTF-8 bytes, whatever the stream's encoding is."""
        with self._readers_may_leave():
            self._stream.flush()
            buffer = getattr(self._stream, "buffer", None)
            if buffer is None:
                self._stream.write(data.decode())
            else:
                buffer.write(data)

    def flush(self) -> None:
        """Flush, or drop what nobody reads."""
        with self._readers_may_leave():
            self._stream.flush()

    @contextmanager
    def _readers_may_leave(self) -> Iterator[None]:
        """Drop what nobody reads; raise IncompleteError where the stream takes no more (a full disk)."""
        try:
            yield
        except BrokenPipeError:
            self._abandon()
        except OSError as error:
            self._abandon()
            message = f"The output of this command cannot be written: {error.strerror}."
            raise IncompleteError(message, kind="output-not-written", hint="Make room, or print elsewhere.") from error

    def _abandon(self) -> None:
        """Send the rest, and what Python flushes at the end, to nowhere."""
        with suppress(io.UnsupportedOperation):
            descriptor = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def _console(stream: Pipe) -> Console:
    is_terminal = stream.isatty()
    return Console(
        file=cast("IO[str]", stream),
        # Environment variables such as FORCE_COLOR must not put control characters into a file.
        force_terminal=is_terminal,
        force_jupyter=False,
        width=None if is_terminal else WIDTH_WITHOUT_TERMINAL,
        legacy_windows=False,
    )


class Bars:
    """A `model.Progress` drawn by rich on stderr: count, bytes, rate, time left; gone once the stage ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._task: Any = None

    def begin(self, what: str, total: int | None, unit: str) -> None:
        """Draw a new bar."""
        self.end()
        self._progress = Progress(*_columns(self._console.width), console=self._console, transient=True)
        self._task = self._progress.add_task(what, total=total, unit=unit, size=0)
        self._progress.start()

    def advance(self, count: int, size: int = 0) -> None:
        """Move the bar."""
        if self._progress is not None:
            known = self._progress.tasks[0].fields["size"]
            self._progress.update(self._task, advance=count, size=known + size)

    def end(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _columns(width: int) -> list[ProgressColumn]:
    """Return what fits: a narrow terminal keeps the stage, the count and the time left."""
    what = TextColumn("{task.description}", markup=False)
    if width < 60:
        return [what, Counted(with_unit=False), TimeRemainingColumn(compact=True)]
    bar = BarColumn(bar_width=20 if width < 100 else 30)
    return [what, bar, Counted(with_unit=width >= 80), Rate(), TimeRemainingColumn(compact=True)]


class Counted(ProgressColumn):
    """`12,800/94,440 slices`."""

    def __init__(self, *, with_unit: bool) -> None:
        super().__init__()
        self._with_unit = with_unit

    def render(self, task: Task) -> Text:
        """Return the count."""
        total = "" if task.total is None else f"/{count(int(task.total))}"
        unit = f" {task.fields['unit']}" if self._with_unit else ""
        return Text(f"{count(int(task.completed))}{total}{unit}")


class Rate(ProgressColumn):
    """`41,000/s 1.2 GiB`: units a second, and the bytes so far where they are known."""

    def render(self, task: Task) -> Text:
        """Return the rate."""
        speed = task.finished_speed or task.speed
        parts = [] if speed is None else [f"{count(round(speed))}/s"]
        if task.fields["size"]:
            parts.append(size(task.fields["size"]))
        return Text(" ".join(parts), style="dim")
