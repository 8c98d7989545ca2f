"""The audit in one sentence, to be quoted in a paper or a review."""

from collections.abc import Iterable, Sequence

from planbalance.audit.check_table import CHECKS
from planbalance.audit.leak_counts import Leak
from planbalance.model import Check, Split
from planbalance.text import percent


def _shared() -> dict[str, str]:
    """Return, for each check that compares splits, what they may share."""
    return {kind.name: kind.shared for kind in CHECKS.values() if kind.compares_splits}


def sentence(
    checks: Sequence[Check], leaks: Sequence[Leak], splits: Sequence[Split], doubts: Iterable[str] = ()
) -> str:
    """Return the audit in one sentence: what leaks into val and test, what else is wrong, and what was not checked.

    `doubts` are clauses that no reader of the sentence may miss, such as `test holds no positive slice`.
    """
    parts = [*_leak_clauses(leaks), *_clean_clause(checks, leaks, splits), *_error_clause(checks), *doubts]
    unchecked = [
        CHECKS[check.name].title
        for check in checks
        if check.ok is None and check.name in CHECKS and CHECKS[check.name].always_named
    ]
    if unchecked:
        parts.append(f"not checked: {', '.join(unchecked)}")
    text = "; ".join(parts) + "."
    return text[:1].upper() + text[1:]


def _leak_clauses(leaks: Sequence[Leak]) -> list[str]:
    """Return a clause for every kind of leak and other split: the touched parts of test and val are what counts."""
    clauses = []
    for kind, what in _shared().items():
        pairs = [leak for leak in leaks if leak.kind == kind and _evaluated(leak)]
        for other in dict.fromkeys(leak.shared_with for leak in pairs):
            shares = [f"{percent(leak.share)} of {leak.of} slices" for leak in pairs if leak.shared_with == other]
            clauses.append(f"{' and '.join(shares)} share {what} with {other}")
    return clauses


def _evaluated(leak: Leak) -> bool:
    """Return whether a leak is quoted: val or test with train, test with val, or a split with another one elsewhere."""
    pair = (leak.of, leak.shared_with)
    if ":" in leak.shared_with:
        return not leak.shared_with.endswith(f":{leak.of}")
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
    names = ", ".join(check.name for check in failed)
    return [f"{errors} {'error' if errors == 1 else 'errors'} in {names}"]


def _joined_or(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " or " + texts[-1]
