import json
import subprocess
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.model import InputSpec
from planbalance.options.declare import spelled
from planbalance.options.plan import PlanRequest
from planbalance.page.commands import page_words, steps
from tests.builders import mixed_volumes, write, yolo_tree
from tests.cli.command import run_json
from tests.page.made import saved_plan


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return yolo_tree(tmp_path / "in put", mixed_volumes(5, 11, smallest=3, largest=7))


def as_a_shell_reads(command: str) -> list[str]:
    script = "planbalance() { printf '%s\\0' planbalance \"$@\"; }\n" + command
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, "--seed 42 --volume-pattern im-dash", id="defaults"),
        pytest.param(
            {"split_seed": 1, "sample_seed": 2},
            "--split-seed 1 --sample-seed 2 --volume-pattern im-dash",
            id="two seeds",
        ),
        pytest.param(
            {"negatives_per_positive": None, "sampling": "spread", "gap": 2, "layout": "by-volume"},
            "--seed 42 --volume-pattern im-dash --negatives-per-positive all --sampling spread --gap 2 "
            "--layout by-volume",
            id="sampling",
        ),
        pytest.param(
            {
                "negatives_per_positive": Decimal("1.5"),
                "positive_classes": frozenset({0}),
                "exclude": ("IM1-*", "it's"),
            },
            "--seed 42 --volume-pattern im-dash --negatives-per-positive 1.5 --positive-class 0 --exclude IM1-* "
            "--exclude it's",
            id="lists, quoted",
        ),
    ],
)
def test_the_command_is_the_one_that_makes_the_plan(
    tmp_path: Path, source: Path, options: dict[str, Any], expected: str
) -> None:
    first = steps(saved_plan(tmp_path, source, **options).header, "plan.json")[0]
    ratios = "--train-ratio 0.7 --val-ratio 0.15 --test-ratio 0.15"
    words = ["planbalance", "plan", str(source), "--output", str(tmp_path / "out"), *ratios.split(), *expected.split()]
    assert as_a_shell_reads(first.command) == words
    assert not first.note


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param({"folds": 3}, "--seed 42 --volume-pattern im-dash --folds 3", id="folds"),
        pytest.param(
            {"folds": 2, "repeats": 2, "seed": 7},
            "--seed 7 --volume-pattern im-dash --folds 2 --repeats 2",
            id="repeated folds",
        ),
    ],
)
def test_the_command_of_a_fold_makes_all_folds(
    tmp_path: Path, source: Path, words: dict[str, Any], expected: str
) -> None:
    several = api.plan_folds(str(source), output=str(tmp_path / "out"), plan_file=str(tmp_path / "p"), **words)
    ratios = "--train-ratio 0.7 --val-ratio 0.15"
    wanted = ["planbalance", "plan", str(source), "--output", str(tmp_path / "out"), *ratios.split(), *expected.split()]
    assert [as_a_shell_reads(steps(one.header, "p")[0].command) for one in several] == [wanted] * len(several)


def test_the_command_of_a_value_that_is_left_out_makes_all_values(tmp_path: Path, source: Path) -> None:
    volumes = api.scan(str(source)).volumes
    rows = "".join(f"{one.id},p{index},s{index % 2}\n" for index, one in enumerate(volumes))
    write(tmp_path / "map.csv", f"volume,group,site\n{rows}".encode())
    several = api.plan_left_out(
        str(source),
        output=str(tmp_path / "out"),
        plan_file=str(tmp_path / "p.json"),
        leave_out="site",
        group_map=str(tmp_path / "map.csv"),
    )
    assert [one.path for one in several] == [str(tmp_path / f"p-{value}.json") for value in ("s0", "s1")]
    for one in several:
        step = steps(one.header, one.path)[0]
        assert as_a_shell_reads(step.command)[-4:] == ["--leave-out", "site", "--group-map", "GROUP_MAP.csv"]
        assert str(tmp_path / "out") in step.command
        assert "Put your own in place of GROUP_MAP.csv" in step.note


def test_roots_that_were_named_apart_are_named_so_again(tmp_path: Path, source: Path) -> None:
    roots = [f"{source}/images", f"{source}/labels"]
    planned = api.plan(
        InputSpec("", images=roots[0], labels=roots[1]), output=str(tmp_path / "out"), plan_file=str(tmp_path / "p")
    )
    words = as_a_shell_reads(steps(planned.header, "p")[0].command)
    assert words[:6] == ["planbalance", "plan", "--images", roots[0], "--labels", roots[1]]


def test_what_a_plan_does_not_hold_is_said(tmp_path: Path, source: Path) -> None:
    plan = saved_plan(tmp_path, source, split_map={"01-02-00003": "test"})
    step = steps(plan.header, "plan.json")[0]
    assert as_a_shell_reads(step.command)[-2:] == ["--split-map", "SPLIT_MAP.csv"]
    assert "SPLIT_MAP.csv" in step.note


# Options that decide nothing of a plan, or of which the plan stores what came of them: the rule that was found, the two
# seeds, the key's hashes. Each other option must be in the command that makes the plan again.
NOT_REPEATED = {"jobs", "seed", "volume_column", "group_column", "group_key", "volume_from", "prove", "prove_split"}


