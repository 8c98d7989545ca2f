from planbalance.model import Audit, Check, SplitCount
from planbalance.render.statement import statement
from planbalance.render.verify import verify_document, verify_markdown

CHECKS = (
    Check("volume-overlap", ok=False, reason="", count=3, problems=()),
    Check("files", ok=None, reason="there is no plan to compare with", count=0, problems=()),
    Check("counts", ok=None, reason="there is no plan to compare with", count=0, problems=()),
    Check("near-duplicates", ok=None, reason="not asked for (--near-duplicates)", count=0, problems=()),
)
AUDIT = Audit(
    ok=False,
    summary="50 % of test slices share a volume with train.",
    checks=CHECKS,
    leaks=(),
    to_move=1_200,
    counts=(SplitCount("train", 25_582, 12_791), SplitCount("test", 4, None)),
)


def told(audit: Audit) -> dict[str, str]:
    return {fact.term: fact.text for fact in statement(audit, dataset="/data/set", tool="planbalance 1.2.3")}


def test_it_tells_what_was_checked_what_could_not_be_and_by_what() -> None:
    assert told(AUDIT) == {
        "Dataset": "/data/set",
        "Slices": "train 25,582 (12,791 positive); test 4 (labels were not read)",
        "Checked": "volume-overlap",
        "Not checked": (
            "files, counts (there is no plan to compare with); near-duplicates (not asked for (--near-duplicates))"
        ),
        "To move": "1,200 slices would have to change their split, or go, for no two to share anything checked",
        "Plan": "none: the dataset has no plan to compare with",
        "Made by": "planbalance 1.2.3",
    }


def test_what_was_not_checked_is_never_called_clean() -> None:
    nothing = told(Audit(ok=True, summary="", checks=CHECKS[1:], leaks=()))
    assert nothing["Checked"] == "nothing"
    assert "To move" not in nothing
    assert told(Audit(ok=True, summary="", checks=(), leaks=(), to_move=0, plan_digest="ab"))["Plan"] == "SHA-256 ab"


def test_the_markdown_opens_with_the_statement() -> None:
    facts = statement(AUDIT, dataset="/data/set`", tool="planbalance 1.2.3")
    lines = verify_markdown(verify_document(AUDIT), facts).splitlines()
    assert lines[:3] == ["# Audit of `` /data/set` ``", "", f"> {AUDIT.summary}"]  # no names: a shard has none
    assert lines[4].startswith("Result: **FAILED**.")
    top = "\n".join(lines[: lines.index("| check | result | looked at | note |")])
    assert all(f"* {term}: " in top for term in told(AUDIT))
