"""`apply --shard` and `--finish` on the command line: exit codes, documents, and what a person reads."""

from pathlib import Path
from typing import Any

import pytest

from planbalance import api
from planbalance.errors import UsageError
from tests.cli.command import run, run_json
from tests.shards.scene import Scene
from tests.shards.test_cut import array


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_shard_is_exit_0_and_says_that_nothing_is_published(scene: Scene) -> None:
    said = run("apply", scene.path, "--shard", "1/2").stdout
    assert "This part is done" in said
    assert "--finish" in said
    assert "train" not in said
    document = run_json("apply", scene.path, "--shard", "1/2")
    assert (document["published"], document["resumed"] * 2) == (False, document["files"])
    assert set(document) >= {"output", "mode", "files", "bytes", "seconds", "resumed", "published", "train_commands"}


def test_finish_too_early_is_exit_5_with_one_command_a_line(scene: Scene) -> None:
    run("apply", scene.path, "--shard", "2/3")
    said = run("apply", scene.path, "--finish", code=5).stderr
    for number in (1, 3):
        assert f"\n  planbalance apply {scene.path} --shard {number}/3\n" in said
    assert run_json("apply", scene.path, "--finish", code=5)["error"]["kind"] == "shards-missing"


def test_finish_says_how_to_train_and_a_second_one_that_it_is_built(scene: Scene) -> None:
    for number in (1, 2):
        run("apply", scene.path, "--shard", f"{number}/2", "--quiet")
    assert "Train with YOLOv5" in run("apply", scene.path, "--finish", "--verbose").stdout
    for words in (("--finish",), ("--shard", "1/2")):
        assert run_json("apply", scene.path, *words, code=4)["error"]["kind"] == "already-built"


def test_auto_is_the_task_of_a_slurm_array_and_printed_commands_are_explicit(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in array(task=14, count=3, first=10, step=2).items():
        monkeypatch.setenv(name, value)
    run("apply", scene.path, "--shard", "auto")
    assert any(path.name.startswith("journal-3-") for path in scene.own().iterdir())
    error = run_json("apply", scene.path, "--shard", "auto", "--mode", "symlink", code=2)["error"]
    assert "--shard 3/3" in error["hint"]
    assert "--shard auto" not in error["hint"]


@pytest.mark.parametrize("word", ["auto", "0/2", "3/2", "x", "1/2/3"])
def test_what_is_no_shard_is_exit_2(scene: Scene, word: str) -> None:
    assert "--shard" in run("apply", scene.path, "--shard", word, code=2).stderr
    with pytest.raises(UsageError):
        api.apply(str(scene.path), shard=word)


def test_list_mode_is_not_built_in_shards(tmp_path: Path) -> None:
    scene = Scene(tmp_path, layout="keep")
    for words in (("--shard", "1/2"), ("--finish",)):
        run("apply", scene.path, "--mode", "list", *words, code=2)


def test_folds_are_built_in_shards_one_after_the_other(tmp_path: Path) -> None:
    scenes = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        scenes.append(Scene(tmp_path / name))
    plans: list[Any] = [scene.path for scene in scenes]
    for number in (1, 2):
        run("apply", *plans, "--shard", f"{number}/2")
    run("apply", *plans, "--finish")
    assert all(scene.output.exists() for scene in scenes)
