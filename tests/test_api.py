"""The functions that the commands call: keywords, places that are never written to, and a running event loop."""

import asyncio
import gc
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.errors import PlanbalanceError
from planbalance.model import Silent
from planbalance.options.apply import ApplyRequest
from planbalance.options.audit import VerifyRequest
from planbalance.options.plan import PlanRequest
from tests.builders import mixed_volumes, tree_state, yolo_tree


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    yolo_tree(tmp_path / "in", mixed_volumes(6, 12))
    return tmp_path


class Counting(Silent):
    """A progress that counts what it is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.counts: list[int] = []
        self.open = 0

    def begin(self, what: str, total: int | None, unit: str) -> None:  # noqa: ARG002 - Progress
        self.stages.append((what, total))
        self.counts.append(0)
        self.open += 1

    def advance(self, count: int, size: int = 0) -> None:  # noqa: ARG002 - Progress
        self.counts[-1] += count

    def end(self) -> None:
        self.open -= 1


def test_the_whole_job(here: Path) -> None:
    before = tree_state(here / "in")
    found = api.scan("in")
    assert (len(found.volumes), found.grouped) == (18, False)
    planned = api.plan("in", output="out", seed=7)
    assert planned.path == str(here / "plan.json")
    done = api.apply(planned.path, mode="symlink")
    assert done.published
    assert api.verify("out").ok
    assert api.verify().ok  # the output of plan.json
    assert tree_state(here / "in") == before


def test_several_plans_are_read_from_their_files_and_keep_none_open(here: Path) -> None:
    (here / "folds").mkdir()
    gc.collect()  # what earlier tests dropped is not closed between the two counts
    before = len(os.listdir("/proc/self/fd"))
    several = api.plan_folds("in", output="folds", folds=9)
    assert len(os.listdir("/proc/self/fd")) == before
    for one in several:
        one.plan.check()
        opened = api.open_plan(one.path)
        assert list(one.plan.operations()) == list(opened.operations())
        assert one.header == opened.header
    assert api.apply(several[8].plan).published


def test_inside_a_running_event_loop(here: Path) -> None:
    """As in a notebook."""

    async def cell() -> api.Built:
        return api.build("in", output="out", mode="hardlink")

    built = asyncio.run(cell())
    assert built.audit is not None
    assert built.audit.ok
    assert built.planned.path == ""


def test_progress_is_told_and_every_stage_ends(here: Path) -> None:
    progress = Counting()
    api.build("in", output="out", progress=progress)
    assert len(progress.stages) >= 3
    assert progress.open == 0
    for (_, total), count in zip(progress.stages, progress.counts, strict=True):
        assert total is None or count == total


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"train_ratio": 0.7, "val_ratio": 0.1},
            {"train_ratio": "0.70", "val_ratio": Decimal("0.1"), "test_ratio": "0.2"},
        ),
        ({}, {"train_ratio": "0.7", "val_ratio": "0.15", "test_ratio": "0.15", "seed": 42}),
        ({"seed": 3}, {"split_seed": 3, "sample_seed": 3}),
        ({"seed": 3, "sample_seed": 9}, {"split_seed": 3, "sample_seed": 9}),
        ({"negatives_per_positive": 2}, {"negatives_per_positive": "2.0"}),
        ({"negatives_per_positive": 0.5}, {"negatives_per_positive": Decimal("0.5")}),
    ],
)
def test_two_spellings_of_one_plan(here: Path, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Ratios are exact decimals, not the binary numbers nearest to them."""
    digests = {api.plan("in", output="out", **keywords).header.digest for keywords in (one, other)}
    assert len(digests) == 1


def test_relative_paths_count_from_the_working_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.plan("in", output="out", plan_file="a.json")
    (here / "sub").mkdir()
    monkeypatch.chdir(here / "sub")
    second = api.plan("../in", output=f"{here}/x/../out", plan_file="../b.json")
    assert first.header.digest == second.header.digest
    assert (here / "a.json").read_bytes() == (here / "b.json").read_bytes()


