"""What `report --format md` writes: what CLAIM 2024 and STARD-AI ask about partitions, to paste into a paper.

It names no folder of this machine, no volume and no patient, and it is the same for the same plan, dataset and audit.
Tables are pipe tables, which GitHub and pandoc read alike.

Sources of the item numbers: Tejani et al., "Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024
Update", Radiology: Artificial Intelligence 6 (2024), e240300; Sounderajah et al., "The STARD-AI reporting guideline for
diagnostic accuracy studies using artificial intelligence", Nature Medicine 31 (2025), 3283-3289.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from planbalance.import_files import summary_of
from planbalance.import_model import FATES, STATES, ImportHeader
from planbalance.model import SPLITS, Audit, Check, FoldsAudit, PlanHeader
from planbalance.render.class_labels import title_of
from planbalance.render.importing import FATE_MEANINGS, STATE_MEANINGS
from planbalance.render.partitions import (
    SplitUnit,
    assignment_sentences,
    disjoint_sentence,
    exclusion_sentences,
    level_sentences,
    sampling_manner,
    sampling_sentences,
    unit_of,
)
from planbalance.render.plan_classes import MEASURED_ON
from planbalance.render.plan_facts import SplitFacts, fold_name, fold_text
from planbalance.render.table import count, plain, share
from planbalance.render.verify import STATES as RESULTS
from planbalance.sensitivity import needed_sentence, sentence
from planbalance.text import counted, percent

MARK: Final = "<!-- Written by planbalance report --format md. -->"
_MARKED: Final = frozenset("\\`*_{}[]<>#|~$^@&")
_OPTION: Final = re.compile(r"(?<![^\s(])(--[a-z]+(?:-[a-z]+)*)(?![^\s).,;])")
_ITEMS: Final = (
    ("CLAIM 2024", "8", "inclusion and exclusion criteria", "in part: Exclusions. Add the criteria."),
    ("CLAIM 2024", "10", "selection of data subsets", "Undersampling"),
    ("CLAIM 2024", "12", "how missing data were handled", "in part: Exclusions, on missing labels"),
    ("CLAIM 2024", "19", "how data were assigned to partitions", "Assignment, Numbers"),
    ("CLAIM 2024", "20", "level at which partitions are disjoint", "Level of the split, What was checked"),
    (
        "CLAIM 2024",
        "21",
        "intended sample size",
        "not here. What the splits can tell says how precise a result can be.",
    ),
    ("CLAIM 2024", "23", "software libraries, frameworks and packages", "in part: Software"),
    ("STARD-AI", "7", "eligibility criteria of participants and of data", "in part: Exclusions. Add the criteria."),
    ("STARD-AI", "15b", "development of the index test, with sample sizes", "in part: Assignment, Numbers"),
    ("STARD-AI", "22", "intended sample size and how it was determined", "not here"),
    ("STARD-AI", "25", "characteristics of training, validation and test sets", "in part: Numbers"),
)
_LEAKS: Final[Mapping[str, str]] = {
    "volume-overlap": "volumes in two splits",
    "group-overlap": "patients in two splits",
    "duplicate-content": "identical image files in two splits",
    "duplicate-pixels": "the same pixels in another encoding in two splits",
    "near-duplicates": "images that look alike in two splits",
}
_KINDS: Final = {"near-duplicates": "near-duplicate"}  # what `leaks` calls it, where that is not the check's name


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A divided dataset.

    Attributes:
        header: of its plan, or of the dataset as it was found.
        splits: in numbers.
        audit: of the dataset; None where none was made, or where there is only a plan.
        dataset: whether there is a dataset, built or found.
        as_found: another tool made it.
        classes: what the splits hold of each class, as `plan_classes.class_rows` gives it.
        classes_note: what was not counted; may be empty.
    """

    header: PlanHeader
    splits: tuple[SplitFacts, ...]
    audit: Audit | None = None
    dataset: bool = False
    as_found: bool = False
    classes: Sequence[Mapping[str, Any]] = ()
    classes_note: str = ""

    @property
    def unit(self) -> SplitUnit:
        """What is never divided."""
        return unit_of(self.header)


