"""The program as click knows it: its commands, and one place that turns signals and errors into exit codes."""

import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any, Final, NoReturn

import click

from planbalance.cli.failures import debug_trace, failure_of, print_failure
from planbalance.cli.options import help_option
from planbalance.cli.terminal import Terminal
from planbalance.errors import IncompleteError

# In the order in which people use them. Each is a function of that name in a module of that name here, but for words
# that Python does not take for a name. The summaries
# are here, so that the list of commands can be printed without importing all modules.
COMMANDS: Final = {
    "import": "Plan a dataset of raw annotations and images.",
    "scan": "Show what is there.",
    "plan": "Create a plan: which volume goes to which split, which slices are kept.",
    "show": "Show a plan, or one volume or slice of it.",
    "diff": "Show what changes between two plans.",
    "apply": "Build the dataset that a plan describes.",
    "verify": "Audit a dataset.",
    "build": "Plan, apply and verify by one command.",
    "repair": "Plan the repair of a dataset that leaks, with the fewest slices moved or left out.",
    "report": "Write a page to review a plan or a dataset.",
    "export": "Write a split as a table, or for nnU-Net, MONAI or readers of Croissant.",
    "relocate": "Repair paths after a dataset was moved.",
    "clean": "Show or remove partial builds.",
    "tune": "Measure what a file system can do.",
    "slurm": "Write the batch files of an apply on many nodes.",
    "demo": "Try every step on a small dataset that is drawn here.",
    "completion": "Print a shell completion script.",
}


_MODULES: Final = {"import": "importing"}


class CliGroup(click.Group):
    """The program: runs one command and exits with its code (page "Exit codes and messages").

    A command's module is imported when the command is called, since start-up is part of the time that each one takes.
    """

    def __init__(self, *args: Any, summaries: Mapping[str, str], **settings: Any) -> None:  # noqa: ANN401 - click's signature
        super().__init__(*args, **settings)
        self._names = tuple(summaries)
        self._summaries = summaries

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **_: object) -> NoReturn:  # type: ignore[override]
        """Run the command line and exit."""
        words = list(sys.argv[1:] if args is None else args)
        sys.exit(self._exit_code(words, prog_name or "planbalance"))

    def get_help_option(self, ctx: click.Context) -> click.Option:  # noqa: ARG002 - click's signature
        """Return the `--help` that all commands have."""
        return help_option()

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which people use them."""
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command; its module is imported now."""
        if cmd_name not in self._names:
            return None
        name = _MODULES.get(cmd_name, cmd_name)
        found: click.Command = getattr(import_module(f"planbalance.cli.{name}"), name)
        found.short_help = self._summaries[cmd_name]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands; no module is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))

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
            failure = failure_of(error, command, words)
            try:
                print_failure(failure, terminal)
                terminal.flush()
            except IncompleteError:  # stdout or stderr takes nothing
                return failure.exit_code
            debug_trace(error, terminal)
            return failure.exit_code


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM (Slurm's warning, systemd, kill) as Ctrl-C: exit 130, bars removed, workers ended."""
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


@click.group(cls=CliGroup, summaries=COMMANDS, invoke_without_command=True)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=print_version,
    help="Show versions, for a bug report.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Split a detection dataset of medical slices into train, val and test without a leak.

    A volume (or a patient, with a map) is never in two splits; only train is undersampled; what is there, what will
    be, and what came out is counted and shown. First `plan`, look at it, then `apply`, then `verify`.

    Options may also stand in a planbalance.yaml of the working folder, or in the file that --config names, below their
    command; the command line wins.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
