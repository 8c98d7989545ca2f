"""What the commands share: options in the spelling of the contract and the guide, help with an example, `--json`."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from planbalance.cli import config
from planbalance.cli.terminal import Answer, Terminal
from planbalance.model import SPLITS, InputSpec
from planbalance.modes import MODES

ADVANCED: Final = "Advanced"
# In the order of the help.
_HEADINGS: Final = ("Input", "Output", "Split", "Groups", "Sampling", "Reading", "Options", ADVANCED)
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Option(click.Option):
    """An option that knows under which heading of the help it stands."""

    def __init__(self, *args: Any, heading: str = "Options", **settings: Any) -> None:  # noqa: ANN401 - click's signature
        super().__init__(*args, **settings)
        self.heading = heading


class Command(click.Command):
    """A command that returns an `Answer`: its help has an example, and every one takes `--json` and `--quiet`.

    Attributes:
        example: a command line that works as it stands.
        printing: printing is what the command is called for, so `--quiet` does not silence its answer.
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
        """Read the command line; where a value of the file is refused, say that it is the file's."""
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            name = error.param.name if error.param is not None else None
            if name is None or config.source_of(ctx, name) is not click.core.ParameterSource.DEFAULT_MAP:
                raise
            message = f"{error.message.rstrip('.')} (in {config.path_of(ctx)})."
            raise click.BadParameter(message, ctx, error.param) from error

    def invoke(self, ctx: click.Context) -> None:
        """Run the command, say its answer, and exit with its code."""
        decided = config.settle(ctx)
        with Terminal(as_json=ctx.params["json"], quiet=ctx.params["quiet"] and not self.printing) as terminal:
            if decided and not ctx.params["quiet"]:
                terminal.note(f"Options from {config.path_of(ctx)}: {', '.join(decided)}")
            answer = self.answer(ctx, terminal)
            terminal.answer(answer)
        ctx.exit(answer.exit_code)

    def answer(self, ctx: click.Context, terminal: Terminal) -> Answer:
        """Run the command and return its answer unsaid."""
        for common in ("json", "quiet", "config"):
            ctx.params.pop(common, None)
        ctx.obj = terminal
        result: Answer = super().invoke(ctx)
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
        """Write the example as it would be typed."""
        formatter.write(f"\nExample:\n  {self.example}\n")


def help_option() -> click.Option:
    """Return `--help`, printed as everything else is: to a reader that may leave."""
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
        common.append(Option(["--config"], type=PATH, metavar="FILE", help=asked))
    return common


def _dashed(token: str) -> str:
    return token.replace("_", "-")


def command(
    name: str, *, example: str, printing: bool = False, configured: bool = True
) -> Callable[[Callable[..., Answer]], Command]:
    """Make a function a command; its docstring is the help; `program` has its line in the list of commands."""
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
        """Return what a shell offers for a word that is begun."""
        from click.shell_completion import CompletionItem

        if self.completion in (FILES, FOLDERS):
            return [CompletionItem(incomplete, type=self.completion[0])]
        return offered(self.completion, incomplete)


FILES: Final = ("file",)
FOLDERS: Final = ("dir",)


def offered(words: Iterable[str], incomplete: str) -> "list[CompletionItem]":
    """Return those of the words that go on as a word is begun."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise ValueError(text)
    return old, new


JOBS = _Value("auto|N", lambda text: None if text == "auto" else int(text), "a whole number or 'auto'", ("auto",))
OLD_NEW = _Value("OLD=NEW", _pair, "of the form OLD=NEW", FILES)
PATH = _Value("PATH", lambda text: text or _refuse_empty(), "a path", FILES)
FOLDER = _Value("PATH", lambda text: text or _refuse_empty(), "a path", FOLDERS)


def _splits(text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    if len(set(words)) != len(words) or not set(words) <= set(SPLITS):
        raise ValueError(text)
    return words


SPLIT_LIST = _Value(
    "SPLIT[,SPLIT]", _splits, f"one or more of {', '.join(SPLITS)} with a comma between", ("test", "test,val", "val")
)


def _refuse_empty() -> str:
    raise ValueError("empty")


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


class _Rule(_Value):
    """A naming rule: a shell is offered those of the registry, which is read only when it asks."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG002 - click's signature
        """Return the rules that go on as a word is begun."""
        from planbalance.naming import OFFERED

        return offered(("auto", *OFFERED), incomplete)