def methods_text(parts: Sequence[Partitioned], *, tool: str, folds: FoldsAudit | None = None) -> str:
    """Return the Markdown of one divided dataset, or of several that are folds of one plan.

    Args:
        parts: one, or all folds in their order.
        tool: name and version of this program.
        folds: the audit of all folds together, where it was made.
    """
    first = parts[0]
    header, unit = first.header, first.unit
    sections: list[tuple[str, Iterable[str]]] = [
        ("Level of the split", _paragraph(map(_escaped, level_sentences(header, unit, as_found=first.as_found)))),
        *([] if first.as_found else [("Assignment", _paragraph(_assignment(parts)))]),
        ("Numbers", _numbers(parts)),
        ("Undersampling", _paragraph(_sampling(parts))),
        *([] if first.as_found else [("Exclusions", _paragraph(map(_escaped, exclusion_sentences(header))))]),
        ("What was checked", _checked(parts, folds)),
        ("What the splits can tell", _can_tell(parts)),
        ("Software", _paragraph(_software(parts, tool))),
        ("Where guidelines ask for this", _guidelines()),
    ]
    return _document("Partitions of the data", sections)


def import_methods_text(header: ImportHeader, *, tool: str, audit: Audit | None) -> str:
    """Return the Markdown of an import, which is not divided into splits yet."""
    summary = summary_of(header)
    groups = summary["groups"]
    known = (
        f"Patients are known of {counted(groups['known'], 'group')} as keyed hashes; of "
        f"{counted(groups['volumes_without'], 'volume')} they are not known."
        if groups["known"]
        else "Patients were not identified."
    )
    annotations = [[FATE_MEANINGS[fate], count(summary["fates"][fate])] for fate in FATES if summary["fates"][fate]]
    slices = [[STATE_MEANINGS[state], count(summary["states"][state])] for state in STATES]
    volumes = summary["volumes"]
    written = (
        f"{counted(volumes['written'], 'volume')} of {count(volumes['total'])} have slices in the dataset, "
        f"{count(volumes['positive'])} of them with a finding."
    )
    sections: list[tuple[str, Iterable[str]]] = [
        (
            "Level of the split",
            ["These data are not divided into splits yet: divide them with `planbalance plan`.", ""],
        ),
        (
            "Numbers",
            [
                *_table(("What happened to annotations", "Annotations"), annotations),
                *_table(("Slices", "Number"), slices),
                f"{written} {known}",
                "",
            ],
        ),
        ("What was checked", _other_checks(audit)),
        ("Software", _paragraph([f"{_escaped(tool)}; digest of the plan: `{header.digest}`."])),
    ]
    return _document("Import of the data", sections)


def _document(title: str, sections: Iterable[tuple[str, Iterable[str]]]) -> str:
    lines = [MARK, "", f"# {title}", ""]
    for name, content in sections:
        lines += [f"## {name}", "", *content]
    return "\n".join(lines).rstrip("\n") + "\n"


def _paragraph(sentences: Iterable[str]) -> list[str]:
    """Return one paragraph, on one line as GitHub and pandoc both take it."""
    told = " ".join(sentences)
    return [told, ""] if told else []


# ---- sections -------------------------------------------------------------------------------------------------------


def _assignment(parts: Sequence[Partitioned]) -> Iterator[str]:
    header, unit = parts[0].header, parts[0].unit
    told = map(_escaped, assignment_sentences(header, unit))
    fold = header.parameters.get("fold")
    if len(parts) == 1:
        if fold:
            yield f"This is {_escaped(fold_text(fold))}."
        yield from told
        return
    yield f"{counted(len(parts), 'fold')} of one plan are described."
    yield from list(told)[:2]  # the targets after them are of each fold
    seeds = list(dict.fromkeys(part.header.parameters.get("split_seed") for part in parts))
    if len(seeds) > 1:
        yield f"The seeds of the repetitions are {', '.join(map(str, seeds))}."
    yield _tested_once(parts)


