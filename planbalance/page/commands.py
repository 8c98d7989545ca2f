"""The command lines that repeat what a page shows, quoted for a shell, with no path or option left out."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.group_sources import joins_of_plan
from planbalance.look_alikes import answers_of, planned_pairs
from planbalance.model import EXTERNAL_RULES, Audit, PlanHeader, Source
from planbalance.options.audit import ReportRequest
from planbalance.page.subject import HowBuilt, how_built
from planbalance.path_relation import guarded
from planbalance.planfile import grouped_by
from planbalance.render.next_step import next_step
from planbalance.render.repair import repair_facts
from planbalance.text import command_line

SAMPLES: Final = ReportRequest().samples


class Step(NamedTuple):
    """One command with what it does, and what the page cannot know of it."""

    title: str
    command: str
    note: str = ""


# Parameters that are options of the same name, with their defaults, which are left out.
_PLAIN: Final = {
    "split_method": "optimal",
    "balance": "patients",
    "sampling": "random",
    "gap": 0,
    "missing_label": None,
    "invalid_label": "error",
    "layout": "keep",
}


def steps(
    header: PlanHeader, plan_path: str, dataset: str | None = None, again: Sequence[str] = ()
) -> tuple[Step, ...]:
    """Return the commands that make the plan again, look at it, build it and audit it.

    Args:
        header: of the plan.
        plan_path: where it lies; "" where it lies nowhere.
        dataset: the dataset that was built from it, or None where it is not built yet.
        again: options that make this page again (`page_words`).
    """
    path = plan_path or "plan.json"
    return (
        Step("Make the same plan", _line(list(_making(header))), _plan_note(header)),
        Step("Look at it", _line(["show", path])),
        Step("Build it", _line(["apply", path]))
        if dataset is None
        else Step("Build it once more, beside this one", _line(_apply_words(path, dataset, how_built(dataset)))),
        Step("Audit what was built", _line(["verify", dataset or header.output])),
        Step("Make this page again", _line(["report", dataset or path, *again])),
    )


def audit_steps(dataset: str, audit: Audit | None = None, again: Sequence[str] = ()) -> tuple[Step, ...]:
    """Return the commands that repeat the page of a dataset that another tool built, and what to do about its leaks."""
    reading, files = _reading_words(audit)
    step = None if audit is None else next_step(audit, dataset, reading)
    return (
        Step("Audit it", _line(["verify", dataset, *reading, *_looked_at(audit)]), files),
        Step("Make this page again", _line(["report", dataset, *again])),
        *([Step(step.text.rstrip(":"), step.command, files)] if step is not None and step.command else []),
    )


def _reading_words(audit: Audit | None) -> tuple[list[str], str]:
    """Return the options that say how names are read and which volumes are one patient, and what to put into them."""
    if audit is None or audit.naming is None:
        return [], ""
    words, rule = [], audit.naming.get("rule")
    if rule == "slice-map":
        words += ["--slice-map", "SLICE_MAP.csv"]
    elif rule == "dicom":
        words += ["--volume-from", "dicom:SeriesInstanceUID"]
    elif rule != "im-dash" and isinstance(pattern := audit.naming.get("pattern") or rule, str):
        words += ["--volume-pattern", pattern]
    if "map" in audit.grouped_by.split("+"):
        words += ["--group-map", "GROUP_MAP.csv"]
    return words, _note_of_files([word for word in words if word.endswith("_MAP.csv")])


def _looked_at(audit: Audit | None) -> list[str]:
    made = {check.name for check in audit.checks if check.ok is not None} if audit is not None else set()
    return ["--near-duplicates"] if "near-duplicates" in made else []


def page_words(audit: Audit | None, samples: int, *, planned: bool, built: bool) -> list[str]:
    """Return the options of `report` that make a page again.

    Args:
        audit: that the page shows, or None.
        samples: as in `PageOptions`.
        planned: there is a plan.
        built: there is a dataset, not a plan alone.
    """
    made = {check.name for check in audit.checks if check.ok is not None} if audit is not None else set()
    words = ["--html", "report.html"]
    if audit is None and built:
        words += ["--audit", "none"]
    elif "near-duplicates" in made:
        words += ["--near-duplicates"]
    elif planned and "duplicate-content" in made:
        words += ["--audit", "full"]
    return words if samples == SAMPLES else [*words, "--samples", str(samples)]


def _apply_words(path: str, dataset: str, how: HowBuilt) -> list[str]:
    labels = [] if how.labels == "copy" or how.mode == "list" else ["--labels", how.labels]
    return ["apply", path, "--mode", how.mode, *labels, "--output", f"{dataset.rstrip('/')}-again"]


_WIDE: Final = 88
_CONTINUED: Final = " \\\n    "


def _line(words: Sequence[str]) -> str:
    """Return a command line; a long one is continued before each option, as a shell reads it too."""
    line = command_line(words)
    if len(line) <= _WIDE:
        return line
    broken = (f"{_CONTINUED if word.startswith('--') else ' '}{shlex.quote(word)}" for word in words)
    return "planbalance" + "".join(broken)


def _making(header: PlanHeader) -> Iterator[str]:
    """Yield the command that makes the plan, and its options."""
    if repair_facts(header.parameters) is None:
        yield from ("plan", *_plan_words(header))
    else:
        yield from ("repair", *_repair_words(header))


def _repair_words(header: PlanHeader) -> Iterator[str]:
    parameters = header.parameters
    yield header.inputs[0]
    yield from ("--output", header.output)
    kept = _listed(parameters["repair"].get("keep"))
    yield from ("--keep", ",".join(map(str, kept)) or "none")
    yield from _naming(header)
    yield from _slice_map_columns(parameters)
    yield from _group_sources(parameters)
    yield from _changed(parameters, ("missing_label", "invalid_label"))
    if parameters.get("hash_images") is not True:
        yield "--no-hash-images"
    yield from _lists(parameters, header.names or ())
    for option, file in _files(header):
        yield from (option, file)


def _plan_words(header: PlanHeader) -> Iterator[str]:
    parameters = header.parameters
    for root, source in zip(header.inputs, header.sources, strict=True):
        yield from _input_words(root, source)
    yield from ("--output", _output(header))
    yield from _ratios(parameters)
    yield from _seeds(parameters)
    yield from _naming(header)
    yield from _slice_map_columns(parameters)
    yield from _sampling(parameters)
    yield from _group_sources(parameters)
    yield from _plain_options(parameters)
    yield from _lists(parameters, header.names or ())
    for option, file in _files(header):
        yield from (option, file)


def _input_words(root: str, source: Source) -> Iterator[str]:
    if len(source.guarded) == 2:  # image folder and label folder
        for option, path in zip(("--images", "--labels"), guarded(root, source), strict=False):
            yield from (option, path)
    elif source.prefix:
        yield from ("--input", f"{source.prefix[:-1]}={root}")
    else:
        yield root


def _output(header: PlanHeader) -> str:
    fold = header.parameters.get("fold")
    if not isinstance(fold, Mapping):
        return header.output
    return header.output.rsplit("/", 2 if "repeat" in fold else 1)[0] or "/"


def _ratios(parameters: Mapping[str, Any]) -> Iterator[str]:
    for split in ("train", "val", "test"):
        ratio = parameters.get(f"{split}_ratio")
        if isinstance(ratio, str):
            yield from (f"--{split}-ratio", ratio)


def _seeds(parameters: Mapping[str, Any]) -> Iterator[str]:
    split, sample = _first_seed(parameters), parameters.get("sample_seed")
    if split == sample and split is not None:
        yield from ("--seed", str(split))
    else:
        for name, seed in (("--split-seed", split), ("--sample-seed", sample)):
            if seed is not None:
                yield from (name, str(seed))


def _first_seed(parameters: Mapping[str, Any]) -> object:
    """Return the split seed that was given: of repeated folds it is that of the first repetition."""
    seed, fold = parameters.get("split_seed"), parameters.get("fold")
    repeat = fold.get("repeat") if isinstance(fold, Mapping) else None
    return seed - repeat + 1 if type(seed) is int and type(repeat) is int else seed


def _naming(header: PlanHeader) -> Iterator[str]:
    """Yield the rule that was found rather than `auto`, which might find another one."""
    if header.naming.get("rule") == "dicom":
        yield from ("--volume-from", "dicom:SeriesInstanceUID")
    if header.naming.get("rule") in EXTERNAL_RULES:
        return
    pattern = header.naming.get("pattern") if header.naming.get("rule") == "regex" else header.naming.get("rule")
    if isinstance(pattern, str):
        yield from ("--volume-pattern", pattern)


def _sampling(parameters: Mapping[str, Any]) -> Iterator[str]:
    negatives = parameters.get("negatives_per_positive", "1")
    if negatives != "1":
        yield from ("--negatives-per-positive", "all" if negatives is None else str(negatives))


def _plain_options(parameters: Mapping[str, Any]) -> Iterator[str]:
    yield from _changed(parameters, _PLAIN)
    if parameters.get("hash_images") is True:
        yield "--hash-images"
    if isinstance(parameters.get("shared_ids"), str):
        yield from ("--shared-ids", parameters["shared_ids"])
    proof = parameters.get("prove_split")
    if isinstance(proof, Mapping):
        yield from ("--prove", str(proof.get("seconds")), "--prove-split")


def _changed(parameters: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    """Yield those of the options of `_PLAIN` with these names that do not have their default."""
    for name in names:
        value = parameters.get(name, _PLAIN[name])
        if value != _PLAIN[name]:
            yield from (f"--{name.replace('_', '-')}", str(value))


def _lists(parameters: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    for class_id in map(str, _listed(parameters.get("positive_classes"))):
        yield from ("--positive-class", f"id:{class_id}" if class_id in names else class_id)
    kept = _listed(parameters.get("keep_split"))
    if kept:
        yield from ("--keep-split", ",".join(map(str, kept)))
    exclude = parameters.get("exclude")
    for entry in _listed(exclude.get("entries") if isinstance(exclude, Mapping) else None):
        yield from ("--exclude", str(entry))
    for column in _listed(parameters.get("stratify")):
        yield from ("--stratify", str(column))
    fold = parameters.get("fold")
    if isinstance(fold, Mapping):
        yield from _fold_words(fold)


def _fold_words(fold: Mapping[str, Any]) -> Iterator[str]:
    if "leave_out" in fold:
        yield from ("--leave-out", str(fold["leave_out"]))
        return
    yield from ("--folds", str(fold.get("of")))
    if "repeats" in fold:
        yield from ("--repeats", str(fold["repeats"]))


def _group_sources(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sources that are joined, or the one tag or attribute that gives the groups."""
    sources = [row.name for row in joins_of_plan(parameters)]
    one, groups = parameters.get("group_from"), parameters.get("groups")
    by = groups.get("by") if isinstance(groups, Mapping) else None
    if sources:
        yield from ("--group-from", ",".join(sources))
    elif isinstance(one, str):
        yield from ("--group-from", one)
    elif by == "dicom":
        yield from ("--group-from", "dicom:PatientID")


