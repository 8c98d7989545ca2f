"""Shards as tasks of a Dask cluster whose workers, scheduler and client die in the middle."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from planbalance.cluster import dask
from planbalance.engine import ApplyOptions
from planbalance.errors import IncompleteError, PlanError, UsageError
from planbalance.model import Silent
from planbalance.planfile import SealedPlan
from planbalance.planstore import PlanFile
from tests.builders import mixed_volumes, tree_content
from tests.cli.command import run, run_json
from tests.conftest import Trials
from tests.engine.plans import sealed_plan
from tests.shards.dask_cluster import Cluster, until
from tests.shards.scene import Scene

pytest.importorskip("distributed", reason="the extra [dask] is not installed")

VOLUMES = mixed_volumes(12, 24)


def apply(scene: Scene, cluster: Cluster | None, *words: str) -> "subprocess.Popen[str]":
    """Start `apply --executor dask`."""
    where = [] if cluster is None else ["--scheduler", cluster.address]
    command = [sys.executable, "-m", "planbalance", "apply", str(scene.path), "--executor", "dask", *where, *words]
    client = subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    _clients.append(client)
    return client


_clients: list["subprocess.Popen[str]"] = []


@pytest.fixture(autouse=True)
def no_client_left() -> Iterator[None]:
    yield
    while _clients:
        client = _clients.pop()
        client.kill()
        client.communicate()


def answer(client: "subprocess.Popen[str]", code: int = 0) -> Any:
    out, said = client.communicate(timeout=200)
    assert client.returncode == code, f"exit {client.returncode}\n{out}\n{said}"
    return json.loads(out)


def in_the_middle(scene: Scene, draw: random.Random) -> None:
    """Wait until a good part, chosen by chance, is in place."""
    wanted = draw.randint(1, 150)
    until(lambda: len(list((scene.staging / "images").rglob("IM*.png"))) >= wanted)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), 2, slow=0.01) as started:
        yield started


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("four"), 4, slow=0.01) as started:
        yield started


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, volumes=VOLUMES)


@pytest.fixture
def small(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def lose_a_worker(scene: Scene, cluster: Cluster, draw: random.Random) -> None:
    expected = scene.reference(ApplyOptions())
    client = apply(scene, cluster)
    in_the_middle(scene, draw)
    cluster.kill_worker(draw.randrange(len(cluster.workers)))
    assert answer(client)["published"]
    scene.check(expected)


def test_a_worker_and_then_the_client_killed_in_the_middle_cost_nothing_but_time(
    scene: Scene, cluster: Cluster
) -> None:
    expected = scene.reference(ApplyOptions())
    client = apply(scene, cluster)
    in_the_middle(scene, random.Random(3))
    cluster.kill_worker(0)
    client.kill()
    client.communicate()
    assert not scene.output.exists()
    assert answer(apply(scene, cluster))["published"]
    scene.check(expected)
    on_dask = run_json("verify", scene.output, "--executor", "dask", "--scheduler", cluster.address)
    assert on_dask == run_json("verify", scene.output)


@pytest.mark.torture(row=8)
@pytest.mark.timeout(1800)
def test_one_of_four_workers_killed_in_the_middle_20_times(tmp_path: Path, four: Cluster, trials: Trials) -> None:
    for trial in range(20):
        folder = tmp_path / str(trial)
        folder.mkdir()
        lose_a_worker(Scene(folder, volumes=VOLUMES), four, trials.draw)
        trials.count()


@pytest.mark.torture
def test_a_killed_client_comes_back_and_publishes_once(scene: Scene, four: Cluster) -> None:
    expected = scene.reference(ApplyOptions())
    client = apply(scene, four)
    in_the_middle(scene, random.Random(3))
    client.kill()
    client.communicate()
    assert not scene.output.exists()
    assert answer(apply(scene, four))["published"]
    scene.check(expected)
    assert answer(apply(scene, four), code=4)["error"]["kind"] == "already-built"


@pytest.mark.torture
def test_a_scheduler_started_again_goes_on(scene: Scene, four: Cluster) -> None:
    expected = scene.reference(ApplyOptions())
    client = apply(scene, four)
    in_the_middle(scene, random.Random(4))
    four.restart_scheduler()
    assert answer(client)["published"]
    scene.check(expected)


def test_what_a_shard_refuses_is_said_by_the_client(scene: Scene, cluster: Cluster) -> None:
    image = next(scene.source.rglob("*.png"))
    image.write_bytes(b"grown" * 100)
    error = answer(apply(scene, cluster), code=4)["error"]
    assert error["kind"] == "plan-stale"
    assert error["message"].startswith("Shard ")
    assert not scene.output.exists()


def test_a_cluster_of_this_machine_by_default(scene: Scene) -> None:
    expected = scene.reference(ApplyOptions(mode="symlink"))
    document = answer(apply(scene, None, "--mode", "symlink"))
    assert (document["published"], document["mode"]) == (True, "symlink")
    scene.check(expected)
    assert tree_content(scene.output)


# ---- refusals, and what a client does with what it is told --------------------------------------------------------


@pytest.mark.parametrize("words", [("--shard", "1/2"), ("--finish",), ("--restart",), ("--dry-run",)], ids=str)
def test_what_does_not_go_with_dask(small: Scene, words: tuple[str, ...]) -> None:
    assert words[0] in run("apply", small.path, "--executor", "dask", *words, code=2).stderr


def test_a_scheduler_is_for_dask(small: Scene) -> None:
    run("apply", small.path, "--scheduler", "tcp://127.0.0.1:1", code=2)


def test_without_the_extra_it_says_how_to_get_it(small: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = run("apply", small.path, "--executor", "dask", code=2).stderr
    assert "needs the extra [dask], which is not installed" in said
    assert "[dask]'` installs it" in said


def test_a_plan_in_memory_is_refused(small: Scene) -> None:
    sealed: SealedPlan = sealed_plan([small.source], small.output)
    with pytest.raises(UsageError, match="plan file"):
        dask.apply_on_dask(PlanFile.of(sealed), ApplyOptions(), scheduler=None, progress=Silent())


@pytest.fixture
def pending() -> dask.PendingShards:
    return dask.PendingShards([range(1)])


def failed(name: str, kind: str) -> dask.ShardOutcome:
    return dask.ShardOutcome((name, {"message": "it", "kind": kind, "hint": "", "paths": ()}), None, "w1")


def test_a_shard_without_a_block_is_not_pending() -> None:
    pending = dask.PendingShards([range(2), range(2, 2), range(2, 3)])
    assert pending.numbers == [1, 3]
    assert pending.add_outcome(3, dask.ShardOutcome(None, None, "w1"))
    assert pending.numbers == [1]


def test_a_worker_that_does_not_see_the_input_does_not_get_that_shard_again(pending: dask.PendingShards) -> None:
    assert pending.workers_for(1, ["w1", "w2"]) is None
    assert not pending.add_outcome(1, failed("IncompleteError", "input-not-here"))
    assert pending.workers_for(1, ["w1", "w2"]) == ["w2"]
    with pytest.raises(IncompleteError, match="No worker can run shard 1/1"):
        pending.workers_for(1, ["w1"])


def test_an_error_that_another_try_may_mend_is_tried_three_times(pending: dask.PendingShards) -> None:
    assert not pending.add_outcome(1, failed("IncompleteError", "io-error"))
    assert not pending.add_outcome(1, failed("IncompleteError", "io-error"))
    with pytest.raises(IncompleteError, match="Shard 1/1: it"):
        pending.add_outcome(1, failed("IncompleteError", "io-error"))


def test_a_task_that_dask_reports_as_failed_is_tried_three_times(pending: dask.PendingShards) -> None:
    pending.add_failure(1, OSError("lost"))
    pending.add_failure(1, OSError("lost"))
    with pytest.raises(IncompleteError, match="Shard 1/1 failed 3 times on the workers: OSError: lost"):
        pending.add_failure(1, OSError("lost"))


@pytest.mark.parametrize(("name", "kind"), [("PlanError", PlanError), ("UsageError", UsageError)])
def test_an_error_that_no_try_mends_ends_it_at_once(
    pending: dask.PendingShards, name: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="Shard 1/1: it"):
        pending.add_outcome(1, failed(name, "some"))
