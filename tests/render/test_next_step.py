"""What an audit that failed says to do next, and that the command does it."""

import os
import shlex
from pathlib import Path

import pytest

from planbalance import api
from planbalance.model import Audit, Check
from planbalance.render.next_step import next_step
from tests.builders import mixed_volumes, yolo_tree
from tests.cli.command import run, run_json


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of links, beside its input `in`."""
    monkeypatch.chdir(tmp_path)
    yolo_tree(tmp_path / "in", mixed_volumes(5, 9, smallest=3, largest=6))
    api.build("in", output="out", mode="symlink")
    return tmp_path / "out"


def failed(*names: str, plan_digest: str = "") -> Audit:
    checks = tuple(Check(name, ok=False, reason="", count=1, problems=()) for name in names)
    return Audit(ok=False, summary="", checks=checks, leaks=(), plan_digest=plan_digest)


def test_an_audit_without_errors_needs_nothing() -> None:
    assert next_step(Audit(ok=True, summary="", checks=(), leaks=()), "set") is None


@pytest.mark.parametrize(
    ("check", "command"),
    [
        ("volume-overlap", "planbalance plan set --output ./set-balanced --group-map map.csv"),
        ("duplicate-content", "planbalance plan set --output ./set-balanced --group-map map.csv --hash-images"),
        ("near-duplicates", "planbalance report set --near-duplicates --html look-alikes.html"),
        ("against /other", ""),
        ("labels", ""),
    ],
)
def test_what_no_repair_mends(check: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set").mkdir()
    monkeypatch.chdir(tmp_path)
    step = next_step(failed(check), "set", ["--group-map", "map.csv"])
    assert step is not None
    assert step.text
    assert step.command == command.replace("./", "")


def test_a_damaged_dataset_is_built_again_by_the_printed_command(built: Path) -> None:
    next(iter(sorted((built / "labels/train").iterdir()))).unlink()
    step = run_json("verify", "out", code=6)["next_step"]
    assert step["command"] == "planbalance apply out/.planbalance/plan.json --output out-again"
    run(*shlex.split(step["command"])[1:], "--quiet")
    assert run_json("verify", "out-again")["next_step"] is None


def test_links_to_files_that_were_moved_are_put_right_by_the_printed_command(built: Path) -> None:
    os.rename("in", "elsewhere")
    step = run_json("verify", "out", code=6)["next_step"]
    words = shlex.split(step["command"])
    assert words[:3] == ["planbalance", "relocate", str(built)]
    run(*(word.replace("=NEW", f"={built.parent}/elsewhere") for word in words[1:]), "--quiet")
    assert run_json("verify", "out")["ok"]
