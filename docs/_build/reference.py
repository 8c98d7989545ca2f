"""Reference pages from the code: the commands as click knows them, exit codes, and every refusal in the sources."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click

import planbalance
from planbalance import errors
from planbalance.cli.program import COMMANDS, cli
from planbalance.cli.options import Command, Option

SOURCES = Path(planbalance.__file__).parent
HEADINGS = ("Input", "Output", "Split", "Groups", "Sampling", "Reading", "Annotations", "Pictures", "Options", "Advanced")


# ---- commands -------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Return the page of all commands."""
    context = click.Context(cli, info_name="planbalance")
    found = [(name, cli.get_command(context, name)) for name in COMMANDS]
    parts = [
        "# Commands",
        "Generated from the code: what `planbalance COMMAND --help` says. Options take `_` for `-`, as the guide "
        "writes them (`--train_ratio`).",
        "| command | does |\n|---|---|",
    ]
    parts[-1] += "".join(
        f"\n| [`{name}`](#{name}) | {each.get_short_help_str(200)} |" for name, each in found if each is not None
    )
    parts += [_command(name, each, context) for name, each in found if isinstance(each, Command)]
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(["planbalance", name, *command.collect_usage_pieces(context)])
    about = inspect.cleandoc(command.help or "")
    parts = [f"## {name}", about, f"```text\n{usage}\n```", f"Example: `{command.example}`"]
    for heading in HEADINGS:
        rows = [_row(each, context) for each in command.get_params(context) if _stands_under(each, heading)]
        if rows:
            parts.append("\n".join([f"| {heading} | |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _stands_under(parameter: click.Parameter, heading: str) -> bool:
    return isinstance(parameter, click.Option) and (
        parameter.heading if isinstance(parameter, Option) else "Options"
    ) == heading


def _row(parameter: click.Parameter, context: click.Context) -> str:
    names, about = parameter.get_help_record(context) or ("", "")
    # Two brackets that follow each other would be a link in Markdown.
    shown = _cell(about).replace("<", "&lt;").replace("] [", "], [")
    return f"| `{_cell(names)}` | {shown} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# ---- messages -------------------------------------------------------------------------------------------------------


class Refusal(NamedTuple):
    """One `XError(message, kind=..., hint=...)` of the sources; `…` stands for what is filled in."""

    exit_code: int
    kind: str
    message: str
    hint: str


@cache
def refusals() -> list[Refusal]:
    """Return every refusal in the sources, by exit code and kind."""
    codes = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and hasattr(kind, "exit_code")
    }
    found = set()
    for path in sorted(SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in codes and node.args:
                keywords = {each.arg: _template(each.value) for each in node.keywords if each.arg}
                message, kind = _template(node.args[0]), keywords.get("kind", "…")
                if message.strip("… .") and kind != "…":
                    found.add(Refusal(codes[node.func.id], kind, message, keywords.get("hint", "")))
    return sorted(found)


def _template(node: ast.expr) -> str:
    """Return a text as it stands in the sources, `…` for each part that is only known at run time."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(map(_template, values))
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _template(left) + _template(right)
        case ast.IfExp(body=body, orelse=orelse):
            return " / ".join(filter(None, (_template(body), _template(orelse))))
        case _:
            return "…"


def messages() -> str:
    """Return the page of exit codes and messages."""
    parts = ["# Exit codes and messages", "Generated from the code.", "## Exit codes", _exit_codes(), "## Messages"]
    parts.append(
        "A message is one sentence; `…` stands for a name or number. Under `--json` it is "
        "`error.message`, with `error.kind` as below, `error.hint` and all `error.paths`. What to do about the more "
        "frequent ones is in [Troubleshooting](../troubleshooting.md)."
    )
    for code in sorted({each.exit_code for each in refusals()}):
        rows = [
            f"| `{each.kind}` | {_text(each.message)} | {_text(each.hint)} |"
            for each in refusals()
            if each.exit_code == code
        ]
        parts.append("\n".join([f"### Exit {code}", "", "| kind | message | hint |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _exit_codes() -> str:
    rows = ["| code | means |", "|---|---|", "| 0 | Done; `verify`: no errors. |"]
    described = {kind.exit_code: kind.__doc__ or "" for kind in _kinds()}
    described |= {
        1: "A bug in planbalance: please report it with the output of `planbalance --version`.",
        6: "The audit found errors.",
    }
    rows += [f"| {code} | {_cell(text)} |" for code, text in sorted(described.items())]
    return "\n".join(rows)


def _kinds() -> Iterator[type[errors.PlanbalanceError]]:
    yield from errors.PlanbalanceError.__subclasses__()


def _text(template: str) -> str:
    plain = " ".join(template.split())
    for special in ("\\", "|", "<", "*", "_", "[", "`"):
        plain = plain.replace(special, "\\" + special)
    return plain
