"""An audit in shards gives the result of a single audit, on whole datasets and on damaged ones."""

import random
from pathlib import Path
from typing import Any

import pytest

from planbalance import api, audit
from planbalance.audit import VerifyOptions, shard_results
from planbalance.errors import IncompleteError, PlanbalanceError, UsageError
from planbalance.model import Audit
from planbalance.shards import Shard
from tests.audit import damages
from tests.audit.built import Built, built
from tests.builders import tree_state, yolo_tree
from tests.cli.command import run, run_json

_DAMAGES = (
    damages.bit_flip, damages.truncation, damages.missing, damages.extra, damages.labels_swapped,
    damages.image_replaced, damages.yaml_edited,
)  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Built:
    return built(tmp_path, layout="by-volume")


def in_shards(made: Built, total: int, **options: Any) -> Audit:
    chosen = VerifyOptions(**options)
    for number in random.Random(total).sample(range(1, total + 1), total):
        audit.verify_shard(str(made.output), chosen, Shard(number, total))
    return audit.finish_audit(str(made.output), chosen)


@pytest.mark.parametrize("total", [1, 3, 40])
@pytest.mark.parametrize("quick", [False, True])
def test_shards_and_their_finish_say_what_one_audit_says(made: Built, total: int, quick: bool) -> None:
    before = tree_state(made.output)
    assert in_shards(made, total, quick=quick) == made.audit(quick=quick)
    after = tree_state(made.output)
    assert before.keys() == after.keys()  # nothing is left of the parts
    assert {path for path in before if before[path] != after[path]} <= {".planbalance"}  # its time


@pytest.mark.parametrize("damage", _DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("mode", ["copy", "symlink"])
def test_damage_is_found_by_shards_as_by_one_audit(tmp_path: Path, damage: damages.Damage, mode: Any) -> None:
    made = built(tmp_path, mode=mode, layout="by-volume")
    damage(made, random.Random(1))
    assert in_shards(made, 3) == made.audit()


def test_the_same_image_in_two_splits_is_found_though_no_shard_saw_both(tmp_path: Path) -> None:
    made = built(tmp_path, layout="by-volume")
    one, other = made.images()[0], made.images()[-1]
    assert one.split("/")[1] != other.split("/")[1]
    (made.output / other).write_bytes((made.output / one).read_bytes())
    found = in_shards(made, 4)
    assert found == made.audit()
    assert any(problem.kind == "duplicate-content" for check in found.checks for problem in check.problems)


def refused(kind: type[PlanbalanceError], *words: Any, **options: Any) -> PlanbalanceError:
    with pytest.raises(kind) as caught:
        api.verify(*words, **options)
    return caught.value


def test_finish_too_early_prints_the_commands_for_what_is_missing(made: Built) -> None:
    assert refused(IncompleteError, str(made.output), finish=True).kind == "shards-missing"
    api.verify(str(made.output), shard="2/3", quick=True)
    error = refused(IncompleteError, str(made.output), finish=True, quick=True)
    assert error.exit_code == 5
    lines = error.hint.splitlines()[1:-1]
    assert lines == [f"planbalance verify {made.output} --quick --shard {number}/3" for number in (1, 3)]


def test_a_part_made_for_something_else_or_cut_off_does_not_count(made: Built) -> None:
    for number in (1, 2):
        api.verify(str(made.output), shard=f"{number}/2", quick=True)
    assert "2 of 2" in refused(IncompleteError, str(made.output), finish=True).message  # not quick
    part = next((made.output / ".planbalance" / shard_results.FOLDER).glob("part-1-*"))
    part.write_bytes(part.read_bytes()[:-3])
    assert "1 of 2" in refused(IncompleteError, str(made.output), finish=True, quick=True).message


def test_a_part_keeps_every_problem_and_every_slice(made: Built) -> None:
    damages.bit_flip(made, random.Random(2))
    subject = audit.subject_of(str(made.output), VerifyOptions())
    part = audit.judge_shard(subject, VerifyOptions(), Shard(1, 1))
    bound = shard_results.bound_to(subject, VerifyOptions())
    batches = shard_results.unpacked(part, bound, Shard(1, 1))
    assert batches is not None
    assert shard_results.packed(bound, Shard(1, 1), batches) == part
    assert shard_results.unpacked(part, bound, Shard(1, 2)) is None
    assert sum(batch.statistics.totals.total() for batch in batches) == len(made.images())


def test_a_dataset_without_a_plan_is_verified_on_one_machine(tmp_path: Path) -> None:
    foreign = yolo_tree(tmp_path / "foreign", {"01-a": "+..", "02-b": ".."})
    assert refused(UsageError, str(foreign), shard="1/2").exit_code == 2
    assert sorted(path.name for path in foreign.iterdir()) == ["dataset.yaml", "images", "labels"]


def test_a_part_that_cannot_be_kept_is_said(made: Built) -> None:
    (made.output / ".planbalance" / shard_results.FOLDER).write_bytes(b"in the way")
    error = refused(IncompleteError, str(made.output), shard="1/2")
    assert (error.kind, error.exit_code) == ("part-not-kept", 5)
    assert "--executor dask" in error.hint


# ---- the command line ---------------------------------------------------------------------------------------------


def test_the_command_line_says_the_same_in_shards(made: Built) -> None:
    whole = run_json("verify", made.output)
    for number in (1, 2):
        assert f"Shard {number}/2" in run("verify", made.output, "--shard", f"{number}/2").stdout
    assert run_json("verify", made.output, "--finish") == whole


def test_damage_is_exit_6_with_the_finish(made: Built) -> None:
    damages.bit_flip(made, random.Random(3))
    for number in (1, 2):
        run("verify", made.output, "--shard", f"{number}/2")
    run("verify", made.output, "--finish", code=6)


@pytest.mark.parametrize(
    "words",
    [("--shard", "0/2"), ("--shard", "auto"), ("--shard", "1/2", "--finish"), ("--finish", "--executor", "dask"),
     ("--scheduler", "tcp://127.0.0.1:1"), ("--shard", "1/2", "--report", "x.md")],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage(made: Built, words: tuple[str, ...]) -> None:
    run("verify", made.output, *words, code=2)