def test_extend_takes_over_what_decided_the_older_plan(here: Path) -> None:
    older = api.plan("in", output="out", train_ratio="0.6", val_ratio="0.2", seed=9, plan_file="old.json")
    yolo_tree(here / "in", {"01-02-90001": "..+.", "01-02-90002": "...."})
    newer = api.plan("in", output="out2", extend="old.json")
    assert newer.header.parameters["train_ratio"] == "0.6"
    assert newer.header.parameters["split_seed"] == 9
    before = {volume.id: volume.split for volume in older.header.volumes}
    assert all(before.get(volume.id, volume.split) == volume.split for volume in newer.header.volumes)
    assert len(newer.header.volumes) == len(before) + 2
    same = api.plan("in", output="out2", extend="old.json", seed=9, train_ratio=0.6)  # given again, as it was
    assert same.header.digest == newer.header.digest


def test_lists_come_from_files_or_are_patterns(here: Path) -> None:
    (here / "out.txt").write_text("01-02-00000\n\n01-02-00007\n")
    by_file = api.plan("in", output="out", exclude=["out.txt", "01-02-0000[12]"])
    gone = {volume.id for volume in api.scan("in").volumes} - {volume.id for volume in by_file.header.volumes}
    assert gone == {"01-02-00000", "01-02-00001", "01-02-00002", "01-02-00007"}


def test_an_unknown_keyword_is_refused(here: Path) -> None:
    mistyped: dict[str, Any] = {"traain_ratio": 0.7}
    for call in (api.plan, api.build):
        with pytest.raises(TypeError, match="traain_ratio"):
            call("in", output="out", **mistyped)
    with pytest.raises(TypeError, match="mood"):
        api.apply("plan.json", mood="copy")


def test_docstrings_have_examples_that_run(here: Path) -> None:
    """Every example in a docstring, in an order that works."""
    known: dict[str, Any] = {name: getattr(api, name) for name in api.__all__}
    volumes = api.scan(str(yolo_tree(here / "yolo_dataset", mixed_volumes(6, 12)))).volumes
    yolo_tree(here / "somebody/yolo_dataset", mixed_volumes(3, 3))
    rows = "".join(f"{one.id},{one.id},{'north' if index % 2 else 'south'}\n" for index, one in enumerate(volumes))
    (here / "patients.csv").write_text(f"volume,group,site\n{rows}")
    for name in (
        *("scan", "plan", "open_plan", "apply", "verify"),
        *("plan_folds", "fold_datasets", "verify_folds", "plan_left_out"),
    ):
        if name == "plan_folds":
            (here / "folds").mkdir()
        if name == "apply":
            os.rename(here / "plan.json", here / "plan-new.json")
            api.plan("yolo_dataset", output="elsewhere")
        for example in examples(getattr(api, name).__doc__):
            assert eval(example, known) is not None
    for example in examples(api.diff.__doc__) + examples(api.build.__doc__):
        assert eval(example.replace('"balanced"', '"built"'), known) is not None


def examples(text: str | None) -> list[str]:
    assert text is not None
    return re.findall(r"Example:\n +`([^`]+)`", text)


def test_what_a_user_can_cause_has_an_exit_code(here: Path) -> None:
    with pytest.raises(PlanbalanceError) as refused:
        api.plan("nowhere", output="out")
    assert refused.value.exit_code == 3
    assert refused.value.paths


# ---- classes by name ------------------------------------------------------------------------------------------------


def two_classes(root: Path, names: str) -> Path:
    yolo_tree(root, mixed_volumes(6, 6), names=None)
    for number, label in enumerate(sorted((root / "labels").rglob("*.txt"))):
        if label.read_bytes() and number % 2:
            label.write_bytes(b"1 0.5 0.5 0.1 0.2\n")
    (root / "data.yaml").write_text(f"names: {names}\n")
    return root


@pytest.mark.parametrize("given", [["cyst"], [1], ["1"], ["id:1"], ["name:cyst"], "cyst", ["cyst", 1]])
def test_positive_classes_are_given_by_name_or_id(tmp_path: Path, given: Any) -> None:
    source = str(two_classes(tmp_path / "in", "[tear, cyst]"))
    both = api.scan(source)
    found = api.scan(source, positive_classes=given)
    positives = sum(volume.positives for volume in found.volumes)
    assert 0 < positives < sum(volume.positives for volume in both.volumes)
    planned = api.plan(source, output=str(tmp_path / "out"), plan_file=str(tmp_path / "p.json"), positive_classes=given)
    assert planned.header.parameters["positive_classes"] == [1]
    extended = api.plan(
        source,
        output=str(tmp_path / "out2"),
        plan_file=str(tmp_path / "p2.json"),
        positive_classes=given,
        extend=str(tmp_path / "p.json"),
    )
    assert extended.header.parameters["positive_classes"] == [1]


