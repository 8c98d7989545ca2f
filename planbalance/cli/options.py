"""What the commands share: options made from their declarations, help with an example, `--json` and `--quiet`."""

import os
import re
from collections.abc import Callable, Container, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast, get_args, get_origin

import click

from planbalance.cli import config
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.group_sources import OFFERED as OFFERED_SOURCES
from planbalance.model import SPLITS, InputSpec

# In the order of the help.
_HEADINGS: Final = (
    *("Input", "Output", "Split", "Groups", "Sampling", "Reading", "Annotations", "Pictures", "Options", "Advanced"),
)
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Option(click.Option):
    """An option with the heading under which the help lists it."""

    def __init__(self, *args: Any, heading: str = "Options", **settings: Any) -> None:  # noqa: ANN401 - click's signature
        super().__init__(*args, **settings)
        self.heading = heading

    def get_error_hint(self, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's signature
        """Return the name by which a message names it: the long one alone."""
        return f"'{max(self.opts, key=len)}'"


class Command(click.Command):
    """A command that returns a `CommandResult`: its help has an example, and every one takes `--json` and `--quiet`.

    Attributes:
        example: a command line that works as it stands.
        printing: the command is called for what it prints, so `--quiet` does not suppress its result.
        configured: whether it takes options from `planbalance.yaml`.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's signature
        example: str,
        printing: bool = False,
        configured: bool = True,
        **settings: Any,  # noqa: ANN401 - click's signature
    ) -> None:
        settings["params"] = [*settings.get("params", ()), *_common_options(configured=configured)]
        # The guide's underscores: --train_ratio is --train-ratio.
        settings.setdefault("context_settings", {})["token_normalize_func"] = _dashed
        super().__init__(*args, **settings)
        self.example = example
        self.printing = printing
        self.configured = configured

    def get_help_option(self, ctx: click.Context) -> click.Option:  # noqa: ARG002 - click's signature
        """Return the `--help` that all commands have."""
        return help_option()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; where a value from the file is refused, name the file."""
        ctx.meta[config.TYPED] = frozenset(args)
        self._refuse_other_dashes(ctx, args)
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            name = error.param.name if error.param is not None else None
            if name is None or config.source_of(ctx, name) is not click.core.ParameterSource.DEFAULT_MAP:
                raise
            message = f"{error.message.rstrip('.')} (in {config.path_of(ctx)})."
            raise click.BadParameter(message, ctx, error.param) from error
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # click's parser knows none
            raise

    def _refuse_other_dashes(self, ctx: click.Context, args: Sequence[str]) -> None:
        """Refuse `-output` and `—output`: click would read the first as `-o utput`, and the second as a file."""
        for word in args:
            if word == "--":
                return
            name = word.lstrip("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
            if len(name) < 3 or word == name or word.startswith("--"):
                continue
            flag = f"--{_dashed(name.partition('=')[0])}"
            if any(flag in (*each.opts, *each.secondary_opts) for each in self.get_params(ctx)):
                raise click.UsageError(f"{word} begins with another dash than options do: write {flag}.", ctx)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command, print its result, and exit with its code."""
        decided = config.settle(ctx)
        with Terminal(as_json=ctx.params["json"], quiet=ctx.params["quiet"] and not self.printing) as terminal:
            if decided and not ctx.params["quiet"]:
                terminal.note(f"Options from {config.path_of(ctx)}: {', '.join(decided)}")
            result = self.result(ctx, terminal)
            terminal.print_in_form(result)
        ctx.exit(result.exit_code)

    def result(self, ctx: click.Context, terminal: Terminal) -> CommandResult:
        """Run the command and return its result; nothing of it is printed."""
        for common in ("json", "quiet"):
            ctx.params.pop(common, None)
        ctx.obj = terminal
        result: CommandResult = super().invoke(ctx)
        return result

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, the rarely needed ones last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "heading", "Options"), []).append(record)
        for heading in sorted(sections, key=_HEADINGS.index):
            with formatter.section(heading):
                formatter.write_dl(sections[heading], col_max=32)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the example as a user types it."""
        formatter.write(f"\nExample:\n  {self.example}\n")


def help_option() -> click.Option:
    """Return `--help`, printed through `Terminal`, as all other output."""
    return Option(
        ["--help", "-h"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_print_help,
        help="Show this message and exit.",
    )


def _print_help(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted:
        Terminal().write(ctx.get_help())
        ctx.exit()


def _common_options(*, configured: bool) -> list[click.Parameter]:
    common: list[click.Parameter] = [
        Option(["--json"], is_flag=True, help="Print one JSON document instead of text."),
        Option(["--quiet", "-q"], is_flag=True, help="Print nothing but errors."),
    ]
    if configured:
        asked = f"Read options from this file, not from {config.FILE} in the working folder."
        settings: dict[str, Any] = {"is_eager": True, "expose_value": False, "callback": config.load}
        common.append(Option(["--config"], type=PATH, metavar="FILE", help=asked, **settings))
    return common


def _dashed(token: str) -> str:
    return token.replace("_", "-")


def command(
    name: str, *, example: str, printing: bool = False, configured: bool = True
) -> Callable[[Callable[..., CommandResult]], Command]:
    """Make a function a command. Its docstring is the help; `program` has its line for the list of commands."""
    return click.command(name, cls=Command, example=example, printing=printing, configured=configured)


def option(*names: str, heading: str = "Options", **settings: Any) -> Callable[[Decorated], Decorated]:  # noqa: ANN401 - click's settings
    """Add an option under a heading of the help."""
    return click.option(*names, cls=Option, heading=heading, **settings)


def together(*decorators: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    """Join decorators into one; the first one stands first in the help."""

    def decorate(function: Decorated) -> Decorated:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


# ---- values ---------------------------------------------------------------------------------------------------------


if TYPE_CHECKING:
    from dataclasses import Field

    from click.shell_completion import CompletionItem

    _ParamType = click.ParamType[Any]
else:  # older clicks know no type arguments
    _ParamType = click.ParamType


class _Value(_ParamType):
    """A value with its own name in the help.

    Attributes:
        completion: words that a shell offers; `file` or `dir` alone: what lies in the folder.
    """

    def __init__(self, name: str, parse: Callable[[str], Any], what: str, completion: Sequence[str] = ()) -> None:
        self.name = name
        self.completion = completion
        self._parse = parse
        self._what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's signature
        """Return the value, or refuse it in one sentence."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError:
            self.fail(f"{value!r} is not {self._what}.", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG002 - click's signature
        """Return what a shell offers for the beginning of a word."""
        from click.shell_completion import CompletionItem

        if self.completion in (FILES, FOLDERS):
            return [CompletionItem(incomplete, type=self.completion[0])]
        return offered(self.completion, incomplete)


FILES: Final = ("file",)
FOLDERS: Final = ("dir",)


def offered(words: Iterable[str], incomplete: str) -> "list[CompletionItem]":
    """Return the words that begin as the typed text does."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise ValueError(text)
    return old, new


def _path(text: str) -> str:
    """Return a path; an empty one is refused, and an option, since then the path is missing before it."""
    if not text or text.startswith("--"):
        raise ValueError(text)
    return text


JOBS = _Value("auto|N", lambda text: None if text == "auto" else int(text), "a whole number or 'auto'", ("auto",))
OLD_NEW = _Value("OLD=NEW", _pair, "of the form OLD=NEW, such as /old/place=/new/place", FILES)
_A_PATH: Final = "a path: give one here, or write a name that begins with two dashes as ./--name"
PATH = _Value("PATH", _path, _A_PATH, FILES)
FOLDER = _Value("PATH", _path, _A_PATH, FOLDERS)
INTEGER = _Value("INTEGER", int, "a whole number, such as 42")


def _splits(text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    if len(set(words)) != len(words) or not set(words) <= set(SPLITS):
        raise ValueError(text)
    return words


SPLIT_LIST = _Value(
    "SPLIT[,SPLIT]",
    _splits,
    f"one or more of {', '.join(SPLITS)} with a comma between, such as test,val",
    ("test", "test,val", "val"),
)
SEVERAL_SPLITS = _Value(
    SPLIT_LIST.name,
    lambda text: (text,) if text == "none" else _splits(text),
    f"none, or one or more of {', '.join(SPLITS)} with a comma between, such as test,val",
    (*SPLITS, "none"),
)


def named_input(text: str) -> InputSpec:
    """Read `DIR` or `NAME=DIR`.

    What exists as a path is a path, `=` or not; and a part with a slash before the first `=` is no name: `./a=b`.
    """
    name, equals, path = text.partition("=")
    if not equals or "/" in name or os.path.lexists(text):
        return InputSpec(path=text)
    if not re.fullmatch(r"\w[\w.+-]*", name) or not path:
        raise ValueError(text)
    return InputSpec(path=path, name=name)


INPUT = _Value("[NAME=]DIR", named_input, "DIR or NAME=DIR, the name made of letters, digits and . _ + -", FILES)


if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:  # older clicks know no type arguments
    _Choice = click.Choice


class OneOf(_Choice):
    """One of a few words; a refusal says which one looks like the text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's signature
        """Return the word, or refuse the text in one sentence."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            from difflib import get_close_matches

            close = get_close_matches(str(value).lower(), self.choices, n=1)
            near = f" Did you mean {close[0]}?" if close else ""
            self.fail(f"{value!r} is none of {', '.join(self.choices)}.{near}", param, ctx)


class _Rule(_Value):
    """A naming rule: a shell is offered those of the registry, which is read only when it asks."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG002 - click's signature
        """Return the rules that begin as the typed text does."""
        from planbalance.naming import OFFERED

        return offered(("auto", *OFFERED), incomplete)


RULE = _Rule("RULE", str, "a rule")
SOURCES = _Value("SOURCE", str, "a source of groups", OFFERED_SOURCES)


# ---- declared options ------------------------------------------------------------------------------------------------


def takes(
    request: type, into: str = "request", *, only: Container[str] | None = None, without: Container[str] = ()
) -> Callable[[Decorated], Decorated]:
    """Give a command the options that a request declares; the command is called with the request.

    Args:
        request: one of the classes of `planbalance.options`.
        into: the command's argument that takes it.
        only: the fields to take; None: all that have a help.
        without: fields that keep their default.
    """
    from dataclasses import fields

    chosen = [each for each in fields(request) if each.metadata and each.name not in without]
    if only is not None:
        chosen = [each for each in chosen if each.name in only]
    chosen.sort(key=lambda each: _HEADINGS.index(each.metadata["heading"]))  # a base class' fields stand first

    def decorate(function: Decorated) -> Decorated:
        @wraps(function)
        def called(*args: Any, **values: Any) -> CommandResult:  # noqa: ANN401 - what click hands over
            values[into] = request(**{each.name: values.pop(each.name) for each in chosen})
            result: CommandResult = function(*args, **values)
            return result

        return together(*map(_declared, chosen))(cast("Decorated", called))

    return decorate


def _declared(field: "Field[Any]") -> Callable[[Decorated], Decorated]:
    """Return the option that a field declares."""
    declared = field.metadata
    settings: dict[str, Any] = {"help": declared["about"], "heading": declared["heading"]}
    if declared["metavar"] is not None:
        settings["metavar"] = declared["metavar"]
    name = _dashed(f"--{field.name}")
    short = ("-o",) if field.name == "output" else ()
    if field.default is False:
        settings["is_flag"] = True
    elif field.default is True:
        settings |= {"is_flag": True, "default": True, "show_default": True}
        name = f"{name}/--no-{name[2:]}"
    else:
        settings["type"] = kind = _type_of(field)
        settings["default"] = "auto" if kind is JOBS else field.default
        settings["multiple"] = field.default == () and kind is not SPLIT_LIST
        settings["show_default"] = settings["default"] not in {None, ()}
        if kind is SEVERAL_SPLITS:
            settings["callback"] = _flat
    return option(declared["flag"] or name, *short, field.name, **settings)


def _flat(_ctx: click.Context, _parameter: click.Parameter, several: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the words of all lists, each once."""
    return tuple(dict.fromkeys(word for words in several for word in words))


_VALUES: Final = {
    "path": PATH,
    "folder": FOLDER,
    "jobs": JOBS,
    "pair": OLD_NEW,
    "label pair": _Value("FROM=TO", _pair, "of the form FROM=TO, such as meniscus=tear"),
    "rule": RULE,
    "sources": SOURCES,
    "splits": SPLIT_LIST,
    "several splits": SEVERAL_SPLITS,
}


def _type_of(field: "Field[Any]") -> Any:  # noqa: ANN401 - a type, or what click makes one of
    """Return what reads the text of an option: what its declaration names, or what the field's type says."""
    declared = field.metadata
    if declared["value"] is not None:
        return _VALUES[declared["value"]]
    if declared["most"] is not None:
        return click.IntRange(0, declared["most"])
    types = {field.type, *get_args(field.type)}
    words = [word for each in types if get_origin(each) is Literal for word in get_args(each)]
    if words:
        return OneOf(words)
    return INTEGER if int in types and str not in types else str


# ---- options that several commands have ----------------------------------------------------------------------------

inputs_options_without_labels = together(
    click.argument("inputs", metavar="INPUT...", nargs=-1, type=PATH),
    option(
        "--input", "named", multiple=True, type=INPUT, heading="Input",
        help="An input as in the guide, any number of times; NAME= puts NAME- before its file names. "
        "A path that exists is taken as a path, even with '=' in it.",
    ),
    option("--images", type=FOLDER, metavar="DIR", heading="Input", help="Root of the images, with --labels."),
)  # fmt: skip

inputs_options = together(
    inputs_options_without_labels,
    option(
        "--labels", "label_root", type=FOLDER, metavar="DIR", heading="Input", help="Root of the labels, with --images."
    ),
)


def input_specs(
    inputs: Sequence[str], named: Sequence[InputSpec], images: str | None, labels: str | None
) -> list[InputSpec]:
    """Return all inputs in the order of the command line, arguments first."""
    specs = [InputSpec(path=path) for path in inputs]
    specs += named
    if (images is None) != (labels is None):
        raise click.UsageError("--images and --labels belong together: give both roots, or neither.")
    if images is not None and labels is not None:
        specs.append(InputSpec(path="", images=images, labels=labels))
    if not specs:
        raise click.UsageError("No input given: name a dataset folder or its dataset.yaml.")
    return specs


verbose_option = option(
    "--verbose",
    "-v",
    is_flag=True,
    help="Print all: the guide's tables, each class, the need of each mode; of folds, each plan.",
)
output_option = option(
    "--output", "-o", type=FOLDER, metavar="DIR", required=True, heading="Output", help="The dataset to build."
)
