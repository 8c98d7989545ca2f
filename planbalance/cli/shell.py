"""The group of commands: one place that turns signals and exceptions into exit codes."""

import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

import click

from planbalance.cli.failures import debug_trace, failure_of, tell
from planbalance.cli.options import help_option
from planbalance.cli.terminal import Terminal
from planbalance.errors import IncompleteError


class CliGroup(click.Group):
    """The program: runs one command and exits with its code (page "Exit codes and messages").

    A command's module is read when somebody asks for the command: start-up is part of the time that each one takes.
    """

    def __init__(self, *args: Any, abouts: Mapping[str, str], **settings: Any) -> None:  # noqa: ANN401 - click's signature
        super().__init__(*args, **settings)
        self._names = tuple(abouts)
        self._abouts = abouts

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **_: object) -> NoReturn:  # type: ignore[override]
        """Run the command line and exit."""
        words = list(sys.argv[1:] if args is None else args)
        sys.exit(self._exit_code(words, prog_name or "planbalance"))

    def get_help_option(self, ctx: click.Context) -> click.Option:  # noqa: ARG002 - click's signature
        """Return the `--help` that all commands have."""
        return help_option()

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which people meet them."""
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command, its module read now."""
        if cmd_name not in self._names:
            return None
        found: click.Command = getattr(import_module(f"planbalance.cli.{cmd_name}"), cmd_name)
        found.short_help = self._abouts[cmd_name]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands, no module read."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._abouts.items()))

    def _exit_code(self, words: list[str], program: str) -> int:
        command = next((word for word in words if word in self._names), "")
        asked = words[: words.index("--")] if "--" in words else words
        try:
            with _sigterm_as_interrupt():
                code = super().main(words, program, standalone_mode=False)
                Terminal().flush()
                return code if isinstance(code, int) else 0
        except BaseException as error:  # the one place where exceptions end
            if isinstance(error, SystemExit):  # shell completion
                return int(error.code or 0)
            terminal = Terminal(as_json="--json" in asked)
            failure = failure_of(error, command)
            try:
                tell(failure, terminal)
                terminal.flush()
            except IncompleteError:  # nowhere to tell it
                return failure.exit_code
            debug_trace(error, terminal)
            return failure.exit_code


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM (Slurm's warning, systemd, kill) as Ctrl-C: exit 130, bars taken away, workers ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    """Print the versions and exit."""
    if wanted:
        from planbalance.cli.version import version_text

        Terminal().write(version_text())
        ctx.exit()
