"""Where results, messages and bars go: tables to stdout, all else to stderr, one JSON document under `--json`."""

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Self, TextIO, cast

from planbalance.cli.runlog import RunLog
from planbalance.errors import IncompleteError
from planbalance.model import Progress, Silent
from planbalance.render.table import Renderable, line, plain, prose
from planbalance.text import error_text

if TYPE_CHECKING:
    from rich.console import Console

# A pipe or a file has no width of its own.
WIDTH_WITHOUT_TERMINAL: Final = 100


class CommandResult(NamedTuple):
    """What a command prints: the document for scripts, the text for people, and the exit code."""

    document: Mapping[str, Any]
    text: Renderable
    exit_code: int = 0


def in_notebook() -> bool:
    """Return whether this process is a notebook's kernel, or was started by one (`!planbalance`)."""
    return "JPY_PARENT_PID" in os.environ  # Jupyter sets it for its kernels, and they for what they start


class Terminal:
    """The two streams of this process, as the user's options and the streams themselves allow."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._out = Pipe(sys.stdout)
        self._err = Pipe(sys.stderr)
        self._bars: Progress | None = None
        # A dumb terminal (an editor's shell) cannot move its cursor, so it gets lines. A notebook gives what it starts
        # with `!` a terminal, but keeps each refresh of a bar as text.
        if self._err.isatty() and not quiet and not in_notebook() and not self._messages.is_dumb_terminal:
            from planbalance.cli.bars import Bars

            self._bars = Bars(self._messages)
        self._log = Silent() if quiet else RunLog(self.note)

    @cached_property
    def _tables(self) -> "Console":
        return _console(self._out)

    @cached_property
    def _messages(self) -> "Console":
        return _console(self._err)

    @property
    def progress(self) -> Progress:
        """Bars where stderr is a terminal, else a line from time to time; nothing under `--quiet`."""
        return self._bars or self._log

    def show(self, text: Renderable) -> None:
        """Print to stdout; nothing under `--json` and `--quiet`."""
        if not (self.as_json or self.quiet):
            self.print_result(text)

    def print_result(self, text: Renderable) -> None:
        """Print to stdout, under `--quiet` too: the result that the command was called for."""
        if not self.as_json:
            _print(self._tables, text)

    def write(self, text: str) -> None:
        """Print lines to stdout as they are, neither wrapped nor styled (a help): rich is not needed for them."""
        self._out.write("".join(f"{plain(row)}\n" for row in text.splitlines()))

    def note(self, text: str) -> None:
        """Print a message to stderr; nothing under `--quiet`."""
        if not self.quiet:
            self.print_error(prose(text) if self._messages.is_terminal else line(text))

    def print_error(self, text: Renderable) -> None:
        """Print to stderr whatever the options are."""
        _print(self._messages, text)

    def document(self, content: Mapping[str, Any]) -> None:
        """Write the one JSON document."""
        self._out.write_bytes(json_bytes(content) + b"\n")

    def print_in_form(self, result: CommandResult) -> None:
        """Print a command's result as text, or as one JSON document under `--json`."""
        if self.as_json:
            self.document(result.document)
        else:
            self.show(result.text)

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


def _print(console: "Console", text: Renderable) -> None:
    """Print as it is. In a group, since rich would ignore how a text on its own is to be wrapped."""
    from rich.console import Group

    with console.capture() as captured:
        console.print(Group(text), crop=False, markup=False, highlight=False, emoji=False)
    # rich pads lines with blanks to the full width
    console.file.write("\n".join([row.rstrip(" ") for row in captured.get().split("\n")]))


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Return the document; what is not Unicode in a file name is written as an escape."""
    import orjson

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
    """A standard stream whose reader may end early (`| head -1`) and whose encoding may lack characters.

    Once nobody reads, the rest is dropped and the command goes on: a build does not stop when its pager is closed.
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
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write text, or drop it where nobody reads."""
        with self._reader_may_end():
            self._stream.write(text)
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write UTF-8 bytes, whatever the stream's encoding is."""
        with self._reader_may_end():
            self._stream.flush()
            buffer = getattr(self._stream, "buffer", None)
            if buffer is None:
                self._stream.write(data.decode())
            else:
                buffer.write(data)

    def flush(self) -> None:
        """Flush, or drop what nobody reads."""
        with self._reader_may_end():
            self._stream.flush()

    @contextmanager
    def _reader_may_end(self) -> Iterator[None]:
        """Drop what nobody reads; raise IncompleteError where the stream takes no more (a full disk)."""
        try:
            yield
        except BrokenPipeError:
            self._abandon()
        except OSError as error:
            self._abandon()
            message = f"The output of this command cannot be written: {error_text(error)}."
            raise IncompleteError(message, kind="output-not-written", hint="Make room, or print elsewhere.") from error

    def _abandon(self) -> None:
        """Send the rest, and what Python flushes at the end, to /dev/null."""
        with suppress(io.UnsupportedOperation):
            descriptor = self._stream.fileno()
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)


def _console(stream: Pipe) -> "Console":
    from rich.console import Console

    is_terminal = stream.isatty()
    return Console(
        file=cast("IO[str]", stream),
        # Environment variables such as FORCE_COLOR must not put control characters into a file.
        force_terminal=is_terminal,
        force_jupyter=False,
        width=None if is_terminal else WIDTH_WITHOUT_TERMINAL,
        legacy_windows=False,
    )