def _tested_once(parts: Sequence[Partitioned]) -> str:
    """Return whether each unit is in test of exactly one of the folds: counted."""
    nouns = parts[0].unit.nouns
    every = {one.group for part in parts for one in part.header.volumes}
    tested = [group for part in parts for group in {one.group for one in part.header.volumes if one.split == "test"}]
    times = set(Counter(tested).values())
    if len(times) == 1 and every == set(tested):
        (number,) = times
        folds = "one fold" if number == 1 else f"{number} folds"
        return f"Each of {counted(len(every), parts[0].unit.noun, nouns)} is in test of exactly {folds}."
    return f"{count(len(set(tested)))} of {count(len(every))} {nouns} are in test of a fold described here."


def _numbers(parts: Sequence[Partitioned]) -> Iterator[str]:
    if len(parts) > 1:
        for part in parts:
            yield from (f"### {_fold_title(part)}", "")
            yield from _split_table(part)
        return
    yield from _split_table(parts[0])
    yield from _class_table(parts[0])


def _fold_title(part: Partitioned) -> str:
    fold = part.header.parameters.get("fold")
    name = fold_name(fold)
    if isinstance(fold, Mapping) and "leave_out" in fold:
        return f"{_escaped(str(fold['leave_out']))} {_escaped(name)} left out"
    return _escaped(name.capitalize())


def _split_table(part: Partitioned) -> list[str]:
    unit, volumes = part.unit, part.header.volumes
    filled = [one for one in part.splits if one.volumes]
    head = ["Split", "Volumes", "Volumes with a positive slice"]
    rows = [[one.split, *map(count, (one.volumes, one.positive_volumes))] for one in filled]
    positive = {one.id for one in volumes if one.positives}
    rows.append(["all", *map(count, (len({one.id for one in volumes}), len(positive)))])
    if unit.sources:
        head.insert(1, unit.nouns.capitalize())
        groups = [*(one.groups for one in filled), len({one.group for one in volumes})]
        for row, number in zip(rows, groups, strict=True):
            row.insert(1, count(number))
    if not part.as_found:
        head += ["Slices before undersampling"]
        before = [one.slices for one in filled]
        for row, number in zip(rows, [*before, sum(before)], strict=True):
            row.append(count(number))
    head += ["Slices in the dataset", "Positive", "Negative", "Positive share"]
    for row, (kept, positives) in zip(rows, _kept(filled), strict=True):
        row += [*map(count, (kept, positives, kept - positives)), share(positives, kept)]
    emptied = sum(not one.kept for one in volumes)
    note = (
        f"{counted(emptied, 'volume')} of which undersampling kept no slice {'is' if emptied == 1 else 'are'} counted."
    )
    return [*_table(head, rows), *([note, ""] if emptied else [])]


def _kept(filled: Sequence[SplitFacts]) -> list[tuple[int, int]]:
    """Return kept slices and positive ones of each split, and their sums."""
    found = [(one.kept, one.kept_positives) for one in filled]
    return [*found, (sum(kept for kept, _ in found), sum(positives for _, positives in found))]


def _class_table(part: Partitioned) -> Iterator[str]:
    if not part.classes:
        return
    splits = [one.split for one in part.splits if one.volumes]
    units = part.unit.nouns if part.unit.grouped else "volumes"
    head = ["Class", *(f"{split}: boxes / slices / {units}" for split in splits)]
    rows = [
        [
            _escaped(row["name"] or f"class {row['class']}"),
            *(" / ".join(count(row[split][key]) for key in ("boxes", "slices", "units")) for split in splits),
        ]
        for row in part.classes
    ]
    yield from _table(head, rows)
    if part.classes_note:
        yield from (_escaped(part.classes_note), "")


