"""The batch files: what they say word for word, what bash makes of them, and that nobody's edits are lost."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from planbalance.cluster.slurm import batch_files
from planbalance.engine import ApplyOptions
from planbalance.planstore import PlanFile
from tests.cli.command import knees, run, run_json
from tests.engine.plans import saved_plan
from tests.engine.test_packed import Scene
from tests.packed import images

GOLDEN = """\
#!/bin/bash
# planbalance: 8 shards of one build, each on a node of its own. Submit with:
#   sbatch --kill-on-invalid-dep=yes --dependency=afterok:$(sbatch --parsable knee-array.sbatch | cut -d';' -f1) \
knee-finish.sbatch
# To run single shards again: sbatch --array=3,7 knee-array.sbatch
#SBATCH --job-name=planbalance-knee
#SBATCH --array=1-8
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --output=planbalance-knee-%A_%a.log
#SBATCH --open-mode=append
# A shard that is started again resumes, also on another node.
#SBATCH --requeue
# A minute before the time limit: stop, so that the shard can be resumed.
#SBATCH --signal=B:TERM@60
# What your cluster asks for; remove one # of each line that you fill in:
##SBATCH --time=04:00:00
##SBATCH --partition=
##SBATCH --account=

set -eu
exec /opt/pb/bin/planbalance apply /gpfs/knee.json --mode symlink --jobs 2 --shard "$SLURM_ARRAY_TASK_ID/8"
"""


def echoed(text: str, tmp_path: Path, **environment: str) -> list[str]:
    """Run a batch file whose program is a script that prints its words; return them."""
    path = tmp_path / "job.sbatch"
    path.write_text(text)
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    said = subprocess.run(["bash", path], env=os.environ | environment, capture_output=True, check=True)
    return said.stdout.decode().split("\0")[:-1]


@pytest.fixture
def printer(tmp_path: Path) -> str:
    script = tmp_path / "its own $program"
    script.write_text("#!/bin/bash\nprintf '%s\\0' \"$@\"\n")
    script.chmod(0o755)
    return str(script)


def test_the_array_file_word_for_word() -> None:
    files = batch_files("/gpfs/knee.json", ApplyOptions(mode="symlink", jobs=2), 8, ["/opt/pb/bin/planbalance"])
    assert files.array == GOLDEN
    assert (files.array_name, files.finish_name) == ("knee-array.sbatch", "knee-finish.sbatch")
    assert files.finish.endswith(
        "\nexec /opt/pb/bin/planbalance apply /gpfs/knee.json --mode symlink --jobs 2 --finish\n"
    )


@pytest.mark.parametrize("plan", ["/a b/$(touch x)/it's.json", "/gpfs/`id`;\n#SBATCH -n 9.json", '/p/"q\\.json'])
def test_bash_hands_over_every_word_as_it_was_given(tmp_path: Path, printer: str, plan: str) -> None:
    options = ApplyOptions(output="/o $HOME", map_input=(("/in 1", "/n'1"),), durability="safe")
    files = batch_files(plan, options, 3, [printer])
    carried = ["--output", "/o $HOME", "--map-input", "/in 1=/n'1", "--durability", "safe"]
    assert echoed(files.array, tmp_path, SLURM_ARRAY_TASK_ID="2") == ["apply", plan, *carried, "--shard", "2/3"]
    assert echoed(files.finish, tmp_path) == ["apply", plan, *carried, "--finish"]
    for text in (files.array, files.finish):
        settings = text[: text.index("\nset -eu\n")].splitlines()  # sbatch reads on to the first command
        assert all(line.isascii() and line.startswith("#") for line in settings)
        assert not any("-n 9" in line for line in settings)


def test_the_submit_line_is_one_that_bash_takes() -> None:
    files = batch_files("/p/a b.json", ApplyOptions(), 2, ["planbalance"])
    assert subprocess.run(["bash", "-n", "-c", files.submit], check=False).returncode == 0
    assert shlex.split(files.submit)[0] == "sbatch"


# ---- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlanFile:
    monkeypatch.chdir(tmp_path)
    return saved_plan([knees(tmp_path / "in")], tmp_path / "set", tmp_path / "plan.json")


def test_both_files_are_written_and_the_submit_line_is_said(plan: PlanFile, tmp_path: Path) -> None:
    document = run_json("slurm", "plan.json", "--nodes", 3, "--mode", "symlink", "--output", "else where")
    array, finish = (tmp_path / document[name] for name in ("array", "finish"))
    assert f"apply {tmp_path}/plan.json --mode symlink --output '{tmp_path}/else where'" in array.read_text()
    assert finish.read_text().rstrip().endswith("--finish")
    said = run("slurm", "plan.json", "--nodes", 3, "--mode", "symlink", "--output", "else where").stdout
    assert document["submit"] in said  # the same again is no edit


def test_an_edited_file_is_not_written_over(plan: PlanFile, tmp_path: Path) -> None:
    run("slurm", "plan.json", "--nodes", 3)
    array = tmp_path / "plan-array.sbatch"
    array.write_text(array.read_text().replace("##SBATCH --partition=", "#SBATCH --partition=long"))
    kept = array.read_text()
    assert "edited" in run("slurm", "plan.json", "--nodes", 2, code=2).stderr
    assert array.read_text() == kept
    run("slurm", "plan.json", "--nodes", 2, "--into", tmp_path / "in", code=2)
    assert "--into" in run("slurm", "plan.json", "--nodes", 2, "--into", tmp_path / "nowhere", code=4).stderr


@pytest.mark.parametrize("words", [("--nodes", 0), ("--nodes", 99), ("--nodes", 2, "--restart"), ("--nodes", "x"), ()])
def test_wrong_usage_is_said(plan: PlanFile, words: tuple[object, ...]) -> None:
    run("slurm", "plan.json", *words, code=2)


def test_a_missing_plan_is_exit_4(tmp_path: Path) -> None:
    run("slurm", tmp_path / "none.json", "--nodes", 2, code=4)


# ---- the job that trains from one file ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["squashfs", "tar"])
def test_the_job_that_trains_finds_the_dataset_and_leaves_nothing(tmp_path: Path, mode: str) -> None:
    """The file is run as it is written, but for the command that trains."""
    if mode == "squashfs":
        images.need("squashfuse_ll")
        if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
            pytest.skip("no FUSE here")
    scene = Scene(tmp_path)
    scene.apply(mode)
    program = [sys.executable, "-m", "planbalance"]
    options = ApplyOptions(mode=mode)  # type: ignore[arg-type]  # parametrized
    files = batch_files(str(tmp_path / "plan.json"), options, 1, program, scene.plan.header)
    assert files.train_name == "plan-train.sbatch"
    (train,) = [line for line in files.train.splitlines() if line.startswith(("yolo ", "echo 'put the command"))]
    looks = 'cat "$here/data.yaml"; ls "$data/images/train" "$data/labels/train"; echo "$data" > "$OUT" &'
    script = files.train.replace(train, looks)
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "OUT": str(tmp_path / "where")}
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    there = (tmp_path / "where").read_text().strip()
    assert f'path: "{there}"' in ended.stdout
    assert "IM1-01-a.png" in ended.stdout
    assert "IM1-01-a.txt" in ended.stdout
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_folder_has_no_job_that_trains() -> None:
    files = batch_files("/plan.json", ApplyOptions(mode="copy"), 1, ["planbalance"])
    assert [name for name, _ in files.each()] == ["plan-array.sbatch", "plan-finish.sbatch"]