def _slice_map_columns(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the columns of the slice map, where a heading is not the name of its role."""
    told = parameters.get("slice_map")
    columns = told.get("columns") if isinstance(told, Mapping) else None
    if isinstance(columns, Mapping) and any(role != heading for role, heading in columns.items()):
        yield from ("--slice-map-columns", ",".join(f"{role}={heading}" for role, heading in columns.items()))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _files(header: PlanHeader) -> Iterator[tuple[str, str]]:
    """Yield the options whose files a plan does not hold, each with a name to put the file in place of.

    Without them the command would make another plan; with a file that is not there, it says so.
    """
    parameters = header.parameters
    by, keep = (grouped_by(header) or "").split("+"), parameters.get("always_keep")
    given = [
        ("--group-map", "GROUP_MAP.csv", "map" in by),
        ("--h5-folder", "H5_FOLDER", "h5" in by),
        ("--look-alikes", "LOOK_ALIKES.csv", bool(answers_of(planned_pairs(parameters)))),
        ("--slice-map", "SLICE_MAP.csv", header.naming.get("rule") == "slice-map"),
        ("--split-map", "SPLIT_MAP.csv", parameters.get("split_map") is not None),
        ("--always-keep", "ALWAYS_KEEP.txt", isinstance(keep, Mapping) and bool(keep.get("entries"))),
        ("--extend", "OLD_PLAN.json", parameters.get("extend") is not None),
    ]
    return ((option, file) for option, file, used in given if used)


def _note_of_files(files: Sequence[str]) -> str:
    if not files:
        return ""
    return f"Put your own in place of {', '.join(files)}: a plan does not hold paths of files."


def _plan_note(header: PlanHeader) -> str:
    """Return what the command does not say: files whose paths the plan does not hold, a key, a solver."""
    notes = [_note_of_files([file for _, file in _files(header)])]
    by = (grouped_by(header) or "").split("+")
    if any(source.guarded != ("",) for source in header.sources) and header.names:
        notes.append("Where the input was a yaml, give the yaml.")
    if "map" in by:
        notes.append("Add --volume-column and --group-column where they were given.")
    if "dicom" in by or "h5" in by or header.naming.get("rule") == "dicom":
        notes.append("Patients are stored as keyed hashes: the same --group-key gives the same plan.")
    proof = header.parameters.get("prove_split")
    if isinstance(proof, Mapping) and proof.get("taken") is True:
        notes.append("A solver with a time limit found this split (--prove-split): it may find another one next time.")
    return " ".join(filter(None, notes))
