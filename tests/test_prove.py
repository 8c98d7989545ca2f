"""`--prove`: bounds and better splits, against all splits of small sets that are enumerated."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console

from planbalance import api
from planbalance.cli.installed import install_command
from planbalance.errors import UsageError
from planbalance.model import SPLITS, Split
from planbalance.page.commands import steps
from planbalance.planstore import PlanFile
from planbalance.render.proof import proof_document, proof_text
from planbalance.render.table import Group
from planbalance.split import SplitRequest, SplitResult, Unit, proof_model, split_units
from planbalance.split.levels import (
    ORDERS,
    ProofTask,
    features_of,
    held_by_parts,
    measure_levels,
    proof_task,
    strata,
)
from planbalance.split.prove import ClassBound, SplitProof, prove, prove_split
from tests.builders import mixed_volumes, yolo_tree
from tests.cli.command import run, run_json

RATIOS = ("0.7", "0.15", "0.15"), ("0.5", "0.3", "0.2"), ("0.8", "0", "0.2")
SEVENTY = (Decimal("0.7"), Decimal("0.15"), Decimal("0.15"))

needs_ortools = pytest.mark.skipif(not proof_model.installed(), reason="the extra [prove] is not installed")


@pytest.fixture(autouse=True)
def _few_units_are_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planbalance.split.balance.COMMON", 3)


def small_task(seed: int) -> ProofTask:
    draw = random.Random(seed)
    units = []
    for number in range(draw.randint(4, 7)):
        slices = draw.randint(1, 9)
        positives = draw.randint(0, slices) if draw.random() < 0.7 else 0
        classes = tuple((class_id, draw.randint(1, 9)) for class_id in range(3) if draw.random() < 0.5)
        traits = (draw.choice("ab"),) if seed % 2 else ()
        units.append(Unit(f"u{number}", slices, positives, classes, traits))
    train, val, test = map(Decimal, RATIOS[seed % 3])
    fixed: dict[str, Split] = {unit.id: draw.choice(["train", "test"]) for unit in units if draw.random() < 0.15}
    task = proof_task(units, SplitRequest((train, val, test), 1, fixed=fixed))
    return task._replace(balance="boxes" if seed % 4 == 0 else "patients")


def all_splits(task: ProofTask) -> list[tuple[int, ...]]:
    """Return every split that keeps what is fixed and the ranges of the quotas."""
    return [
        part_of
        for part_of in product(range(3), repeat=len(task.units))
        if all(place in {None, part} for place, part in zip(task.fixed, part_of, strict=True))
        and all(
            least <= have <= most
            for stratum, ranges in zip(strata(task.units), task.quota_ranges, strict=True)
            for have, (least, most) in zip(held_by_parts(task, stratum, part_of), ranges, strict=True)
        )
    ]


def measured(task: ProofTask, part_of: Sequence[int]) -> tuple[Fraction, ...]:
    return tuple(measure_levels(task, part_of).values())


@needs_ortools
@pytest.mark.parametrize("seed", range(30))
def test_an_improved_split_is_the_best_of_all_splits(seed: int) -> None:
    task = small_task(seed)
    splits = all_splits(task)
    start = random.Random(seed).choice(splits)
    proof = prove(task, start, 60, improve=True)
    assert proof.part_of in splits
    assert measured(task, proof.part_of) == min(measured(task, part_of) for part_of in splits)
    assert [level.name for level in proof.levels] == list(ORDERS[task.balance])
    assert all(level.closed and level.bound == level.found for level in proof.levels)
    assert proof.better_found == (proof.part_of != start)


@needs_ortools
@pytest.mark.parametrize("seed", range(30, 50))
def test_bounds_are_the_best_of_all_splits_and_end_where_a_better_split_is_found(seed: int) -> None:
    task = small_task(seed)
    splits = all_splits(task)
    start = random.Random(seed).choice(splits)
    proof = prove(task, start, 60)
    left = splits
    for index, level in enumerate(proof.levels):
        assert level.reached == measured(task, start)[index]
        assert level.bound == min(measured(task, part_of)[index] for part_of in left)
        left = [part_of for part_of in left if measured(task, part_of)[index] == level.bound]
        assert level.proven == (start in left)
        assert level.proven or level is proof.levels[-1]
    assert len(proof.levels) + len(proof.not_reached) == len(ORDERS[task.balance])


@needs_ortools
def test_the_bound_of_a_class_holds_for_every_split() -> None:
    task = next(task for task in map(small_task, range(50)) if any(one.common for one in features_of(task)))
    splits = all_splits(task)
    proof = prove(task, splits[0], 60, improve=True)
    assert proof.classes
    for one in proof.classes:
        boxes = [dict(unit.classes).get(one.class_id, 0) for unit in task.units]
        worst = [
            max(
                abs(Fraction(100 * have, sum(boxes)) - 100 * ratio)
                for have, ratio in zip(held_by_parts(task, boxes, part_of), task.ratios, strict=True)
            )
            for part_of in splits
        ]
        assert one.bound <= min(worst) + Fraction(1, 10**5)


@needs_ortools
def test_without_time_nothing_but_floors_is_proven() -> None:
    units = [Unit(f"u{i}", 10 + i % 3, i % 2, ((0, 1 + i % 4), (1, 2))) for i in range(20)]
    task = proof_task(units, SplitRequest(SEVENTY, 1))
    proof = prove(task, all_train_first(task), 0)
    (level,) = proof.levels
    assert (level.name, level.proven, level.bound) == ("slices", False, Fraction(0))
    assert not proof.better_found


def all_train_first(task: ProofTask) -> list[int]:
    """Return the split that fills train, then val, then test, in the order of the units, by the quotas."""
    part_of = [0] * len(task.units)
    for stratum, quotas in zip(strata(task.units), task.quotas, strict=True):
        places = iter([part for part, quota in enumerate(quotas) for _ in range(quota)])
        for index in [index for index, inside in enumerate(stratum) if inside]:
            part_of[index] = next(places)
    return part_of


@needs_ortools
def test_a_split_that_is_proven_stays_as_it_is() -> None:
    units = [Unit(f"u{i:02}", 10, i % 2) for i in range(40)]
    request = SplitRequest(SEVENTY, 3)
    found = split_units(units, request).split_of
    proof, best = prove_split(units, request, found, 30, improve=True)
    assert best == found
    assert not proof.better_found
    assert all(level.proven for level in proof.levels)
    assert proof.solver.startswith("ortools ")


@needs_ortools
def test_fixed_units_stay_in_the_split_that_is_taken() -> None:
    units = [Unit(f"u{i:02}", 10 + i, i % 3, ((0, i % 5), (1, 1 + i % 2))) for i in range(14)]
    request = SplitRequest(SEVENTY, 3, fixed={"u03": "test", "u04": "test", "u05": "val"})
    found = split_units(units, request).split_of
    _, best = prove_split(units, request, found, 20, improve=True)
    assert {unit: best[unit] for unit in request.fixed} == request.fixed
    assert set(best.values()) <= set(SPLITS)


def test_without_the_extra_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof_model, "installed", lambda: False)
    with pytest.raises(UsageError, match=r"the extra \[prove\], which is not installed") as caught:
        proof_model.require()
    assert caught.value.kind == "extra-missing"
    assert caught.value.hint == "python -m pip install 'planbalance[prove]'"


@needs_ortools
def test_ratios_of_twelve_digits_and_quotas_outside_their_ranges_are_no_obstacle() -> None:
    units = [Unit(f"u{i:02}", 10 + i, i % 2, ((0, 1 + i % 5), (1, 700 + i))) for i in range(12)]
    third = Decimal("0.333333333333")
    task = proof_task(units, SplitRequest((1 - 2 * third, third, third), 1))
    part_of = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2]  # more in train than any quota
    proof = prove(task, part_of, 20, improve=True)
    assert all(level.closed for level in proof.levels)
    assert measured(task, proof.part_of) < measured(task, part_of)


# ---- the option of `plan` -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def knees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set with two classes, which the search does not spread in the best way at once."""
    root = tmp_path_factory.mktemp("several") / "in"
    return yolo_tree(root, mixed_volumes(12, 20, smallest=3, largest=9), names=("tear", "cyst"))


