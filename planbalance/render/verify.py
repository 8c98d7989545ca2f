"""What `verify` prints: how names were read, the sentence to quote, each check, problems, and what was not checked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.model import Audit, Check
from planbalance.render.class_labels import and_others, several_alike
from planbalance.render.naming import reading_of_audit, reading_text, warnings_at_the_end
from planbalance.render.scan import differences_document, yaml_document
from planbalance.render.statement import Fact
from planbalance.render.table import Grid, Group, Renderable, count, heading, item, line, plain, prose
from planbalance.text import counted, texts_of

_SHOWN: Final = 10  # problems of one check; --json has all
STATES: Final = {True: "ok", False: "FAILED", None: "NOT CHECKED"}
STYLES: Final = {"ok": "green", "FAILED": "bold red", "NOT CHECKED": "yellow"}


def verify_document(audit: Audit, *, repair: str | None = None) -> dict[str, Any]:
    """Return the audit with the keys of docs/reference/json.md; `repair` is the command that mends its leaks."""
    return {
        **reading_of_audit(audit),
        "ok": audit.ok,
        "summary": audit.summary,
        "warnings": list(audit.warnings),
        "plan_digest": audit.plan_digest or None,
        "checks": checks_document(audit.checks),
        "leaks": [dict(leak) for leak in audit.leaks],
        "yaml": yaml_document(audit.yaml),
        "layout_differences": differences_document(audit.differences),
        "repair_command": repair,
    }


def checks_document(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """Return finished checks as JSON values."""
    return [{**check._asdict(), "problems": [problem._asdict() for problem in check.problems]} for check in checks]


def verify_text(document: Mapping[str, Any]) -> Renderable:
    """Return the audit for a person."""
    verdict = ("OK  ", "bold green") if document["ok"] else ("FAILED  ", "bold red")
    return Group(
        *reading_text(document, when=" (after undersampling)" if document["plan_digest"] else ""),
        line(),
        prose(document["summary"]),
        heading("Checks"),
        *checks_text(document["checks"]),
        *problems_text(document["checks"]),
        *leaks_text(document["leaks"]),
        line(),
        *warnings_at_the_end(document["warnings"]),
        prose(verdict, _verdict(document)),
        *_next(document["repair_command"]),
    )


def _next(repair: str | None) -> Iterable[Renderable]:
    if repair is not None:
        yield prose("To plan a dataset without these leaks, with the fewest slices moved or left out:")
        yield line("  ", repair)


def checks_text(checks: Sequence[Mapping[str, Any]]) -> Iterable[Renderable]:
    """Yield the table of checks, and their notes."""
    grid = Grid(["check", "result", "count"], words=frozenset({1}), styles=STYLES)
    for check in checks:
        grid.add(check["name"], STATES[check["ok"]], count(check["count"]) if check["ok"] is not None else "")
    yield grid
    noted = [check for check in checks if check["reason"]]
    if noted:
        yield heading("Notes")
    for check in noted:
        yield item("-", f"{check['name']}: {check['reason']}")


def problems_text(checks: Iterable[Mapping[str, Any]]) -> Iterable[Renderable]:
    """Yield the first problems of each check that found some."""
    for check in checks:
        problems = check["problems"]
        if problems:
            counts = Counter(problem["severity"] for problem in problems)
            told = ", ".join(
                counted(counts[severity], severity) for severity in ("error", "warning") if counts[severity]
            )
            yield heading(f"{check['name']}: {told}")
            alike = several_alike(problems)
            for problem, others in alike[:_SHOWN]:
                mark = ("x ", "red") if problem["severity"] == "error" else ("! ", "yellow")
                where = f"{problem['path']}: " if problem["path"] else ""
                yield line("  ", mark, f"{where}{problem['message']}{and_others(others)}")
            if left := sum(1 + others for _, others in alike[_SHOWN:]):
                yield line(f"  and {count(left)} more (--json lists all)")


def leaks_text(leaks: Sequence[Mapping[str, Any]]) -> Iterable[Renderable]:
    """Yield the table of what splits share."""
    if leaks:
        yield heading("Leaks")
        columns = list(leaks[0])
        grid = Grid([column.replace("_", " ") for column in columns], words=frozenset(_word_columns(leaks, columns)))
        for leak in leaks:
            grid.add(*(_cell(column, leak.get(column, "")) for column in columns))
        yield grid


def _word_columns(leaks: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterable[int]:
    return (index for index, column in enumerate(columns) if isinstance(leaks[0][column], str))


def _cell(column: str, value: object) -> str:
    if column == "share" and isinstance(value, int | float):
        return f"{100 * value:.1f} %"
    return count(value) if isinstance(value, int) else plain(value)


def _verdict(document: Mapping[str, Any]) -> str:
    states = Counter(STATES[check["ok"]] for check in document["checks"])
    parts = [f"{states['ok']} checks ok"]
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
    lines += [f"Result: **{'ok' if document['ok'] else 'FAILED'}**. {_verdict(document)}", ""]
    lines += [*(f"* Warning: {_escaped(warning)}" for warning in document["warnings"])]
    lines += [f"* {fact.term}: {_escaped(fact.text)}" for fact in rest]
    lines.append("")
    lines += ["| check | result | looked at | note |", "|---|---|---:|---|"]
    for check in document["checks"]:
        looked_at = "" if check["ok"] is None else count(check["count"])
        lines.append(f"| {check['name']} | {STATES[check['ok']]} | {looked_at} | {_escaped(check['reason'])} |")
    for check in document["checks"]:
        if check["problems"]:
            lines += ["", f"## {check['name']}", ""]
            lines += [
                f"* {one['severity']} {_code(one['path'])}: {_escaped(one['message'])}" for one in check["problems"]
            ]
    if document["leaks"]:
        columns = list(document["leaks"][0])
        lines += ["", "## Leaks", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        for leak in document["leaks"]:
            lines.append("| " + " | ".join(_escaped(_cell(column, leak.get(column, ""))) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return "".join("\\" + letter if letter in "\\|*_`<>[]#" else letter for letter in plain(text))


def _code(text: str) -> str:
    return f"`` {plain(text)} ``" if "`" in text else f"`{plain(text)}`"
