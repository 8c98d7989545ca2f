"""A run in an event loop: of its own thread inside a notebook, whose cells run in a loop already."""

import asyncio
import threading
from pathlib import Path

import pytest

from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import IncompleteError
from planbalance.model import Outcome, Silent
from tests.builders import yolo_tree
from tests.engine.plans import saved_plan


class Threads(Silent):
    """A progress that notes which threads report to it."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def advance(self, count: int, size: int = 0) -> None:
        del count, size
        self.seen.add(threading.get_ident())


def test_inside_a_running_loop_the_run_has_a_thread_of_its_own(tmp_path: Path) -> None:
    plan = saved_plan([yolo_tree(tmp_path / "in", {"01-a": ".+"})], tmp_path / "set", tmp_path / "plan.json")
    progress = Threads()

    async def cell() -> Outcome:
        return apply_plan(plan, ApplyOptions(), progress)

    assert asyncio.run(cell()).published
    assert progress.seen.isdisjoint({threading.get_ident()})
    plain = Threads()
    assert apply_plan(plan, ApplyOptions(output=str(tmp_path / "again")), plain).published
    assert plain.seen == {threading.get_ident()}


def test_an_error_of_the_run_is_raised_as_itself_inside_a_running_loop(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", {"01-a": ".+"})
    plan = saved_plan([source], tmp_path / "set", tmp_path / "plan.json")

    async def cell() -> Outcome:
        return apply_plan(plan, ApplyOptions(finish=True))

    with pytest.raises(IncompleteError, match="No shard of"):
        asyncio.run(cell())