RULE = _Rule("RULE", str, "a rule")


# ---- options that several commands have ----------------------------------------------------------------------------

inputs_options_without_labels = together(
    click.argument("inputs", metavar="INPUT...", nargs=-1, type=PATH),
    option(
        "--input", "named", multiple=True, type=INPUT, heading="Input",
        help="An input as in the guide, any number of times; NAME= puts NAME- before its file names. "
        "A path that exists is taken as a path, even with '=' in it.",
    ),
    option(
        "--shared-ids", type=click.Choice(["same", "different"]), heading="Input",
        help="A volume id in several inputs, one of them with a NAME: one volume, or different ones (NAME- is then put "
        "before ids too).",
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
        raise click.UsageError("No input given: name a data set folder or its dataset.yaml.")
    return specs


reading_options = together(
    option(
        "--volume-pattern", type=RULE, metavar="RULE", heading="Reading",
        help="How names are read: auto, im-dash, trailing-number, parent-dir, image (each image stands alone), or a "
        "regular expression with the groups (?P<volume>), (?P<slice>) and perhaps (?P<patient>).  [default: auto]",
    ),
    option(
        "--positive-class", "positive_classes", multiple=True, metavar="NAME|ID", heading="Reading",
        help="Only this class makes a slice positive (repeatable; default: any annotation). Labels stay as they are. "
        "A number is an id, unless a class has it for a name; id:1 and name:1 say which is meant.",
    ),
)  # fmt: skip

volume_source_options = together(
    option(
        "--slice-map", type=PATH, metavar="CSV", heading="Reading",
        help="Where names do not tell the volume: a row an image, with the columns image, volume, patient and slice "
        "(needed: image, and one of volume and patient).",
    ),
    option(
        "--slice-map-columns", metavar="ROLE=HEADING,...", heading="Reading",
        help="How its columns are called, such as image=File_name,patient=Patient_index; A+B joins two columns.",
    ),
    option(
        "--volume-from", type=click.Choice(["dicom:SeriesInstanceUID"]), heading="Reading",
        help="A volume is a series of the DICOM headers (extra [dicom]); only a keyed hash of its UID is stored.",
    ),
)  # fmt: skip

group_options = together(
    option("--group-map", type=PATH, metavar="CSV", heading="Groups", help="Volume -> patient; a group never splits."),
    option("--volume-column", default="volume", show_default=True, heading="Groups", help="Its column of volumes."),
    option("--group-column", default="group", show_default=True, heading="Groups", help="Its column of groups."),
)  # fmt: skip

group_key_option = option(
    "--group-key", type=PATH, metavar="FILE", heading=ADVANCED,
    help="The key of --group-from and --volume-from; made if it is not there.  [default: group-key in your settings]",
)  # fmt: skip

patient_options = together(
    option(
        "--group-from",
        type=click.Choice([f"dicom:{tag}" for tag in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID")]),
        heading="Groups",
        help="Read groups from the DICOM headers (extra [dicom]); only a keyed hash is stored.",
    ),
    group_key_option,
)

seed_options = together(
    option("--seed", type=int, heading="Split", help="Sets --split-seed and --sample-seed.  [default: 42]"),
    option("--split-seed", type=int, heading=ADVANCED, help="Which volume goes where."),
    option("--sample-seed", type=int, heading=ADVANCED, help="Which train negatives stay."),
)  # fmt: skip

split_options = together(
    option("--train-ratio", metavar="NUMBER", heading="Split", help="[default: 0.7]"),
    option("--val-ratio", metavar="NUMBER", heading="Split", help="[default: 0.15]"),
    option("--test-ratio", metavar="NUMBER", heading="Split", help="[default: 0.15]  Of two given, the rest."),
    seed_options,
    option(
        "--split-method", type=click.Choice(["optimal", "random"]), default="optimal", show_default=True,
        heading=ADVANCED, help="Search for the split nearest to the targets, or draw one.",
    ),
    option(
        "--keep-split", type=SPLIT_LIST, default=(), metavar="SPLIT[,SPLIT]", heading="Split",
        help="Slices that the input already holds in these splits stay there: test, or test,val.",
    ),
    option("--extend", type=PATH, metavar="PLAN", heading="Split", help="An older plan, whose volumes stay put."),
    option("--split-map", type=PATH, metavar="CSV", heading="Split", help="Volumes fixed by hand: volume,split."),
    option(
        "--stratify", multiple=True, metavar="COLUMN", heading=ADVANCED,
        help="A column of the group map to spread evenly too (repeatable).",
    ),
)  # fmt: skip

sampling_options = together(
    option(
        "--negatives-per-positive", metavar="NUMBER|all", default="1.0", show_default=True, heading="Sampling",
        help="Train negatives kept for each train positive.",
    ),
    option(
        "--sampling", type=click.Choice(["random", "spread"]), default="random", show_default=True, heading="Sampling",
        help="Draw train negatives at random, or spread them over volumes and slices.",
    ),
    option(
        "--gap", type=int, default=0, show_default=True, heading="Sampling",
        help="Negatives within so many slices of a positive are not drawn.",
    ),
    option("--always-keep", type=PATH, metavar="FILE", heading="Sampling", help="Train negatives to keep, one a line."),
    option(
        "--exclude", multiple=True, metavar="FILE|GLOB", heading="Sampling",
        help="Volumes or slices to leave out: a file with one a line, or a pattern (repeatable).",
    ),
)  # fmt: skip

label_options = together(
    option(
        "--missing-label", type=click.Choice(["empty", "skip", "error"]), heading="Reading",
        help="An image without a label file: background, left out, or refused.",
    ),
    option(
        "--invalid-label", type=click.Choice(["error", "skip", "keep"]), default="error", show_default=True,
        heading="Reading", help="A label file with an invalid line.",
    ),
    option("--hash-images", is_flag=True, heading=ADVANCED, help="Bind the plan to the images' content too."),
)  # fmt: skip

output_options = together(
    option("--output", type=FOLDER, metavar="DIR", required=True, heading="Output", help="The data set to build."),
    option(
        "--layout", type=click.Choice(["keep", "by-volume"]), default="keep", show_default=True, heading="Output",
        help="File paths as in the input, or a folder a volume (fast on cluster file systems).",
    ),
)  # fmt: skip

plan_options = together(
    output_options,
    split_options,
    group_options,
    patient_options,
    sampling_options,
    reading_options,
    volume_source_options,
    label_options,
)  # fmt: skip

apply_options = together(
    option(
        "--mode", type=click.Choice(MODES), default="copy", show_default=True, heading="Output",
        help="How images are placed.",
    ),
    option(
        "--fallback", type=click.Choice(["none", "copy"]), default="none", show_default=True, heading=ADVANCED,
        help="Where the file system refuses the mode: an error, or copy.",
    ),
    option("--jobs", type=JOBS, default="auto", show_default=True, help="Workers."),
    option(
        "--checksum", type=click.Choice(["sha256", "none"]), default="sha256", show_default=True, heading=ADVANCED,
        help="Manifest of a copy.",
    ),
    option("--dry-run", is_flag=True, help="Check staleness, space and permissions; write nothing."),
    option("--restart", is_flag=True, heading="Output", help="Throw a partial build of this output away first."),
    option(
        "--durability", type=click.Choice(["fast", "safe"]), default="fast", show_default=True, heading=ADVANCED,
        help="What a power loss may cost: safe syncs as it goes.",
    ),
)  # fmt: skip


shard_options = together(
    option(
        "--shard", metavar="I/N|auto", heading=ADVANCED,
        help="Do part I of N only (auto: by the Slurm array); parts run anywhere, at any time.",
    ),
    option("--finish", is_flag=True, heading=ADVANCED, help="When all parts are done: put them together."),
    option(
        "--executor", type=click.Choice(["local", "dask"]), default="local", show_default=True, heading=ADVANCED,
        help="Where the work is done: here, or by parts on a Dask cluster (extra [dask]).",
    ),
    option(
        "--scheduler", metavar="ADDRESS", heading=ADVANCED,
        help="The running Dask scheduler.  [default: a cluster on this machine]",
    ),
)  # fmt: skip


label_mode_option = option(
    "--labels", type=click.Choice(["copy", "same"]), heading="Output",
    help="Labels copied (one edited later does not change the source), or placed as the images are.  [default: copy]",
)  # fmt: skip
