"""What `verify` prints: how names were read, what the splits hold, what was found and not checked, and the verdict.

The verdict is the last line, and what to do next follows it. Nothing is printed twice: the table of all checks, with
their notes, is printed on request (`--verbose`).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.model import Audit, Check
from planbalance.render.class_labels import and_others, several_alike, title_of
from planbalance.render.naming import reading_of_audit, reading_text, warnings_at_the_end
from planbalance.render.next_step import NextStep
from planbalance.render.scan import differences_document, yaml_document
from planbalance.render.shares import shares_document, shares_text
from planbalance.render.statement import Fact
from planbalance.render.table import Grid, Group, Renderable, count, heading, indented, item, line, plain, prose
from planbalance.text import counted, texts_of

_SHOWN: Final = 5  # problems of one check; --verbose prints more, --json has all
_SHOWN_ON_REQUEST: Final = 20
LeakRows = tuple[list[tuple[str, bool]], list[list[str]]]  # columns, each with whether it holds words; cells
STATES: Final = {True: "ok", False: "FAILED", None: "NOT CHECKED"}
STYLES: Final = {"ok": "green", "FAILED": "bold red", "NOT CHECKED": "yellow"}
_COLUMNS: Final = {"kind": "what", "from": "of", "to": "also in", "to_move": "to move"}


def verify_document(audit: Audit, *, repair: str | None = None, step: NextStep | None = None) -> dict[str, Any]:
    """Return the audit with the keys of docs/reference/json.md.

    `repair` is the command that mends its leaks, and `step` what to do next.
    """
    return {
        **reading_of_audit(audit),
        "ok": audit.ok,
        "summary": audit.summary,
        "failures": list(audit.failures),
        "warnings": list(audit.warnings),
        "plan_digest": audit.plan_digest or None,
        **shares_document(audit),
        "checks": checks_document(audit.checks),
        "leaks": [dict(leak) for leak in audit.leaks],
        "yaml": yaml_document(audit.yaml),
        "layout_differences": differences_document(audit.differences),
        "repair_command": repair,
        "next_step": None if step is None else {"text": step.text, "command": step.command or None},
    }


def checks_document(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """Return finished checks as JSON values."""
    return [
        {**check._asdict(), "title": title_of(check), "problems": [problem._asdict() for problem in check.problems]}
        for check in checks
    ]


def verify_text(document: Mapping[str, Any], *, verbose: bool = False, after_plan: bool = False) -> Renderable:
    """Return the audit for a person.

    Args:
        document: of `verify_document`.
        verbose: print the table of all checks, their notes and all that splits share.
        after_plan: the plan was printed just before, and with it how names were read and what the splits hold.
    """
    when = " (after undersampling)" if document["plan_digest"] else ""
    checks = document["checks"]
    return Group(
        *(() if after_plan else reading_text(document, when=when)),
        *(() if after_plan else shares_text(document, verbose=verbose)),
        *problems_text(checks, verbose=verbose),
        *shared_on_purpose_text(document["leaks"], verbose=verbose),
        *(checks_text(checks) if verbose else brief_text(checks)),
        *(leaks_text(document["leaks"], checks) if verbose else ()),
        line(),
        *warnings_at_the_end(document["warnings"]),
        *verdict_text(document),
        *next_text(document["next_step"]),
    )


def verdict_text(document: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield the verdict: `OK` with the sentence to quote, or a line for each check that failed, the worst first."""
    if document["ok"]:
        yield verdict("OK", document["summary"])
        return
    failed = [check for check in document["checks"] if check["ok"] is False]
    lines = document["failures"] or [f"{check['title']}: {_numbers(check['problems'])}" for check in failed]
    yield from (verdict("FAILED", text) for text in lines)


def verdict(word: str, text: str) -> Renderable:
    """Return a line of the verdict, which begins with `OK` or `FAILED`."""
    return item(word, text, style="bold green" if word == "OK" else "bold red", indent="")


def next_text(step: Mapping[str, Any] | None) -> Iterable[Renderable]:
    """Yield what to do next, and the command for it."""
    if step is not None:
        yield prose(step["text"])
        if step["command"]:
            yield line("  ", step["command"])


# ---- checks ---------------------------------------------------------------------------------------------------------


def brief_text(checks: Sequence[Mapping[str, Any]]) -> Iterable[Renderable]:
    """Yield which checks are ok, what is to know of them, and what was not checked, a line for each reason."""
    fine = [check for check in checks if check["ok"]]
    if fine:
        yield heading("Checked and ok")
        yield indented(", ".join(_with_numbers(check) for check in fine))
    yield from (
        item("-", f"{check['title']}: {check['reason']}")
        for check in checks
        if check["reason"] and check["ok"] and not check["detail"]
    )
    yield from not_checked_text(unchecked(checks))


