"""What a file or folder is that a command refuses, and which command takes it. Imported only where one is refused."""

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Final, NamedTuple

from planbalance import api
from planbalance.dataset_files import PLAN
from planbalance.errors import HoldsDatasetsError, PlanbalanceError
from planbalance.planstore import is_import
from planbalance.text import command_line, some

_ARCHIVES: Final[Mapping[str, str]] = {
    ".zip": "unzip {0} -d {1}",
    **dict.fromkeys((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"), "mkdir {1} && tar -xf {0} -C {1}"),
    ".7z": "7z x {0} -o{1}",
    ".gz": "gunzip {0}",
}
_POOLING: Final = ("scan", "plan", "build")  # several inputs become one dataset
_SCHEMA: Final = b'{"schema":"planbalance/plan/'
_MOST_LISTED: Final = 2000


class PathAnswer(NamedTuple):
    """A sentence that says what a path is and which command takes it, and a hint."""

    message: str
    hint: str = ""


def path_answer(error: PlanbalanceError, command: str, words: Sequence[str]) -> PathAnswer | None:
    """Return what to say of a path that was refused; None where the refusal itself has to do.

    Args:
        error: the refusal.
        command: that was called.
        words: the command line, without the program.
    """
    answer = _ANSWERS.get(error.kind)
    return None if answer is None else answer(error, command, list(words))


def _no_layout(error: PlanbalanceError, command: str, words: list[str]) -> PathAnswer | None:
    if isinstance(error, HoldsDatasetsError):
        return _of_datasets(error, command, words)
    path = error.paths[0] if error.paths else ""
    word = _typed(path, words) or path
    suffix = next((end for end in _ARCHIVES if path.lower().endswith(end)), None)
    if not os.path.isfile(path):
        return None
    if suffix is not None:
        folder = word[: -len(suffix)]
        unpack = _ARCHIVES[suffix].format(shlex.quote(word), shlex.quote(folder))
        again = [folder if one == word else one for one in words]
        return PathAnswer(f"{word} is an archive: unpack it with `{unpack}`, and give the folder.", command_line(again))
    if _is_plan(path):
        takes = ["verify", "--plan", word] if command == "verify" else ["apply", word]
        return PathAnswer(f"{word} is a plan, and a dataset is needed here: {_quoted(takes)} takes a plan.")
    return None


def _of_datasets(error: PlanbalanceError, command: str, words: list[str]) -> PathAnswer:
    """Say which datasets lie in a folder, and give the command for them."""
    root = os.path.dirname(error.paths[0])
    word = _typed(root, words) or root
    inside = [f"{word.rstrip('/')}/{os.path.basename(one)}" for one in error.paths]
    names = some([os.path.basename(one) for one in inside])
    of_folds = _source_of_folds(root) if command in {*_POOLING, "repair"} else None
    one = _with(words, word, inside[:1])
    if of_folds is not None:
        again = _with(words, word, [of_folds.source])
        return PathAnswer(f"{word} holds {of_folds.kind} of one dataset ({names}): give that, {_quoted(again)}.")
    if command in _POOLING and 1 < len(inside) <= 5:
        again = _with(words, word, inside)
        return PathAnswer(
            f"{word} holds {len(inside)} datasets ({names}): {_quoted(again)} puts them together.",
            f"One of them alone: {command_line(one)}",
        )
    return PathAnswer(f"{word} holds {len(inside)} datasets ({names}): give one of them, {_quoted(one)}.")


class _SameSource(NamedTuple):
    """The one input of the datasets in a folder, and whether they are its folds or its variants."""

    source: str
    kind: str


def _source_of_folds(root: str) -> _SameSource | None:
    """Return the input of the plans of folds that lie in a folder; None where it holds no folds that tell."""
    try:
        folds = api.fold_datasets(root)
        header = api.open_plan(f"{folds[0]}/{PLAN}").header if folds else None
    except (PlanbalanceError, OSError):
        return None
    if header is None or len(header.inputs) != 1 or not os.path.isdir(header.inputs[0]):
        return None
    return _SameSource(os.path.relpath(header.inputs[0]), "folds" if header.parameters.get("fold") else "variants")


def _no_plan(error: PlanbalanceError, command: str, words: list[str]) -> PathAnswer | None:
    path = error.paths[0] if error.paths else ""
    word = _typed(path, words) or path
    if os.path.isdir(path):
        return _folder_as_plan(word, command)
    if os.path.lexists(path):
        return None
    folder = os.path.dirname(path) or "."
    wanted = "Neither a plan nor a dataset is there" if command == "report" else "The plan does not exist"
    close = _plans_like(path, folder)
    if close is None and command == "verify" and word not in words:
        return PathAnswer(f"{wanted}: {word}. Name the dataset, as in `planbalance verify DATASET`.")
    if close is None:
        return PathAnswer(f"{wanted}: {word}. {_quoted(['plan', 'INPUT', '--output', 'DIR'])} makes a plan.")
    near = os.path.join(os.path.dirname(word), close)
    again = _with(words, word, [near]) if word in words else [*words, near]
    return PathAnswer(f"{wanted}: {word}. Did you mean {near}?", command_line(again))


def _plans_like(path: str, folder: str) -> str | None:
    """Return the name of a plan that is alike, or of the only one that is there."""
    try:
        names = [name for name in os.listdir(folder)[:_MOST_LISTED] if name.endswith(".json")]
    except OSError:
        return None
    plans = {name[:-5]: name for name in sorted(names) if _is_plan(f"{folder}/{name}")}
    close = get_close_matches(os.path.basename(path).removesuffix(".json"), list(plans), n=1)
    if not close and len(plans) == 1:
        close = list(plans)
    return plans[close[0]] if close else None


def _damaged(error: PlanbalanceError, command: str, words: list[str]) -> PathAnswer | None:
    path = error.paths[0] if error.paths else ""
    if not path.lower().endswith((".yaml", ".yml")):
        return None
    made = _quoted(["plan", path, "--output", f"{os.path.dirname(path) or 'dataset'}-balanced"])
    return PathAnswer(f"{_typed(path, words) or path} is the yaml of a dataset, and {command} takes a plan: {made}.")


def _folder_as_plan(path: str, command: str) -> PathAnswer:
    name = path.rstrip("/")
    inside = f"{name}/{PLAN}"
    near = _plans_like("plan.json", path)
    if near is not None:
        return PathAnswer(f"{path} is a folder, and {command} takes a plan. Did you mean {os.path.join(name, near)}?")
    if api.fold_datasets(path):
        return PathAnswer(f"{path} holds folds that are built, and {command} takes plans: {_quoted(['verify', path])}.")
    if not os.path.isfile(inside):
        made = _quoted(["plan", path, "--output", f"{name}-balanced"])
        return PathAnswer(f"{path} is a folder, and {command} takes a plan: {made} makes one.")
    if command == "apply":
        return PathAnswer(f"{path} is built already, and apply takes a plan: {_quoted(['verify', path])} audits it.")
    return PathAnswer(f"{path} is a folder, and {command} takes a plan: that of this dataset is {inside}.")


def _overlap(error: PlanbalanceError, _command: str, words: list[str]) -> PathAnswer | None:
    if not error.message.startswith("The output"):
        return None
    source = next((one for one in words[1:] if os.path.isdir(one)), "dataset")
    name = f"{source.rstrip('/')}-balanced"
    if os.path.basename(source.rstrip("/")) in {"", ".", ".."}:
        name = f"../{os.path.basename(os.path.abspath(source))}-balanced"
    return PathAnswer(f"{error.message.rstrip('.')}: choose one outside, such as --output {shlex.quote(name)}.")


def _not_built(error: PlanbalanceError, command: str, words: list[str]) -> PathAnswer | None:
    """Say that the output of a plan is not there, where `verify` was to audit it."""
    path = error.paths[0]
    if command != "verify" or _typed(path, words) is not None:
        return None
    named = [new for old, new in pairwise(words) if old == "--plan"]
    named += [word.removeprefix("--plan=") for word in words if word.startswith("--plan=")]
    plan = named[0] if named else api.DEFAULT_PLAN
    return PathAnswer(
        f"{path} is not there: {plan} was not applied yet, or its output was moved. {_quoted(['apply', *named[:1]])} "
        f"builds it."
    )


_ANSWERS: Final[Mapping[str, Callable[[PlanbalanceError, str, list[str]], PathAnswer | None]]] = {
    "no-layout": _no_layout,
    "plan-not-found": _no_plan,
    "input-not-found": _not_built,
    "plan-damaged": _damaged,
    "output-overlaps-input": _overlap,
}


def _is_plan(path: str) -> bool:
    if not os.path.isfile(path):  # opening a pipe would wait for its other end
        return False
    try:
        with open(path, "rb") as file:
            begin = file.read(len(_SCHEMA))
        # an image or tar that holds the plan of an import is no plan itself
        return begin == _SCHEMA or (begin.startswith(b"{") and is_import(path))
    except OSError:
        return False


def _typed(path: str, words: Iterable[str]) -> str | None:
    """Return the word of the command line that names a path."""
    return next((one for one in words if os.path.abspath(one) == os.path.abspath(path)), None)


def _with(words: Sequence[str], word: str, others: Sequence[str]) -> list[str]:
    """Return a command line with other words in the place of one."""
    return [new for one in words for new in (others if one == word else [one])]


def _quoted(words: Iterable[str]) -> str:
    return f"`{command_line(words)}`"
