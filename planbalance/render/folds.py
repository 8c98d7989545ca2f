"""What `plan` prints of several plans, folds or values that are left out: one table with a row for each, then the rest.

What is the same in all of them is printed once. `planbalance show` prints one of the plans in full.
"""

import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.model import SPLITS
from planbalance.render.apply import warnings_text
from planbalance.render.class_labels import Words, and_others, several_alike, words_of_plan
from planbalance.render.guide_tables import disk_text
from planbalance.render.naming import reading_text
from planbalance.render.plan import inputs_text, joined_text, off_target, plan_text
from planbalance.render.plan_classes import class_targets
from planbalance.render.plan_facts import fold_name, fold_text
from planbalance.render.table import Grid, Group, Renderable, aligned, count, heading, indented, line, prose
from planbalance.sensitivity import needed_sentence, sentence
from planbalance.text import command_line, counted, named_texts, texts_of

_COUNTS: Final = ("volumes", "positive", "negative", "kept")
_NUMBER: Final = re.compile("[0-9][0-9,]*")


def folds_document(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the documents of all plans, and what they hold side by side: with mean, minimum and maximum."""
    return {"folds": list(documents), "across_folds": _across(documents)}


def _across(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = documents[0]["parameters"]["fold"]
    rows = [_row(document) for document in documents]
    return {
        "folds": first["of"],
        "repeats": first.get("repeats", 1),
        "leave_out": first.get("leave_out"),
        "rows": rows,
        "mean": _each(rows, lambda numbers: round(sum(numbers) / len(numbers), 3)),
        "minimum": _each(rows, min),
        "maximum": _each(rows, max),
    }


def _row(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return one plan's row: volumes and slices before undersampling, slices kept, and how far the targets are off."""
    statistics, volumes = document["statistics"], document["volume_statistics"]
    numbers: dict[str, Any] = {
        split: {
            "volumes": volumes[f"{split}_volumes"],
            "positive": statistics["before"][split]["positive"],
            "negative": statistics["before"][split]["negative"],
            "kept": statistics["splits"][split]["total"],
        }
        for split in SPLITS
    }
    name = fold_name(document["parameters"]["fold"])
    return {"name": name, **numbers, "distance": document["targets"]["distance"]}


def _each(rows: Sequence[Mapping[str, Any]], figure: Callable[[list[int]], float]) -> dict[str, Any]:
    """Return one figure over all rows for each of their numbers."""
    found: dict[str, Any] = {
        split: {key: figure([row[split][key] for row in rows]) for key in _COUNTS} for split in SPLITS
    }
    return found | {"distance": figure([row["distance"] for row in rows])}


# ---- for a person ---------------------------------------------------------------------------------------------------


def folds_text(
    document: Mapping[str, Any], plan_files: Sequence[str], apply: str, *, verbose: bool = False
) -> Renderable:
    """Return several plans for a person.

    Args:
        document: of `folds_document`.
        plan_files: the files of the plans.
        apply: the command that builds them.
        verbose: print each plan in full first.
    """
    plans = document["folds"] if verbose else ()
    each = (Group(heading(_full_title(plan)), plan_text(plan, verbose=True)) for plan in plans)
    return Group(*each, *_text(document, plan_files, apply, verbose=verbose))


def _full_title(plan: Mapping[str, Any]) -> str:
    text = fold_text(plan["parameters"]["fold"])
    return text[0].upper() + text[1:]


def _text(document: Mapping[str, Any], plan_files: Sequence[str], apply: str, *, verbose: bool) -> Iterable[Renderable]:
    plans, across = document["folds"], document["across_folds"]
    first, output = plans[0], os.path.commonpath([plan["output"] for plan in plans])
    words = words_of_plan(first["names"], first["statistics"])
    yield from reading_text(first, when=" (before undersampling)" if verbose else "", warned=False)
    yield from inputs_text({**first, "output": output, "parameters": {}})
    yield from joined_text(first, verbose=verbose)
    if verbose:
        yield from _what_test_can_tell(plans)
        yield from disk_text(_summed([plan["modes"] for plan in plans]), f" for all {len(plans)} together")
    yield heading(_title(across, first["unit"]))
    yield _table(plans, across, words)
    yield indented(" ".join(_below_table(plans, across)))
    said = [*texts_of(first["naming"], "warnings"), *_warnings(plans, [row["name"] for row in across["rows"]])]
    yield from warnings_text(dict.fromkeys(said))
    yield line()
    yield prose(("Plan: ", "bold green"), f"only the {counted(len(plans), 'plan file')} were written. Next:")
    yield line("  ", apply)
    yield line("  ", command_line(["verify", output]))
    if not verbose:
        yield prose(f"To see one of them: planbalance show {shlex.quote(plan_files[0])}; all of them: --verbose.")


def _title(across: Mapping[str, Any], unit: str) -> str:
    if across["leave_out"] is not None:
        return f"{across['folds']} values of {across['leave_out']}, each left out once: its {unit}s are test"
    if across["repeats"] > 1:
        return f"{across['repeats']} repetitions of {across['folds']} folds: in each, every {unit} is in test once"
    return f"{across['folds']} folds: every {unit} is in test once"


def _table(plans: Sequence[Mapping[str, Any]], across: Mapping[str, Any], words: Words) -> Grid:
    named = [(row["name"], row) for row in across["rows"]]
    named += [("mean", across["mean"]), ("smallest", across["minimum"]), ("largest", across["maximum"])]
    cells = {
        key: aligned([[count(round(row[split][key])) for split in SPLITS] for _, row in named]) for key in _COUNTS[:-1]
    }
    deviations = _deviations(plans)
    columns = ["volumes", words.positive, words.negative, "train kept", "off target"]
    grid = Grid([across["leave_out"] or "", *columns, *(["class off by"] if deviations else [])])
    for index, (name, row) in enumerate(named):
        several = (cells[key][index] for key in cells)
        grid.add(
            name, *several, count(round(row["train"]["kept"])), _number(row["distance"]), *deviations[index : index + 1]
        )
    return grid


def _deviations(plans: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return by how many points the boxes of the worst class are off the ratios: of each plan, then the figures of all.

    None where a plan does not tell it: plans of one class.
    """
    worst = [max((one.deviation for one in class_targets(plan["targets"])), default=None) for plan in plans]
    found = [one for one in worst if one is not None]
    if len(found) < len(plans):
        return []
    return [f"{one:.1f}" for one in (*found, sum(found) / len(found), min(found), max(found))]


def _number(number: float) -> str:
    return count(int(number)) if number == int(number) else f"{number:,.1f}"


def _below_table(plans: Sequence[Mapping[str, Any]], across: Mapping[str, Any]) -> Iterable[str]:
    yield "Volumes and slices: train / val / test, before undersampling. Off target: slices, in all three."
    if _deviations(plans):
        yield "Class off by: points that the boxes of the worst class are off the ratios."
    if any(sum(plan["kept_volumes"].values()) < plan["volume_statistics"]["total_volumes"] for plan in plans):
        yield "Volumes without a kept slice are counted."
    if across["leave_out"] is not None:
        yield "Test has no target: it is what has the value."
    seeds = sorted({plan["parameters"]["split_seed"] for plan in plans})
    if len(seeds) > 1:
        yield f"The split seeds of the repetitions are {seeds[0]} to {seeds[-1]}."


def _what_test_can_tell(plans: Sequence[Mapping[str, Any]]) -> Iterable[Renderable]:
    """Yield how far off a sensitivity may be that is measured on one test, and on those of one repetition together."""
    told = [plan["sensitivity"] for plan in plans]
    noun = told[0]["unit"]
    once = [one["test"]["units"] for plan, one in zip(plans, told, strict=True) if _of_first_repetition(plan)]
    yield heading("What the tests can tell")
    yield indented(sentence("the smallest test", min(one["test"]["units"] for one in told), noun))
    yield indented(sentence("the test of all together", sum(once), noun))
    yield indented(needed_sentence(noun))


def _of_first_repetition(plan: Mapping[str, Any]) -> bool:
    return bool(plan["parameters"]["fold"].get("repeat", 1) == 1)


def _summed(several: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, Counter[str]]:
    """Return by mode what all plans together need of the file system."""
    found: dict[str, Counter[str]] = {}
    for modes in several:
        for mode, need in modes.items():
            found.setdefault(mode, Counter()).update(need)
    return found


def _warnings(plans: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterable[str]:
    """Yield each warning once, with the plans that it is about; of those that differ in numbers only, the first."""
    said = [(name, off_target(plan["warnings"], plan["targets"])) for plan, name in zip(plans, names, strict=True)]
    told = [
        {"kind": "", "message": _NUMBER.sub("0", warning), "text": text} for warning, text in named_texts(said).items()
    ]
    return (problem["text"] + and_others(others) for problem, others in several_alike(told))