def _sampling(parts: Sequence[Partitioned]) -> Iterator[str]:
    told = map(_escaped, sampling_sentences(parts[0].header, parts[0].splits, as_found=parts[0].as_found))
    if len(parts) == 1:
        yield from told
        return
    yield next(told, "")
    dropped = sorted({one.split for part in parts for one in part.splits if one.dropped}, key=SPLITS.index)
    yield (
        f"Negative slices of {' and '.join(dropped)} were undersampled in each fold"
        f"{sampling_manner(parts[0].header)}; the tables say how many."
        if dropped
        else "No slice was left out by undersampling."
    )


def _checked(parts: Sequence[Partitioned], folds: FoldsAudit | None) -> Iterator[str]:
    if len(parts) > 1:
        if folds is None:
            yield from ("The folds were not audited: no file was read to check this. " + _by_plans(parts), "")
            yield from _nothing_looked_for(parts[0])
            return
        yield from (f"All folds were audited: {_escaped(folds.summary)}", "")
        rows = [[_escaped(one.name), _result(one.audit)] for one in folds.folds]
        yield from _table(("Check", "Result"), [*rows, *_check_rows(folds.checks)], numbers=False)
        leaks = [[_leak_title(name, parts[0].unit), _leak_of_folds(folds, name)] for name in _LEAKS]
        yield from _table(("Looked for in each fold", "Result"), leaks, numbers=False)
        return
    part = parts[0]
    if part.audit is None:
        what = "The dataset was not audited" if part.dataset else "There is only a plan, and no dataset was audited"
        yield from (f"{what}: no file was read to check this. {_by_plans(parts)}", "")
        yield from _nothing_looked_for(part)
        return
    yield from (f"The dataset was audited: {_escaped(part.audit.summary)}", "")
    rows = [[_leak_title(name, part.unit), _leak_result(part.audit, name)] for name in _LEAKS]
    yield from _table(("Looked for", "Result"), rows, numbers=False)
    yield from _other_checks(part.audit)


def _nothing_looked_for(part: Partitioned) -> list[str]:
    rows = [[_leak_title(name, part.unit), RESULTS[None]] for name in _LEAKS]
    return _table(("Looked for", "Result"), rows, numbers=False)


def _leak_title(name: str, unit: SplitUnit) -> str:
    """Return what a check looks for; the groups of a plan may be studies."""
    return f"{unit.nouns} in two splits" if name == "group-overlap" and unit.sources else _LEAKS[name]


def _by_plans(parts: Sequence[Partitioned]) -> str:
    if parts[0].as_found:
        return ""
    said = list(dict.fromkeys(disjoint_sentence(part.header, part.unit) for part in parts))
    return f"The plan puts {'; '.join(said)}." if len(said) == 1 else f"The plans put {'; '.join(said)}."


def _leak_result(audit: Audit, name: str) -> str:
    """Return what was found of one kind of leak; a check that was not made is never called clean."""
    check = next((one for one in audit.checks if one.name == name), None)
    if check is None or check.ok is None:
        return f"{RESULTS[None]}{f': {_escaped(check.reason)}' if check is not None and check.reason else ''}"
    found = defaultdict(list)
    for leak in audit.leaks:
        if leak.get("kind") in (name, _KINDS.get(name)):
            found[leak["kind"]].append(f"{percent(leak['share'])} of {leak['from']} slices share one with {leak['to']}")
    told = "; ".join(text for texts in found.values() for text in texts)
    if check.ok:
        return f"none found{f' that is an error; shared: {told}' if told else ''}"
    return f"FOUND{f': {told}' if told else ''}"