@pytest.mark.parametrize(
    ("names", "given", "said"),
    [
        ("[tear, cyst]", "Tear", "no class has this name. The classes are 0 tear, 1 cyst."),
        ("[tear, cyst]", "x", "no class has this name"),
        ("[tear, cyst]", "name:0", "no class has this name"),
        ("['1', '0']", "0", "class 1 has this name, and the class of this id is called 1"),
        ("[tear, tear]", "tear", "classes 0 and 1 have this name"),
    ],
)
def test_a_class_that_is_not_told_by_its_word_is_refused(tmp_path: Path, names: str, given: str, said: str) -> None:
    source = str(two_classes(tmp_path / "in", names))
    for call in (
        lambda: api.scan(source, positive_classes=[given]),
        lambda: api.plan(source, output=str(tmp_path / "out"), positive_classes=[given]),
    ):
        with pytest.raises(PlanbalanceError) as caught:
            call()
        assert said in caught.value.message
        assert (caught.value.kind, caught.value.exit_code) == ("unknown-class", 2)
        assert caught.value.hint


def test_a_class_called_by_a_number_is_found_by_name_and_by_id(tmp_path: Path) -> None:
    source = str(two_classes(tmp_path / "in", "['7', '0']"))
    chosen = {
        word: api.plan(
            source, output=str(tmp_path / "out"), plan_file=str(tmp_path / "p.json"), positive_classes=[word]
        ).header.parameters["positive_classes"]
        for word in ("7", "name:0", "id:0", 1)
    }
    assert chosen == {"7": [0], "name:0": [1], "id:0": [0], 1: [1]}


def test_without_class_names_a_class_is_given_by_its_id(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", mixed_volumes(3, 3), names=None)
    with pytest.raises(PlanbalanceError, match="the input does not name its classes"):
        api.scan(str(source), positive_classes=["tear"])
    assert api.scan(str(source), positive_classes=["0"]).volumes


# ---- options as objects ---------------------------------------------------------------------------------------------


def test_an_object_of_options_is_the_same_as_its_keywords(here: Path) -> None:
    chosen = PlanRequest(seed=7, train_ratio="0.6", val_ratio=0.2, sampling="spread")
    by_object = api.plan("in", output="out", options=chosen)
    by_keywords = api.plan("in", output="out", seed=7, train_ratio="0.6", val_ratio=0.2, sampling="spread")
    changed = api.plan("in", output="out", options=chosen, sampling="random")
    assert by_object.header.digest == by_keywords.header.digest != changed.header.digest
    assert changed.header.parameters["split_seed"] == 7
    built = api.build("in", output="out", plan=chosen, apply=ApplyRequest(mode="symlink"))
    assert (built.planned.header.digest, built.outcome.mode) == (by_object.header.digest, "symlink")
    assert api.verify("out", options=VerifyRequest(quick=True)).ok


def test_what_is_for_apply_alone_is_refused_by_build_and_slurm(here: Path) -> None:
    api.plan("in", output="out")
    asked = ApplyRequest(finish=True)
    with pytest.raises(PlanbalanceError, match="--finish is for apply") as refused:
        api.build("in", output="out", apply=asked)
    assert refused.value.exit_code == 2
    with pytest.raises(PlanbalanceError, match="--finish is for a run by hand") as refused:
        api.slurm("plan.json", nodes=1, options=asked)
    assert refused.value.exit_code == 2
    assert sorted(os.listdir(here)) == ["in", "plan.json"]


@pytest.mark.parametrize("name", ["audit.md", "audit.html"])
def test_an_audit_is_written_where_the_report_is_asked_for(here: Path, name: str) -> None:
    api.build("in", output="out", mode="symlink")
    audit = api.verify("out", quick=True, report=name)
    assert audit.ok
    assert len((here / name).read_text()) > 500
    with pytest.raises(PlanbalanceError, match="inside the dataset"):
        api.verify("out", report="out/" + name)
    with pytest.raises(PlanbalanceError, match="whole audit"):
        api.verify("out", shard="1/2", report=name)
