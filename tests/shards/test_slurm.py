"""The batch files under a real Slurm: an array of 8 on two nodes, one task killed and run again, then the finish."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from planbalance.engine import ApplyOptions
from tests.builders import mixed_volumes
from tests.cli.command import run_json
from tests.shards.dask_cluster import SLOW, until
from tests.shards.scene import Scene
from tests.shards.slurm_cluster import CannotStartError, Slurm, lacking

pytestmark = pytest.mark.skipif(bool(lacking()), reason=f"no Slurm here: {lacking()}")
_TASKS = 8


@pytest.fixture
def slurm() -> Iterator[Slurm]:
    root = Path(tempfile.mkdtemp(prefix="pb-slurm-"))  # short: sockets lie in it
    try:
        with Slurm(root) as started:
            yield started
    except CannotStartError as error:
        pytest.skip(f"Slurm does not start here: {error}")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_an_array_of_8_with_a_killed_task_run_again_makes_the_tree_of_one_apply(
    tmp_path: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, volumes=mixed_volumes(16, 32))
    expected = scene.reference(ApplyOptions())
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (tmp_path / "sitecustomize.py").write_text(SLOW.format(seconds=0.05))  # so that there is a middle to kill in
    files = run_json("slurm", scene.path, "--nodes", _TASKS, "--into", jobs)

    submitted = slurm.call("bash", "-c", files["submit"], folder=jobs, PYTHONPATH=str(tmp_path))
    assert "Submitted batch job" in submitted
    array = slurm.call("squeue", "-h", "-n", "planbalance-plan", "-o", "%F").split()[0]
    until(lambda: any(scene.own().glob("journal-3-*")))  # it has begun; its files take seconds
    slurm.call("scancel", "--batch", "--signal=KILL", f"{array}_3")
    until(lambda: done(slurm))
    said = "\n".join(path.read_text() for path in jobs.glob("*.log"))
    assert not scene.output.exists(), said  # the finish was never run: its dependency failed
    assert len(list(jobs.glob(f"planbalance-plan-{array}_*.log"))) == _TASKS
    nodes = {slurm.call("scontrol", "show", "job", f"{array}_{task}") for task in range(1, _TASKS + 1)}
    assert {host for text in nodes for host in ("n1", "n2") if f"BatchHost={host}" in text} == {"n1", "n2"}

    early = run_json("apply", scene.path, "--finish", code=5)["error"]
    assert "Shard 3 of 8 is not done" in early["message"]
    assert "sbatch --array=3 " in early["hint"]

    again = slurm.call("sbatch", "--parsable", "--array=3", files["array"], folder=jobs)
    slurm.call("sbatch", f"--dependency=afterok:{again}", files["finish"], folder=jobs)
    until(lambda: done(slurm))
    said = "\n".join(path.read_text() for path in jobs.glob("planbalance-plan-finish-*.log"))
    assert scene.output.exists(), said
    assert "Built" in said
    scene.check(expected)


def done(slurm: Slurm) -> bool:
    return not slurm.call("squeue", "-h")