def unchecked(checks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what was not checked: for each reason the checks, and the reason."""
    by_reason: dict[str, list[str]] = {}
    for check in checks:
        if check["ok"] is None:
            by_reason.setdefault(check["reason"] or "no reason is known", []).append(check["title"])
    return [f"{', '.join(titles)}: {reason}" for reason, titles in by_reason.items()]


def not_checked_text(texts: Sequence[str]) -> Iterable[Renderable]:
    """Yield what was not checked, as `unchecked` gives it."""
    if texts:
        yield heading("Not checked")
        yield from (item("-", text) for text in texts)


def checks_text(checks: Sequence[Mapping[str, Any]]) -> Iterable[Renderable]:
    """Yield the table of all checks, and their notes."""
    yield heading("Checks")
    grid = Grid(["check", "result", "count"], words=frozenset({1}), styles=STYLES)
    for check in checks:
        grid.add(check["title"], STATES[check["ok"]], count(check["count"]) if check["ok"] is not None else "")
    yield grid
    noted = [check for check in checks if check["reason"] and check["ok"] is True]
    if noted:
        yield heading("Notes")
    for check in noted:
        yield item("-", f"{check['title']}: {check['reason']}")
    yield from not_checked_text(unchecked(checks))


def problems_text(checks: Iterable[Mapping[str, Any]], *, verbose: bool = False) -> Iterable[Renderable]:
    """Yield the first problems of each check that found some, and the note of one that failed."""
    for check in checks:
        problems = check["problems"]
        if problems:
            yield heading(f"{_heading(check)}: {_numbers(problems)}")
            alike = several_alike(problems)
            shown = alike[: _SHOWN_ON_REQUEST if verbose else _SHOWN]
            yield from (_problem(problem, others) for problem, others in shown)
            if left := sum(1 + others for _, others in alike[len(shown) :]):
                more = "" if verbose or len(alike) <= _SHOWN else "--verbose lists more, "
                yield line(f"  and {count(left)} more ({more}--json lists all)")
            if check["ok"] is False and check.get("reason"):
                yield item("-", check["reason"])


def _heading(check: Mapping[str, Any]) -> str:
    title: str = check["title"]
    return title[:1].upper() + title[1:]


def _problem(problem: Mapping[str, str], others: int) -> Renderable:
    mark, style = ("x", "red") if problem["severity"] == "error" else ("!", "yellow")
    where = f"{problem['path']}: " if problem["path"] else ""
    return item(mark, f"{where}{problem['message']}{and_others(others)}", style=style)


def _with_numbers(check: Mapping[str, Any]) -> str:
    """Return the title of a check, and how many warnings it has: ok with warnings is not the same as ok."""
    numbers = _numbers(check["problems"])
    return f"{check['title']} ({numbers})" if numbers else check["title"]


def _numbers(problems: Iterable[Mapping[str, Any]]) -> str:
    counts = Counter(problem["severity"] for problem in problems)
    return ", ".join(counted(counts[severity], severity) for severity in ("error", "warning") if counts[severity])


# ---- what is shared -------------------------------------------------------------------------------------------------

_PURPOSES: Final = {
    "same split": "Shared with {} on purpose: in the same split of both, which is no leak",
    "other fold": "Shared with {} on purpose: another of the same folds is tested on what this one trains on",
}
_ON_PURPOSE: Final = frozenset(("to_move", "purpose"))


def shared_on_purpose(
    leaks: Sequence[Mapping[str, Any]], *, every: bool = False
) -> Iterable[tuple[str, list[Mapping[str, Any]]]]:
    """Yield what a dataset shares with others on purpose, as members of an ensemble and folds do: a title, and rows.

    Images of volumes that are shared too are rows of their own with `every` alone.
    """
    for purpose, title in _PURPOSES.items():
        found = [leak for leak in leaks if leak.get("purpose") == purpose]
        for other in dict.fromkeys(leak["to"].rpartition(":")[0] for leak in found):
            rows = [leak for leak in found if leak["to"].rpartition(":")[0] == other]
            volumes = {(leak["from"], leak["to"]) for leak in rows if leak["kind"] != "duplicate-content"}
            yield (
                title.format(other),
                [
                    {**leak, "to": leak["to"].rpartition(":")[2]}
                    for leak in rows
                    if every or leak["kind"] != "duplicate-content" or (leak["from"], leak["to"]) not in volumes
                ],
            )


def shared_on_purpose_text(leaks: Sequence[Mapping[str, Any]], *, verbose: bool = False) -> Iterable[Renderable]:
    """Yield what a dataset shares with others on purpose, a table for each of them."""
    for title, rows in shared_on_purpose(leaks, every=verbose):
        yield Group(line(), prose((title, "bold")))
        yield _leak_table(rows, {}, without=_ON_PURPOSE)


def leaks_text(leaks: Sequence[Mapping[str, Any]], checks: Iterable[Mapping[str, Any]]) -> Iterable[Renderable]:
    """Yield the table of what splits share and must not."""
    rows = [leak for leak in leaks if not leak.get("purpose")]
    if rows:
        yield heading("Leaks")
        yield _leak_table(rows, {check["name"]: check["title"] for check in checks}, without={"purpose"})


def _leak_table(rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str], without: Collection[str]) -> Grid:
    columns, cells = leak_rows(rows, titles, without)
    grid = Grid([name for name, _ in columns], words=frozenset(at for at, (_, words) in enumerate(columns) if words))
    for row in cells:
        grid.add(*row)
    return grid


def leak_rows(leaks: Sequence[Mapping[str, Any]], titles: Mapping[str, str], without: Collection[str] = ()) -> LeakRows:
    """Return the columns of a table of leaks, each with whether it holds words, and the cells of each row.

    Args:
        leaks: as in the document.
        titles: of the checks, by name; where a kind has none, it is what two datasets share.
        without: columns to leave out.
    """
    columns = [column for column in dict.fromkeys(key for leak in leaks for key in leak) if column not in without]
    named = [
        (_COLUMNS.get(column, column), all(isinstance(leak.get(column, ""), str) for leak in leaks))
        for column in columns
    ]
    rows = [[leak_cell(column, leak.get(column, "")) for column in columns] for leak in leaks]
    return named, [[titles.get(cell, _SHARED.get(cell, cell)) for cell in row] for row in rows]


_SHARED: Final = {
    "volume-overlap": "volumes",
    "group-overlap": "patients",
    "duplicate-content": "identical image files",
}


def leak_cell(column: str, value: object) -> str:
    """Return a value of the table of leaks as text."""
    if value is None:
        return ""
    if column == "share" and isinstance(value, int | float):
        return f"{100 * value:.1f} %"
    return count(value) if type(value) is int else plain(value)


def _counts(document: Mapping[str, Any]) -> str:
    """Return how many checks are ok, failed and not checked, and how many warnings there are."""
    states = Counter(STATES[check["ok"]] for check in document["checks"])
    parts = [counted(states["ok"], "check ok", "checks ok")]
    if states["FAILED"]:
        parts.append(f"{states['FAILED']} failed")
    if states["NOT CHECKED"]:
        parts.append(f"{states['NOT CHECKED']} not checked")
    found = [problem for check in document["checks"] for problem in check["problems"]]
    # of the warnings beside the verdict, those about splits are problems of a check too
    about_names = len(texts_of(document["naming"], "warnings"))
    warnings = sum(problem["severity"] == "warning" for problem in found) + about_names
    if warnings:
        parts.append(counted(warnings, "warning"))
    return ", ".join(parts) + "."


# ---- a page for a paper's appendix ---------------------------------------------------------------------------------


def verify_markdown(document: Mapping[str, Any], facts: Sequence[Fact]) -> str:
    """Return the audit as Markdown: how names were read, the statement, then checks, problems and leaks."""
    first = [fact for fact in facts if fact.about_names]
    rest = [fact for fact in facts if not fact.about_names]
    lines = [f"# Audit of {_code(rest[0].text)}", ""]
    if first:
        lines += [*(f"* {fact.term}: {_escaped(fact.text)}" for fact in first), ""]
    lines += [f"> {_escaped(document['summary'])}", ""]
    lines += [f"Result: **{'ok' if document['ok'] else 'FAILED'}**. {_counts(document)}", ""]
    lines += [*(f"* Warning: {_escaped(warning)}" for warning in document["warnings"])]
    lines += [f"* {fact.term}: {_escaped(fact.text)}" for fact in rest]
    lines.append("")
    lines += ["| check | result | looked at | note |", "|---|---|---:|---|"]
    for check in document["checks"]:
        looked_at = "" if check["ok"] is None else count(check["count"])
        title, state = _escaped(check["title"]), STATES[check["ok"]]
        lines.append(f"| {title} | {state} | {looked_at} | {_escaped(check['reason'])} |")
    for check in document["checks"]:
        if check["problems"]:
            lines += ["", f"## {_escaped(_heading(check))}", ""]
            lines += [
                f"* {one['severity']} {_code(one['path'])}: {_escaped(one['message'])}" for one in check["problems"]
            ]
    if document["leaks"]:
        titles = {check["name"]: check["title"] for check in document["checks"]}
        columns, rows = leak_rows(document["leaks"], titles)
        names = [name for name, _ in columns]
        lines += ["", "## Leaks", "", "| " + " | ".join(names) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return "".join("\\" + letter if letter in "\\|*_`<>[]#" else letter for letter in plain(text))


def _code(text: str) -> str:
    return f"`` {plain(text)} ``" if "`" in text else f"`{plain(text)}`"