def _leak_of_folds(folds: FoldsAudit, name: str) -> str:
    """Return what was found of one kind of leak in all folds, or in each where that differs."""
    found = {
        one.name: "NOT CHECKED: the dataset could not be audited"
        if one.audit is None
        else _leak_result(one.audit, name)
        for one in folds.folds
    }
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{_escaped(fold)}: {result}" for fold, result in found.items())


def _other_checks(audit: Audit | None) -> Iterator[str]:
    if audit is None:
        yield from ("Nothing was audited: no file was read to check this.", "")
        return
    rest = [check for check in audit.checks if check.name not in _LEAKS]
    yield from _table(("Other check", "Result"), _check_rows(rest), numbers=False)


def _check_rows(checks: Iterable[Check]) -> list[list[str]]:
    return [
        [
            _escaped(title_of(one)),
            f"{RESULTS[one.ok]}{f': {_escaped(one.reason)}' if one.ok is None and one.reason else ''}",
        ]
        for one in checks
    ]


def _result(audit: Audit | None) -> str:
    return "could not be audited" if audit is None else RESULTS[audit.ok]


def _can_tell(parts: Sequence[Partitioned]) -> list[str]:
    noun = parts[0].unit.noun if parts[0].unit.grouped else "volume"
    if parts[0].unit.joined and not parts[0].unit.sources:
        noun = "group"
    lines = [f"* {text}" for part in parts for text in _tell_sentences(part, noun, named=len(parts) > 1)]
    taken = "" if parts[0].unit.patients_known else f" Each {noun} is taken for a patient of its own."
    rest = "This is no calculation of a sample size; none is recorded."
    return [*lines, "", f"{needed_sentence(noun)} Score interval of Wilson (1927).{taken} {rest}", ""]


def _tell_sentences(part: Partitioned, noun: str, *, named: bool) -> Iterator[str]:
    name = f"{_fold_title(part)}: " if named else ""
    positive = {(one.split, one.group) for one in part.header.volumes if one.positives}
    for one in part.splits:
        if one.split in MEASURED_ON and one.volumes:
            yield name + sentence(one.split, sum(where == one.split for where, _ in positive), noun)


def _software(parts: Sequence[Partitioned], tool: str) -> Iterator[str]:
    yield f"This text was written by {_escaped(tool)}. A plan does not record which version made it."
    for part in parts:
        named = f" of {_escaped(fold_name(part.header.parameters.get('fold')))}" if len(parts) > 1 else ""
        if part.header.digest:
            yield f"Digest of the plan{named}: `{part.header.digest}`; of its split: `{part.header.split_digest}`."
        else:
            yield "There is no plan, so the split has no digest."


def _guidelines() -> list[str]:
    named = "CLAIM 2024: doi:10.1148/ryai.240300. STARD-AI: doi:10.1038/s41591-025-03953-8."
    rest = "All other items, such as the sources of the data and the reference standard, are for the authors."
    table = _table(("Guideline", "Item", "Asks for", "Answered above"), _ITEMS, numbers=False)
    return [*table, f"{named} {rest}", ""]


# ---- Markdown -------------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True) -> list[str]:
    """Return a pipe table and an empty line; with `numbers`, all columns but the first are aligned to the right."""
    rule = ["---", *(["---:"] if numbers else ["---"]) * (len(head) - 1)]
    return [*(f"| {' | '.join(row)} |" for row in (head, rule, *rows)), ""]


def _escaped(text: str) -> str:
    """Return a text in which nothing is Markdown, for GitHub and for pandoc; options of a command are code.

    Two hyphens elsewhere are escaped, since pandoc makes a dash of them.
    """
    parts = _OPTION.split(plain(text))  # what stands between options, and the options themselves
    return "".join(f"`{part}`" if at % 2 else _marked(part) for at, part in enumerate(parts))


def _marked(text: str) -> str:
    marked = "".join(f"\\{letter}" if letter in _MARKED else letter for letter in text)
    return marked.replace("--", "\\-\\-")