def test_the_command_holds_every_option_that_matters(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan with every option at once, or as many as go together: pasted, its command makes the same plan."""
    volumes = [one.id for one in api.scan(str(source)).volumes]
    rows = "".join(f"{one},p{index},{index % 2}\n" for index, one in enumerate(volumes))
    write(tmp_path / "GROUP_MAP.csv", f"volume,group,site\n{rows}".encode())
    write(tmp_path / "SPLIT_MAP.csv", f"volume,split\n{volumes[0]},test\n".encode())
    train = next(source.glob("images/train/*"))
    write(tmp_path / "ALWAYS_KEEP.txt", train.name.encode() + b"\n")
    given: dict[str, Any] = {
        "train_ratio": "0.6", "val_ratio": "0.2", "test_ratio": "0.2", "split_seed": 3, "sample_seed": 4,
        "split_method": "random", "balance": "boxes", "negatives_per_positive": "2", "sampling": "spread", "gap": 1,
        "positive_classes": ("0",), "missing_label": "empty", "invalid_label": "skip", "layout": "by-volume",
        "hash_images": True, "volume_pattern": "im-dash", "group_map": str(tmp_path / "GROUP_MAP.csv"),
        "stratify": ("site",), "split_map": str(tmp_path / "SPLIT_MAP.csv"), "exclude": ("IM99-*",),
        "always_keep": str(tmp_path / "ALWAYS_KEEP.txt"), "group_from": ("map", "identical"),
    }  # fmt: skip
    # of these, each goes with none or not all of the others
    alone = {"keep_split", "extend", "slice_map", "slice_map_columns", "shared_ids", "h5_folder", "look_alikes"}
    assert {one.name for one in fields(PlanRequest)} == {*given, *alone, *NOT_REPEATED}
    planned = api.plan(str(source), output=str(tmp_path / "out"), plan_file=str(tmp_path / "p.json"), **given)
    words = as_a_shell_reads(steps(planned.header, planned.path)[0].command)
    assert {spelled(name) for name in given} - {"--positive-classes"} | {"--positive-class"} <= set(words)
    monkeypatch.chdir(tmp_path)
    again = run_json(*words[1:], "--plan-file", "again.json")
    assert again["digest"] == planned.header.digest


def test_patients_of_a_dicom_tag_are_named_by_the_tag(tmp_path: Path, source: Path) -> None:
    header = saved_plan(tmp_path, source).header
    by = {**header.parameters, "groups": {**header.parameters["groups"], "by": "dicom"}}
    for told, word in (({}, "dicom:PatientID"), ({"group_from": "dicom:StudyInstanceUID"}, "dicom:StudyInstanceUID")):
        step = steps(header._replace(parameters=by | told), "p")[0]
        words = as_a_shell_reads(step.command)
        assert words[words.index("--group-from") + 1] == word
        assert "--group-key" in step.note


def test_the_page_is_made_again_as_it_was(tmp_path: Path, source: Path) -> None:
    """With the audit that it shows: none, what planbalance wrote, or every image."""
    for options in ({"audit": "none"}, {"audit": "quick"}, {"audit": "full"}, {"samples": 1}):
        api.build(str(source), output=str(tmp_path / "built"), mode="symlink") if options == {"audit": "none"} else None
        made = api.report(str(tmp_path / "built"), html=str(tmp_path / "page.html"), **options)
        words = page_words(made.audit, int(options.get("samples", 4)), planned=True, built=True)
        told = {"none": ["--audit", "none"], "full": ["--audit", "full"]}.get(str(options.get("audit")), [])
        assert words == ["--html", "report.html", *told, *(["--samples", "1"] if "samples" in options else [])]


def test_a_list_of_one_is_that_one(tmp_path: Path, source: Path) -> None:
    path = saved_plan(tmp_path, source).path
    for subject in (path, [path]):
        api.report(subject, html=str(tmp_path / f"{type(subject).__name__}.html"))
    assert (tmp_path / "list.html").read_bytes() == (tmp_path / "str.html").read_bytes()


@pytest.mark.parametrize(
    ("receipt", "words"),
    [
        pytest.param({"mode": "symlink", "labels": "same"}, "--mode symlink --labels same", id="as the receipt says"),
        pytest.param({"mode": "list", "labels": "copy"}, "--mode list", id="lists"),
        pytest.param({"mode": "; rm -rf /", "labels": 3}, "--mode copy", id="words unknown"),
        pytest.param([], "--mode copy", id="no receipt"),
        pytest.param(None, "--mode copy", id="none at all"),
    ],
)
def test_a_dataset_is_built_once_more_as_it_was_and_beside_itself(
    tmp_path: Path, source: Path, receipt: Any, words: str
) -> None:
    built = tmp_path / "built it"
    if receipt is not None:
        write(built / ".planbalance/receipt.json", json.dumps(receipt).encode())
    command = steps(saved_plan(tmp_path, source).header, "plan.json", str(built))[2].command
    assert as_a_shell_reads(command) == [
        "planbalance",
        "apply",
        "plan.json",
        *words.split(),
        "--output",
        f"{built}-again",
    ]
