"""An audit as Markdown, for a reviewer: what was checked, what could not be, and every problem. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from planbalance.audit.summary import percent
from planbalance.model import Audit, Check

_WORD: Final = {True: "ok", False: "FAILED", None: "NOT CHECKED"}
# Beyond this the page is no page: the rest is counted, and `--json` holds all.
_LISTED: Final = 200


def markdown(audit: Audit, *, dataset: str, tool: str, digest: str = "") -> str:
    """Return the audit as a Markdown document.

    Args:
        audit: the result.
        dataset: how the page calls what was audited.
        tool: name and version, such as `planbalance 0.1.0`.
        digest: of the plan, "" where there is none.
    """
    lines = [f"# Audit of {_plain(dataset)}", "", f"**{_plain(audit.summary)}**", ""]
    lines += _statement(audit, tool, digest)
    lines += ["", "## Checks", "", "| check | result | looked at | note |", "|---|---|---:|---|"]
    lines += [f"| {_plain(c.name)} | {_WORD[c.ok]} | {c.count:,} | {_plain(c.reason)} |" for c in audit.checks]
    lines += _leaks(audit.leaks)
    for check in audit.checks:
        lines += _problems(check)
    return "\n".join(lines) + "\n"


def _statement(audit: Audit, tool: str, digest: str) -> list[str]:
    by_result = {ok: [_plain(check.name) for check in audit.checks if check.ok is ok] for ok in (True, False, None)}
    problems = [problem for check in audit.checks for problem in check.problems]
    errors = sum(problem.severity == "error" for problem in problems)
    return [
        f"* Result: {'no error was found' if audit.ok else 'FAILED'}",
        f"* Problems: {errors:,} errors, {len(problems) - errors:,} warnings",
        f"* Checked: {', '.join([*by_result[True], *by_result[False]]) or 'nothing'}",
        f"* Not checked: {', '.join(by_result[None]) or 'nothing was left out'}",
        f"* Plan: {f'`{_plain(digest)}`' if digest else 'none'}",
        f"* Made by: {_plain(tool)}",
    ]


def _leaks(leaks: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = [
        f"| {_plain(leak['kind'])} | {_plain(leak['from'])} | {_plain(leak['to'])} "
        f"| {leak['slices']:,} | {percent(leak['share'])} |"
        for leak in leaks
    ]
    head = ["", "## Leaks", "", "| kind | slices of | shared with | slices | share |", "|---|---|---|---:|---:|"]
    return [*head, *rows] if rows else []


def _problems(check: Check) -> list[str]:
    if not check.problems:
        return []
    lines = ["", f"## {_plain(check.name)}", ""]
    lines += [
        f"* {problem.severity}, {_plain(problem.kind)}: {_plain(problem.path)}: {_plain(problem.message)}"
        for problem in check.problems[:_LISTED]
    ]
    if len(check.problems) > _LISTED:
        lines.append(f"* and {len(check.problems) - _LISTED:,} more")
    return lines


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is: names come from anybody's data set."""
    kept = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    for mark in "\\`*_[]<>|#&":
        kept = kept.replace(mark, "\\" + mark) if mark not in "<>&" else kept.replace(mark, _ENTITIES[mark])
    return kept


_ENTITIES: Final = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