@pytest.fixture
def far_from_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the splitter make a random split, so that the proof finds a better one."""

    def random_split(units: Sequence[Unit], request: SplitRequest) -> SplitResult:
        return split_units(units, replace(request, method="random"))

    monkeypatch.setattr("planbalance.planner.build.split_units", random_split)


@needs_ortools
def test_a_proof_does_not_change_the_plan(tmp_path: Path, knees: Path) -> None:
    plain = api.plan(str(knees), output=str(tmp_path / "out"), plan_file=str(tmp_path / "plain.json"))
    proven = api.plan(str(knees), output=str(tmp_path / "out"), plan_file=str(tmp_path / "proven.json"), prove=5)
    assert plain.proof is None
    assert proven.proof is not None
    assert (tmp_path / "plain.json").read_bytes() == (tmp_path / "proven.json").read_bytes()


@needs_ortools
@pytest.mark.usefixtures("far_from_the_best")
def test_a_split_that_is_taken_is_better_and_stands_in_the_plan(tmp_path: Path, knees: Path) -> None:
    words = (knees, "--output", tmp_path / "out", "--plan-file", tmp_path / "plan.json", "--prove", 20, "--prove-split")
    document = run_json("plan", *words)
    proof = document["proof"]
    assert document["parameters"]["prove_split"] == {"seconds": 20, "solver": proof["solver"], "taken": True}
    assert document["targets"]["distance"] == proof["levels"][0]["reached"] < proof["levels"][0]["before"]
    assert document["targets"]["proven"] == proof["levels"][0]["proven"]
    first = steps(PlanFile.open(str(tmp_path / "plan.json")).header, "plan.json")[0]
    assert first.command.endswith("--prove 20 \\\n    --prove-split")
    assert "may find another one" in first.note


@needs_ortools
@pytest.mark.usefixtures("far_from_the_best")
def test_the_text_says_what_is_proven_and_how_to_take_a_better_split(tmp_path: Path, knees: Path) -> None:
    text = run("plan", knees, "--output", tmp_path / "out", "--plan-file", tmp_path / "plan.json", "--prove", 20).stdout
    assert re.search(r"How near the best split this one is \(ortools [0-9.]+, at most 20 s\)", text)
    assert re.search(r"slices off their targets +\d+ +\d+ +\d+\n", text)
    assert re.search(r"positive slices among them +not looked at\n", text)
    assert "Add --prove-split to take it." in " ".join(text.split())


def test_a_table_of_many_classes_says_how_many_it_leaves_out() -> None:
    bounds = tuple(ClassBound(class_id, Fraction(1), Fraction(1), Fraction(1)) for class_id in range(43))
    document = proof_document(SplitProof((), (), bounds, (), better_found=False, solver="ortools 9", seconds=1), None)
    console = Console(width=100, file=StringIO(), record=True)
    console.print(Group(*proof_text(document)))
    assert "and 3 more (--json lists all)" in console.export_text()


def test_plan_without_the_extra_ends_with_exit_code_2(
    tmp_path: Path, knees: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof_model, "installed", lambda: False)
    failure = run_json(
        "plan", knees, "--output", tmp_path / "out", "--plan-file", tmp_path / "p.json", "--prove", 5, code=2
    )
    assert failure["error"]["kind"] == "extra-missing"
    assert failure["error"]["hint"] == install_command("prove")
    assert not (tmp_path / "p.json").exists()
