"""The audit in one sentence, to be quoted in a paper or a review."""

from collections.abc import Iterable, Sequence

from planbalance.audit.check_builder import title_of
from planbalance.audit.check_table import CHECKS
from planbalance.audit.leak_counts import Leak
from planbalance.model import Check, Split
from planbalance.text import counted, percent


def _shared() -> dict[str, str]:
    """Return, for each check that compares splits, what they may share."""
    return {kind.name: kind.shared for kind in CHECKS.values() if kind.compares_splits}


def sentence(
    checks: Sequence[Check], leaks: Sequence[Leak], splits: Sequence[Split], doubts: Iterable[str] = ()
) -> str:
    """Return the audit in one sentence: what leaks into val and test, what else is wrong, and what was not checked.

    `doubts` are clauses that no reader of the sentence may miss, such as `test holds no positive slice`.
    """
    parts = [
        *_leak_clauses(leaks),
        *_fold_clauses(leaks),
        *_clean_clause(checks, leaks, splits),
        *_error_clause(checks),
        *doubts,
    ]
    unchecked = [
        CHECKS[check.name].title
        for check in checks
        if check.ok is None and check.name in CHECKS and CHECKS[check.name].always_named
    ]
    if unchecked:
        parts.append(f"not checked: {', '.join(unchecked)}")
    text = "; ".join(parts) + "."
    return text[:1].upper() + text[1:]


def failures(checks: Iterable[Check], leaks: Sequence[Leak]) -> tuple[str, ...]:
    """Return for each check that failed what is wrong, in one line: `volume in two splits: 100 % of test slices ...`.

    The worst comes first: leaks by the largest part of val or test that they touch, then the others by their errors.
    """
    found = []
    for place, check in enumerate(one for one in checks if one.ok is False):
        name, title = check.name, check.title or title_of(check.name, ok=False)
        mine = [leak for leak in leaks if (leak.kind == name if ":" not in leak.shared_with else _across(leak, name))]
        touched = [leak for leak in mine if _evaluated(leak)] or mine
        clauses = _leak_clauses(touched) or [_errors_of(check)]
        worst = max((leak.share for leak in touched), default=0.0)
        found.append((-worst, -_number_of_errors(check), place, f"{title}: {'; '.join(clauses)}"))
    return tuple(text for *_, text in sorted(found))


def _across(leak: Leak, check: str) -> bool:
    """Return whether a leak of two datasets belongs to the check against the other one."""
    return check == f"against {leak.shared_with.rpartition(':')[0]}" and not leak.purpose


def _number_of_errors(check: Check) -> int:
    return sum(problem.severity == "error" for problem in check.problems)


def _errors_of(check: Check) -> str:
    """Return how many errors a check has; of a single one, what it says."""
    errors = [problem for problem in check.problems if problem.severity == "error"]
    if len(errors) == 1:
        return f"{errors[0].path}: {errors[0].message}".removeprefix(": ")
    return counted(len(errors), "error")


def _leak_clauses(leaks: Sequence[Leak]) -> list[str]:
    """Return a clause for every kind of leak and other split: the touched parts of test and val are what counts."""
    clauses = []
    for kind, what in _shared().items():
        pairs = [leak for leak in leaks if leak.kind == kind and _evaluated(leak)]
        for other in dict.fromkeys(leak.shared_with for leak in pairs):
            shares = [f"{percent(leak.share)} of {leak.of} slices" for leak in pairs if leak.shared_with == other]
            clauses.append(f"{' and '.join(shares)} share {what} with {other}")
    return clauses


def _fold_clauses(leaks: Sequence[Leak]) -> list[str]:
    """Return a clause for each other fold of the same command: what part of test it trains on, as folds do."""
    worst: dict[str, Leak] = {}
    for leak in leaks:
        if leak.purpose == "other fold" and leak.of == "test" and leak.shared_with.endswith(":train"):
            other = worst.setdefault(leak.shared_with, leak)
            worst[leak.shared_with] = max(other, leak, key=lambda one: one.share)
    return [
        f"{percent(leak.share)} of test slices share {_shared()[leak.kind]} with {other}, another of the same folds, "
        "as folds do"
        for other, leak in worst.items()
    ]


def _evaluated(leak: Leak) -> bool:
    """Return whether a leak is quoted: val or test with train, test with val, or a split with another one elsewhere."""
    pair = (leak.of, leak.shared_with)
    if ":" in leak.shared_with:
        return not leak.purpose
    return pair in (("val", "train"), ("test", "train"), ("test", "val"))


def _clean_clause(checks: Sequence[Check], leaks: Sequence[Leak], splits: Sequence[Split]) -> list[str]:
    found = {leak.kind for leak in leaks if ":" not in leak.shared_with}
    clean = [
        what
        for name, what in _shared().items()
        if name not in found and any(check.name == name and check.ok is True for check in checks)
    ]
    if not clean:
        return []
    evaluated = [split for split in ("val", "test") if split in splits]
    if not evaluated or len(splits) < 2:
        return ["there are not two splits that could share anything"]
    others = "train" if "train" in splits else "the other"
    between = f"{others} or with each other" if len(evaluated) > 1 and "train" in splits else others
    return [f"no slice of {' or '.join(evaluated)} shares {_joined_or(clean)} with {between}"]


def _error_clause(checks: Iterable[Check]) -> list[str]:
    """Return what else failed: errors by check, leaks apart."""
    failed = [
        check
        for check in checks
        if check.ok is False and check.name not in _shared() and not check.name.startswith("against")
    ]
    if not failed:
        return []
    errors = sum(problem.severity == "error" for check in failed for problem in check.problems)
    names = ", ".join(check.title or title_of(check.name, ok=False) for check in failed)
    return [f"{counted(errors, 'error')} in {names}"]


def _joined_or(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " or " + texts[-1]
